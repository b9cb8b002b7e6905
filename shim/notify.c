#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernel_abi.h"
#include "notify.h"
#include "steer.h"

static long minus_errno(long result)
{
	return result < 0 ? -errno : result;
}

int exitpin_call_receive(int listener, struct exitpin_call *call)
{
	struct seccomp_notice notice;

	memset(&notice, 0, sizeof(notice)); /* the kernel insists */
	int error = (int)minus_errno(ioctl(listener, SECCOMP_NOTICE_RECEIVE, &notice));

	if (error < 0)
		return error;
	*call = (struct exitpin_call){.id = notice.id, .tid = notice.tid, .number = notice.call.number};
	memcpy(call->arguments, notice.call.arguments, sizeof(call->arguments));
	return 0;
}

bool exitpin_call_is_alive(int listener, uint64_t id)
{
	return ioctl(listener, SECCOMP_NOTICE_IS_VALID, &id) == 0;
}

int exitpin_call_answer(int listener, uint64_t id, int error)
{
	struct seccomp_answer answer = {.id = id, .error = -error};

	return (int)minus_errno(ioctl(listener, SECCOMP_NOTICE_ANSWER, &answer));
}

int exitpin_call_replace(int listener, uint64_t id, int fd, int ours)
{
	struct seccomp_descriptor descriptor = {.id = id, .flags = SECCOMP_AT_NUMBER, .ours = (uint32_t)ours,
						.theirs = (uint32_t)fd, .theirs_flags = O_CLOEXEC};
	int error = (int)minus_errno(ioctl(listener, SECCOMP_NOTICE_GIVE, &descriptor));

	return error < 0 ? error : exitpin_call_answer(listener, id, 0);
}

int exitpin_call_give(int listener, uint64_t id, int ours, bool is_cloexec)
{
	struct seccomp_descriptor descriptor = {.id = id, .flags = SECCOMP_AND_ANSWER, .ours = (uint32_t)ours,
						.theirs_flags = is_cloexec ? O_CLOEXEC : 0};

	return (int)minus_errno(ioctl(listener, SECCOMP_NOTICE_GIVE, &descriptor));
}

int exitpin_connect_at_once(int fd, const void *address, size_t size)
{
	return (int)minus_errno(connect(fd, address, (socklen_t)size));
}

/* By its thread, whose descriptors may be its own (PIDFD_THREAD, Linux 6.9); else by its process. */
static int open_process(int tid, int pid)
{
	int process = (int)syscall(SYS_pidfd_open, tid, O_EXCL);

	return process >= 0 || errno != EINVAL ? process : (int)syscall(SYS_pidfd_open, pid, 0);
}

int exitpin_descriptor_of(int tid, int pid, int fd)
{
	int process = open_process(tid, pid);

	if (process < 0)
		return -errno;
	int copy = (int)minus_errno(syscall(SYS_pidfd_getfd, process, fd, 0));

	close(process);
	return copy;
}

long exitpin_read_memory(int tid, uint64_t address, void *data, size_t size)
{
	struct iovec ours = {data, size}, theirs = {(void *)(uintptr_t)address, size};

	return minus_errno(process_vm_readv(tid, &ours, 1, &theirs, 1, 0));
}

long exitpin_report_connect(int fd, const void *address, size_t size, const struct exitpin_endpoint *run_address,
			    struct exitpin_report *report, int *reason)
{
	struct exitpin_kind kind;
	long error = exitpin_kind_of(fd, &kind);

	*reason = EXITPIN_REASON_NONE;
	if (error < 0)
		return error;
	*reason = exitpin_kind_reason(&kind);
	if (*reason == EXITPIN_REASON_NONE && !exitpin_is_inet(&kind))
		return -EAFNOSUPPORT;
	error = *reason != EXITPIN_REASON_NONE
			? -EACCES
			: exitpin_steer(fd, &kind, address, (socklen_t)size, run_address, report, reason);
	report->magic = EXITPIN_MAGIC;
	report->version = EXITPIN_WIRE_VERSION;
	report->op = *reason == EXITPIN_REASON_NONE ? EXITPIN_CONNECT : EXITPIN_DENIED;
	report->reason = (uint16_t)*reason;
	return error;
}
