#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../thread.h"
#include "table.h"

enum { KIND_SHIFT = 56 };

int ahead_watch(struct exitpin_ahead *ahead, int fd, enum watched what, uint64_t number, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u64 = (uint64_t)what << KIND_SHIFT | number};

	return epoll_ctl(ahead->poll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* What is watched already, now for these events: unlike to begin with it, that can't fail for want of memory. */
void ahead_watch_for(struct exitpin_ahead *ahead, int fd, enum watched what, uint64_t number, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u64 = (uint64_t)what << KIND_SHIFT | number};

	epoll_ctl(ahead->poll, EPOLL_CTL_MOD, fd, &event);
}

/* Before a descriptor is closed: the tool has its socket, too, and epoll would go on watching that. */
void ahead_unwatch(struct exitpin_ahead *ahead, int fd)
{
	epoll_ctl(ahead->poll, EPOLL_CTL_DEL, fd, NULL);
}

struct standing *ahead_standing(struct exitpin_ahead *ahead, uint64_t number)
{
	struct standing *standing = ahead->standing;

	while (standing != NULL && (standing->number != number || standing->is_used))
		standing = standing->next;
	return standing;
}

static struct silent *silent_of(struct exitpin_ahead *ahead, uint64_t number)
{
	struct silent *silent = ahead->silent;

	while (silent != NULL && silent->number != number)
		silent = silent->next;
	return silent;
}

/* What it is about may be gone since it happened. */
static void react(struct exitpin_ahead *ahead, const struct epoll_event *event)
{
	const uint64_t number = event->data.u64 & (((uint64_t)1 << KIND_SHIFT) - 1);
	struct standing *standing;
	struct flight *flight;
	struct silent *silent;

	switch ((enum watched)(event->data.u64 >> KIND_SHIFT)) {
	case WATCH_STOP:
	case WATCH_KICK:
		break;
	case WATCH_CONTROL:
		if (!ahead->is_lost)
			ahead_read_control(ahead);
		break;
	case WATCH_REPORTS:
		if ((standing = ahead_standing(ahead, number)) != NULL)
			ahead_accept(ahead, standing);
		else if (ahead->is_hushed)
			ahead_announce(ahead);
		break;
	case WATCH_SILENT:
		if ((silent = silent_of(ahead, number)) != NULL)
			ahead_hear(ahead, silent);
		break;
	case WATCH_TOOL:
		if ((flight = ahead_flight(ahead, number)) != NULL && flight->at != REPLIED)
			ahead_go_on(ahead, flight);
		break;
	case WATCH_HOOK:
		if ((flight = ahead_flight(ahead, number)) != NULL && flight->is_watched)
			ahead_hang_up(ahead, flight);
		break;
	}
}

double ahead_passed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - since->tv_sec) * 1e3 + (double)(now.tv_nsec - since->tv_nsec) / 1e6;
}

/* When that is over, the loop is told. -1: it has been. */
static int left_to_hush_ms(struct exitpin_ahead *ahead)
{
	if (!ahead->is_hushed)
		return -1;
	const int passed_ms = (int)ahead_passed_ms(&ahead->hushed_since);

	if (passed_ms < HUSH_MS)
		return HUSH_MS - passed_ms;
	ahead_announce(ahead);
	return -1;
}

static void *run(void *given)
{
	struct exitpin_ahead *ahead = given;
	struct epoll_event event = {0};
	int hush_ms = -1;

	while (event.data.u64 >> KIND_SHIFT != WATCH_STOP || event.events == 0) {
		int ready = epoll_wait(ahead->poll, &event, 1, hush_ms);

		pthread_mutex_lock(&ahead->lock);
		if (ready == 1)
			react(ahead, &event);
		else
			event.events = 0;
		hush_ms = left_to_hush_ms(ahead);
		pthread_mutex_unlock(&ahead->lock);
	}
	return NULL;
}

static uint64_t our_network(void)
{
	int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (one < 0)
		return 0;
	const uint64_t network = ahead_network_of(one);

	close(one);
	return network;
}

/* One of its holders needs it no more. */
void ahead_release(struct exitpin_ahead *ahead)
{
	pthread_mutex_lock(&ahead->lock);
	const bool is_held = --ahead->holders > 0;

	pthread_mutex_unlock(&ahead->lock);
	if (is_held)
		return;
	if (ahead->poll >= 0)
		close(ahead->poll);
	if (ahead->stop >= 0)
		close(ahead->stop);
	if (ahead->kick >= 0)
		close(ahead->kick);
	pthread_mutex_destroy(&ahead->lock);
	free(ahead);
}

struct exitpin_ahead *exitpin_ahead_start(int control, const struct exitpin_endpoint *tor, int noted)
{
	struct exitpin_ahead *ahead = calloc(1, sizeof(*ahead));

	if (ahead == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	pthread_mutex_init(&ahead->lock, NULL);
	ahead->holders = 1;
	ahead->control = control;
	ahead->tor = *tor;
	ahead->noted = noted;
	ahead->network = our_network();
	ahead->last = &ahead->first;
	ahead->asked_last = &ahead->asked;
	ahead->poll = epoll_create1(EPOLL_CLOEXEC);
	ahead->stop = eventfd(0, EFD_CLOEXEC);
	ahead->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int error = ahead->poll < 0 || ahead->stop < 0 || ahead->kick < 0 ? errno : 0;

	if (error == 0)
		error = -ahead_watch(ahead, ahead->stop, WATCH_STOP, 0, EPOLLIN);
	if (error == 0)
		error = -ahead_watch(ahead, ahead->kick, WATCH_KICK, 0, EPOLLIN | EPOLLET);
	if (error == 0)
		error = -ahead_watch(ahead, control, WATCH_CONTROL, 0, EPOLLIN);
	if (error == 0)
		error = exitpin_thread_start(&ahead->thread, run, ahead);
	if (error == 0)
		return ahead;
	ahead_release(ahead);
	errno = error;
	return NULL;
}

void exitpin_ahead_stop(struct exitpin_ahead *ahead)
{
	const uint64_t one = 1;
	struct exitpin_ahead_note note;

	while (write(ahead->stop, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_join(ahead->thread, NULL);
	pthread_mutex_lock(&ahead->lock);
	ahead->is_lost = true;
	while (ahead->standing != NULL)
		ahead_give_back(ahead, ahead->standing);
	pthread_mutex_unlock(&ahead->lock);
	while (ahead->flights != NULL)
		exitpin_ahead_end(ahead, ahead->flights->number);
	while (exitpin_ahead_next(ahead, &note)) {
		if (note.connection >= 0)
			close(note.connection);
		for (size_t i = 0; i < note.fds_count; i++)
			close(note.fds[i]);
	}
	while (ahead->asked != NULL) {
		struct asked *asked = ahead->asked;

		ahead->asked = asked->next;
		free(asked);
	}
	ahead_release(ahead);
}

int64_t exitpin_ahead_issue(struct exitpin_ahead *ahead, const struct exitpin_ahead_ticket *ticket)
{
	if (ticket->circuit == 0 || ticket->tag[0] == '\0')
		return -EINVAL;
	struct standing *standing = malloc(sizeof(*standing));

	if (standing == NULL)
		return -ENOMEM;
	standing->ticket = *ticket;
	standing->silent_count = 0;
	standing->is_used = false;
	pthread_mutex_lock(&ahead->lock);
	const uint64_t number = standing->number = ++ahead->numbers;

	standing->next = ahead->standing;
	ahead->standing = standing;
	int error = ahead->is_lost ? -ENOTCONN : ahead_watch(ahead, ticket->reports, WATCH_REPORTS, number, EPOLLIN);

	if (error < 0)
		ahead_give_back(ahead, standing);
	pthread_mutex_unlock(&ahead->lock);
	return error < 0 ? error : (int64_t)number;
}

bool exitpin_ahead_recall(struct exitpin_ahead *ahead, int64_t ticket)
{
	pthread_mutex_lock(&ahead->lock);
	struct standing *standing = ahead_standing(ahead, (uint64_t)ticket);

	if (standing != NULL)
		ahead_give_back(ahead, standing);
	const bool has_notes = ahead->first != NULL;

	pthread_mutex_unlock(&ahead->lock);
	return !has_notes;
}
