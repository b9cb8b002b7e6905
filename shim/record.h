/* The records of wire.h and the shim's configuration: written and checked. Pure. */
#ifndef EXITPIN_RECORD_H
#define EXITPIN_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "wire.h"

enum { EXITPIN_SOCKET_PATH_SIZE = 108 };

struct exitpin_config {
	bool is_supervised; /* a supervisor makes every connect: programs without hooks may be executed */
	uint8_t nonce[EXITPIN_NONCE_SIZE];
	struct exitpin_endpoint source; /* the run's own IPv4 address; port 0 */
	char socket_path[EXITPIN_SOCKET_PATH_SIZE];
};

/* Reads `1:<nonce, 32 hex digits>:<run address a.b.c.d>:<path of the report socket>`; `2` where the run is supervised.
 * False: anything else. */
bool exitpin_config_parse(const char *text, size_t size, struct exitpin_config *config);

/* Whether size bytes at answer, its name after it, are one whole answer to a report with the given op. */
bool exitpin_answer_is_valid(const struct exitpin_answer *answer, size_t size, int op);

#endif
