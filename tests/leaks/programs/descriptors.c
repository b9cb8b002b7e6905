/* What programs do with the descriptor of a stream before, while and after it is opened. All of it should work. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vector.h"

enum { PATIENCE_MS = 8000 };

static int stream(int flags)
{
	return (int)told("socket", socket(AF_INET, SOCK_STREAM | flags, 0));
}

/* Connects a non-blocking socket; 0 also while it is on its way. */
static int begin(const struct aim *aim, int fd)
{
	int result = (int)told("connect", connect(fd, (const struct sockaddr *)&aim->in, sizeof(aim->in)));

	return result < 0 && errno == EINPROGRESS ? 0 : result;
}

static int outcome(const struct aim *aim, int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	errno = error;
	if (told("SO_ERROR", error == 0 ? 0 : -1) < 0)
		return DENIED;
	return converse(aim, fd);
}

static int nonblock_poll(const struct aim *aim)
{
	int fd = stream(SOCK_NONBLOCK);
	struct pollfd writable = {.fd = fd, .events = POLLOUT};

	if (begin(aim, fd) < 0 || told("poll", poll(&writable, 1, PATIENCE_MS)) != 1)
		return DENIED;
	return outcome(aim, fd);
}

/* The descriptor is registered before it is connected. */
static int epoll_before(const struct aim *aim)
{
	struct epoll_event event = {.events = EPOLLOUT | EPOLLET};
	int fd = stream(SOCK_NONBLOCK), watch = epoll_create1(EPOLL_CLOEXEC);

	told("epoll_ctl", epoll_ctl(watch, EPOLL_CTL_ADD, fd, &event));
	if (epoll_wait(watch, &event, 1, 0) < 0 || begin(aim, fd) < 0 ||
	    told("epoll_wait", epoll_wait(watch, &event, 1, PATIENCE_MS)) != 1)
		return DENIED;
	return outcome(aim, fd);
}

/* What was set on a socket is still set when it is connected. */
static int options_kept(const struct aim *aim)
{
	int fd = stream(SOCK_CLOEXEC), on = 1, nodelay = 0, keepalive = 0;
	socklen_t size = sizeof(int);

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (told("connect", connect(fd, (const struct sockaddr *)&aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &size);
	size = sizeof(int);
	getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &size);
	bool is_kept = told("FD_CLOEXEC", fcntl(fd, F_GETFD)) == FD_CLOEXEC && told("TCP_NODELAY", nodelay) &&
		       told("SO_KEEPALIVE", keepalive);
	int result = converse(aim, fd);

	return is_kept ? result : DENIED;
}

/* A descriptor too large for select(2). */
static int big_fd(const struct aim *aim)
{
	const struct rlimit many = {4096, 4096};
	int fd = stream(0);

	setrlimit(RLIMIT_NOFILE, &many);
	int big = (int)told("fcntl", fcntl(fd, F_DUPFD, 1500));

	if (big < 0)
		return DENIED;
	fcntl(big, F_SETFL, O_NONBLOCK);
	struct pollfd writable = {.fd = big, .events = POLLOUT};

	if (begin(aim, big) < 0 || poll(&writable, 1, PATIENCE_MS) != 1)
		return DENIED;
	return outcome(aim, big);
}

/* A stream, whose descriptor then goes in a way that a table in a library does not hear of; the number comes back. */
static int reused(const struct aim *aim, void (*shut)(int fd))
{
	int first = stream(0);

	if (told("connect", connect(first, (const struct sockaddr *)&aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	shut(first);
	int second = socket(AF_INET, SOCK_STREAM, 0);

	if (second != first && told("dup2", dup2(second, first)) < 0)
		return DENIED;
	return connect_and_converse(aim, first);
}

static void by_close(int fd)
{
	close(fd);
}

static void by_dup2(int fd)
{
	int other = open("/dev/null", O_RDWR);

	dup2(other, fd);
	close(other);
}

static void by_close_range(int fd)
{
	told("close_range", close_range((unsigned)fd, (unsigned)fd, 0));
}

static void by_closefrom(int fd)
{
	closefrom(fd);
}

static void by_syscall(int fd)
{
	syscall(SYS_close, fd);
}

static int reuse_close(const struct aim *aim)
{
	return reused(aim, by_close);
}

static int reuse_dup2(const struct aim *aim)
{
	return reused(aim, by_dup2);
}

static int reuse_close_range(const struct aim *aim)
{
	return reused(aim, by_close_range);
}

static int reuse_closefrom(const struct aim *aim)
{
	return reused(aim, by_closefrom);
}

static int reuse_rawclose(const struct aim *aim)
{
	return reused(aim, by_syscall);
}

/* A duplicate knows its peer as the original does. */
static int dup_peer(const struct aim *aim)
{
	struct sockaddr_in peer = {0};
	socklen_t size = sizeof(peer);
	int fd = stream(0);

	if (told("connect", connect(fd, (const struct sockaddr *)&aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	int copy = dup(fd);

	told("getpeername", getpeername(copy, (struct sockaddr *)&peer, &size));
	bool is_same = peer.sin_addr.s_addr == aim->in.sin_addr.s_addr && peer.sin_port == aim->in.sin_port;
	int result = converse(aim, copy);

	return is_same ? result : (say("another peer"), DENIED);
}

const struct vector descriptor_vectors[] = {
	{"nonblock-poll", nonblock_poll},
	{"epoll-before", epoll_before},
	{"options-kept", options_kept},
	{"big-fd", big_fd},
	{"reuse-close", reuse_close},
	{"reuse-dup2", reuse_dup2},
	{"reuse-close-range", reuse_close_range},
	{"reuse-closefrom", reuse_closefrom},
	{"reuse-rawclose", reuse_rawclose},
	{"dup-peer", dup_peer},
	{NULL, NULL},
};
