/* Which system calls a tool may make, as an ordered table: the first rule that fits decides. Pure. */
#ifndef EXITPIN_RULES_H
#define EXITPIN_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel_abi.h"

/* That a defence is needed is shown by a launcher that is built without it (tests/leaks/vectors.py, DEFENCES). */
#ifdef EXITPIN_WITHOUT
#define IS_LEFT_OUT(name) (strstr(EXITPIN_WITHOUT, name) != NULL)
#else
#define IS_LEFT_OUT(name) false
#endif

enum { FILTER_MAX = 2048 };

enum { EXITPIN_ASKS = 1, EXITPIN_MAY_LISTEN = 2, EXITPIN_APART = 4 };

/* Writes the filter. what: EXITPIN_ASKS, that a supervisor makes every connect and hears of what is refused;
 * EXITPIN_MAY_LISTEN, whatever listens where no supervisor is asked; EXITPIN_APART, that it makes TCP sockets, too,
 * which the tool's own network could not use. Returns how many instructions, at most FILTER_MAX. */
size_t exitpin_make_filter(int what, struct bpf_instruction filter[FILTER_MAX]);

/* The errno with which a call is refused, and by which defence; 0: it may pass, or the supervisor makes it. */
int exitpin_call_error(int number, const uint64_t arguments[6], int what, const char **defence);

#endif
