/* Environments that keep the shim, however the tool cleared them. */
#include "preload.h"

#include "exec.h"

/* Whether libraries, separated by colons or blanks, has this one. */
static bool has_library(const char *libraries, const char *library)
{
	const size_t size = strlen(library);

	for (const char *next = libraries; *next != '\0';) {
		size_t length = strcspn(next, ": ");

		if (length == size && memcmp(next, library, size) == 0)
			return true;
		next += length + (next[length] != '\0');
	}
	return false;
}

size_t exitpin_environment_size(char *const envp[])
{
	size_t count = 0;

	while (envp != NULL && envp[count] != NULL)
		count++;
	return count + 3;
}

/* Ours, then the tool's own. False: they do not fit. */
static bool join(const char *entry, const char *libraries, char text[EXITPIN_PRELOAD_MAX])
{
	const size_t size = strlen(entry), more = strlen(libraries);

	if (size + more + 2 > EXITPIN_PRELOAD_MAX)
		return false;
	memcpy(text, entry, size);
	text[size] = ':';
	memcpy(text + size + 1, libraries, more + 1);
	return true;
}

bool exitpin_environment(char *const envp[], char *pinned[], char text[EXITPIN_PRELOAD_MAX], bool is_bare)
{
	static const char preload[] = "LD_PRELOAD=";
	const char *entry = exitpin_preload_entry(), *libraries = "";
	size_t count = 0;

	if (entry == NULL)
		return false;
	for (; envp != NULL && *envp != NULL; envp++) {
		if (has_prefix(*envp, preload))
			libraries = *envp + sizeof(preload) - 1;
		else if (!has_prefix(*envp, "EXITPIN_SHIM="))
			pinned[count++] = *envp;
	}
	pinned[count + (is_bare ? 0 : 1)] = (char *)exitpin_shim_entry();
	pinned[count + (is_bare ? 1 : 2)] = NULL;
	if (is_bare)
		return true;
	if (has_library(libraries, entry + sizeof(preload) - 1)) {
		pinned[count] = (char *)libraries - (sizeof(preload) - 1);
		return true;
	}
	pinned[count] = libraries[0] != '\0' ? text : (char *)entry;
	return libraries[0] == '\0' || join(entry, libraries, text);
}
