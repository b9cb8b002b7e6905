/* A connect before it may be reported: what the kernel would refuse, what a run may not reach, and the source endpoint by
 * which Tor's STREAM event and the report are joined. In the tool by the hook, or by the supervisor on the tool's own
 * socket: the same. */
#ifndef EXITPIN_STEER_H
#define EXITPIN_STEER_H

#include <sys/socket.h>

#include "kind.h"

/* The socket's own endpoint: source as the kernel and every report have it (a v4-mapped address stays IPv6), plain with
 * IPv4 as IPv4. 0 or minus an errno. */
long exitpin_read_source(int fd, struct exitpin_endpoint *plain, struct exitpin_endpoint *source);

/* bind(2) of a TCP socket to a free port of the run's address; adds to flags. 0 or minus an errno: EINVAL when it holds a
 * port already. */
long exitpin_bind_run_address(int fd, int domain, const struct exitpin_endpoint *run_address, uint32_t *flags);

/* Fills in destination, source and flags of a report about this connect of a TCP socket, which then stands on the run's
 * address; one that the tool has bound itself keeps its port while it holds one. 0 or minus the errno of connect(2);
 * where it is ours and not the kernel's, reason says why. */
long exitpin_steer(int fd, const struct exitpin_kind *kind, const struct sockaddr *address, socklen_t size,
		   const struct exitpin_endpoint *run_address, struct exitpin_report *report, int *reason);

#endif
