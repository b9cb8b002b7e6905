#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "landlock.h"
#include "rules.h"

int exitpin_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_ASK_VERSION);

	return abi > 0 ? (int)abi : 0;
}

/* No TCP connect at all: the orchestrator connects the tool's sockets. Bind to a free port and no other. No abstract Unix
 * socket and no signal to whatever is outside. A ruleset, or -1 and errno; so below. */
static int network_rules(int abi)
{
	const struct landlock_ruleset rules = {.network = LANDLOCK_BIND_TCP | LANDLOCK_CONNECT_TCP,
					       .scopes = LANDLOCK_ABSTRACT_SOCKETS | LANDLOCK_SIGNALS};
	const struct landlock_port_rule free_port = {.rights = LANDLOCK_BIND_TCP, .port = 0};
	const size_t size = abi >= LANDLOCK_WITH_SCOPES ? sizeof(rules) : offsetof(struct landlock_ruleset, scopes);
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);

	if (ruleset < 0 || syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_PORT, &free_port, 0) == 0)
		return ruleset;
	int error = errno;

	close(ruleset);
	errno = error;
	return -1;
}

/* A kernel that has no rules for networks knows those for files. Whatever they are, whoever has some may not trace who has
 * not: so no block device can be made, which no tool could. Files can be moved anywhere, which wants a rule that says so. */
static int file_rules(void)
{
	const struct landlock_ruleset rules = {.files = LANDLOCK_MAKE_BLOCK | LANDLOCK_REFER};
	struct landlock_path_rule anywhere = {.rights = LANDLOCK_REFER, .parent = open("/", O_PATH | O_CLOEXEC)};
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, offsetof(struct landlock_ruleset, network), 0);
	bool is_added = ruleset >= 0 && syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_BELOW, &anywhere, 0) == 0;
	int error = errno;

	if (anywhere.parent >= 0)
		close(anywhere.parent);
	if (ruleset >= 0 && !is_added)
		close(ruleset);
	errno = error;
	return is_added ? ruleset : -1;
}

bool exitpin_landlock(bool with_network)
{
	const int abi = exitpin_landlock_abi();
	const bool has_network = abi >= LANDLOCK_WITH_NETWORK && !IS_LEFT_OUT("network-rules");

	if (abi < LANDLOCK_WITH_REFER || (with_network && !has_network)) {
		errno = EOPNOTSUPP;
		return false;
	}
	int ruleset = has_network ? network_rules(abi) : file_rules();

	if (ruleset < 0)
		return false;
	bool is_done = syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	int error = errno;

	close(ruleset);
	errno = error;
	return is_done;
}

static const uint64_t of_a_file = LANDLOCK_WRITE_FILE | LANDLOCK_TRUNCATE;
static const uint64_t of_a_folder = LANDLOCK_WRITE_FILE | LANDLOCK_TRUNCATE | LANDLOCK_REMOVE_DIR |
				    LANDLOCK_REMOVE_FILE | LANDLOCK_MAKE_CHAR | LANDLOCK_MAKE_DIR | LANDLOCK_MAKE_REG |
				    LANDLOCK_MAKE_SOCK | LANDLOCK_MAKE_FIFO | LANDLOCK_MAKE_BLOCK | LANDLOCK_MAKE_SYM |
				    LANDLOCK_REFER;

static bool may_write_at(int ruleset, int file)
{
	struct landlock_path_rule rule = {.parent = file};
	struct stat status;

	if (fstat(file, &status) != 0)
		return false;
	rule.rights = S_ISDIR(status.st_mode) ? of_a_folder : of_a_file;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_BELOW, &rule, 0) == 0;
}

static bool may_write(int ruleset, const char *path, uint64_t resolve)
{
	const struct path_opening how = {.flags = O_PATH | O_CLOEXEC, .resolve = resolve};
	int file = (int)syscall(OPENAT2, AT_FDCWD, path, &how, sizeof(how));

	if (file < 0)
		return false;
	bool is_added = may_write_at(ruleset, file);
	int error = errno;

	close(file);
	errno = error;
	return is_added;
}

/* What is written to them is kept by nobody, or is what the caller sees. One that is not there is in nobody's way. */
static void may_write_devices(int ruleset)
{
	static const char *const devices[] = {"/dev/null",    "/dev/zero", "/dev/full", "/dev/random",
					      "/dev/urandom", "/dev/tty",  "/dev/ptmx", "/dev/pts"};

	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
		may_write(ruleset, devices[i], 0);
}

/* Opened once more, by /dev/stdout. A pipe or a socket is no file of a folder, and wants no rule. */
static void may_write_output(int ruleset)
{
	for (int fd = 1; fd <= 2; fd++) {
		int flags = fcntl(fd, F_GETFL);

		if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY)
			may_write_at(ruleset, fd);
	}
}

bool exitpin_landlock_read_only(const char *const *writable, size_t count)
{
	const struct landlock_ruleset rules = {.files = of_a_folder};

	if (exitpin_landlock_abi() < LANDLOCK_WITH_TRUNCATE) {
		errno = EOPNOTSUPP;
		return false;
	}
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, offsetof(struct landlock_ruleset, network), 0);

	if (ruleset < 0)
		return false;
	may_write_devices(ruleset);
	may_write_output(ruleset);
	/* Where one lies below another, an earlier run may have put what it likes in its place, or above it: without a
	 * link all of that lies in the other. */
	const uint64_t resolve = IS_LEFT_OUT("links") ? 0 : WITHOUT_LINKS;
	bool is_done = true;

	for (size_t i = 0; is_done && i < count; i++)
		is_done = may_write(ruleset, writable[i], resolve);
	is_done = is_done && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	int error = errno;

	close(ruleset);
	errno = error;
	return is_done;
}
