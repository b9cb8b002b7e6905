/* What the kernel refuses a tool, whatever the hooks miss: calls by their registers (seccomp, rules.c), TCP and whatever
 * is outside the run (Landlock), files if that is wanted, and what only root may do (capabilities). None of it can be
 * taken off again, and all is inherited. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../landlock.h"
#include "../rules.h"
#include "launch.h"

/* With them root could make packets or routes by other means than sockets, reach into other processes or the kernel's files,
 * or set the clock. */
static const int capabilities[] = {
	2,  /* CAP_DAC_READ_SEARCH */
	12, /* CAP_NET_ADMIN */
	13, /* CAP_NET_RAW */
	16, /* CAP_SYS_MODULE */
	17, /* CAP_SYS_RAWIO */
	19, /* CAP_SYS_PTRACE */
	20, /* CAP_SYS_PACCT: acct(2) writes files */
	21, /* CAP_SYS_ADMIN */
	22, /* CAP_SYS_BOOT */
	23, /* CAP_SYS_NICE */
	25, /* CAP_SYS_TIME: what is seen has a time */
	26, /* CAP_SYS_TTY_CONFIG: vhangup(2) ends the caller's terminal */
	27, /* CAP_MKNOD */
	38, /* CAP_PERFMON */
	39, /* CAP_BPF */
	40, /* CAP_CHECKPOINT_RESTORE */
};

/* From the bounding set, where we may (CAP_SETPCAP), for what user namespaces give; and from our own: with no-new-privileges
 * no exec gives back what we let go of, be it for root, from a file or as an ambient one, which goes with its inheritable. */
static bool drop_capabilities(void)
{
	struct capability_header header = {.version = CAPABILITY_VERSION};
	struct capability_set sets[CAPABILITY_SETS] = {{0}};

	if (syscall(SYS_capget, &header, sets) != 0)
		return false;
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		struct capability_set *set = &sets[capabilities[i] / 32];
		const uint32_t kept = ~(1U << capabilities[i] % 32);
		int has = prctl(PR_CAPBSET_READ, capabilities[i], 0, 0, 0);

		if (has > 0 && prctl(PR_CAPBSET_DROP, capabilities[i], 0, 0, 0) != 0 && errno != EPERM)
			return false;
		set->effective &= kept;
		set->permitted &= kept;
		set->inheritable &= kept;
	}
	return syscall(SYS_capset, &header, sets) == 0;
}

/* Whoever asks a supervisor gives it the other end first: no call is made by the tool before. */
static bool install_filter(const struct request *request)
{
	static struct bpf_instruction filter[FILTER_MAX];
	int what = (request->notify ? EXITPIN_ASKS : 0) | (request->may_listen ? EXITPIN_MAY_LISTEN : 0) |
		   (request->apart ? EXITPIN_APART : 0);
	const struct bpf_program program = {(unsigned short)exitpin_make_filter(what, filter), filter};
	const unsigned flags = request->notify ? SECCOMP_NEW_LISTENER | SECCOMP_WAIT_KILLABLE : 0;
	long listener = syscall(SYS_seccomp, SECCOMP_FILTER, flags, &program);

	if (listener < 0 || !request->notify)
		return listener == 0;
	/* Who asks sleeps until it is answered: whoever takes the call may have its processor, and gives it back. Before
	 * Linux 6.6 it is another one that has to be woken. */
	ioctl((int)listener, SECCOMP_NOTICE_SET_FLAGS, SECCOMP_WAKE_HERE);
	bool is_told = notify_calls(request->control, (int)listener);

	close((int)listener);
	return is_told;
}

bool guard(const struct request *request)
{
	if (!IS_LEFT_OUT("capabilities") && !drop_capabilities())
		return false;
	if (!IS_LEFT_OUT("landlock") && !exitpin_landlock(request->guard) && (request->guard || request->alone))
		return false;
	if (request->read_only && !IS_LEFT_OUT("read-only") &&
	    !exitpin_landlock_read_only(request->writable, request->writable_count))
		return false;
	return install_filter(request) && (IS_LEFT_OUT("groups") || keep_from_groups());
}
