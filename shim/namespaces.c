#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel_abi.h"
#include "namespaces.h"

#define GROUPS "/sys/fs/cgroup"
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool is_done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return is_done;
}

/* Who is not root may mount in a user namespace of his own only; there he stays who he is. */
static bool enter_user_namespace(int flags)
{
	char users[32], groups[32];

	snprintf(users, sizeof(users), "%u %u 1", geteuid(), geteuid());
	snprintf(groups, sizeof(groups), "%u %u 1", getegid(), getegid());
	return unshare(CLONE_NEWUSER | flags) == 0 && write_file("/proc/self/setgroups", "deny") &&
	       write_file("/proc/self/uid_map", users) && write_file("/proc/self/gid_map", groups);
}

/* Who may write there can stop and kill any process of a group that is his, ours among them, and no signal is asked for. */
static bool hold_groups(void)
{
	const struct mount_attributes read_only = {.set = MOUNT_READ_ONLY};
	bool is_there = mount(GROUPS, GROUPS, NULL, MS_BIND | MS_REC, NULL) == 0;

	if (!is_there)
		return errno == ENOENT || errno == ENOTDIR;
	return syscall(MOUNT_SETATTR, AT_FDCWD, GROUPS, AT_RECURSIVE, &read_only, sizeof(read_only)) == 0;
}

bool exitpin_own_namespaces(int flags)
{
	return (unshare(flags | CLONE_NEWNS) == 0 || enter_user_namespace(flags | CLONE_NEWNS)) &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && hold_groups();
}
