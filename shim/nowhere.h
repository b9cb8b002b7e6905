/* A network that leads nowhere: a namespace whose loopback device takes every address for its own. A datagram that a tool
 * sends there reaches whoever listens in it, under the very address that it was sent to, or nobody. */
#ifndef EXITPIN_NOWHERE_H
#define EXITPIN_NOWHERE_H

enum {
	EXITPIN_NOWHERE_PORT = 53,
	EXITPIN_NOWHERE_BATCH = 8, /* datagram sockets of each family, made at a time */
	EXITPIN_NOWHERE_FDS = 4 + 2 * EXITPIN_NOWHERE_BATCH,
};

/* Makes one. fds: its user namespace (-1: ours) and its network namespace; sockets bound to port 53 of every address,
 * IPv4 and IPv6, that tell where each datagram was sent; then a batch of IPv4 and one of IPv6 datagram sockets. 0 or an
 * errno: where user namespaces are not allowed, EPERM. */
int exitpin_nowhere_make(int fds[EXITPIN_NOWHERE_FDS]);

/* Another batch of each, in the same order, in the one that was made. 0 or an errno. */
int exitpin_nowhere_more(int user_namespace, int network_namespace, int fds[2 * EXITPIN_NOWHERE_BATCH]);

#endif
