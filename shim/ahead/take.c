#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "table.h"

/* What came with a report. */
struct packet {
	uint8_t bytes[EXITPIN_AHEAD_PACKET_MAX];
	size_t size, fds_count;
	int fds[EXITPIN_AHEAD_FDS_MAX];
	bool is_cut;
};

/* A packet (no bytes: hung up) and what came with it; false: there is none yet. */
static bool receive(int connection, struct packet *packet)
{
	union {
		char space[CMSG_SPACE(EXITPIN_AHEAD_FDS_MAX * sizeof(int))];
		struct cmsghdr aligned;
	} control;
	struct iovec data = {packet->bytes, sizeof(packet->bytes)};
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	ssize_t size = recvmsg(connection, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (size < 0 && errno == ECONNRESET) /* told before what was said last, and once */
		size = recvmsg(connection, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	packet->size = packet->fds_count = 0;
	packet->is_cut = false;
	if (size < 0)
		return errno != EAGAIN && errno != EINTR;
	packet->size = (size_t)size;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part != NULL; part = CMSG_NXTHDR(&message, part))
		if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
			packet->fds_count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(packet->fds, CMSG_DATA(part), packet->fds_count * sizeof(int));
		}
	packet->is_cut = message.msg_flags & MSG_CTRUNC && packet->fds_count < EXITPIN_AHEAD_FDS_MAX;
	return true;
}

/* The loop has to see to it: nothing was done. */
static void note_report(struct exitpin_ahead *ahead, const struct silent *silent, const struct packet *packet)
{
	struct exitpin_ahead_note *note = ahead_note(ahead, EXITPIN_AHEAD_REPORTED);

	note->ticket = silent->ticket;
	note->connection = silent->connection;
	note->pid = silent->pid;
	note->is_cut = packet->is_cut;
	note->fds_count = packet->fds_count;
	memcpy(note->fds, packet->fds, packet->fds_count * sizeof(int));
	note->size = packet->size;
	memcpy(note->packet, packet->bytes, packet->size);
}

/* False: it has said nothing yet. What is left to the loop ends the ticket: the loop's next step about the run may take
 * what was promised to whoever uses it. */
static bool hear(struct exitpin_ahead *ahead, struct standing *standing, const struct silent *silent)
{
	struct packet packet;

	if (!receive(silent->connection, &packet))
		return false;
	if (packet.fds_count != 1 || packet.is_cut ||
	    !ahead_try(ahead, standing, silent->connection, silent->pid, packet.fds[0], NULL, packet.bytes, packet.size)) {
		note_report(ahead, silent, &packet);
		ahead_return(ahead, standing);
	}
	return true;
}

static void count_silent(struct exitpin_ahead *ahead, struct standing *standing)
{
	if (++standing->silent_count > SILENT_MAX)
		ahead_return(ahead, standing);
}

/* A hook's connection: read, or watched until there is something to read. */
void ahead_take_hook(struct exitpin_ahead *ahead, struct standing *standing, int connection, int pid)
{
	struct silent one = {NULL, ++ahead->numbers, standing->number, connection, pid};

	if (hear(ahead, standing, &one))
		return;
	struct silent *silent = malloc(sizeof(*silent));

	if (silent != NULL && ahead_watch(ahead, connection, WATCH_SILENT, one.number, EPOLLIN) == 0) {
		*silent = one;
		silent->next = ahead->silent;
		ahead->silent = silent;
		count_silent(ahead, standing);
		return;
	}
	free(silent);
	struct exitpin_ahead_note *note = ahead_note(ahead, EXITPIN_AHEAD_ACCEPTED);

	note->ticket = standing->number;
	note->connection = connection;
	note->pid = pid;
	count_silent(ahead, standing);
}

void ahead_accept(struct exitpin_ahead *ahead, struct standing *standing)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int connection = accept4(standing->ticket.reports, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (connection >= 0 && getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		ahead_take_hook(ahead, standing, connection, peer.pid);
	else if (connection >= 0)
		close(connection);
	else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		ahead_return(ahead, standing);
}

void ahead_hear(struct exitpin_ahead *ahead, struct silent *silent)
{
	struct standing *standing = ahead_standing(ahead, silent->ticket);
	struct silent **at = &ahead->silent;

	while (*at != silent)
		at = &(*at)->next;
	*at = silent->next; /* first: whoever is in that list when the ticket is used has said nothing */
	ahead_unwatch(ahead, silent->connection);
	ahead_take_hook(ahead, standing, silent->connection, silent->pid);
	free(silent);
}

/* The loop sees why, too, and knows what to say of it. */
void ahead_return(struct exitpin_ahead *ahead, struct standing *standing)
{
	ahead_note(ahead, EXITPIN_AHEAD_RETURNED)->ticket = standing->number;
	ahead_give_back(ahead, standing);
}

/* Whoever has come by this ticket and said nothing is the loop's. */
static void leave_silent(struct exitpin_ahead *ahead, const struct standing *standing)
{
	for (struct silent **at = &ahead->silent; *at != NULL;) {
		struct silent *silent = *at;

		if (silent->ticket != standing->number) {
			at = &silent->next;
			continue;
		}
		*at = silent->next;
		ahead_unwatch(ahead, silent->connection);
		struct exitpin_ahead_note *note = ahead_note(ahead, EXITPIN_AHEAD_ACCEPTED);

		note->ticket = silent->ticket;
		note->connection = silent->connection;
		note->pid = silent->pid;
		free(silent);
	}
}

static void forget(struct exitpin_ahead *ahead, struct standing *standing)
{
	for (struct standing **at = &ahead->standing; *at != NULL; at = &(*at)->next)
		if (*at == standing) {
			*at = standing->next;
			break;
		}
	if (standing->ticket.reports >= 0)
		ahead_unwatch(ahead, standing->ticket.reports);
	free(standing);
}

/* The ticket is no more. */
void ahead_give_back(struct exitpin_ahead *ahead, struct standing *standing)
{
	leave_silent(ahead, standing);
	forget(ahead, standing);
}

/* As long as the loop is left in peace, whoever comes next is waited for, so that it can be woken for him. */
void ahead_use(struct exitpin_ahead *ahead, struct standing *standing)
{
	leave_silent(ahead, standing);
	if (ahead->is_hushed)
		standing->is_used = true;
	else
		forget(ahead, standing);
}

void ahead_forget_used(struct exitpin_ahead *ahead)
{
	for (struct standing *standing = ahead->standing, *next; standing != NULL; standing = next) {
		next = standing->next;
		if (standing->is_used)
			forget(ahead, standing);
	}
}
