/* The command `exitpin`. Where a daemon has tor, circuits and all of Python loaded, this takes a lease of it and becomes
 * the parent of the tool's launcher; everything else it leaves to Python. */
#ifndef EXITPIN_CLIENT_H
#define EXITPIN_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

#include "../wire.h"

enum { EXIT_FAILED = 125, EXIT_NO_PYTHON = 127, PACKET_FDS = 5 };

/* find.c: where the daemon would listen that a command line means, or that EXITPIN_DAEMON names. False: none is meant. Whoever
 * reads a command line as a whole is the daemon: it declines what was misread here. */
struct search {
	struct sockaddr_un address;
	bool is_lab, is_named;
};
bool find_daemon(char **arguments, struct search *search);

/* enter.c: a connection to the daemon, and where that is: which namespaces of its own it has, as flags of setns(2). -1: no
 * daemon of ours answers, or it is not where we can go. */
struct place {
	pid_t daemon;
	int namespaces;
};
int reach_daemon(const struct search *search, struct place *place);

/* Makes the root of the run's tree: a child of ours without other children, whatever we inherited by exec, in the daemon's
 * namespaces. Returns in it; the parent attends to it and ends as it does. False: they can't be entered, and nothing has
 * changed. */
bool go_there(const struct place *place);

/* packet.c */
struct packet {
	struct exitpin_lease lease;
	int fds[PACKET_FDS]; /* -1 where there is none */
};
bool send_packet(int connection, const struct exitpin_lease *lease, int fd);

/* False: the daemon is gone, or does not speak our language. */
bool receive_packet(int connection, struct packet *packet);

/* All of a file of the daemon's, with a NUL at its end; NULL: it can't be read. */
char *read_whole(int file, size_t *size);
bool write_whole(int fd, const char *text, size_t size);

/* enter.c: ends as who was killed by this signal, so that a shell ends its loop for a Ctrl-C. */
_Noreturn void end_by(int signo);

/* lease.c: asks and does what the answer says; never returns then. Returns when the daemon declines. */
void take_lease(int connection, const struct place *place, char **arguments);

/* launch.c: the launcher of the grant, as our child; -1 and errno. */
pid_t start_launcher(const struct packet *grant, char *strings, size_t size);

/* terminal.c: remembers the controlling terminal if we are in the foreground of it; and takes it back if whoever had it
 * is gone, so that the caller's shell gets it from us. */
void remember_terminal(void);
void take_back_terminal(void);

/* ../launch/terminal.c, tree.c */
int own_terminal(void);
bool prepare_tree(void);
unsigned signal_descendants(int signo);

#endif
