/* One report, one connection: nothing is held between calls, so nothing can be closed, shared or confused by the tool. */
#include <sys/un.h>

#include "preload.h"

bool exitpin_report_begin(struct exitpin_report *report, int op)
{
	const struct exitpin_config *config = exitpin_config();

	memset(report, 0, sizeof(*report));
	if (config == NULL)
		return false;
	report->magic = EXITPIN_MAGIC;
	report->version = EXITPIN_WIRE_VERSION;
	report->op = (uint16_t)op;
	memcpy(report->nonce, config->nonce, sizeof(report->nonce));
	report->pid = (uint32_t)sys_getpid();
	report->tid = (uint32_t)sys_gettid();
	return true;
}

/* A connection to the report socket, or minus an errno. */
static long reach_orchestrator(int type_flags)
{
	const struct exitpin_config *config = exitpin_config();
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	long fd, connected;

	memcpy(address.sun_path, config->socket_path, sizeof(address.sun_path));
	fd = sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | type_flags, 0);
	if (fd < 0)
		return fd;
	do
		connected = sys_connect((int)fd, &address, sizeof(address));
	while (connected == -EINTR);
	if (connected == 0)
		return fd;
	sys_close((int)fd);
	return connected;
}

/* 0 or minus an errno. */
static long send_report(int fd, struct exitpin_report *report, const char *name, int passed_fd, int flags)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec parts[2] = {{report, sizeof(*report)}, {(void *)name, 0}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	long sent;

	report->name_size = name != NULL ? (uint16_t)strnlen(name, EXITPIN_NAME_MAX) : 0;
	parts[1].iov_len = report->name_size;
	if (passed_fd >= 0) {
		memset(&control, 0, sizeof(control));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &passed_fd, sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	do
		sent = sys_sendmsg(fd, &message, MSG_NOSIGNAL | flags);
	while (sent == -EINTR);
	return sent < 0 ? sent : 0;
}

static bool receive_answer(int fd, int op, struct exitpin_reply *reply)
{
	struct iovec parts[2] = {{&reply->answer, sizeof(reply->answer)}, {reply->name, sizeof(reply->name)}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	long size;

	do
		size = sys_recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	while (size == -EINTR);
	if (size <= 0 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
	    !exitpin_answer_is_valid(&reply->answer, (size_t)size, op))
		return false;
	reply->name[reply->answer.name_size] = '\0';
	return true;
}

/* What this machine lacks, whatever the tool did: files, memory, and room for descriptors on their way, which is
 * counted for a user, and so for all of his runs (ETOOMANYREFS, unix(7)). EMFILE is the tool's own; EACCES and ENOENT
 * are, too (it is another user now, or has another root); other errors say that the orchestrator is gone. */
static bool is_lack_of_room(long error)
{
	return error == -ETOOMANYREFS || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS;
}

/* All of that comes back: who uses it up is most often this run itself, with many connects at a time that the
 * orchestrator is about to take. So a call waits for it, with pauses of this length between tries; ROOM_WAIT_MS is
 * that of all pauses together, to which the tries add theirs. Where one has waited in vain the run has failed, and no
 * other call of its process waits. */
enum { ROOM_WAIT_MS = 3000, ROOM_PAUSE_MIN_MS = 1, ROOM_PAUSE_MAX_MS = 50 };

static bool is_hopeless;

static const char no_room[] = "exitpin: the machine has no room to ask the orchestrator; not going on\n";

/* A tool that hears of a failed connect must not pass that on as the exit's doing: the run is to fail. It takes no
 * descriptor to say so, but a connection (fd), and whoever has none goes no further. */
static void tell_lack_of_room(long fd, struct exitpin_report *report, const char *name)
{
	report->op = EXITPIN_DENIED;
	report->reason = EXITPIN_REASON_NO_ROOM;
	if (fd < 0 || is_lack_of_room(send_report((int)fd, report, name, -1, 0)))
		exitpin_refuse_to_run(no_room);
}

/* One try: fd becomes the connection, if there is none (negative) and one can be had. 0 or minus an errno. */
static long try_report(long *fd, struct exitpin_report *report, const char *name, int passed_fd)
{
	if (*fd < 0)
		*fd = reach_orchestrator(0);
	return *fd < 0 ? *fd : send_report((int)*fd, report, name, passed_fd, 0);
}

bool exitpin_exchange(struct exitpin_report *report, const char *name, int passed_fd, struct exitpin_reply *reply)
{
	long fd = -1, pause = ROOM_PAUSE_MIN_MS, waited = 0;
	long error = try_report(&fd, report, name, passed_fd);

	while (is_lack_of_room(error) && waited < ROOM_WAIT_MS && !__atomic_load_n(&is_hopeless, __ATOMIC_RELAXED)) {
		sys_sleep_ms(pause);
		waited += pause;
		pause = pause * 2 < ROOM_PAUSE_MAX_MS ? pause * 2 : ROOM_PAUSE_MAX_MS;
		error = try_report(&fd, report, name, passed_fd);
	}
	if (is_lack_of_room(error)) {
		__atomic_store_n(&is_hopeless, true, __ATOMIC_RELAXED);
		tell_lack_of_room(fd, report, name);
	}
	bool is_answered = error == 0 && receive_answer((int)fd, report->op, reply);

	if (fd >= 0)
		sys_close((int)fd);
	return is_answered;
}

void exitpin_deny(int reason, const struct exitpin_endpoint *destination, const char *name)
{
	struct exitpin_report report;

	if (!exitpin_report_begin(&report, EXITPIN_DENIED))
		return;
	report.reason = (uint16_t)reason;
	if (destination != NULL)
		report.destination = *destination;
	long fd = reach_orchestrator(SOCK_NONBLOCK);

	if (fd < 0)
		return;
	send_report((int)fd, &report, name, -1, MSG_DONTWAIT);
	sys_close((int)fd);
}

void exitpin_deny_family(int reason, int family)
{
	struct exitpin_endpoint destination = {.family = (uint16_t)family};
	bool is_inet = family == AF_INET || family == AF_INET6;

	exitpin_deny(reason, is_inet ? &destination : NULL, NULL);
}

void exitpin_deny_address(int reason, const void *address, socklen_t size)
{
	struct exitpin_endpoint destination;
	bool is_known = exitpin_endpoint_from_sockaddr(address, size, &destination);

	exitpin_deny(reason, is_known ? &destination : NULL, NULL);
}
