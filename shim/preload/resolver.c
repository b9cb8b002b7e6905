/* Calls that send packets from inside libc, where no hook can stand between: refused whole. */
#include <netdb.h>

#include "preload.h"

/* h_errno TRY_AGAIN, as when no server answers. */
static int refuse_query(const char *name)
{
	exitpin_deny(EXITPIN_REASON_RESOLVER, NULL, name);
	h_errno = TRY_AGAIN;
	return fail(ECONNREFUSED);
}

/* res_query(3), res_search(3) and kin, resolver(3): a query for any type of record, over UDP, to resolv.conf's servers.
 * Refuse with a note: -1, h_errno TRY_AGAIN. They never block. */
EXPORT int res_query(const char *name, int class, int type, unsigned char *answer, int size)
{
	(void)class, (void)type, (void)answer, (void)size;
	return refuse_query(name);
}

EXPORT int res_search(const char *name, int class, int type, unsigned char *answer, int size)
{
	(void)class, (void)type, (void)answer, (void)size;
	return refuse_query(name);
}

EXPORT int res_querydomain(const char *name, const char *domain, int class, int type, unsigned char *answer, int size)
{
	(void)domain, (void)class, (void)type, (void)answer, (void)size;
	return refuse_query(name);
}

EXPORT int res_send(const unsigned char *message, int message_size, unsigned char *answer, int size)
{
	(void)message, (void)message_size, (void)answer, (void)size;
	return refuse_query(NULL);
}

EXPORT int res_nquery(void *state, const char *name, int class, int type, unsigned char *answer, int size)
{
	(void)state, (void)class, (void)type, (void)answer, (void)size;
	return refuse_query(name);
}

EXPORT int res_nsearch(void *state, const char *name, int class, int type, unsigned char *answer, int size)
{
	(void)state, (void)class, (void)type, (void)answer, (void)size;
	return refuse_query(name);
}

EXPORT int res_nquerydomain(void *state, const char *name, const char *domain, int class, int type,
			    unsigned char *answer, int size)
{
	(void)state, (void)domain, (void)class, (void)type, (void)answer, (void)size;
	return refuse_query(name);
}

EXPORT int res_nsend(void *state, const unsigned char *message, int message_size, unsigned char *answer, int size)
{
	(void)state, (void)message, (void)message_size, (void)answer, (void)size;
	return refuse_query(NULL);
}

/* The names under which older programs know the same. */
#define ALIAS(of) __attribute__((alias(of)))
EXPORT int __res_query(const char *, int, int, unsigned char *, int) ALIAS("res_query");
EXPORT int __res_search(const char *, int, int, unsigned char *, int) ALIAS("res_search");
EXPORT int __res_querydomain(const char *, const char *, int, int, unsigned char *, int) ALIAS("res_querydomain");
EXPORT int __res_send(const unsigned char *, int, unsigned char *, int) ALIAS("res_send");
EXPORT int __res_nquery(void *, const char *, int, int, unsigned char *, int) ALIAS("res_nquery");
EXPORT int __res_nsearch(void *, const char *, int, int, unsigned char *, int) ALIAS("res_nsearch");
EXPORT int __res_nquerydomain(void *, const char *, const char *, int, int, unsigned char *, int)
	ALIAS("res_nquerydomain");
EXPORT int __res_nsend(void *, const unsigned char *, int, unsigned char *, int) ALIAS("res_nsend");

/* getaddrinfo_a(3): looks names up on threads of its own. Refuses: EAI_AGAIN, with a note. */
EXPORT int getaddrinfo_a(int mode, struct gaicb *list[restrict], int count, struct sigevent *restrict event)
{
	(void)mode, (void)event;
	exitpin_deny(EXITPIN_REASON_RESOLVER, NULL, count > 0 && list[0] != NULL ? list[0]->ar_name : NULL);
	return EAI_AGAIN;
}

/* getnetbyname(3), getnetbyaddr(3) and the _r calls: networks may be asked of DNS. Refuse: no network, TRY_AGAIN. */
EXPORT struct netent *getnetbyname(const char *name)
{
	refuse_query(name);
	return NULL;
}

EXPORT struct netent *getnetbyaddr(uint32_t network, int type)
{
	(void)network, (void)type;
	refuse_query(NULL);
	return NULL;
}

EXPORT int getnetbyname_r(const char *restrict name, struct netent *restrict entry, char *restrict buffer, size_t size,
			  struct netent **restrict found, int *restrict error)
{
	(void)entry, (void)buffer, (void)size;
	refuse_query(name);
	*found = NULL;
	*error = TRY_AGAIN;
	return EAGAIN;
}

EXPORT int getnetbyaddr_r(uint32_t network, int type, struct netent *restrict entry, char *restrict buffer, size_t size,
			  struct netent **restrict found, int *restrict error)
{
	(void)network, (void)type, (void)entry, (void)buffer, (void)size;
	refuse_query(NULL);
	*found = NULL;
	*error = TRY_AGAIN;
	return EAGAIN;
}
