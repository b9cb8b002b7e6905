#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"

enum { RUNTIME_MAX = 40 }; /* as in wrappers/runtime.py, with all that is below */

static bool is_set(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0';
}

/* Our uid as it is outside of a lab: the folder is the same for both. */
static unsigned uid_outside(void)
{
	unsigned uid = getuid(), inside, outside, count;
	FILE *map = fopen("/proc/self/uid_map", "re");

	if (map == NULL)
		return uid;
	while (fscanf(map, "%u %u %u", &inside, &outside, &count) == 3)
		if (uid >= inside && uid - inside < count) {
			uid = outside + uid - inside;
			break;
		}
	fclose(map);
	return uid;
}

static int runtime_directory(char *path, size_t size)
{
	const char *given = getenv("XDG_RUNTIME_DIR");
	struct stat found;

	if (given != NULL && given[0] == '/' && strlen(given) < RUNTIME_MAX && strpbrk(given, " :") == NULL &&
	    stat(given, &found) == 0 && S_ISDIR(found.st_mode))
		return snprintf(path, size, "%s/exitpin", given);
	return snprintf(path, size, "/tmp/exitpin-%u", uid_outside());
}

/* The value of an option, which is the word after it or behind its `=`; NULL: this word is not that option. */
static const char *value_of(char **words, const char *option)
{
	size_t size = strlen(option);

	if (strncmp(words[0], option, size) != 0)
		return NULL;
	return words[0][size] == '=' ? words[0] + size + 1 : words[0][size] == '\0' ? words[1] : NULL;
}

/* What is named must be a socket that is ours, and nobody else's to connect to. */
static int place_named(const char *path, char *place, size_t size)
{
	struct stat found;

	if (path[0] != '/' || lstat(path, &found) != 0 || !S_ISSOCK(found.st_mode) || found.st_uid != geteuid() ||
	    (found.st_mode & 077) != 0)
		return -1;
	return snprintf(place, size, "%s", path);
}

bool find_daemon(char **arguments, struct search *search)
{
	const char *name = getenv("EXITPIN_LAB"), *named = getenv("EXITPIN_DAEMON"), *given, *control = NULL;
	char runtime[64], *path = search->address.sun_path;
	size_t room = sizeof(search->address.sun_path);
	int size;

	if ((strcmp(arguments[1], "run") != 0 && strcmp(arguments[1], "sh") != 0) || is_set("EXITPIN") ||
	    is_set("EXITPIN_NO_DAEMON"))
		return false;
	search->address.sun_family = AF_UNIX;
	search->is_lab = name != NULL && name[0] != '\0';
	search->is_named = named != NULL && named[0] != '\0';
	for (char **word = arguments + 2; *word != NULL && strcmp(*word, "--") != 0; word++) {
		if (strcmp(*word, "--lab") == 0)
			search->is_lab = true;
		else if ((given = value_of(word, "--name")) != NULL)
			name = given;
		else if ((given = value_of(word, "--control")) != NULL)
			control = given;
	}
	if (control != NULL || runtime_directory(runtime, sizeof(runtime)) >= (int)sizeof(runtime))
		return false;
	if (name == NULL || name[0] == '\0')
		name = "default";
	if (strchr(name, '/') != NULL)
		return false;
	if (search->is_named)
		size = place_named(named, path, room);
	else if (search->is_lab)
		size = snprintf(path, room, "%s/daemons/lab-%s", runtime, name);
	else
		size = snprintf(path, room, "%s/daemons/own", runtime);
	if (size <= 0 || (size_t)size >= room)
		path[0] = '\0';
	return path[0] != '\0' || search->is_named;
}
