#include <netinet/in.h>

#include "preload.h"

enum { TYPE_MASK = 0xf }; /* without SOCK_NONBLOCK and SOCK_CLOEXEC */

/* Which errno of socket(2) says no. */
static int errno_of(int reason)
{
	if (reason == EXITPIN_REASON_FAMILY)
		return EAFNOSUPPORT;
	return reason == EXITPIN_REASON_PROTOCOL ? EPROTONOSUPPORT : EACCES;
}

/* socket(2).
 * Passes: TCP over IPv4 and IPv6, AF_UNIX, routing netlink.
 * Refuses with a note: other streams over IP (EPROTONOSUPPORT); datagrams, ICMP, raw and packet sockets (EACCES);
 *   other families (EAFNOSUPPORT). A datagram socket is refused here rather than at its first datagram, since some
 *   datagrams leave through calls that no hook sees. */
EXPORT int socket(int domain, int type, int protocol)
{
	const struct exitpin_kind kind = {domain, type & TYPE_MASK, protocol};
	int reason = exitpin_is_left_to_supervisor(&kind) ? EXITPIN_REASON_NONE : exitpin_kind_reason(&kind);

	if (reason == EXITPIN_REASON_NONE)
		return (int)result(sys_socket(domain, type, protocol));
	exitpin_deny_family(reason, domain);
	return fail(errno_of(reason));
}

/* socketpair(2).
 * Passes: what socket would, and the kernel then refuses what is not AF_UNIX. Refuses: as socket. */
EXPORT int socketpair(int domain, int type, int protocol, int pair[2])
{
	const struct exitpin_kind kind = {domain, type & TYPE_MASK, protocol};
	int reason = exitpin_kind_reason(&kind);

	if (reason == EXITPIN_REASON_NONE)
		return (int)result(sys_socketpair(domain, type, protocol, pair));
	exitpin_deny_family(reason, domain);
	return fail(errno_of(reason));
}

/* bind(2).
 * Passes: Unix and netlink sockets; TCP to port 0 of an address of this machine (a weaker witness: FLAG_BOUND).
 * Changes: TCP to port 0 of the wildcard or a loopback address goes to the run's own address, where connect would put
 *   it anyway.
 * Refuses: EACCES for a fixed port, with a note, and for every other kind of socket. */
EXPORT int bind(int fd, const struct sockaddr *address, socklen_t size)
{
	struct exitpin_kind kind;
	struct exitpin_endpoint endpoint;
	uint32_t flags = 0;
	long error = exitpin_kind_of(fd, &kind);

	if (error < 0)
		return fail((int)-error);
	if (exitpin_is_left_to_supervisor(&kind))
		return (int)result(sys_bind(fd, address, size));
	int reason = exitpin_kind_reason(&kind);

	if (reason == EXITPIN_REASON_NONE && !exitpin_is_inet(&kind))
		return (int)result(sys_bind(fd, address, size));
	if (reason == EXITPIN_REASON_NONE && (address == NULL || !exitpin_endpoint_from_sockaddr(address, size, &endpoint)))
		return (int)result(sys_bind(fd, address, address == NULL ? 0 : size)); /* the kernel refuses it */
	if (reason == EXITPIN_REASON_NONE && endpoint.port != 0)
		reason = EXITPIN_REASON_LISTEN;
	if (reason != EXITPIN_REASON_NONE)
		return exitpin_deny_address(reason, address, size), fail(EACCES);
	if (exitpin_endpoint_scope(&endpoint) != EXITPIN_REASON_LOOPBACK || address->sa_family != kind.domain)
		return (int)result(sys_bind(fd, address, size));
	const struct exitpin_config *config = exitpin_config();

	error = config == NULL ? -ENETUNREACH : exitpin_bind_run_address(fd, kind.domain, &config->source, &flags);
	return error == -ENETUNREACH ? fail(EADDRNOTAVAIL) : (int)result(error);
}

/* listen(2).
 * Passes: Unix sockets, with a note if the kernel refuses it. Refuses: EACCES for IP, with a note: nobody can reach a run,
 * and nobody should. */
EXPORT int listen(int fd, int backlog)
{
	struct exitpin_kind kind;
	long error = exitpin_kind_of(fd, &kind);

	if (error < 0)
		return fail((int)-error);
	if (!exitpin_is_inet(&kind)) {
		error = sys_listen(fd, backlog);
		if (error == -EACCES)
			exitpin_deny_family(EXITPIN_REASON_LISTEN, kind.domain);
		return (int)result(error);
	}
	exitpin_deny_family(EXITPIN_REASON_LISTEN, kind.domain);
	return fail(EACCES);
}
