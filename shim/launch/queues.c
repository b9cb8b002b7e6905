/* A run in an IPC namespace of its own has no queue of others by number or name. But one that is mounted (mq_overview(7))
 * shows those of who has mounted it: ours lies over each. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "launch.h"

/* As proc_pid_mountinfo(5) writes it: what would end a word is \NNN. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++, to++) {
		char digits[4] = "";

		if (text[0] == '\\' && strspn(text + 1, "01234567") >= 3) {
			memcpy(digits, text + 1, 3);
			*to = (char)strtol(digits, NULL, 8);
			text += 3;
		} else {
			*to = *text;
		}
	}
	*to = '\0';
}

/* EBUSY: it lies there; for it is in the list as soon as it does. */
static bool cover_queue(const char *place)
{
	return mount("mqueue", place, "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0 || errno == EBUSY ||
	       is_gone(place, errno);
}

bool cover_queues(void)
{
	char line[2 * PATH_MAX], place[PATH_MAX];
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	bool is_done = mounts != NULL;

	while (is_done && fgets(line, sizeof(line), mounts) != NULL)
		if (strstr(line, " - mqueue ") != NULL && sscanf(line, "%*s %*s %*s %*s %4095s", place) == 1) {
			unescape(place);
			is_done = cover_queue(place);
		}
	int error = errno;

	if (mounts != NULL)
		fclose(mounts);
	errno = error;
	return is_done;
}
