/* What the exec hooks share. */
#ifndef EXITPIN_EXEC_H
#define EXITPIN_EXEC_H

#include <stdbool.h>
#include <stddef.h>

enum { EXITPIN_PRELOAD_MAX = 8192 };

/* environment.c: an environment in which the shim is loaded, on its user's stack. */

/* How many pointers exitpin_environment needs, at most. */
size_t exitpin_environment_size(char *const envp[]);

/* How many bytes of text it needs, at least 1: stacks may be small. EXITPIN_PRELOAD_MAX are too many. */
size_t exitpin_environment_text(char *const envp[]);

/* Fills pinned with envp and our two entries; other libraries that envp preloads stay, after ours. is_bare: no library
 * at all. False: no configuration, or no room in text. Points into envp and text. */
bool exitpin_environment(char *const envp[], char *pinned[], char *text, size_t text_size, bool is_bare);

/* exec.c */

/* 0; EXITPIN_BARE: a program that would choke on our library, and that a supervisor pins without it; or minus EACCES
 * with a note: the shim can't be loaded into this program. */
enum { EXITPIN_BARE = 1 };
long exitpin_check_exec(int directory, const char *path, int flags);

/* As execvp(3) searches PATH, trying each candidate; minus an errno. */
long exitpin_search(const char *file, long (*attempt)(const char *path, void *context), void *context);

#endif
