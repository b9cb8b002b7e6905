/* A text file, line by line, on a small stack: threads of resolvers have little. */
#include "names.h"
#include "preload.h"

enum { BUFFER_SIZE = 4096 }; /* a longer line is skipped */

struct window {
	char buffer[BUFFER_SIZE];
	size_t length;
	bool is_skipping; /* the rest of a line that did not fit */
};

/* The whole lines of the window; what follows them moves to its start. */
static bool read_lines(struct window *window, exitpin_line_reader *found, void *context)
{
	char *start = window->buffer, *end;
	bool is_found = false;

	while (!is_found && (end = memchr(start, '\n', window->length)) != NULL) {
		is_found = !window->is_skipping && found(start, (size_t)(end - start), context);
		window->is_skipping = false;
		window->length -= (size_t)(end + 1 - start);
		start = end + 1;
	}
	if (window->length == BUFFER_SIZE)
		window->is_skipping = true, window->length = 0;
	memmove(window->buffer, start, window->length);
	return is_found;
}

bool exitpin_find_line(const char *path, exitpin_line_reader *found, void *context)
{
	struct window window;
	bool is_found = false;
	long more, fd = sys_open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	window.length = 0;
	window.is_skipping = false;
	while (!is_found) {
		more = sys_read((int)fd, window.buffer + window.length, BUFFER_SIZE - window.length);
		if (more == -EINTR)
			continue;
		if (more <= 0)
			break;
		window.length += (size_t)more;
		is_found = read_lines(&window, found, context);
	}
	sys_close((int)fd);
	return is_found || (window.length > 0 && !window.is_skipping && found(window.buffer, window.length, context));
}
