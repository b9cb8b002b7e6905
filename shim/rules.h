/* Which system calls a tool may make, as an ordered table: the first rule that fits decides. */
#ifndef EXITPIN_RULES_H
#define EXITPIN_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel_abi.h"

/* That each defence is needed is shown by launchers that are built without it. */
#ifdef EXITPIN_WITHOUT
#define IS_LEFT_OUT(name) (strcmp(name, EXITPIN_WITHOUT) == 0)
#else
#define IS_LEFT_OUT(name) false
#endif

enum { FILTER_MAX = 1024 };

/* Writes the filter. Returns how many instructions, at most FILTER_MAX. */
size_t make_filter(bool may_listen, struct bpf_instruction filter[FILTER_MAX]);

#endif
