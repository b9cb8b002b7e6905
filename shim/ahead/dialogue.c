#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "../address.h"
#include "table.h"

/* SOCKS 5 on the tool's own socket, as wrappers/socks.py has it: its flags stay as they are, and no byte more is
 * read than the reply has. The user name waits for the reply to the greeting, which Tor drops where that does not
 * stand alone. */

static const char PASSWORD[] = "exitpin";

static void replied(struct exitpin_ahead *ahead, struct flight *flight, int code)
{
	ahead_unwatch(ahead, flight->tool);
	flight->at = REPLIED;
	flight->is_granted = code == 0;
	struct exitpin_ahead_note *note = ahead_note(ahead, EXITPIN_AHEAD_REPLIED);

	note->flight = flight->number;
	note->code = code;
	if (code != 0)
		ahead_announce(ahead);
	ahead_settle(ahead, flight);
}

/* 0 or minus an errno; EPIPE, too, if only a part went. */
static int say(struct flight *flight, const void *words, size_t size)
{
	ssize_t said = send(flight->tool, words, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (said < 0)
		return -errno;
	return (size_t)said == size ? 0 : -EPIPE;
}

static int say_name_and_request(struct flight *flight)
{
	uint8_t words[EXITPIN_SOCKS_AUTH_MAX + EXITPIN_SOCKS_REQUEST_MAX];
	size_t size = exitpin_socks_auth((const uint8_t *)flight->tag, strlen(flight->tag), (const uint8_t *)PASSWORD,
					 strlen(PASSWORD), words);

	size += exitpin_socks_request(1, flight->host, strlen(flight->host), flight->port, words + size);
	return say(flight, words, size);
}

/* 0 or minus an errno. */
static int greet(struct exitpin_ahead *ahead, struct flight *flight)
{
	static const uint8_t greeting[] = {5, 1, 2};
	int error = say(flight, greeting, sizeof(greeting));

	if (error < 0)
		return error;
	flight->at = GREETED;
	flight->need = 2;
	ahead_watch_for(ahead, flight->tool, WATCH_TOOL, flight->number, EPOLLIN | EPOLLET);
	return 0;
}

/* Begins to connect, and waits for nothing, even where the tool's socket would: a send of nothing that connects
 * first. */
bool ahead_begin(struct exitpin_ahead *ahead, struct flight *flight)
{
	char address[EXITPIN_SOCKADDR_SIZE];
	int domain = 0;
	socklen_t option_size = sizeof(domain);

	getsockopt(flight->tool, SOL_SOCKET, SO_DOMAIN, &domain, &option_size);
	size_t size = exitpin_endpoint_to_sockaddr(&ahead->tor, (uint16_t)domain, address);

	if (size == 0 || ahead_watch(ahead, flight->tool, WATCH_TOOL, flight->number, EPOLLET) < 0)
		return false;
	if (sendto(flight->tool, "", 0, MSG_FASTOPEN | MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)address,
		   (socklen_t)size) < 0 &&
	    errno != EINPROGRESS && errno != EAGAIN) {
		ahead_unwatch(ahead, flight->tool);
		return false;
	}
	if (greet(ahead, flight) < 0) { /* Tor's queue is full, or it is not there */
		flight->at = CONNECTING;
		ahead_watch_for(ahead, flight->tool, WATCH_TOOL, flight->number, EPOLLOUT | EPOLLET);
	}
	return true;
}

/* The reply to what was said is whole. False: it is none, or no more can be said. */
static bool take(struct exitpin_ahead *ahead, struct flight *flight)
{
	const uint8_t *reply = flight->reply;

	if (flight->at == GREETED) {
		if (reply[0] != 5 || reply[1] != 2 || say_name_and_request(flight) < 0)
			return false;
		flight->at = NAMED;
		flight->need = 2;
	} else if (flight->at == NAMED) {
		if (reply[0] != 1 || reply[1] != 0)
			return false;
		flight->at = ASKED;
		flight->need = 4;
	} else {
		int size = exitpin_socks_reply_size(reply, flight->have);

		if (size < 0 || size > REPLY_MAX)
			return false;
		if (size == 0 || (size_t)size > flight->have) {
			flight->need = size != 0 ? (size_t)size : flight->need + 1;
			return true;
		}
		replied(ahead, flight, reply[1]);
	}
	flight->have = 0;
	return true;
}

void ahead_go_on(struct exitpin_ahead *ahead, struct flight *flight)
{
	if (flight->at == CONNECTING) {
		int error = greet(ahead, flight);

		if (error < 0 && error != -EAGAIN) /* that it was not connected is told, too */
			replied(ahead, flight, -1);
		return;
	}
	while (flight->at != REPLIED) {
		ssize_t size = recv(flight->tool, flight->reply + flight->have, flight->need - flight->have, MSG_DONTWAIT);

		if (size < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		flight->have += size > 0 ? (size_t)size : 0;
		if (size <= 0 || (flight->have == flight->need && !take(ahead, flight))) {
			replied(ahead, flight, -1);
			return;
		}
	}
}

/* Whether whoever waits has been told of success; he may have been killed. */
static bool tell(const struct flight *flight)
{
	const struct exitpin_answer answer = {.magic = EXITPIN_MAGIC};

	if (flight->connection < 0)
		return exitpin_call_answer(flight->calls, flight->call, 0) == 0;
	return send(flight->connection, &answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(answer);
}

/* The tool goes on when both sides have said yes, in time, and nothing else was said. */
void ahead_settle(struct exitpin_ahead *ahead, struct flight *flight)
{
	if (!flight->is_opened || !flight->is_granted || flight->is_spoiled || flight->is_answered)
		return;
	if (ahead_passed_ms(&flight->since) >= flight->patience_ms) {
		ahead_announce(ahead);
		return;
	}
	flight->is_answered = tell(flight);
	flight->is_spoiled = !flight->is_answered;
	if (flight->is_answered && flight->is_watched) {
		ahead_unwatch(ahead, flight->connection);
		flight->is_watched = false;
	}
	ahead_announce(ahead);
}

void ahead_hang_up(struct exitpin_ahead *ahead, struct flight *flight)
{
	ahead_unwatch(ahead, flight->connection);
	flight->is_watched = false;
	flight->is_spoiled = true;
	ahead_note(ahead, EXITPIN_AHEAD_HUNG_UP)->flight = flight->number;
}

struct flight *ahead_flight(struct exitpin_ahead *ahead, uint64_t number)
{
	struct flight *flight = ahead->flights;

	while (flight != NULL && flight->number != number)
		flight = flight->next;
	return flight;
}

int exitpin_ahead_end(struct exitpin_ahead *ahead, uint64_t number)
{
	int came_to = 0;

	pthread_mutex_lock(&ahead->lock);
	for (struct flight **at = &ahead->flights; *at != NULL; at = &(*at)->next) {
		struct flight *flight = *at;

		if (flight->number != number)
			continue;
		*at = flight->next;
		came_to = (flight->is_answered ? EXITPIN_AHEAD_ANSWERED : 0) |
			  (flight->stream != 0 ? EXITPIN_AHEAD_IS_ATTACHED : 0);
		if (flight->at != REPLIED)
			ahead_unwatch(ahead, flight->tool);
		if (flight->is_watched)
			ahead_unwatch(ahead, flight->connection);
		free(flight);
		break;
	}
	pthread_mutex_unlock(&ahead->lock);
	return came_to;
}

bool exitpin_ahead_is_answered(struct exitpin_ahead *ahead, uint64_t number)
{
	pthread_mutex_lock(&ahead->lock);
	const struct flight *flight = ahead_flight(ahead, number);
	const bool is_answered = flight != NULL && flight->is_answered;

	pthread_mutex_unlock(&ahead->lock);
	return is_answered;
}
