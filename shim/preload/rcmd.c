/* rcmd(3), rexec(3) and kin connect from inside libc. Refuse with a note: -1, EACCES. They never block. */
#include <netdb.h>

#include "preload.h"

static int refuse_host(char **host)
{
	exitpin_deny(EXITPIN_REASON_PROTOCOL, NULL, host != NULL ? *host : NULL);
	return fail(EACCES);
}

EXPORT int rcmd(char **restrict host, unsigned short port, const char *restrict local, const char *restrict remote,
		const char *restrict command, int *restrict errors)
{
	(void)port, (void)local, (void)remote, (void)command, (void)errors;
	return refuse_host(host);
}

EXPORT int rcmd_af(char **restrict host, unsigned short port, const char *restrict local, const char *restrict remote,
		   const char *restrict command, int *restrict errors, sa_family_t family)
{
	(void)port, (void)local, (void)remote, (void)command, (void)errors, (void)family;
	return refuse_host(host);
}

EXPORT int rexec(char **restrict host, int port, const char *restrict user, const char *restrict password,
		 const char *restrict command, int *restrict errors)
{
	(void)port, (void)user, (void)password, (void)command, (void)errors;
	return refuse_host(host);
}

EXPORT int rexec_af(char **restrict host, int port, const char *restrict user, const char *restrict password,
		    const char *restrict command, int *restrict errors, sa_family_t family)
{
	(void)port, (void)user, (void)password, (void)command, (void)errors, (void)family;
	return refuse_host(host);
}

/* ruserok(3) looks the host's name up. Refuses: not equivalent. */
EXPORT int ruserok(const char *host, int is_superuser, const char *remote, const char *local)
{
	(void)host, (void)is_superuser, (void)remote, (void)local;
	exitpin_deny(EXITPIN_REASON_RESOLVER, NULL, host);
	return -1;
}
