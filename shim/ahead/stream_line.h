/* `STREAM ...` of control-spec 4.1.2, as far as a stream is attached by it. Pure. */
#ifndef EXITPIN_AHEAD_STREAM_LINE_H
#define EXITPIN_AHEAD_STREAM_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../wire.h"

/* cdef: begin */

/* STREAM_WAITS: still on no circuit, as Tor says after NEW. STREAM_OTHER: whatever ends it, or is unknown. */
enum stream_status {
	STREAM_NEW,
	STREAM_WAITS,
	STREAM_SENT,
	STREAM_REMAPPED,
	STREAM_SUCCEEDED,
	STREAM_FLOWS,
	STREAM_OTHER,
};

/* source: family 0 where there is none; NEW is that of a user's connect alone; user: within the line, without
 * quotes. */
struct stream_line {
	uint64_t stream;
	uint32_t circuit;
	enum stream_status status;
	struct exitpin_endpoint source;
	const char *user;
	size_t user_size;
};

/* cdef: end */

/* False: not a line of control-spec, or one with an escape in it, or a number that is too big. */
bool exitpin_stream_line_parse(const char *text, size_t size, struct stream_line *line);

#endif
