/* What the hooks share. Nothing here uses the heap, locks, stdio or thread-local storage: a hook may run in a signal
 * handler, in a vfork child, or before any constructor. There are no tables of sockets or names: the kernel and the
 * orchestrator remember, so nothing can go stale after dup, close_range, fork or exec. */
#ifndef EXITPIN_PRELOAD_H
#define EXITPIN_PRELOAD_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "../address.h"
#include "../record.h"
#include "../steer.h"
#include "../sys.h"
#include "../text.h"

#define EXPORT __attribute__((visibility("default")))

/* config.c */

/* The run's configuration; NULL when the process has none or a bad one. */
const struct exitpin_config *exitpin_config(void);

/* `LD_PRELOAD=<this library>` and `EXITPIN_SHIM=...` as this process was started with; NULL when it was not. */
const char *exitpin_preload_entry(void);
const char *exitpin_shim_entry(void);

/* Writes why to stderr and ends the process, and no other: not the parent of a vfork child. */
_Noreturn void exitpin_refuse_to_run(const char *why);

/* report.c */

/* A report with magic, nonce, pid and tid filled in. False: no configuration, so nothing may pass. */
bool exitpin_report_begin(struct exitpin_report *report, int op);

struct exitpin_reply {
	struct exitpin_answer answer;
	char name[EXITPIN_NAME_MAX + 1];
};

/* Sends the report, with name unless NULL and passed_fd unless -1, and waits for the answer, whatever signals come.
 * False: the orchestrator is gone or answered oddly, or the machine has no room for the report, and the orchestrator
 * has been told so (by the same report, which is DENIED then). Where there is no room for that, the process ends. */
bool exitpin_exchange(struct exitpin_report *report, const char *name, int passed_fd, struct exitpin_reply *reply);

/* Notes a refusal. Never waits: a note that can't be sent at once is lost. destination and name may be NULL. */
void exitpin_deny(int reason, const struct exitpin_endpoint *destination, const char *name);

/* The same about a socket of some family, and about a sockaddr, as far as they can be told. */
void exitpin_deny_family(int reason, int family);
void exitpin_deny_address(int reason, const void *address, socklen_t size);

/* Whether the kernel asks a supervisor about this kind of socket, who knows more than hooks do: then they keep out of it. */
bool exitpin_is_left_to_supervisor(const struct exitpin_kind *kind);

/* unix.c */

/* 0, or the errno with which this Unix socket can't be reached: by a run only its own, and those that it was given. */
int exitpin_unix_error(const struct sockaddr *address, socklen_t size);

/* entries of an environment */

static inline bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* results */

static inline int fail(int error)
{
	errno = error;
	return -1;
}

static inline long result(long value)
{
	if (value >= 0)
		return value;
	errno = (int)-value;
	return -1;
}

#endif
