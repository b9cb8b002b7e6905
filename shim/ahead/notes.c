#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "table.h"

static void write_to(int event)
{
	const uint64_t one = 1;

	while (write(event, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* The loop is to read its notes now. */
void ahead_announce(struct exitpin_ahead *ahead)
{
	ahead->is_hushed = false;
	ahead_forget_used(ahead);
	write_to(ahead->noted);
}

/* Whether no more than one connect is under way. */
static bool is_alone(const struct exitpin_ahead *ahead)
{
	int under_way = 0;

	for (const struct flight *flight = ahead->flights; flight != NULL; flight = flight->next)
		under_way += !flight->is_answered && !flight->is_spoiled;
	return under_way <= 1;
}

/* Filled in by whoever asked for it, before the lock is let go. Announced at once, unless it is about the only
 * flight that there is, and all goes well: whoever woke the loop now would wait for it. */
struct exitpin_ahead_note *ahead_note(struct exitpin_ahead *ahead, enum exitpin_ahead_kind kind)
{
	struct noted *noted = calloc(1, sizeof(*noted));

	if (noted == NULL)
		abort(); /* what happened could not be told, and all that is proven rests on that */
	noted->note.kind = kind;
	noted->note.connection = -1;
	*ahead->last = noted;
	ahead->last = &noted->next;
	if (kind == EXITPIN_AHEAD_WENT && ahead->first == noted && is_alone(ahead)) {
		ahead->is_hushed = true;
		clock_gettime(CLOCK_MONOTONIC, &ahead->hushed_since);
		write_to(ahead->kick); /* it may have been another thread, and ours sleep without an end */
	} else if (!ahead->is_hushed || (kind != EXITPIN_AHEAD_REPLIED && kind != EXITPIN_AHEAD_ATTACHED)) {
		ahead_announce(ahead);
	}
	return &noted->note;
}

void ahead_note_text(struct exitpin_ahead_note *note, const char *text, size_t size)
{
	note->size = size < sizeof(note->packet) ? size : sizeof(note->packet);
	memcpy(note->packet, text, note->size);
}

void ahead_lose(struct exitpin_ahead *ahead, const char *why)
{
	if (ahead->is_lost)
		return;
	ahead->is_lost = true;
	ahead_unwatch(ahead, ahead->control);
	ahead_note_text(ahead_note(ahead, EXITPIN_AHEAD_LOST), why, strlen(why));
}

bool exitpin_ahead_next(struct exitpin_ahead *ahead, struct exitpin_ahead_note *note)
{
	pthread_mutex_lock(&ahead->lock);
	struct noted *noted = ahead->first;

	if (ahead->is_hushed)
		ahead_announce(ahead); /* whoever waits for it does not know that all has been read */
	if (noted != NULL) {
		ahead->first = noted->next;
		if (ahead->first == NULL)
			ahead->last = &ahead->first;
		*note = noted->note;
		free(noted);
	}
	pthread_mutex_unlock(&ahead->lock);
	return noted != NULL;
}

bool exitpin_ahead_is_hushed(struct exitpin_ahead *ahead)
{
	pthread_mutex_lock(&ahead->lock);
	const bool is_hushed = ahead->is_hushed;

	pthread_mutex_unlock(&ahead->lock);
	return is_hushed;
}
