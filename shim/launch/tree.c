/* Every descendant, also those that called setsid and forked twice: as a subreaper we stay an ancestor of all of them.
 *
 * A tool of the same user can take our right to open files from us (prlimit(2)), or use up the system's. Then nothing of
 * /proc can be read but the list that was opened before the tool was there, and we see our children alone: those are
 * killed, their children become ours, and so on until none is left. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch.h"

enum { TREE_MAX = 32768, TEXT_SIZE = 4096 };

static pid_t found[TREE_MAX];
static unsigned found_count, found_max;
static pid_t killed_group; /* the last one */
static bool is_killing, is_blind;
static DIR *all; /* /proc */

bool prepare_tree(void)
{
	return (all = opendir("/proc")) != NULL;
}

/* What is read of a process could not be: it is gone, or we may open nothing. */
static void note_unread(void)
{
	is_blind = is_blind || (errno != ENOENT && errno != ESRCH && errno != EACCES);
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		note_unread();
	return fd;
}

static ssize_t read_file(const char *path, char *text, size_t size)
{
	int fd = open_file(path);

	if (fd < 0)
		return -1;
	size_t length = 0;
	ssize_t more;

	while (length < size - 1 && (more = read(fd, text + length, size - 1 - length)) > 0)
		length += (size_t)more;
	close(fd);
	text[length] = '\0';
	return (ssize_t)length;
}

pid_t parent_of(pid_t pid)
{
	char path[32], text[512];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (read_file(path, text, sizeof(text)) <= 0)
		return -1;
	const char *name_end = strrchr(text, ')'); /* the name may hold anything */

	return name_end != NULL && strlen(name_end) > 4 ? (pid_t)strtol(name_end + 4, NULL, 10) : -1;
}

static bool is_found(pid_t pid)
{
	for (unsigned i = 0; i < found_count; i++)
		if (found[i] == pid)
			return true;
	return pid == getpid();
}

/* Without a file to open: the kernel waits for children only. */
static bool is_child(pid_t pid)
{
	siginfo_t unused;

	return waitid(P_PID, (id_t)pid, &unused, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* Whose pid it was may have ended since it was found, and somebody outside have it now. That can't be of those whose
 * parent we have killed: they are reaped by us. */
static bool is_still_ours(pid_t pid)
{
	return is_child(pid) || is_found(parent_of(pid));
}

/* With its group: the kernel kills that at once, however fast it forks; whoever is found next is most often of the same
 * one, and none of that is left that could fork. In a session other than ours there is no group but those of the tree. */
static void kill_with_group(pid_t pid)
{
	pid_t group = getpgid(pid), session = getsid(pid);

	if (group > 1 && group != killed_group && session > 0 && session != getsid(0)) {
		kill(-group, SIGKILL);
		killed_group = group;
	}
	kill(pid, SIGKILL);
}

static void add(pid_t pid)
{
	for (unsigned i = 0; i < found_count; i++)
		if (found[i] == pid)
			return;
	if (pid <= 0 || found_count >= found_max || (is_killing && !is_still_ours(pid)))
		return;
	found[found_count++] = pid;
	if (is_killing) /* as soon as it is found: what forks all the time is never found to its end */
		kill_with_group(pid);
}

/* False: the kernel has no such file. A list of any size, by pieces; a blank ends each number. */
static bool add_children_of_thread(pid_t pid, const char *thread)
{
	char path[64], text[TEXT_SIZE];

	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/children", pid, thread);
	int fd = open_file(path);

	if (fd < 0)
		return errno != ENOENT || kill(pid, 0) != 0;
	pid_t child = 0;
	ssize_t size;

	while ((size = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < size; i++)
			if (text[i] != ' ') {
				child = child * 10 + (text[i] - '0');
			} else {
				add(child);
				child = 0;
			}
	if (size < 0)
		note_unread();
	close(fd);
	return true;
}

static bool add_children(pid_t pid)
{
	char path[32];
	bool is_known = true;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *threads = opendir(path);

	if (threads == NULL) {
		note_unread();
		return true;
	}
	for (struct dirent *entry; (entry = readdir(threads)) != NULL;)
		if (entry->d_name[0] != '.')
			is_known = add_children_of_thread(pid, entry->d_name) && is_known;
	closedir(threads);
	return is_known;
}

static pid_t next_process(void)
{
	struct dirent *entry;

	while ((entry = readdir(all)) != NULL)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			return (pid_t)atoi(entry->d_name);
	return 0;
}

/* For kernels without CONFIG_PROC_CHILDREN: all of /proc, until a pass finds nothing new. */
static void scan_all(void)
{
	for (unsigned before = found_count + 1; before != found_count;) {
		before = found_count;
		rewinddir(all);
		for (pid_t pid; (pid = next_process()) > 0;)
			if (is_found(parent_of(pid)))
				add(pid);
	}
}

static void add_own_children(void)
{
	rewinddir(all);
	for (pid_t pid; (pid = next_process()) > 0;)
		if (is_child(pid))
			add(pid);
}

/* As far as whoever lowered it has left us room. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void look(void)
{
	is_blind = false;
	bool is_known = add_children(getpid());

	for (unsigned i = 0; i < found_count; i++)
		is_known = add_children(found[i]) && is_known;
	if (!is_known)
		scan_all();
}

static void find(unsigned max, bool kills)
{
	found_count = 0;
	killed_group = 0;
	found_max = max < TREE_MAX ? max : TREE_MAX;
	is_killing = kills;
	look();
	if (is_blind) {
		raise_file_limit();
		look();
	}
	if (is_blind)
		add_own_children();
}

/* Nobody but a tool that has something to hide keeps us from counting, or has more than we can: then there are too
 * many. */
unsigned count_descendants(unsigned max)
{
	find(max, false);
	return is_blind || found_count == TREE_MAX ? max : found_count;
}

static void signal_found(int signo)
{
	for (unsigned i = 0; i < found_count; i++)
		if (is_still_ours(found[i]))
			kill(found[i], signo);
}

unsigned signal_descendants(int signo)
{
	find(TREE_MAX, signo == SIGKILL);
	if (signo == SIGKILL)
		return found_count;
	signal_found(signo);
	signal_found(SIGCONT);
	return found_count;
}
