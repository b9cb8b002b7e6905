/* io_uring: the kernel makes the calls, and no hook is asked. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vector.h"

enum { ENTRIES = 4, OP_SOCKET = 45, OP_SENDMSG = 9, OP_CONNECT = 16, OP_SEND = 26 };

struct ring {
	int fd;
	char *submissions, *completions;
	struct io_uring_sqe *entries;
	struct io_uring_params parameters;
};

static bool open_ring(struct ring *ring, unsigned flags)
{
	memset(ring, 0, sizeof(*ring));
	ring->parameters.flags = flags;
	ring->fd = (int)told("io_uring_setup", syscall(SYS_io_uring_setup, ENTRIES, &ring->parameters));
	if (ring->fd < 0)
		return false;
	const int access = PROT_READ | PROT_WRITE, how = MAP_SHARED | MAP_POPULATE;

	ring->submissions = mmap(NULL, 4096, access, how, ring->fd, IORING_OFF_SQ_RING);
	ring->completions = mmap(NULL, 4096, access, how, ring->fd, IORING_OFF_CQ_RING);
	ring->entries = mmap(NULL, 4096, access, how, ring->fd, IORING_OFF_SQES);
	return ring->submissions != MAP_FAILED && ring->completions != MAP_FAILED && ring->entries != MAP_FAILED;
}

/* One request, and its result. */
static long perform(struct ring *ring, const char *name, const struct io_uring_sqe *request)
{
	unsigned *tail = (unsigned *)(ring->submissions + ring->parameters.sq_off.tail);
	unsigned *array = (unsigned *)(ring->submissions + ring->parameters.sq_off.array);
	unsigned *head = (unsigned *)(ring->completions + ring->parameters.cq_off.head);
	unsigned slot = *tail & (ring->parameters.sq_entries - 1);

	ring->entries[slot] = *request;
	array[slot] = slot;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (ring->parameters.flags & IORING_SETUP_SQPOLL)
		syscall(SYS_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, NULL, 0);
	else
		syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	const struct io_uring_cqe *all = (void *)(ring->completions + ring->parameters.cq_off.cqes);
	long result = all[*head & (ring->parameters.cq_entries - 1)].res;

	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return told_raw(name, result);
}

static int ring_connect(const struct aim *aim, unsigned flags)
{
	struct ring ring;
	int fd = (int)told("socket", socket(AF_INET, SOCK_STREAM, 0));
	const struct io_uring_sqe request = {
		.opcode = OP_CONNECT, .fd = fd, .addr = (uintptr_t)&aim->in, .off = sizeof(aim->in)};

	if (!open_ring(&ring, flags) || perform(&ring, "uring connect", &request) < 0)
		return DENIED;
	return converse(aim, fd);
}

static int uring_connect(const struct aim *aim)
{
	return ring_connect(aim, 0);
}

static int uring_sqpoll(const struct aim *aim)
{
	return ring_connect(aim, IORING_SETUP_SQPOLL);
}

static int uring_socket(const struct aim *aim)
{
	struct ring ring;
	struct io_uring_sqe request = {.opcode = OP_SOCKET, .fd = AF_INET, .off = SOCK_DGRAM};

	if (!open_ring(&ring, 0))
		return DENIED;
	int fd = (int)perform(&ring, "uring socket", &request);

	request = (struct io_uring_sqe){
		.opcode = OP_CONNECT, .fd = fd, .addr = (uintptr_t)&aim->in, .off = sizeof(aim->in)};
	if (perform(&ring, "uring connect", &request) < 0)
		return DENIED;
	request = (struct io_uring_sqe){
		.opcode = OP_SEND, .fd = fd, .addr = (uintptr_t)aim->mark, .len = (unsigned)strlen(aim->mark)};
	return perform(&ring, "uring send", &request) < 0 ? DENIED : WORKED;
}

static int uring_tfo(const struct aim *aim)
{
	struct ring ring;
	struct iovec data = {(void *)aim->mark, strlen(aim->mark)};
	const struct msghdr message = {
		.msg_name = (void *)&aim->in, .msg_namelen = sizeof(aim->in), .msg_iov = &data, .msg_iovlen = 1};
	int fd = (int)told("socket", socket(AF_INET, SOCK_STREAM, 0));
	const struct io_uring_sqe request = {
		.opcode = OP_SENDMSG, .fd = fd, .addr = (uintptr_t)&message, .len = 1, .msg_flags = MSG_FASTOPEN};

	if (!open_ring(&ring, 0) || perform(&ring, "uring sendmsg", &request) < 0)
		return DENIED;
	return converse(aim, fd);
}

const struct vector uring_vectors[] = {
	{"uring-connect", uring_connect},
	{"uring-sqpoll", uring_sqpoll},
	{"uring-socket", uring_socket},
	{"uring-tfo", uring_tfo},
	{NULL, NULL},
};
