/* The launcher: parent of a run. main.c reads the command line and runs the parts in order; nothing is shared but this. */
#ifndef EXITPIN_LAUNCH_H
#define EXITPIN_LAUNCH_H

#include <poll.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "../wire.h"

enum limit { LIMIT_CPU, LIMIT_MEMORY, LIMIT_FILE, LIMIT_CORE, LIMIT_OPEN_FILES, LIMIT_PROCESSES, LIMIT_COUNT };

/* Those that are set: seconds of CPU and bytes of address space, of each file and of a core, and open files (which a tool
 * may raise again), each for one process; and processes of the whole tree at a time. */
struct limits {
	bool is_set[LIMIT_COUNT];
	int64_t values[LIMIT_COUNT];
};

enum { HIDDEN_MAX = EXITPIN_HIDDEN_MAX + EXITPIN_CLOSED_MAX, GIVEN_MAX = 512, WRITABLE_MAX = 128 };

struct request {
	int control;
	const char *preload;
	const char *shim;
	const char *directory;
	struct limits limits;
	bool foreground;
	bool keep_files;
	bool guard;
	bool notify;
	bool alone; /* other processes are out of reach, even where the kernel has no guard */
	bool apart;
	bool own_mounts;
	bool read_only; /* but for what is writable */
	bool may_listen;
	bool is_bare; /* a program whose C library would choke on the preload library */
	const char *hidden[HIDDEN_MAX];
	unsigned hidden_count;
	const char *given[GIVEN_MAX]; /* Unix sockets of others that the tool may reach */
	unsigned given_count;
	const char *writable[WRITABLE_MAX];
	unsigned writable_count;
	char **command;
};

enum { EXIT_MISUSED = 100, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

/* control.c: records to the orchestrator. A notice that can't be sent is dropped: the end of the connection tells. */
void notify_started(int control, pid_t pid);
void notify_refused(int control, int reason, int error);
void notify_exited(int control, pid_t pid, int status, const struct rusage *usage);
void notify_crowded(int control);
bool notify_calls(int control, int listener);
void notify_ended(int control, unsigned swept);

/* 1: an order was read; 0: nothing to read or not an order; -1: the orchestrator is gone. */
int read_order(int control, struct exitpin_order *order);

/* descriptors.c: closes what a tool must not inherit; if it may only read, files that are open for writing, too. False:
 * descriptor 0, 1 or 2 is a socket to elsewhere (a network, or a daemon that was not given), or the kernel gives no way to
 * find the others. */
bool close_inherited(const struct request *request);

/* command.c: where execvp(3) would find name; NULL and errno, ENOENT or EACCES, of a path any of stat(2)'s. */
const char *find_command(const char *name, char *path, size_t size);

/* limits.c: reads one NAME=VALUE. False: it is none. */
bool limit_read(const char *text, struct limits *limits);

/* In the child, before exec; never above what was inherited. Over its CPU a tool gets SIGXCPU, a second later SIGKILL;
 * over its memory ENOMEM; over a file's size SIGXFSZ, or EFBIG when it ignores that. False and errno. */
bool limits_apply(const struct limits *limits);

/* hide.c: in the child, before the guard. False and errno: the kernel would not. */
bool hide(const struct request *request);

/* cover.c: closes off a socket or a named pipe. Since the list was made, whoever may write in the folder can have put
 * something else in its place: that is left as it is. False and errno. */
bool cover(const char *path);

/* Whether a path leads nowhere, as this errno says: not for the tool, either. */
bool is_gone(const char *path, int error);

/* Lays a device that can't be opened over what was opened with O_PATH, in our own mount namespace. True also of what has
 * no name any more. False and errno. */
bool close_off(int file);

/* queues.c: what shows message queues of others shows ours, in our own mount and IPC namespaces. False and errno. */
bool cover_queues(void);

/* taps.c: closes off the devices in /dev that carry frames past all sockets, in our own mount namespace. False and errno:
 * the kernel would not, or does not say which they are. */
bool cover_taps(void);

/* groups.c: from here on nobody joins a process group of those who have started us. False and errno. */
bool keep_from_groups(void);

/* guard.c: in the child, before exec. False and errno: the kernel can't, or would not. */
bool guard(const struct request *request);

/* terminal.c: the controlling terminal, if our group has it now; -1. */
int own_terminal(void);

/* Who reads the terminal. Without one, or in the background of it, these do nothing. */
void terminal_take(pid_t group);
void terminal_give_back(void);

/* Stops our own group, as the tool was by signo, so that the user's shell sees it; returns when continued, and the tool's
 * group has the terminal again if ours had it. Without a terminal nobody but the tool is stopped. */
void stop_with_the_tool(pid_t group, int signo);

/* front.c: leaves the process group of our caller; in the foreground returns in a child, and the parent ends as it does.
 * False and errno. */
bool leave_group(const struct request *request);

/* What is asked of the parent then, which has the terminal; without one these do nothing. */
void front_take_terminal(pid_t group);
void front_give_back_terminal(void);
void front_stop(pid_t group, int signo);

/* Whether the parent has died, which is what the orchestrator knows as its launcher. */
bool has_lost_front(void);

/* start.c: forks, tells STARTED and lets the child exec. The pid, or -1 and errno. Why the child does not come to be the
 * tool is written to the pipe failure; nothing is when it does. */
struct start_failure {
	int reason, error;
};
pid_t start_tool(const struct request *request, const char *path, int *failure);

/* tree.c: before the tool is there, for the day when no file can be opened any more. False and errno. */
bool prepare_tree(void);

/* By proc(5); -1: it can't be told. */
pid_t parent_of(pid_t pid);

/* Signals every descendant of this process; returns how many there were. SIGKILL goes to whole groups, so that
 * none is born meanwhile. */
unsigned signal_descendants(int signo);

/* How many descendants there are, and no more than max; max, where they can't be counted. */
unsigned count_descendants(unsigned max);

/* watch.c: until nothing of the tree is left. False: the child had failed, and a REFUSED said so. */
bool watch_tool(const struct request *request, pid_t tool, int failure);

/* wait.c: as poll(2), with the descriptor for signals first. That refuses to look at more descriptors than a tool of the same
 * user has left us (prlimit(2)), and without one for signals it would not wake: then below zero, after a moment. */
int wait_for(struct pollfd *ready, nfds_t count, int longest_ms);

#endif
