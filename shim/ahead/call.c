#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../descent.h"
#include "../kind.h"
#include "../rules.h"
#include "table.h"

enum { UNIX_NAME = offsetof(struct sockaddr_un, sun_path), UNIX_ADDRESS_MAX = 110 };

/* Waiting is the run's own thread's, opening and shutting the loop's. What may wait for threads of the tool is done
 * without the lock, but for calls on its socket that decide and begin (docs/notes/0036). */

static int family_of(const struct exitpin_taken *taken)
{
	sa_family_t family;

	if (taken->size < sizeof(family))
		return AF_UNSPEC;
	memcpy(&family, taken->address, sizeof(family));
	return family;
}

static bool connect_ahead(struct exitpin_ahead *ahead, int64_t number, const struct exitpin_taken *taken)
{
	const int tool = taken->tool;
	struct exitpin_report report = {.pid = (uint32_t)taken->pid, .tid = taken->call.tid};
	struct exitpin_endpoint run = {0};
	struct exitpin_kind kind;
	int reason = EXITPIN_REASON_NONE;

	pthread_mutex_lock(&ahead->lock);
	struct standing *standing = ahead_standing(ahead, (uint64_t)number);
	bool may_go = standing != NULL && ahead_is_ours(ahead, tool);

	if (may_go) {
		run = standing->ticket.run;
		memcpy(report.nonce, standing->ticket.nonce, sizeof(report.nonce));
	}
	pthread_mutex_unlock(&ahead->lock);
	may_go = may_go && exitpin_kind_of(tool, &kind) == 0 && family_of(taken) == kind.domain &&
		 exitpin_report_connect(tool, taken->address, taken->size, &run, &report, &reason) == 0 &&
		 reason == EXITPIN_REASON_NONE;
	if (!may_go)
		return false;
	pthread_mutex_lock(&ahead->lock);
	standing = ahead_standing(ahead, (uint64_t)number);
	may_go = standing != NULL &&
		 ahead_try(ahead, standing, -1, taken->pid, tool, &taken->call, (const uint8_t *)&report, sizeof(report));
	pthread_mutex_unlock(&ahead->lock);
	return may_go;
}

static bool adopt_ahead(struct exitpin_ahead *ahead, int64_t number, int connection, int pid)
{
	pthread_mutex_lock(&ahead->lock);
	struct standing *standing = ahead_standing(ahead, (uint64_t)number);
	const bool is_out = standing != NULL;

	if (is_out)
		ahead_take_hook(ahead, standing, connection, pid); /* that may end it */
	pthread_mutex_unlock(&ahead->lock);
	return is_out;
}

/* Whether this is a hook that connects to the report socket. */
static bool is_hooks(const struct exitpin_door *door, const struct exitpin_taken *taken)
{
	const size_t size = strlen(door->hooks);

	if (family_of(taken) != AF_UNIX || taken->size < UNIX_NAME + size || taken->size > UNIX_ADDRESS_MAX)
		return false;
	return memcmp(taken->address + UNIX_NAME, door->hooks, size) == 0 &&
	       (taken->size == UNIX_NAME + size || taken->address[UNIX_NAME + size] == '\0');
}

/* Its socket becomes one end of a pair; connection: the other, unless somebody hears it already. Problem: we have no room
 * for one. 0 or an errno, which is its maker's own. */
static int connect_to_us(const struct exitpin_door *door, int listener, struct exitpin_taken *taken)
{
	const int64_t ticket = __atomic_load_n(&door->ticket, __ATOMIC_ACQUIRE);
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		taken->problem = errno;
		return 0;
	}
	int error = exitpin_call_replace(listener, taken->call.id, (int)taken->call.arguments[0], pair[1]);

	close(pair[1]);
	if (error < 0)
		close(pair[0]);
	else if (ticket == 0 || !adopt_ahead(door->ahead, ticket, pair[0], taken->pid))
		taken->connection = pair[0];
	return -error;
}

/* What the call is about, as it was when its maker waited for it. 0 or an errno. */
static int look(int listener, bool may_listen, struct exitpin_taken *taken)
{
	const struct exitpin_call *call = &taken->call;
	const bool is_connect = taken->error == 0 && strcmp(taken->defence, "apart") != 0;
	const int32_t size = (int32_t)call->arguments[2];

	const int pid = exitpin_process_of((int)call->tid);

	if (pid < 0)
		return -pid;
	taken->pid = pid;
	if (!is_connect && !(may_listen && strcmp(taken->defence, "listen") == 0))
		return 0;
	if (is_connect && (size < 0 || (size_t)size > sizeof(taken->address)))
		return EINVAL;
	taken->tool = exitpin_descriptor_of((int)call->tid, taken->pid, (int)call->arguments[0]);
	if (taken->tool < 0)
		return -taken->tool;
	if (is_connect) {
		long read = exitpin_read_memory((int)call->tid, call->arguments[1], taken->address, (size_t)size);

		if (read < 0)
			return (int)-read;
		if (read != size)
			return EFAULT;
		taken->size = (size_t)size;
	}
	return exitpin_call_is_alive(listener, call->id) ? 0 : EINTR; /* what was read may be a stranger's */
}

/* Whether nothing is left to be done about it. */
static bool is_carried_out(const struct exitpin_door *door, int listener, struct exitpin_taken *taken)
{
	const int64_t ticket = __atomic_load_n(&door->ticket, __ATOMIC_ACQUIRE);
	struct exitpin_kind kind;

	if (taken->problem != 0 || taken->error != 0 || taken->tool < 0 || exitpin_kind_of(taken->tool, &kind) < 0)
		return false;
	if (kind.domain != AF_UNIX)
		return ticket != 0 && connect_ahead(door->ahead, ticket, taken);
	if (!is_hooks(door, taken))
		return false;
	close(taken->tool);
	taken->tool = -1;
	int error = connect_to_us(door, listener, taken);

	if (error != 0) /* it has gone, or may have no more descriptors */
		exitpin_call_answer(listener, taken->call.id, error);
	return taken->connection < 0 && taken->problem == 0;
}

int exitpin_door_wait(const struct exitpin_door *door, int listener, int wake, int what, bool may_listen,
		      struct exitpin_taken *taken)
{
	struct pollfd ready[] = {{.fd = listener, .events = POLLIN}, {.fd = wake, .events = POLLIN}};
	const char *defence;

	for (;;) {
		if (poll(ready, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (ready[1].revents != 0)
			return 0;
		if (!(ready[0].revents & POLLIN))
			return -EPIPE;
		memset(taken, 0, sizeof(*taken));
		taken->tool = taken->connection = -1;
		int error = exitpin_call_receive(listener, &taken->call);

		if (error == -ENOENT || error == -EINTR)
			continue; /* whoever made it is gone */
		if (error < 0)
			return error;
		taken->error = exitpin_call_error(taken->call.number, taken->call.arguments, what, &defence);
		strncpy(taken->defence, defence, sizeof(taken->defence) - 1);
		taken->problem = look(listener, may_listen, taken);
		if (taken->problem != 0 && taken->tool >= 0) {
			close(taken->tool);
			taken->tool = -1;
		}
		if (!is_carried_out(door, listener, taken))
			return 1;
	}
}

void exitpin_door_open(struct exitpin_door *door, struct exitpin_ahead *ahead, int64_t ticket)
{
	if (door->ahead == NULL) {
		pthread_mutex_lock(&ahead->lock);
		ahead->holders++;
		pthread_mutex_unlock(&ahead->lock);
		door->ahead = ahead;
	}
	__atomic_store_n(&door->ticket, ticket, __ATOMIC_RELEASE);
}

void exitpin_door_shut(struct exitpin_door *door)
{
	__atomic_store_n(&door->ticket, 0, __ATOMIC_RELEASE);
}

void exitpin_door_leave(struct exitpin_door *door)
{
	if (door->ahead != NULL)
		ahead_release(door->ahead);
	door->ahead = NULL;
}
