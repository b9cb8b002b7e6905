/* A static program: no hook is in it. Each command prints `name=outcome` per call, as those of tests/shim do. */
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "../../shim/programs/probe.h"

enum { ADDRESS = 1, TEXT = 16 };
#define TARGET "198.51.100.7"

static void opens(void)
{
	char text[64];
	int fd = tcp4();

	say("connect", connect4(fd, TARGET, 80));
	say("again", connect4(fd, TARGET, 80));
	say("send", send(fd, "hello\n", 6, MSG_NOSIGNAL));
	say("read", read(fd, text, sizeof(text)));
}

static void hides(void)
{
	prctl(PR_SET_DUMPABLE, 0);
	say("connect", connect4(tcp4(), TARGET, 80));
}

static void refusals(void)
{
	struct sockaddr_in there = to4(TARGET, 80);
	int pipes[2];

	pipe(pipes);
	say("udp", socket(AF_INET, SOCK_DGRAM, 0));
	say("raw", socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
	say("mptcp", socket(AF_INET, SOCK_STREAM, 262));
	say("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
	say("listen", listen(tcp4(), 1));
	say("device", setsockopt(tcp4(), SOL_SOCKET, SO_BINDTODEVICE, "lo", 2));
	say("loopback", connect4(tcp4(), "127.0.0.1", 80));
	say("multicast", connect4(tcp4(), "224.0.0.1", 80));
	say("badfd", connect4(999, TARGET, 80));
	say("notsock", connect4(pipes[0], TARGET, 80));
	say("nowhere", connect(tcp4(), (void *)8, sizeof(there)));
	say("short", connect(tcp4(), (struct sockaddr *)&there, 3));
	say("long", connect(tcp4(), (struct sockaddr *)&there, 4096));
	say("other_family", connect(tcp6(), (struct sockaddr *)&there, sizeof(there)));
	say("unspec", connect(tcp4(), &(struct sockaddr){.sa_family = AF_UNSPEC}, 16));
	say("unix", connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&(struct sockaddr_un){AF_UNIX, "/run/x"}, 8));
}

/* Of a TCP socket: what it says of itself, and what it would say of the network that it is in. */
static void devices(void)
{
	struct ifreq each[16], one = {.ifr_ifindex = 1};
	struct ifconf all = {.ifc_len = sizeof(each), .ifc_req = each};
	int fd = tcp6(), number;

	say("unsent", ioctl(fd, 0x894b /* SIOCOUTQNSD */, &number));
	say("mark", ioctl(fd, 0x8905 /* SIOCATMARK */, &number));
	say("addresses", ioctl(fd, 0x8912 /* SIOCGIFCONF */, &all));
	say("name", ioctl(fd, 0x8910 /* SIOCGIFNAME */, &one));
	say("hardware", ioctl(fd, 0x8927 /* SIOCGIFHWADDR */, &one));
}

static void say_each(const char *kind, int domain, int type)
{
	const struct sockaddr_storage nowhere = {.ss_family = AF_UNSPEC}, inet = {.ss_family = AF_INET};
	const struct sockaddr_un unix_name = {AF_UNIX, "/run/x"}, no_name = {.sun_family = AF_UNIX};
	const socklen_t sizes[] = {0, 1, 2, 3, 8, 16, 28, 110, 111};
	int pair[2];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		printf("%s %u ", kind, sizes[i]);
		say("unspec", connect(socket(domain, type, 0), (void *)&nowhere, sizes[i]));
	}
	if (domain == AF_UNIX && socketpair(domain, type, 0, pair) == 0) {
		say("connected", connect(pair[0], (void *)&nowhere, 16));
		say("inet", connect(socket(domain, type, 0), (void *)&inet, 16));
		say("unnamed", connect(socket(domain, type, 0), (void *)&no_name, 2));
		say("short", connect(socket(domain, type, 0), (void *)&unix_name, 8));
		say("whole", connect(socket(domain, type, 0), (void *)&unix_name, 110));
		say("long", connect(socket(domain, type, 0), (void *)&unix_name, 111));
	}
}

/* The same words, whoever carries these out. */
static void addresses(void)
{
	say_each("stream", AF_UNIX, SOCK_STREAM);
	say_each("seqpacket", AF_UNIX, SOCK_SEQPACKET);
	say_each("tcp4", AF_INET, SOCK_STREAM);
	say_each("tcp6", AF_INET6, SOCK_STREAM);
	say_each("udp", AF_INET, SOCK_DGRAM);
	say_each("netlink", AF_NETLINK, SOCK_RAW);
}

static void netlinks(void)
{
	for (unsigned to = 0; to < 3; to++) {
		const struct {
			unsigned short family, pad;
			unsigned pid, groups;
		} there = {AF_NETLINK, .pid = to == 1, .groups = to == 2};

		say("netlink", connect(socket(AF_NETLINK, SOCK_RAW, 0), (void *)&there, sizeof(there)));
	}
}

static void *one_thread(void *outcome)
{
	*(int *)outcome = connect4(tcp4(), TARGET, 80);
	return NULL;
}

static void threads(void)
{
	pthread_t ids[16];
	int outcomes[16], fails = 0;

	for (int i = 0; i < 16; i++)
		pthread_create(&ids[i], NULL, one_thread, &outcomes[i]);
	for (int i = 0; i < 16; i++)
		pthread_join(ids[i], NULL), fails += outcomes[i] != 0;
	printf("fails=%d\n", fails);
}

static char state_of(pid_t pid)
{
	char path[64], text[256] = "";

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY);

	read(fd, text, sizeof(text) - 1);
	close(fd);
	const char *end = strrchr(text, ')');

	return end != NULL ? end[2] : '?';
}

static void on_alarm(int signo)
{
	(void)signo;
}

/* Each is killed while the supervisor has its connect: only then does a signal make it wait for nothing but a kill (D). */
static void killed(void)
{
	signal(SIGUSR1, on_alarm);
	for (int i = 0; i < 12; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(connect4(tcp4(), TARGET, 80) != 0);
		for (char state = '?'; state != 'D' && state != 'Z'; state = state_of(child))
			kill(child, SIGUSR1);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	say("connect", connect4(tcp4(), TARGET, 80));
}

/* A timer that fires all the time must not break a connect off, nor make it happen twice. */
static void signals(void)
{
	const struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &often, NULL);
	int outcome = connect4(tcp4(), TARGET, 80);

	setitimer(ITIMER_REAL, &never, NULL);
	say("connect", outcome);
}

static struct sockaddr_in swapped;
static volatile int is_over;

static void *swap(void *nothing)
{
	while (!is_over) {
		inet_pton(AF_INET, "127.0.0.1", &swapped.sin_addr);
		inet_pton(AF_INET, TARGET, &swapped.sin_addr);
	}
	return nothing;
}

/* The address changes while the kernel and the supervisor look at it. */
static void swaps(void)
{
	pthread_t id;
	int opened = 0, refused = 0;

	swapped = to4(TARGET, 80);
	pthread_create(&id, NULL, swap, NULL);
	for (int i = 0; i < 40; i++) {
		int fd = tcp4();

		if (connect(fd, (struct sockaddr *)&swapped, sizeof(swapped)) == 0)
			opened++;
		else if (errno == EACCES)
			refused++;
		close(fd);
	}
	is_over = 1;
	pthread_join(id, NULL);
	printf("others=%d\n", 40 - opened - refused);
}

/* A question for `a.test`, by hand; the last four bytes of the answer are the address. */
static void ask(int fd, unsigned char kind)
{
	unsigned char question[] = "\x12\x34\x01\0\0\1\0\0\0\0\0\0\1a\4test\0\0\1\0\1", answer[512];
	struct sockaddr_in resolver = to4("8.8.8.8", 53);

	question[sizeof(question) - 4] = kind;
	say("asked", sendto(fd, question, sizeof(question) - 1, 0, (struct sockaddr *)&resolver, sizeof(resolver)));
	long size = recv(fd, answer, sizeof(answer), 0);

	if (size > 4 && (answer[3] & 15) == 0)
		printf("answer=%d.%d.%d.%d\n", answer[size - 4], answer[size - 3], answer[size - 2], answer[size - 1]);
	else
		printf("rcode=%d\n", size > 4 ? answer[3] & 15 : -1);
}

static void datagrams(void)
{
	struct sockaddr_in elsewhere = to4(TARGET, 99);
	char answer[16];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	connect(fd, (struct sockaddr *)&elsewhere, sizeof(elsewhere));
	say("sent", send(fd, "x", 1, 0));
	say("lost", recv(fd, answer, sizeof(answer), 0));
	ask(socket(AF_INET, SOCK_DGRAM, 0), ADDRESS);
}

/* Whoever made the last datagram socket has ended. */
static void siblings(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	pid_t child = fork();

	if (child == 0)
		_exit(socket(AF_INET, SOCK_DGRAM, 0) < 0);
	waitpid(child, NULL, 0);
	ask(fd, ADDRESS);
	ask(fd, TEXT);
}

/* No query, and what nobody could read; then one. */
static void noise(void)
{
	struct sockaddr_in resolver = to4("8.8.8.8", 53);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char wire[4000] = "\x12\x34\x81\0\0\1";

	for (size_t size = 0; size < sizeof(wire); size += 1 + size / 8)
		sendto(fd, wire, size, 0, (struct sockaddr *)&resolver, sizeof(resolver));
	ask(fd, ADDRESS);
}

static const struct command commands[] = {
	{"opens", opens}, {"refusals", refusals}, {"threads", threads}, {"signals", signals}, {"swaps", swaps},
	{"datagrams", datagrams}, {"siblings", siblings}, {"noise", noise}, {"addresses", addresses}, {"netlinks", netlinks},
	{"killed", killed}, {"hides", hides}, {"devices", devices}, {NULL, NULL},
};

int main(int argc, char **argv)
{
	return run_command(commands, argc, argv);
}
