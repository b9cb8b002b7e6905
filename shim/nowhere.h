/* A network that leads nowhere: a namespace whose loopback device takes every address for its own. A datagram that a tool
 * sends there reaches whoever listens in it, under the very address that it was sent to, or nobody. */
#ifndef EXITPIN_NOWHERE_H
#define EXITPIN_NOWHERE_H

enum {
	EXITPIN_NOWHERE_PORT = 53,
	EXITPIN_NOWHERE_BATCH = 8, /* datagram sockets, made at a time */
	EXITPIN_NOWHERE_FDS = 4,
};

/* Makes one. fds: its user namespace (ours, where that may make networks) and its network namespace; sockets bound to
 * port 53 of every address, IPv4 and IPv6, that tell where each datagram was sent (below 0: there is no IPv6). 0 or an
 * errno, and then no descriptor is left open: where user namespaces are not allowed, EPERM. Waits for its child. */
int exitpin_nowhere_make(int fds[EXITPIN_NOWHERE_FDS]);

/* A batch of datagram sockets of that family (AF_INET, AF_INET6) in the one that was made. 0 or an errno, and then no
 * descriptor is left open. Waits for its child. */
int exitpin_nowhere_more(int user_namespace, int network_namespace, int family, int fds[EXITPIN_NOWHERE_BATCH]);

#endif
