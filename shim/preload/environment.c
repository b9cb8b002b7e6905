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

static const char PRELOAD[] = "LD_PRELOAD=";

/* The libraries that envp preloads: as ld.so, of several the last. */
static const char *libraries_of(char *const envp[])
{
	const char *libraries = "";

	for (; envp != NULL && *envp != NULL; envp++)
		if (has_prefix(*envp, PRELOAD))
			libraries = *envp + sizeof(PRELOAD) - 1;
	return libraries;
}

size_t exitpin_environment_text(char *const envp[])
{
	const char *entry = exitpin_preload_entry();
	const size_t size = entry != NULL ? strlen(entry) + strlen(libraries_of(envp)) + 2 : 1;

	return size <= EXITPIN_PRELOAD_MAX ? size : 1;
}

/* Ours, then the tool's own. False: they are too many. */
static bool join(const char *entry, const char *libraries, char *text, size_t text_size)
{
	const size_t size = strlen(entry), more = strlen(libraries);

	if (size + more + 2 > text_size) /* envp may have changed since the room was measured */
		return false;
	memcpy(text, entry, size);
	text[size] = ':';
	memcpy(text + size + 1, libraries, more + 1);
	return true;
}

bool exitpin_environment(char *const envp[], char *pinned[], char *text, size_t text_size, bool is_bare)
{
	const char *entry = exitpin_preload_entry(), *libraries = libraries_of(envp);
	size_t count = 0;

	if (entry == NULL)
		return false;
	for (; envp != NULL && *envp != NULL; envp++)
		if (!has_prefix(*envp, PRELOAD) && !has_prefix(*envp, "EXITPIN_SHIM="))
			pinned[count++] = *envp;
	pinned[count + (is_bare ? 0 : 1)] = (char *)exitpin_shim_entry();
	pinned[count + (is_bare ? 1 : 2)] = NULL;
	if (is_bare)
		return true;
	if (has_library(libraries, entry + sizeof(PRELOAD) - 1)) {
		pinned[count] = (char *)libraries - (sizeof(PRELOAD) - 1);
		return true;
	}
	pinned[count] = libraries[0] != '\0' ? text : (char *)entry;
	return libraries[0] == '\0' || join(entry, libraries, text, text_size);
}
