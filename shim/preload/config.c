/* Who we report to: read once from the environment, by the constructor or by the first hook that runs before it. */
#include "preload.h"

#define LIBRARY "exitpin-preload.so"

enum { ENTRY_SIZE = 4096 };

extern char **environ;

static struct {
	struct exitpin_config config;
	char preload_entry[ENTRY_SIZE];
	char shim_entry[ENTRY_SIZE];
} state;

enum { UNREAD, GOOD, BAD };
static int state_is;

/* Copies prefix and value to entry, if they fit. */
static bool write_entry(char *entry, const char *prefix, const char *value, size_t size)
{
	size_t prefix_size = strlen(prefix);

	if (prefix_size + size >= ENTRY_SIZE)
		return false;
	memcpy(entry, prefix, prefix_size);
	memcpy(entry + prefix_size, value, size);
	entry[prefix_size + size] = '\0';
	return true;
}

/* Of the libraries in LD_PRELOAD, the one that we are. */
static bool read_preload(const char *value)
{
	const size_t size = sizeof(LIBRARY) - 1;

	for (size_t end; *value != '\0'; value += end + (value[end] != '\0')) {
		end = 0;
		while (value[end] != '\0' && value[end] != ':' && value[end] != ' ')
			end++;
		if (end > size && value[end - size - 1] == '/' && memcmp(value + end - size, LIBRARY, size) == 0)
			return write_entry(state.preload_entry, "LD_PRELOAD=", value, end);
	}
	return false;
}

/* Two threads may both do this: they write the same bytes. */
static int read_environment(void)
{
	bool has_config = false, has_preload = false;

	for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
		if (has_prefix(*entry, "EXITPIN_SHIM=")) {
			const char *value = *entry + strlen("EXITPIN_SHIM=");

			has_config = exitpin_config_parse(value, strlen(value), &state.config) &&
				     write_entry(state.shim_entry, "EXITPIN_SHIM=", value, strlen(value));
		} else if (has_prefix(*entry, "LD_PRELOAD=")) {
			has_preload = read_preload(*entry + strlen("LD_PRELOAD="));
		}
	}
	return has_config && has_preload ? GOOD : BAD;
}

const struct exitpin_config *exitpin_config(void)
{
	int now = __atomic_load_n(&state_is, __ATOMIC_ACQUIRE);

	if (now == UNREAD) {
		if (environ == NULL)
			return NULL;
		now = read_environment();
		__atomic_store_n(&state_is, now, __ATOMIC_RELEASE);
	}
	return now == GOOD ? &state.config : NULL;
}

const char *exitpin_preload_entry(void)
{
	return exitpin_config() != NULL ? state.preload_entry : NULL;
}

const char *exitpin_shim_entry(void)
{
	return exitpin_config() != NULL ? state.shim_entry : NULL;
}

_Noreturn void exitpin_refuse_to_run(const char *why)
{
	sys_write(2, why, strlen(why));
	sys_exit(127);
}

/* No hello, no run: a process whose orchestrator does not know it must not get as far as main. */
__attribute__((constructor)) static void say_hello(void)
{
	struct exitpin_report report;
	struct exitpin_reply reply;

	if (!exitpin_report_begin(&report, EXITPIN_HELLO))
		exitpin_refuse_to_run("exitpin: EXITPIN_SHIM or LD_PRELOAD is missing or bad; not running\n");
	if (!exitpin_exchange(&report, NULL, -1, &reply))
		exitpin_refuse_to_run("exitpin: the orchestrator does not answer; not running\n");
	if (reply.answer.error != 0)
		exitpin_refuse_to_run("exitpin: the orchestrator refused this process; not running\n");
}

bool exitpin_is_left_to_supervisor(const struct exitpin_kind *kind)
{
	const struct exitpin_config *config = exitpin_config();

	return config != NULL && config->is_supervised && !exitpin_is_tcp(kind);
}
