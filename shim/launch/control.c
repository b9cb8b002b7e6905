#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launch.h"

static void send_notice(int control, struct exitpin_notice *notice)
{
	notice->magic = EXITPIN_MAGIC;
	while (send(control, notice, sizeof(*notice), MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

static void set_usage(struct exitpin_notice *notice, const struct rusage *usage)
{
	notice->cpu_us = (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000 +
			 (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
	notice->maxrss_kib = (uint64_t)usage->ru_maxrss;
}

void notify_started(int control, pid_t pid)
{
	send_notice(control, &(struct exitpin_notice){.kind = EXITPIN_NOTICE_STARTED, .pid = pid});
}

void notify_refused(int control, int reason, int error)
{
	struct exitpin_notice notice = {.kind = EXITPIN_NOTICE_REFUSED, .reason = (uint16_t)reason, .error = error};

	send_notice(control, &notice);
}

void notify_exited(int control, pid_t pid, int status, const struct rusage *usage)
{
	struct exitpin_notice notice = {.kind = EXITPIN_NOTICE_EXITED, .pid = pid, .status = status};

	set_usage(&notice, usage);
	send_notice(control, &notice);
}

void notify_crowded(int control)
{
	send_notice(control, &(struct exitpin_notice){.kind = EXITPIN_NOTICE_CROWDED});
}

void notify_ended(int control, unsigned swept)
{
	struct exitpin_notice notice = {.kind = EXITPIN_NOTICE_ENDED, .swept = swept};
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	set_usage(&notice, &usage);
	send_notice(control, &notice);
}

bool notify_calls(int control, int listener)
{
	const struct exitpin_notice notice = {.magic = EXITPIN_MAGIC, .kind = EXITPIN_NOTICE_CALLS, .pid = getpid()};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} rights = {.align = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	struct iovec part = {(void *)&notice, sizeof(notice)};
	const struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights,
				       .msg_controllen = sizeof(rights)};
	ssize_t sent;

	memcpy(CMSG_DATA(&rights.align), &listener, sizeof(int));
	do
		sent = sendmsg(control, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent == sizeof(notice);
}

int read_order(int control, struct exitpin_order *order)
{
	ssize_t size = recv(control, order, sizeof(*order), MSG_DONTWAIT | MSG_TRUNC);

	if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
		return -1;
	return size == sizeof(*order) && order->magic == EXITPIN_MAGIC;
}
