/* Names: each call of libc that looks one up. The name has the aim's number in it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vector.h"

/* Goes to what getaddrinfo found, if it did. */
static int go_to(const struct aim *aim, int error, struct addrinfo *found)
{
	if (error != 0) {
		dprintf(1, "getaddrinfo = %s\n", gai_strerror(error));
		return DENIED;
	}
	int fd = (int)told("socket", socket(found->ai_family, SOCK_STREAM, 0));

	if (told("connect", connect(fd, found->ai_addr, found->ai_addrlen)) < 0)
		return DENIED;
	return converse(aim, fd);
}

static int look_up(const struct aim *aim, const char *name, const struct addrinfo *hints)
{
	struct addrinfo *found = NULL;
	int error = getaddrinfo(name, aim->port_word, hints, &found);

	return go_to(aim, error, found);
}

static int gai(const struct aim *aim)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};

	return look_up(aim, aim->name, &hints);
}

static int gai_no_hints(const struct aim *aim)
{
	return look_up(aim, aim->name, NULL);
}

static int gai_unspec(const struct aim *aim)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

	return look_up(aim, aim->name, &hints);
}

static int gai_literal6(const struct aim *aim)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	char literal[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET6, &aim->in6.sin6_addr, literal, sizeof(literal));
	return look_up(aim, literal, &hints);
}

static int gai_octal(const struct aim *aim)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	char literal[32];

	snprintf(literal, sizeof(literal), "0xc6.063.0144.%u", aim->number); /* 198.51.100.NUMBER, as inet_aton reads it */
	return look_up(aim, literal, &hints);
}

/* An answer of another family than was asked for is a wrong answer. */
static int gai_v6_alone(const struct aim *aim)
{
	const struct addrinfo hints = {.ai_family = AF_INET6, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	int error = getaddrinfo(aim->name, aim->port_word, &hints, &found);

	if (error == 0 && found->ai_family != AF_INET6)
		return say("another family"), DENIED;
	dprintf(1, "getaddrinfo = %s\n", error == 0 ? "ok" : gai_strerror(error));
	return WORKED;
}

/* The name of this machine is nobody else's business. The lab's is made to have our number in it. */
static int own_name(const struct aim *aim)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;

	char name[64] = "";

	gethostname(name, sizeof(name) - 1);
	if (strcmp(name, aim->name) != 0)
		return say("another name"), DENIED;
	int error = getaddrinfo(name, aim->port_word, &hints, &found);

	dprintf(1, "getaddrinfo = %s\n", error == 0 ? "ok" : gai_strerror(error));
	return error == 0 ? WORKED : DENIED;
}

/* The name is looked up in a child, and used by its parent. */
static int gai_in_child(const struct aim *aim)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct sockaddr_in address = {0};
	int pair[2];

	if (pipe(pair) != 0)
		return DENIED;
	pid_t child = fork();

	if (child == 0) {
		struct addrinfo *found = NULL;

		if (getaddrinfo(aim->name, aim->port_word, &hints, &found) != 0)
			_exit(DENIED);
		_exit(write(pair[1], found->ai_addr, sizeof(address)) == sizeof(address) ? WORKED : DENIED);
	}
	if (await(child) != WORKED || read(pair[0], &address, sizeof(address)) != sizeof(address))
		return DENIED;
	int fd = (int)told("socket", socket(AF_INET, SOCK_STREAM, 0));

	if (told("connect", connect(fd, (const struct sockaddr *)&address, sizeof(address))) < 0)
		return DENIED;
	return converse(aim, fd);
}

static int gai_after_closefrom(const struct aim *aim)
{
	closefrom(3);
	return gai(aim);
}

static int gai_async(const struct aim *aim)
{
	struct gaicb one = {.ar_name = aim->name, .ar_service = aim->port_word};
	struct gaicb *all[] = {&one};
	int error = getaddrinfo_a(GAI_WAIT, all, 1, NULL);

	return go_to(aim, error, one.ar_result);
}

/* Goes to the address of a host entry. */
static int go_to_host(const struct aim *aim, const struct hostent *host)
{
	struct aim found = *aim;

	if (host == NULL || host->h_addrtype != AF_INET || host->h_length != 4)
		return say("no host entry"), DENIED;
	dprintf(1, "aliases %s\n", host->h_aliases == NULL ? "NULL" : "there");
	memcpy(&found.in.sin_addr, host->h_addr_list[0], 4);
	return host->h_aliases == NULL ? DENIED : go(&found);
}

static int ghbn(const struct aim *aim)
{
	return go_to_host(aim, gethostbyname(aim->name));
}

static int ghbn2(const struct aim *aim)
{
	return go_to_host(aim, gethostbyname2(aim->name, AF_INET));
}

static int ghbn_r(const struct aim *aim)
{
	struct hostent host, *found = NULL;
	char memory[2048];
	int error;

	gethostbyname_r(aim->name, &host, memory, sizeof(memory), &found, &error);
	return go_to_host(aim, found);
}

static int ghbn2_r(const struct aim *aim)
{
	struct hostent host, *found = NULL;
	char memory[2048];
	int error;

	gethostbyname2_r(aim->name, AF_INET, &host, memory, sizeof(memory), &found, &error);
	return go_to_host(aim, found);
}

static int named(const char *name)
{
	dprintf(1, "name %s\n", name == NULL ? "none" : name);
	return name == NULL ? DENIED : WORKED;
}

static int ghba(const struct aim *aim)
{
	const struct hostent *host = gethostbyaddr(&aim->in.sin_addr, 4, AF_INET);

	return named(host == NULL ? NULL : host->h_name);
}

static int ghba_r(const struct aim *aim)
{
	struct hostent host, *found = NULL;
	char memory[2048];
	int error;

	gethostbyaddr_r(&aim->in.sin_addr, 4, AF_INET, &host, memory, sizeof(memory), &found, &error);
	return named(found == NULL ? NULL : found->h_name);
}

static int gni(const struct aim *aim)
{
	char name[256] = "";
	int error = getnameinfo((const struct sockaddr *)&aim->in, sizeof(aim->in), name, sizeof(name), NULL, 0, 0);

	return named(error == 0 ? name : NULL);
}

const struct vector name_vectors[] = {
	{"gai", gai},
	{"gai-no-hints", gai_no_hints},
	{"gai-unspec", gai_unspec},
	{"gai-literal6", gai_literal6},
	{"gai-octal", gai_octal},
	{"gai-v6-alone", gai_v6_alone},
	{"own-name", own_name},
	{"gai-in-child", gai_in_child},
	{"gai-after-closefrom", gai_after_closefrom},
	{"gai-async", gai_async},
	{"ghbn", ghbn},
	{"ghbn2", ghbn2},
	{"ghbn-r", ghbn_r},
	{"ghbn2-r", ghbn2_r},
	{"ghba", ghba},
	{"ghba-r", ghba_r},
	{"getnameinfo", gni},
	{NULL, NULL},
};
