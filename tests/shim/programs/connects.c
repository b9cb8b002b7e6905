/* Connections that are to work. */
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "probe.h"

#define TARGET "198.51.100.7"
#define TARGET6 "2001:db8::7"

static void blocking(void)
{
	int fd = tcp4();

	errno = 1234;
	say("connect", connect4(fd, TARGET, 80));
	printf("errno=%d\n", errno);
	talk("talk", fd);
}

static void nonblocking(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = 1;
	socklen_t size = sizeof(error);

	say("connect", connect4(fd, TARGET, 80));
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	printf("so_error=%d flags=%d cloexec=%d\n", error, fcntl(fd, F_GETFL) & O_NONBLOCK, fcntl(fd, F_GETFD));
	talk("talk", fd);
}

static void epoll_before(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLOUT | EPOLLET};

	epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
	say("connect", connect4(fd, TARGET, 80));
	printf("events=%d out=%d\n", epoll_wait(poll, &event, 1, 5000), !!(event.events & EPOLLOUT));
}

static void options(void)
{
	int fd = tcp4(), one = 1, nodelay = 0, keepalive = 0;
	socklen_t size = sizeof(one);

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one));
	say("connect", connect4(fd, TARGET, 80));
	getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &size);
	getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &size);
	printf("nodelay=%d keepalive=%d\n", nodelay, keepalive);
	talk("talk", fd);
}

static void ipv6(void)
{
	int fd = tcp6();

	say("connect", connect6(fd, TARGET6, 80));
	talk("talk", fd);
}

static void v6only(void)
{
	int fd = tcp6(), one = 1;

	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	say("mapped", connect6(fd, "::ffff:198.51.100.7", 80));
	say("connect", connect6(fd, TARGET6, 80));
	talk("talk", fd);
}

static void v4mapped(void)
{
	int fd = tcp6();

	say("connect", connect6(fd, "::ffff:198.51.100.7", 80));
	talk("talk", fd);
}

static void peers(void)
{
	int fd = tcp4(), fd6 = tcp6(), mapped = tcp6();
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	char text[64];
	socklen_t size = sizeof(in);

	connect4(dup2(fd, 100), TARGET, 80);
	say("v4", getpeername(fd, (struct sockaddr *)&in, &size));
	printf("%s %d size=%d\n", inet_ntop(AF_INET, &in.sin_addr, text, 64), ntohs(in.sin_port), (int)size);
	connect6(fd6, TARGET6, 443);
	size = sizeof(in6);
	say("v6", getpeername(fd6, (struct sockaddr *)&in6, &size));
	printf("%s %d size=%d\n", inet_ntop(AF_INET6, &in6.sin6_addr, text, 64), ntohs(in6.sin6_port), (int)size);
	connect6(mapped, "::ffff:198.51.100.9", 25);
	size = sizeof(in6);
	say("mapped", getpeername(mapped, (struct sockaddr *)&in6, &size));
	printf("%s %d\n", inet_ntop(AF_INET6, &in6.sin6_addr, text, 64), ntohs(in6.sin6_port));
	size = 4;
	say("short", getpeername(fd, (struct sockaddr *)&in, &size));
	printf("size=%d\n", (int)size);
	size = sizeof(in);
	say("unconnected", getpeername(tcp4(), (struct sockaddr *)&in, &size));
	say("bad", getpeername(999, (struct sockaddr *)&in, &size));
}

static void twice(void)
{
	int fd = tcp4();

	say("first", connect4(fd, TARGET, 80));
	say("second", connect4(fd, "198.51.100.8", 80));
	talk("talk", fd);
}

static void unspec(void)
{
	int fd = tcp4();
	struct sockaddr none = {.sa_family = AF_UNSPEC};

	say("first", connect4(fd, TARGET, 80));
	say("disconnect", connect(fd, &none, sizeof(none)));
	say("second", connect4(fd, "198.51.100.8", 81));
	talk("talk", fd);
}

/* The orchestrator refuses port 1. */
static void retry(void)
{
	int fd = tcp4(), fd6 = tcp6();

	say("first", connect4(fd, TARGET, 1));
	say("again", connect4(fd, TARGET, 1));
	say("third", connect4(fd, TARGET, 80));
	talk("talk", fd);
	say("first6", connect6(fd6, TARGET6, 1));
	say("second6", connect6(fd6, TARGET6, 80));
	talk("talk6", fd6);
}

static void bind4(const char *what, int fd, const char *host)
{
	struct sockaddr_in address = to4(host, 0);

	say(what, bind(fd, (struct sockaddr *)&address, sizeof(address)));
}

/* The tool's own bindings, before and after a connect that failed. */
static void retry_bound(void)
{
	int fd = tcp4();

	bind4("any", fd, "0.0.0.0");
	bind4("held", fd, "0.0.0.0");
	say("first", connect4(fd, TARGET, 1));
	say("second", connect4(fd, TARGET, 1));
	bind4("released", fd, "0.0.0.0");
	bind4("held_again", fd, "0.0.0.0");
	say("third", connect4(fd, TARGET, 80));
	talk("talk", fd);
	fd = tcp4();
	bind4("own", fd, "203.0.113.9");
	say("own_first", connect4(fd, TARGET, 1));
	say("own_second", connect4(fd, TARGET, 80));
	talk("own_talk", fd);
}

static void *one_thread(void *unused)
{
	int *fails = unused;

	for (int i = 0; i < 20; i++) {
		int fd = tcp4();

		if (connect4(fd, TARGET, 80) != 0)
			__atomic_add_fetch(fails, 1, __ATOMIC_SEQ_CST);
		close(fd);
	}
	return NULL;
}

static void threads(void)
{
	pthread_t ids[8];
	int fails = 0;

	for (int i = 0; i < 8; i++)
		pthread_create(&ids[i], NULL, one_thread, &fails);
	for (int i = 0; i < 8; i++)
		pthread_join(ids[i], NULL);
	printf("fails=%d\n", fails);
}

static void forks(void)
{
	int fd = tcp4();

	if (fork() == 0) {
		say("child", connect4(fd, TARGET, 80));
		exit(0);
	}
	wait(NULL);
	talk("talk", fd);
}

static void vforks(void)
{
	int fd = tcp4();

	if (vfork() == 0) {
		connect4(fd, TARGET, 80);
		_exit(0);
	}
	wait(NULL);
	talk("talk", fd);
	fd = tcp4();
	say("parent", connect4(fd, TARGET, 80));
}

static void close_all(void)
{
	syscall(SYS_close_range, 3, ~0U, 0);
	int fd = tcp4();

	say("connect", connect4(fd, TARGET, 80));
	talk("talk", fd);
	syscall(SYS_close_range, 3, ~0U, 0);
	fd = tcp4();
	say("again", connect4(fd, TARGET, 80));
}

static void high_fd(void)
{
	say("connect", connect4(fcntl(tcp4(), F_DUPFD, 900), TARGET, 80));
}

static void on_alarm(int signo)
{
	(void)signo;
}

/* The orchestrator answers port 2 only after the alarm. */
static void interrupted(void)
{
	struct sigaction action = {.sa_handler = on_alarm};

	sigaction(SIGUSR1, &action, NULL);
	say("connect", connect4(tcp4(), TARGET, 2));
}

extern int __connect(int, const struct sockaddr *, socklen_t);

static void alias(void)
{
	struct sockaddr_in to = to4(TARGET, 80);

	say("connect", __connect(tcp4(), (struct sockaddr *)&to, sizeof(to)));
}

static const struct command commands[] = {
	{"blocking", blocking}, {"nonblocking", nonblocking}, {"epoll_before", epoll_before}, {"options", options},
	{"ipv6", ipv6}, {"v6only", v6only}, {"v4mapped", v4mapped}, {"peers", peers}, {"twice", twice},
	{"unspec", unspec}, {"retry", retry}, {"retry_bound", retry_bound},
	{"threads", threads}, {"forks", forks}, {"vforks", vforks}, {"close_all", close_all}, {"high_fd", high_fd}, {"interrupted", interrupted}, {"alias", alias}, {NULL, NULL},
};

int main(int argc, char **argv)
{
	return run_command(commands, argc, argv);
}
