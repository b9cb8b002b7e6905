/* denies SYSCALL=ERRNO... COMMAND ARGUMENT...: runs COMMAND where the kernel refuses those system calls. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "probe.h"

static const struct {
	const char *name;
	int number;
} calls[] = {{"close_range=", SYS_close_range}, {"getdents64=", SYS_getdents64}};

static void deny(int number, int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		exit(78);
}

int main(int argc, char **argv)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	for (; argc > 1; argc--, argv++) {
		const char *value = strchr(argv[1], '=');

		if (value == NULL)
			break;
		for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
			if (strncmp(argv[1], calls[i].name, strlen(calls[i].name)) == 0)
				deny(calls[i].number, atoi(value + 1));
	}
	execvp(argv[1], argv + 1);
	return 79;
}
