#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "../address.h"
#include "../descent.h"
#include "../kind.h"
#include "../steer.h"
#include "table.h"

enum { SO_NETWORK = 71 /* SO_NETNS_COOKIE */ };

uint64_t ahead_network_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_NETWORK, &cookie, &size) == 0 ? cookie : 0;
}

bool ahead_is_ours(const struct exitpin_ahead *ahead, int fd)
{
	struct exitpin_kind kind;

	if (exitpin_kind_of(fd, &kind) < 0 || !exitpin_is_tcp(&kind))
		return false;
	return ahead->network != 0 && ahead_network_of(fd) == ahead->network;
}

/* Whether Tor's short answers make it readable, as they do unless the tool has asked for more at a time. */
static bool is_readable_at_once(int fd)
{
	int least = 0;
	socklen_t size = sizeof(least);

	return getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &least, &size) == 0 && least <= 1;
}

/* Networks of mapped names (orchestrator/names.py): an address of those that is in no place leads nowhere. */
static bool is_mapped(const struct exitpin_endpoint *endpoint)
{
	return endpoint->address[0] == 198 && (endpoint->address[1] & 0xfe) == 18;
}

/* The host that is to be asked for; false: that takes a longer look. */
static bool find_host(const struct exitpin_ahead_ticket *ticket, const struct exitpin_endpoint *destination,
		      char host[256])
{
	if (destination->port == 0)
		return false;
	for (size_t i = 0; i < ticket->places_count; i++) {
		const struct exitpin_ahead_place *place = &ticket->places[i];

		if (exitpin_address_is_equal(&place->endpoint, destination) &&
		    (place->endpoint.port == 0 || place->endpoint.port == destination->port)) {
			memcpy(host, place->host, sizeof(place->host));
			return true;
		}
	}
	if (!ticket->goes_anywhere || destination->family != AF_INET || is_mapped(destination))
		return false;
	exitpin_format_address(destination, host);
	return true;
}

/* Bytes where an IPv4 address has none: the loop takes that for no report. */
static bool has_a_tail(const struct exitpin_endpoint *endpoint)
{
	static const uint8_t nothing[sizeof(endpoint->address) - 4];

	return endpoint->family == AF_INET && memcmp(endpoint->address + 4, nothing, sizeof(nothing)) != 0;
}

/* The report of a connect that says what is so, and nothing but what is plain; where it leads, and the source as Tor
 * will see it. */
static bool is_plain(const struct exitpin_ahead *ahead, const struct exitpin_ahead_ticket *ticket, int pid, int tool,
		     const uint8_t *bytes, size_t size, struct flight *flight)
{
	struct exitpin_report report;
	struct exitpin_endpoint source;

	if (size != sizeof(report))
		return false;
	memcpy(&report, bytes, sizeof(report));
	if (report.magic != EXITPIN_MAGIC || report.version != EXITPIN_WIRE_VERSION || report.op != EXITPIN_CONNECT ||
	    report.name_size != 0 || report.reason != EXITPIN_REASON_NONE ||
	    report.flags & ~(uint32_t)(EXITPIN_FLAG_NONBLOCK | EXITPIN_FLAG_V6ONLY) ||
	    memcmp(report.nonce, ticket->nonce, sizeof(report.nonce)) != 0 || has_a_tail(&report.destination))
		return false;
	if (!ahead_is_ours(ahead, tool) || !is_readable_at_once(tool) ||
	    exitpin_read_source(tool, &flight->source, &source) < 0 ||
	    memcmp(&source, &report.source, sizeof(source)) != 0)
		return false;
	flight->port = report.destination.port;
	return flight->source.port != 0 && exitpin_address_is_equal(&flight->source, &ticket->run) &&
	       find_host(ticket, &report.destination, flight->host) && exitpin_descends(pid, ticket->root);
}

/* Uses the ticket, if that can be done: nobody who looks has seen anything before the note is there. */
static bool go(struct exitpin_ahead *ahead, struct standing *standing, struct flight *flight, int pid,
	       const struct exitpin_call *call, const uint8_t *bytes, size_t size)
{
	flight->number = ++ahead->numbers;
	flight->circuit = standing->ticket.circuit;
	flight->patience_ms = standing->ticket.patience_ms;
	clock_gettime(CLOCK_MONOTONIC, &flight->since);
	memcpy(flight->tag, standing->ticket.tag, sizeof(flight->tag));
	if (!ahead_begin(ahead, flight))
		return false;
	flight->next = ahead->flights;
	ahead->flights = flight;
	if (flight->connection >= 0)
		flight->is_watched =
			ahead_watch(ahead, flight->connection, WATCH_HOOK, flight->number, EPOLLRDHUP | EPOLLET) == 0;
	struct exitpin_ahead_note *note = ahead_note(ahead, EXITPIN_AHEAD_WENT);

	note->ticket = standing->number;
	note->flight = flight->number;
	note->connection = flight->connection;
	note->pid = pid;
	note->call = call != NULL ? *call : (struct exitpin_call){0};
	note->fds_count = 1;
	note->fds[0] = flight->tool;
	note->size = size;
	memcpy(note->packet, bytes, size);
	memcpy(note->host, flight->host, sizeof(note->host));
	note->port = flight->port;
	ahead_use(ahead, standing);
	return true;
}

bool ahead_try(struct exitpin_ahead *ahead, struct standing *standing, int connection, int pid, int tool,
	       const struct exitpin_call *call, const uint8_t *bytes, size_t size)
{
	struct flight *flight = calloc(1, sizeof(*flight));

	if (flight == NULL)
		return false;
	flight->connection = connection;
	flight->tool = tool;
	if (call != NULL) {
		flight->calls = standing->ticket.calls;
		flight->call = call->id;
	}
	if (!ahead->is_lost && is_plain(ahead, &standing->ticket, pid, tool, bytes, size, flight) &&
	    go(ahead, standing, flight, pid, call, bytes, size))
		return true;
	free(flight);
	return false;
}
