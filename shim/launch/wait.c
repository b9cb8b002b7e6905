/* Waiting, in a process whose limit of open files a tool of the same user may have changed (prlimit(2)). */
#include <stddef.h>

#include "launch.h"

enum { PAUSE_MS = 5 };

int wait_for(struct pollfd *ready, nfds_t count, int longest_ms)
{
	int found = ready[0].fd >= 0 ? poll(ready, count, longest_ms) : -1;

	if (found < 0)
		poll(NULL, 0, PAUSE_MS);
	return found;
}
