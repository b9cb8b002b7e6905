/* What a tool may use up. Pure but for limits_apply. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "launch.h"

static const struct {
	const char *name;
	int resource;
	rlim_t margin; /* between the signal and the kill: a tool may catch SIGXCPU */
	bool is_soft;
} known[LIMIT_COUNT] = {
	[LIMIT_CPU] = {"cpu", RLIMIT_CPU, 1, false},
	[LIMIT_MEMORY] = {"memory", RLIMIT_AS, 0, false},
	[LIMIT_FILE] = {"file", RLIMIT_FSIZE, 0, false},
	[LIMIT_CORE] = {"core", RLIMIT_CORE, 0, false},
	[LIMIT_OPEN_FILES] = {"open-files", RLIMIT_NOFILE, 0, true},
	[LIMIT_PROCESSES] = {"processes", -1, 0, false},
};

bool limit_read(const char *text, struct limits *limits)
{
	const char *value = strchr(text, '=');
	char *end;

	if (value == NULL || value[1] < '0' || value[1] > '9')
		return false;
	errno = 0;
	unsigned long long number = strtoull(value + 1, &end, 10);

	if (errno != 0 || *end != '\0' || number > INT64_MAX)
		return false;
	for (int limit = 0; limit < LIMIT_COUNT; limit++) {
		if (strlen(known[limit].name) != (size_t)(value - text) ||
		    strncmp(known[limit].name, text, (size_t)(value - text)) != 0)
			continue;
		limits->is_set[limit] = true;
		limits->values[limit] = (int64_t)number;
		return true;
	}
	return false;
}

bool limits_apply(const struct limits *limits)
{
	for (int limit = 0; limit < LIMIT_COUNT; limit++) {
		struct rlimit now;

		if (!limits->is_set[limit] || known[limit].resource < 0)
			continue;
		rlim_t soft = (rlim_t)limits->values[limit], hard = soft + known[limit].margin;

		if (getrlimit((unsigned)known[limit].resource, &now) != 0)
			return false;
		if (!known[limit].is_soft && hard < now.rlim_max)
			now.rlim_max = hard; /* what our caller was denied stays denied */
		now.rlim_cur = soft < now.rlim_max ? soft : now.rlim_max;
		if (setrlimit((unsigned)known[limit].resource, &now) != 0)
			return false;
	}
	return true;
}
