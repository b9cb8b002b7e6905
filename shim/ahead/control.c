#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "stream_line.h"
#include "table.h"

/* Every event about a stream that is ours and is not as it has to be takes the flight out of our hands: the loop
 * hears the same line on its own connection, and decides. */

static struct flight *by_stream(struct exitpin_ahead *ahead, uint64_t stream)
{
	struct flight *flight = ahead->flights;

	while (flight != NULL && flight->stream != stream)
		flight = flight->next;
	return flight;
}

/* All three witnesses. */
static struct flight *claimed(struct exitpin_ahead *ahead, const struct stream_line *line)
{
	for (struct flight *flight = ahead->flights; flight != NULL; flight = flight->next)
		if (flight->stream == 0 && !flight->is_spoiled && line->source.port == flight->source.port &&
		    line->source.family == AF_INET &&
		    memcmp(line->source.address, flight->source.address, 4) == 0 &&
		    strlen(flight->tag) == line->user_size && memcmp(flight->tag, line->user, line->user_size) == 0)
			return flight;
	return NULL;
}

/* The connection failed by that error, or ended (0). A tor that dies with something unread resets it. */
static void lose_connection(struct exitpin_ahead *ahead, int error)
{
	const bool is_ended = error == 0 || error == EPIPE || error == ECONNRESET;

	ahead_lose(ahead, is_ended ? "tor ended the control connection" : strerror(error));
}

static void attach(struct exitpin_ahead *ahead, struct flight *flight, uint64_t stream)
{
	char command[64];
	struct asked *asked = calloc(1, sizeof(*asked));

	flight->stream = stream;
	if (asked == NULL) {
		ahead_lose(ahead, "out of memory");
		return;
	}
	asked->stream = stream;
	asked->circuit = flight->circuit;
	clock_gettime(CLOCK_MONOTONIC, &asked->since);
	*ahead->asked_last = asked;
	ahead->asked_last = &asked->next;
	int size = snprintf(command, sizeof(command), "ATTACHSTREAM %llu %u\r\n", (unsigned long long)stream,
			    flight->circuit);

	const ssize_t sent = send(ahead->control, command, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0 && errno != EAGAIN)
		lose_connection(ahead, errno);
	else if (sent != size)
		ahead_lose(ahead, "a stream could not be attached: the control connection takes nothing");
}

static void take_event(struct exitpin_ahead *ahead, const char *text, size_t size)
{
	struct stream_line line;

	if (!exitpin_stream_line_parse(text, size, &line))
		return; /* to the loop it is the end of trust */
	struct flight *flight = by_stream(ahead, line.stream);

	if (flight == NULL) {
		if (line.status == STREAM_NEW && line.circuit == 0 && (flight = claimed(ahead, &line)) != NULL)
			attach(ahead, flight, line.stream);
		return;
	}
	if (line.user_size != 0 &&
	    (strlen(flight->tag) != line.user_size || memcmp(flight->tag, line.user, line.user_size) != 0))
		flight->is_spoiled = true;
	if (line.circuit != flight->circuit && line.status != STREAM_WAITS)
		flight->is_spoiled = true;
	if (line.status == STREAM_OTHER)
		flight->is_spoiled = true;
	if (flight->is_spoiled)
		ahead_announce(ahead);
	if (line.status == STREAM_SUCCEEDED && !flight->is_spoiled) {
		flight->is_opened = true;
		ahead_settle(ahead, flight);
	}
}

/* Replies come in the order of commands. */
static void take_reply(struct exitpin_ahead *ahead, const char *text, size_t size)
{
	struct asked *asked = ahead->asked;

	if (asked == NULL || size < 4 || text[3] != ' ') {
		ahead_lose(ahead, "a reply without a command");
		return;
	}
	struct exitpin_ahead_note *note = ahead_note(ahead, EXITPIN_AHEAD_ATTACHED);
	struct flight *flight = by_stream(ahead, asked->stream);

	note->stream = asked->stream;
	note->circuit = asked->circuit;
	note->code = atoi(text);
	ahead_note_text(note, text + 4, size - 4);
	if (note->code != 250) {
		ahead_announce(ahead);
		if (flight != NULL)
			flight->is_spoiled = true;
	}
	ahead->asked = asked->next;
	if (ahead->asked == NULL)
		ahead->asked_last = &ahead->asked;
	free(asked);
}

static void take_line(struct exitpin_ahead *ahead, const char *text, size_t size)
{
	if (size >= 4 && memcmp(text, "650 ", 4) == 0)
		take_event(ahead, text + 4, size - 4);
	else
		take_reply(ahead, text, size);
}

void ahead_read_control(struct exitpin_ahead *ahead)
{
	ssize_t size = recv(ahead->control, ahead->lines + ahead->lines_size, LINES_MAX - ahead->lines_size, MSG_DONTWAIT);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size <= 0) {
		lose_connection(ahead, size == 0 ? 0 : errno);
		return;
	}
	ahead->lines_size += (size_t)size;
	char *line = ahead->lines, *const end = ahead->lines + ahead->lines_size;

	for (char *at; (at = memchr(line, '\n', (size_t)(end - line))) != NULL && !ahead->is_lost; line = at + 1)
		if (at > line && at[-1] == '\r')
			take_line(ahead, line, (size_t)(at - 1 - line));
		else
			ahead_lose(ahead, "a line that is none of control-spec");
	ahead->lines_size = (size_t)(end - line);
	memmove(ahead->lines, line, ahead->lines_size);
	if (ahead->lines_size == LINES_MAX)
		ahead_lose(ahead, "a line without an end");
}

double exitpin_ahead_waits_s(struct exitpin_ahead *ahead)
{
	double waits_s = 0;

	pthread_mutex_lock(&ahead->lock);
	if (ahead->asked != NULL)
		waits_s = ahead_passed_ms(&ahead->asked->since) / 1e3;
	pthread_mutex_unlock(&ahead->lock);
	return waits_s;
}
