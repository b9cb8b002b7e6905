/* Programs that go to the aim by themselves: plain.c in its builds. */
#ifndef EXITPIN_LEAKS_COMMAND_H
#define EXITPIN_LEAKS_COMMAND_H

#include "vector.h"

/* The words of a program that goes to the aim: `plain NUMBER PORT`. */
struct words {
	char path[256];
	char *list[4];
};

/* False if this build is not there. */
bool plain(const struct aim *aim, const char *name, struct words *words);
/* An exec that came back. */
int failed(const char *call);
int spawned(const struct aim *aim, const char *name, char *const envp[]);

#endif
