/* A text file, line by line, on a small stack: threads of resolvers have little. */
#include "names.h"
#include "preload.h"

enum { BUFFER_SIZE = 4096 }; /* a longer line is skipped */

bool exitpin_find_line(const char *path, exitpin_line_reader *found, void *context)
{
	char buffer[BUFFER_SIZE];
	size_t length = 0;
	bool is_found = false, is_skipping = false;
	long fd = sys_open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	while (!is_found) {
		long more = sys_read((int)fd, buffer + length, sizeof(buffer) - length);

		if (more == -EINTR)
			continue;
		if (more <= 0)
			break;
		length += (size_t)more;
		char *start = buffer, *end;

		while (!is_found && (end = memchr(start, '\n', length)) != NULL) {
			is_found = !is_skipping && found(start, (size_t)(end - start), context);
			is_skipping = false;
			length -= (size_t)(end + 1 - start);
			start = end + 1;
		}
		if (length == sizeof(buffer))
			is_skipping = true, length = 0;
		memmove(buffer, start, length);
	}
	sys_close((int)fd);
	return is_found || (length > 0 && !is_skipping && found(buffer, length, context));
}
