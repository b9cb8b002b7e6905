#include "preload.h"

/* Whether the peer is Tor's SOCKS port: it is on loopback, where no tool can have gone by itself, or the socket stands on
 * the run's own address. Fills in the socket's own endpoint. */
static bool is_our_stream(int fd, const void *address, socklen_t size, struct exitpin_endpoint *source)
{
	const struct exitpin_config *config = exitpin_config();
	struct exitpin_endpoint peer, plain;

	if (!exitpin_endpoint_from_sockaddr(address, size, &peer) || exitpin_read_source(fd, &plain, source) < 0)
		return false;
	return exitpin_endpoint_scope(&peer) == EXITPIN_REASON_LOOPBACK ||
	       (config != NULL && exitpin_address_is_equal(&plain, &config->source));
}

/* getpeername(2).
 * Passes: all sockets that do not lead to Tor. For those asks the orchestrator by the socket's own endpoint, every time,
 *   and returns the destination that the tool asked for, in the socket's own family. ENOTCONN if it does not know. */
EXPORT int getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
	char peer[EXITPIN_SOCKADDR_SIZE];
	socklen_t peer_size = sizeof(peer);
	struct exitpin_report report;
	struct exitpin_reply reply;
	struct exitpin_endpoint source;
	long error = sys_getpeername(fd, peer, &peer_size);

	if (error < 0 || size == NULL || address == NULL || !is_our_stream(fd, peer, peer_size, &source))
		return (int)result(sys_getpeername(fd, address, size));
	if (!exitpin_report_begin(&report, EXITPIN_PEER))
		return fail(ENOTCONN);
	report.source = source;
	if (!exitpin_exchange(&report, NULL, -1, &reply) || reply.answer.error != 0)
		return fail(ENOTCONN);
	peer_size = (socklen_t)exitpin_endpoint_to_sockaddr(reply.answer.endpoints, source.family, peer);
	if (peer_size == 0)
		return fail(ENOTCONN);
	memcpy(address, peer, *size < peer_size ? *size : peer_size);
	*size = peer_size;
	return 0;
}
