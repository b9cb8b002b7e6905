/* Within a session anybody may join any process group, and what the kernel sends one for the terminal (SIGTTOU, when one
 * of it writes there in the background) stops it whole, with exitpin and the script that has called it: nobody's right to
 * send it is asked for. A tool in a session of its own finds none of these. */
#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../kernel_abi.h"
#include "launch.h"

enum { GROUPS_MAX = 32, ELSE = 5 /* instructions beside two for each group */ };

/* Of the launcher, and of who has started it, and so on: the nearest, each once for those that follow each other. Those of
 * another PID namespace have no number here. */
static size_t find_groups(uint32_t groups[GROUPS_MAX])
{
	size_t count = 0;

	for (pid_t pid = getppid(); pid > 0 && getsid(pid) == getsid(0) && count < GROUPS_MAX; pid = parent_of(pid)) {
		pid_t group = getpgid(pid);

		if (group > 0 && (count == 0 || groups[count - 1] != (uint32_t)group))
			groups[count++] = (uint32_t)group;
	}
	return count;
}

bool keep_from_groups(void)
{
	const uint32_t group_asked_for = offsetof(struct seccomp_call, arguments) + sizeof(uint64_t); /* its low word */
	struct bpf_instruction filter[ELSE + 2 * GROUPS_MAX] = {
		{BPF_LOAD, 0, 0, offsetof(struct seccomp_call, number)},
		{BPF_IF_EQUAL, 1, 0, SYS_setpgid},
		{BPF_ANSWER, 0, 0, SECCOMP_PASS},
		{BPF_LOAD, 0, 0, group_asked_for},
	};
	uint32_t groups[GROUPS_MAX];
	size_t count = find_groups(groups);
	struct bpf_instruction *next = filter + ELSE - 1;

	for (size_t i = 0; i < count; i++) {
		*next++ = (struct bpf_instruction){BPF_IF_EQUAL, 0, 1, groups[i]};
		*next++ = (struct bpf_instruction){BPF_ANSWER, 0, 0, SECCOMP_ERROR | EPERM};
	}
	*next++ = (struct bpf_instruction){BPF_ANSWER, 0, 0, SECCOMP_PASS};
	const struct bpf_program program = {(unsigned short)(next - filter), filter};

	return count == 0 || syscall(SYS_seccomp, SECCOMP_FILTER, 0, &program) == 0;
}
