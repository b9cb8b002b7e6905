/* Whether the shim can be loaded into a program, told from its file: what the kernel and ld.so would do with it. */
#ifndef EXITPIN_PROGRAM_H
#define EXITPIN_PROGRAM_H

#include "wire.h"

/* The file at path, relative to directory as in execveat(2) (with AT_EMPTY_PATH and an empty path: directory itself),
 * and what interprets it: EXITPIN_REASON_NONE, STATIC, FOREIGN or SETUID. A file that can't be read is FOREIGN, whatever
 * the reason: what can't be looked at can't be trusted. One that is not there is NONE: the kernel will say so.
 * Raw system calls only. */
int exitpin_program_check(int directory, const char *path, int flags);

#endif
