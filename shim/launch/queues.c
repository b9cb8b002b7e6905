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

/* Where what a line is about is mounted, the fifth word; NULL: the line has none. */
static char *place_of(char *line)
{
	char *word = NULL;

	for (int i = 0; i < 5; i++)
		word = strsep(&line, " ");
	return word;
}

/* What has too long a name for a mount a tool can still reach step by step. EBUSY: ours lies there; for it is in the
 * list as soon as it does. */
static bool cover_queue(char *line)
{
	char *place = place_of(line);

	if (place != NULL)
		unescape(place);
	if (place == NULL || strlen(place) >= PATH_MAX) {
		errno = place == NULL ? EINVAL : ENAMETOOLONG;
		return false;
	}
	return mount("mqueue", place, "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0 || errno == EBUSY ||
	       is_gone(place, errno);
}

/* A list that was not read to its end is none. */
bool cover_queues(void)
{
	char *line = NULL;
	size_t size = 0;
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	bool is_done = mounts != NULL;

	while (is_done && getline(&line, &size, mounts) > 0)
		is_done = strstr(line, " - mqueue ") == NULL || cover_queue(line);
	is_done = is_done && feof(mounts);
	int error = errno;

	free(line);
	if (mounts != NULL)
		fclose(mounts);
	errno = error;
	return is_done;
}
