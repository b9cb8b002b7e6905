#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "rules.h"

/* All is decided by registers alone: nothing that a tool could change behind the filter's back. */
enum {
	WHOLE = -1,
	TYPE_MASK = 0xf, /* without SOCK_NONBLOCK and SOCK_CLOEXEC */
	TESTS_MAX = 3,
};

/* An argument of the call, masked, has this value. Calls take these as 32 bits, so only those are looked at. */
struct test {
	int argument, mask, value;
};

/* The call is this one, and all tests fit (a mask of 0 ends them): then the answer. `defence`: its name in the tests that
 * show that some are needed, and in what a run's record says was refused. */
struct rule {
	const char *defence;
	int call;
	struct test tests[TESTS_MAX];
	uint32_t answer;
};

#define PASS SECCOMP_PASS
#define ERROR(error) (SECCOMP_ERROR | (error))
#define IS(argument, value) {argument, WHOLE, value}
#define OF_TYPE(value) {1, TYPE_MASK, value}
#define HAS(argument, bits) {argument, bits, bits}
#define OPTION(level, name) {"options", SYS_setsockopt, {IS(1, level), IS(2, name)}, PASS}
#define IGNORED ERROR(0) /* the call returns 0, and nothing is done */

static const struct rule rules[] = {
	/* work that the kernel does later, for which no filter is asked */
	{"io_uring", SYS_io_uring_setup, {{0}}, ERROR(ENOSYS)},
	{"io_uring", SYS_io_uring_enter, {{0}}, ERROR(ENOSYS)},
	{"io_uring", SYS_io_uring_register, {{0}}, ERROR(ENOSYS)},

	/* a child in any control group, by a flag that stands in memory; C libraries do without */
	{"clone3", SYS_clone3, {{0}}, ERROR(ENOSYS)},

	/* keys that a helper of the kernel fetches, by DNS */
	{"request_key", SYS_request_key, {{0}}, ERROR(EPERM)},

	/* each datagram may go to another daemon */
	{"unix-datagrams", SYS_socket, {IS(0, AF_UNIX), OF_TYPE(SOCK_DGRAM)}, ERROR(EACCES)},
	{"unix-datagrams", SYS_socket, {IS(0, AF_UNIX), OF_TYPE(SOCK_RAW)}, ERROR(EACCES)},
	{"unix-datagrams", SYS_socketpair, {IS(0, AF_UNIX), OF_TYPE(SOCK_DGRAM)}, ERROR(EACCES)},
	{"unix-datagrams", SYS_socketpair, {IS(0, AF_UNIX), OF_TYPE(SOCK_RAW)}, ERROR(EACCES)},

	/* in a network of its own a tool's sockets could never reach Tor */
	{"apart", SYS_socket, {IS(0, AF_INET), OF_TYPE(SOCK_STREAM), IS(2, 0)}, SECCOMP_ASK},
	{"apart", SYS_socket, {IS(0, AF_INET), OF_TYPE(SOCK_STREAM), IS(2, TCP)}, SECCOMP_ASK},
	{"apart", SYS_socket, {IS(0, AF_INET6), OF_TYPE(SOCK_STREAM), IS(2, 0)}, SECCOMP_ASK},
	{"apart", SYS_socket, {IS(0, AF_INET6), OF_TYPE(SOCK_STREAM), IS(2, TCP)}, SECCOMP_ASK},

	/* only TCP, Unix sockets and questions about routes; errors as the hooks have them */
	{"sockets", SYS_socket, {IS(0, AF_UNIX)}, PASS},
	{"sockets", SYS_socket, {IS(0, AF_NETLINK), IS(2, ROUTING)}, PASS},
	{"sockets", SYS_socket, {IS(0, AF_INET), OF_TYPE(SOCK_STREAM), IS(2, 0)}, PASS},
	{"sockets", SYS_socket, {IS(0, AF_INET), OF_TYPE(SOCK_STREAM), IS(2, TCP)}, PASS},
	{"sockets", SYS_socket, {IS(0, AF_INET6), OF_TYPE(SOCK_STREAM), IS(2, 0)}, PASS},
	{"sockets", SYS_socket, {IS(0, AF_INET6), OF_TYPE(SOCK_STREAM), IS(2, TCP)}, PASS},
	{"sockets", SYS_socket, {IS(0, AF_INET), OF_TYPE(SOCK_STREAM)}, ERROR(EPROTONOSUPPORT)},
	{"sockets", SYS_socket, {IS(0, AF_INET6), OF_TYPE(SOCK_STREAM)}, ERROR(EPROTONOSUPPORT)},
	{"sockets", SYS_socket, {IS(0, AF_INET)}, ERROR(EACCES)},
	{"sockets", SYS_socket, {IS(0, AF_INET6)}, ERROR(EACCES)},
	{"sockets", SYS_socket, {IS(0, AF_PACKET)}, ERROR(EACCES)},
	{"sockets", SYS_socket, {{0}}, ERROR(EAFNOSUPPORT)},

	/* data that goes with the SYN: no right to connect is asked for */
	{"fast-open", SYS_sendto, {HAS(3, MSG_FASTOPEN)}, ERROR(EOPNOTSUPP)},
	{"fast-open", SYS_sendmsg, {HAS(2, MSG_FASTOPEN)}, ERROR(EOPNOTSUPP)},
	{"fast-open", SYS_sendmmsg, {HAS(3, MSG_FASTOPEN)}, ERROR(EOPNOTSUPP)},

	/* protocols on top of TCP have a connect of their own (SMC), for which no right is asked */
	{"protocols", SYS_setsockopt, {IS(1, TCP), IS(2, OPTION_TCP_PROTOCOL)}, ERROR(ENOPROTOOPT)},

	/* a pair is of this process alone, if it is a Unix one */
	{"pairs", SYS_socketpair, {IS(0, AF_UNIX)}, PASS},
	{"pairs", SYS_socketpair, {{0}}, ERROR(EOPNOTSUPP)},

	/* packets from a file */
	{"tunnels", SYS_ioctl, {IS(1, ATTACH_TUNNEL)}, ERROR(EPERM)},

	/* the way to Tor is the loopback device, whatever the tool wants */
	{"device", SYS_setsockopt, {IS(1, SOL_SOCKET), IS(2, OPTION_DEVICE)}, ERROR(EPERM)},
	{"device", SYS_setsockopt, {IS(1, SOL_SOCKET), IS(2, OPTION_DEVICE_INDEX)}, ERROR(EPERM)},
	{"device", SYS_setsockopt, {IS(1, LEVEL_V4), IS(2, OPTION_UNICAST_V4)}, ERROR(EPERM)},
	{"device", SYS_setsockopt, {IS(1, LEVEL_V6), IS(2, OPTION_UNICAST_V6)}, ERROR(EPERM)},

	/* who connects the tool's socket, or reads its memory, must not be made to wait: no SYN that is never answered, and
	 * no page that never comes */
	{"stall", SYS_setsockopt, {IS(1, SOL_SOCKET), IS(2, SO_ATTACH_FILTER)}, ERROR(EPERM)},
	{"stall", SYS_setsockopt, {IS(1, SOL_SOCKET), IS(2, SO_ATTACH_BPF)}, ERROR(EPERM)},
	{"stall", SYS_setsockopt, {IS(1, TCP), IS(2, OPTION_TCP_MD5)}, ERROR(EPERM)},
	{"stall", SYS_setsockopt, {IS(1, TCP), IS(2, OPTION_TCP_MD5_EXT)}, ERROR(EPERM)},
	{"stall", SYS_setsockopt, {IS(1, TCP), IS(2, OPTION_TCP_AO)}, ERROR(EPERM)},
	{"stall", SYS_setsockopt, {IS(1, LEVEL_V4), IS(2, OPTION_MIN_TTL)}, ERROR(EPERM)},
	{"stall", SYS_setsockopt, {IS(1, LEVEL_V6), IS(2, OPTION_MIN_HOPS)}, ERROR(EPERM)},
	/* and a close of ours, if it is the last one, must not wait for what is still to be sent */
	{"stall", SYS_setsockopt, {IS(1, SOL_SOCKET), IS(2, SO_LINGER)}, IGNORED},
	{"stall", SYS_userfaultfd, {{0}}, ERROR(EPERM)},
	{"stall", SYS_ioctl, {IS(1, NEW_USERFAULTFD)}, ERROR(EPERM)},
	{"stall", SYS_mount, {{0}}, ERROR(EPERM)},
	{"stall", SYS_fsopen, {{0}}, ERROR(EPERM)},
	{"stall", SYS_fsmount, {{0}}, ERROR(EPERM)},
	{"stall", SYS_move_mount, {{0}}, ERROR(EPERM)},

	/* Of what IP knows only options that send nothing by themselves, and choose no way: no groups (the kernel reports
	 * them to the neighbours), no route in the header, no label to be asked for. */
	OPTION(LEVEL_V4, 1),  /* IP_TOS */
	OPTION(LEVEL_V4, 2),  /* IP_TTL */
	OPTION(LEVEL_V4, 6),  /* IP_RECVOPTS */
	OPTION(LEVEL_V4, 8),  /* IP_PKTINFO */
	OPTION(LEVEL_V4, 10), /* IP_MTU_DISCOVER */
	OPTION(LEVEL_V4, 11), /* IP_RECVERR */
	OPTION(LEVEL_V4, 12), /* IP_RECVTTL */
	OPTION(LEVEL_V4, 13), /* IP_RECVTOS */
	OPTION(LEVEL_V4, 15), /* IP_FREEBIND */
	OPTION(LEVEL_V4, 24), /* IP_BIND_ADDRESS_NO_PORT */
	OPTION(LEVEL_V4, 26), /* IP_RECVERR_RFC4884 */
	OPTION(LEVEL_V4, 33), /* IP_MULTICAST_TTL */
	OPTION(LEVEL_V4, 34), /* IP_MULTICAST_LOOP */
	OPTION(LEVEL_V4, 49), /* IP_MULTICAST_ALL */
	OPTION(LEVEL_V4, 51), /* IP_LOCAL_PORT_RANGE */
	{"options", SYS_setsockopt, {IS(1, LEVEL_V4)}, ERROR(ENOPROTOOPT)},
	OPTION(LEVEL_V6, 16), /* IPV6_UNICAST_HOPS */
	OPTION(LEVEL_V6, 18), /* IPV6_MULTICAST_HOPS */
	OPTION(LEVEL_V6, 19), /* IPV6_MULTICAST_LOOP */
	OPTION(LEVEL_V6, 23), /* IPV6_MTU_DISCOVER */
	OPTION(LEVEL_V6, 24), /* IPV6_MTU */
	OPTION(LEVEL_V6, 25), /* IPV6_RECVERR */
	OPTION(LEVEL_V6, 26), /* IPV6_V6ONLY */
	OPTION(LEVEL_V6, 29), /* IPV6_MULTICAST_ALL */
	OPTION(LEVEL_V6, 31), /* IPV6_RECVERR_RFC4884 */
	OPTION(LEVEL_V6, 49), /* IPV6_RECVPKTINFO */
	OPTION(LEVEL_V6, 51), /* IPV6_RECVHOPLIMIT */
	OPTION(LEVEL_V6, 62), /* IPV6_DONTFRAG */
	OPTION(LEVEL_V6, 66), /* IPV6_RECVTCLASS */
	OPTION(LEVEL_V6, 67), /* IPV6_TCLASS */
	OPTION(LEVEL_V6, 70), /* IPV6_AUTOFLOWLABEL */
	OPTION(LEVEL_V6, 72), /* IPV6_ADDR_PREFERENCES */
	{"options", SYS_setsockopt, {IS(1, LEVEL_V6)}, ERROR(ENOPROTOOPT)},

	/* limits and priorities of others; keys typed into the caller's terminal */
	{"others", SYS_prlimit64, {IS(0, 0)}, PASS},
	{"others", SYS_prlimit64, {{0}}, ERROR(EPERM)},
	{"others", SYS_setpriority, {IS(0, PRIO_PROCESS), IS(1, 0)}, PASS},
	{"others", SYS_setpriority, {{0}}, ERROR(EPERM)},
	{"terminal", SYS_ioctl, {IS(1, TIOCSTI)}, ERROR(EPERM)},
	{"terminal", SYS_ioctl, {IS(1, TIOCLINUX)}, ERROR(EPERM)},

	/* a socket of our network, in the hands of a tool whose own has no device, knows none: but what is of itself */
	{"addresses", SYS_ioctl, {IS(1, UNSENT_BYTES)}, PASS},
	{"addresses", SYS_ioctl, {{1, 0xfff0, SOCKET_IOCTLS}}, PASS},
	{"addresses", SYS_ioctl, {{1, 0xff00, SOCKET_IOCTLS}}, ERROR(ENODEV)},
	{"addresses", SYS_ioctl, {{1, 0xff00, WIRELESS_IOCTLS}}, ERROR(ENODEV)},

	{"listen", SYS_listen, {{0}}, ERROR(EACCES)},
	{"connect", SYS_connect, {{0}}, SECCOMP_ASK},
};

/* Whether the rule is there at all. */
static bool is_in_force(const struct rule *rule, int what)
{
	if (rule->answer == SECCOMP_ASK && !(what & (rule->call == SYS_socket ? EXITPIN_APART : EXITPIN_ASKS)))
		return false;
	if (rule->call == SYS_listen && (what & EXITPIN_MAY_LISTEN) && !(what & EXITPIN_ASKS))
		return false; /* a supervisor sees what kind of socket it is; registers do not tell */
	if (!(what & EXITPIN_APART) && strcmp(rule->defence, "addresses") == 0)
		return false;
	return !IS_LEFT_OUT(rule->defence);
}

static bool is_refusal(const struct rule *rule)
{
	return (rule->answer & ~0xffffU) == SECCOMP_ERROR && rule->answer != IGNORED;
}

enum { RULES = sizeof(rules) / sizeof(rules[0]) };

#ifdef __x86_64__
enum { MACHINE = MACHINE_X86_64 };
#else
enum { MACHINE = MACHINE_AARCH64 };
#endif

struct writer {
	struct bpf_instruction *filter;
	size_t size;
};

static struct bpf_instruction *add(struct writer *writer, uint16_t code, uint32_t operand)
{
	if (writer->size == FILTER_MAX)
		abort();
	struct bpf_instruction *added = &writer->filter[writer->size++];

	*added = (struct bpf_instruction){.code = code, .operand = operand};
	return added;
}

static void add_rule(struct writer *writer, const struct rule *rule, uint32_t answer)
{
	size_t tests[TESTS_MAX], count = 0;

	for (int i = 0; i < TESTS_MAX && rule->tests[i].mask != 0; i++) {
		const struct test *test = &rule->tests[i];

		/* the low word: both machines are little-endian */
		add(writer, BPF_LOAD, (uint32_t)(offsetof(struct seccomp_call, arguments) + 8U * (unsigned)test->argument));
		if (test->mask != WHOLE)
			add(writer, BPF_MASK, (uint32_t)test->mask);
		tests[count++] = writer->size;
		add(writer, BPF_IF_EQUAL, (uint32_t)test->value);
	}
	add(writer, BPF_ANSWER, answer);
	for (size_t i = 0; i < count; i++) /* what does not fit goes on behind the answer */
		writer->filter[tests[i]].if_false = (uint8_t)(writer->size - tests[i] - 1);
}

/* All rules of a call, behind one look at its number: the kernel follows the filter for every call that there is before
 * it installs it. Not if that call had its turn. */
static void add_call(struct writer *writer, size_t first, int what)
{
	for (size_t i = 0; i < first; i++)
		if (rules[i].call == rules[first].call && is_in_force(&rules[i], what))
			return;
	add(writer, BPF_IF_EQUAL, (uint32_t)rules[first].call)->if_true = 1;
	struct bpf_instruction *over = add(writer, BPF_SKIP, 0);
	size_t begin = writer->size;
	bool is_told = (what & EXITPIN_ASKS) && rules[first].call != SYS_clone3; /* that is asked for each thread */

	for (size_t i = first; i < RULES; i++)
		if (rules[i].call == rules[first].call && is_in_force(&rules[i], what))
			add_rule(writer, &rules[i], is_refusal(&rules[i]) && is_told ? SECCOMP_ASK : rules[i].answer);
	add(writer, BPF_ANSWER, SECCOMP_PASS);
	over->operand = (uint32_t)(writer->size - begin);
}

size_t exitpin_make_filter(int what, struct bpf_instruction filter[FILTER_MAX])
{
	struct writer writer = {.filter = filter};

	if (!IS_LEFT_OUT("machine")) { /* calls of other machines have other numbers: int 0x80, and x32 */
		add(&writer, BPF_LOAD, offsetof(struct seccomp_call, machine));
		add(&writer, BPF_IF_EQUAL, (uint32_t)MACHINE)->if_true = 1;
		add(&writer, BPF_ANSWER, SECCOMP_KILL);
	}
	add(&writer, BPF_LOAD, offsetof(struct seccomp_call, number));
#ifdef __x86_64__
	if (!IS_LEFT_OUT("machine")) {
		add(&writer, BPF_IF_AT_LEAST, X32_BIT)->if_false = 1;
		add(&writer, BPF_ANSWER, ERROR(ENOSYS));
	}
#endif
	for (size_t i = 0; i < RULES; i++)
		if (is_in_force(&rules[i], what))
			add_call(&writer, i, what);
	add(&writer, BPF_ANSWER, SECCOMP_PASS);
	return writer.size;
}

static bool fits(const struct rule *rule, int number, const uint64_t arguments[6])
{
	if (rule->call != number)
		return false;
	for (int i = 0; i < TESTS_MAX && rule->tests[i].mask != 0; i++) {
		const struct test *test = &rule->tests[i];

		if ((uint32_t)(arguments[test->argument] & (uint32_t)test->mask) != (uint32_t)test->value)
			return false;
	}
	return true;
}

int exitpin_call_error(int number, const uint64_t arguments[6], int what, const char **defence)
{
	for (size_t i = 0; i < RULES; i++) {
		if (!is_in_force(&rules[i], what) || !fits(&rules[i], number, arguments))
			continue;
		*defence = rules[i].defence;
		return is_refusal(&rules[i]) ? (int)(rules[i].answer & 0xffffU) : 0;
	}
	*defence = "";
	return 0;
}
