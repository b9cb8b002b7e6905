/* The loader's ways past a preload library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vector.h"

typedef int connect_function(int fd, const struct sockaddr *address, socklen_t size);

/* Goes by this connect. */
static int by(const struct aim *aim, void *function)
{
	int fd = (int)told("socket", socket(AF_INET, SOCK_STREAM, 0));

	if (function == NULL)
		return say("no such function"), DENIED;
	if (told("connect", ((connect_function *)(uintptr_t)function)(fd, (const struct sockaddr *)&aim->in,
								      sizeof(aim->in))) < 0)
		return DENIED;
	return converse(aim, fd);
}

static int libc_alias(const struct aim *aim)
{
	return by(aim, dlsym(RTLD_DEFAULT, "__connect"));
}

static int dlsym_next(const struct aim *aim)
{
	return by(aim, dlsym(RTLD_NEXT, "connect"));
}

static int dlsym_libc(const struct aim *aim)
{
	return by(aim, dlsym(dlopen("libc.so.6", RTLD_NOW), "connect"));
}

static int dlvsym_default(const struct aim *aim)
{
	return by(aim, dlvsym(RTLD_DEFAULT, "connect", "GLIBC_2.2.5"));
}

static int new_namespace(const struct aim *aim)
{
	return by(aim, dlsym(dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW), "connect"));
}

/* A plugin that connects by itself. */
static int plugin(const struct aim *aim, int flags)
{
	char path[256];
	void *library = program(aim, "plugin.so", path) ? dlopen(path, flags) : NULL;
	void *function = library != NULL ? dlsym(library, "plugin_connect") : NULL;

	return by(aim, function);
}

static int plugin_plain(const struct aim *aim)
{
	return plugin(aim, RTLD_NOW);
}

static int plugin_deepbind(const struct aim *aim)
{
	return plugin(aim, RTLD_NOW | RTLD_DEEPBIND);
}

/* Before any constructor has run: see preinit.c. */
static int preinit(const struct aim *aim)
{
	char path[256];

	if (program(aim, "preinit", path))
		execl(path, path, aim->address_word, aim->port_word, NULL);
	told("execl", -1);
	return DENIED;
}

/* With an allocator whose constructor makes system calls by syscall(). */
static int jemalloc(const struct aim *aim)
{
	char path[256];

	if (program(aim, "plain-jemalloc", path))
		execl(path, path, aim->address_word, aim->port_word, NULL);
	told("execl", -1);
	return DENIED;
}

const struct vector loader_vectors[] = {
	{"libc-alias", libc_alias},
	{"dlsym-next", dlsym_next},
	{"dlsym-libc", dlsym_libc},
	{"dlvsym-default", dlvsym_default},
	{"dlmopen", new_namespace},
	{"plugin", plugin_plain},
	{"plugin-deepbind", plugin_deepbind},
	{"preinit", preinit},
	{"jemalloc", jemalloc},
	{NULL, NULL},
};
