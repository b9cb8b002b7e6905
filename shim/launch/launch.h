/* The launcher: parent of a run. main.c reads the command line and runs the parts in order; nothing is shared but this. */
#ifndef EXITPIN_LAUNCH_H
#define EXITPIN_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "../wire.h"

struct request {
	int control;
	const char *preload;
	const char *shim;
	bool foreground;
	bool keep_files;
	char **command;
};

enum { EXIT_MISUSED = 100, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

/* control.c: records to the orchestrator. A notice that can't be sent is dropped: the end of the connection tells. */
void notify_started(int control, pid_t pid);
void notify_refused(int control, int reason, int error);
void notify_exited(int control, pid_t pid, int status, const void *usage);
void notify_ended(int control, unsigned swept);

/* 1: an order was read; 0: nothing to read or not an order; -1: the orchestrator is gone. */
int read_order(int control, struct exitpin_order *order);

/* descriptors.c: closes what a tool must not inherit. False: descriptor 0, 1 or 2 is a socket to elsewhere, or the kernel
 * gives no way to find the others. */
bool close_inherited(int control, bool keep_files);

/* command.c: where execvp(3) would find name; NULL and errno ENOENT or EACCES. */
const char *find_command(const char *name, char *path, size_t size);

/* terminal.c: who reads the terminal. Without one, or in the background of it, these do nothing. */
void terminal_take(pid_t group);
void terminal_give_back(void);

/* Stops our own group with signo, as the tool was, so that the user's shell sees it; returns when continued, and the
 * tool's group has the terminal again if ours had it. */
void stop_with_the_tool(pid_t group, int signo);

/* start.c: forks, tells STARTED and lets the child exec. The pid, or -1 and errno. The errno of an exec that fails is
 * written to the pipe exec_error; nothing is when it succeeds. */
pid_t start_tool(const struct request *request, const char *path, int *exec_error);

/* tree.c: signals every descendant of this process; returns how many there were. */
unsigned signal_descendants(int signo);

/* watch.c: until nothing of the tree is left. False: exec had failed, and a REFUSED said so. */
bool watch_tool(const struct request *request, pid_t tool, int exec_error);

#endif
