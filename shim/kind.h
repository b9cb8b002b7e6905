/* What a socket is, and whether a run may have one of this kind. */
#ifndef EXITPIN_KIND_H
#define EXITPIN_KIND_H

#include <stdbool.h>

#include "wire.h"

struct exitpin_kind {
	int domain, type, protocol;
};

/* Asked of the kernel every time. 0, or minus EBADF or ENOTSOCK. */
long exitpin_kind_of(int fd, struct exitpin_kind *kind);
bool exitpin_is_inet(const struct exitpin_kind *kind);
bool exitpin_is_tcp(const struct exitpin_kind *kind);

/* Which reason refuses a socket of this kind; NONE: it may exist. */
int exitpin_kind_reason(const struct exitpin_kind *kind);

#endif
