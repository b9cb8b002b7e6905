/* What the kernel refuses a tool, whatever the hooks miss: calls by their registers (seccomp, rules.c), TCP and whatever
 * is outside the run (Landlock), and what only root may do (capabilities). None of it can be taken off again, and all is
 * inherited. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../rules.h"
#include "launch.h"

/* With them root could make packets or routes by other means than sockets, or reach into other processes. */
static const int capabilities[] = {
	12, /* CAP_NET_ADMIN */
	13, /* CAP_NET_RAW */
	16, /* CAP_SYS_MODULE */
	17, /* CAP_SYS_RAWIO */
	19, /* CAP_SYS_PTRACE */
	21, /* CAP_SYS_ADMIN */
	39, /* CAP_BPF */
};

static bool drop_capabilities(void)
{
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		int has = prctl(PR_CAPBSET_READ, capabilities[i], 0, 0, 0);

		/* EINVAL: the kernel has no such capability; EPERM: we could not use it either */
		if (has > 0 && prctl(PR_CAPBSET_DROP, capabilities[i], 0, 0, 0) != 0 && errno != EPERM)
			return false;
	}
	return true;
}

/* No TCP connect at all: the orchestrator connects the tool's sockets. Bind to a free port and no other. No abstract Unix
 * socket, no signal and no ptrace to whatever is outside. */
static bool restrict_network(void)
{
	struct landlock_ruleset rules = {.network = LANDLOCK_BIND_TCP | LANDLOCK_CONNECT_TCP};
	const struct landlock_port_rule free_port = {.rights = LANDLOCK_BIND_TCP, .port = 0};
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_ASK_VERSION);
	size_t size = sizeof(rules);

	if (abi < LANDLOCK_WITH_NETWORK) {
		errno = abi < 0 ? errno : EOPNOTSUPP;
		return false;
	}
	if (abi >= LANDLOCK_WITH_SCOPES)
		rules.scopes = LANDLOCK_ABSTRACT_SOCKETS | LANDLOCK_SIGNALS;
	else
		size = offsetof(struct landlock_ruleset, scopes);
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);

	if (ruleset < 0)
		return false;
	bool is_done = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_PORT, &free_port, 0) == 0 &&
		       syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	int error = errno;

	close(ruleset);
	errno = error;
	return is_done;
}

static bool install_filter(bool may_listen)
{
	static struct bpf_instruction filter[FILTER_MAX];
	size_t size = make_filter(may_listen, filter);
	const struct bpf_program program = {(unsigned short)size, filter};

	return syscall(SYS_seccomp, SECCOMP_FILTER, 0, &program) == 0;
}

bool guard(const struct request *request)
{
	return (IS_LEFT_OUT("capabilities") || drop_capabilities()) && (IS_LEFT_OUT("landlock") || restrict_network()) &&
	       install_filter(request->may_listen);
}
