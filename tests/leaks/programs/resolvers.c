/* Asking a resolver without libc's tables: its own DNS client, remote shells, programs with a resolver of their own. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "vector.h"

static int by_resolver(const char *call, int size)
{
	return told(call, size) < 0 ? DENIED : WORKED;
}

static int query(const struct aim *aim)
{
	unsigned char answer[1024];

	return by_resolver("res_query", res_query(aim->name, C_IN, T_A, answer, sizeof(answer)));
}

static int search(const struct aim *aim)
{
	unsigned char answer[1024];

	return by_resolver("res_search", res_search(aim->name, C_IN, T_A, answer, sizeof(answer)));
}

static int nsearch(const struct aim *aim)
{
	unsigned char answer[1024];
	struct __res_state state = {0};

	if (res_ninit(&state) != 0)
		return DENIED;
	return by_resolver("res_nsearch", res_nsearch(&state, aim->name, C_IN, T_A, answer, sizeof(answer)));
}

static int send_query(const struct aim *aim)
{
	unsigned char question[512], answer[1024];
	int size = res_mkquery(QUERY, aim->name, C_IN, T_A, NULL, 0, NULL, question, sizeof(question));

	return by_resolver("res_send", res_send(question, size, answer, sizeof(answer)));
}

/* The old calls of remote shells connect inside libc. */
static int remote_shell(const struct aim *aim)
{
	char address[40], *host = address;

	snprintf(address, sizeof(address), "198.51.100.%u", aim->number);
	return told("rcmd", rcmd(&host, htons(aim->port), "nobody", "nobody", "true", NULL)) < 0 ? DENIED : WORKED;
}

static int remote_exec(const struct aim *aim)
{
	char address[40], *host = address;

	snprintf(address, sizeof(address), "198.51.100.%u", aim->number);
	return told("rexec", rexec(&host, htons(aim->port), "nobody", "nobody", "true", NULL)) < 0 ? DENIED : WORKED;
}

/* A query in a program's own datagram, as dig, c-ares and Go send them: to the name server of 198.51.100.0/24. */
static int own_udp(const struct aim *aim)
{
	unsigned char question[512];
	struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(53)};
	int size = res_mkquery(QUERY, aim->name, C_IN, T_A, NULL, 0, NULL, question, sizeof(question));
	int fd = (int)told("socket", socket(AF_INET, SOCK_DGRAM, 0));

	inet_pton(AF_INET, "198.51.100.53", &server.sin_addr);
	return sent("sendto", sendto(fd, question, (size_t)size, 0, (const struct sockaddr *)&server, sizeof(server)));
}

/* A command line with the name in the place of %s. */
static int command(const struct aim *aim, const char *form)
{
	char line[256];

	snprintf(line, sizeof(line), form, aim->name);
	return told("system", system(line)) == 0 ? WORKED : DENIED;
}

static int getent_hosts(const struct aim *aim)
{
	return command(aim, "getent hosts %s");
}

static int getent_ahosts(const struct aim *aim)
{
	return command(aim, "getent ahosts %s");
}

static int dig(const struct aim *aim)
{
	return command(aim, "dig +short +tries=1 +timeout=2 %s");
}

static int host(const struct aim *aim)
{
	return command(aim, "host -W 2 -t A %s");
}

static int node_cares(const struct aim *aim)
{
	return command(aim, "node -e 'require(\"dns\").resolve4(\"%s\", (e, a) => { console.log(e ? e.code : a); "
			    "process.exit(e ? 1 : 0); })'");
}

static int python_name(const struct aim *aim)
{
	return command(aim, "python3 -c 'import socket; print(socket.gethostbyname(\"%s\"))'");
}

const struct vector resolver_vectors[] = {
	{"res-query", query},
	{"res-search", search},
	{"res-nsearch", nsearch},
	{"res-send", send_query},
	{"rcmd", remote_shell},
	{"rexec", remote_exec},
	{"own-udp-resolver", own_udp},
	{"getent-hosts", getent_hosts},
	{"getent-ahosts", getent_ahosts},
	{"dig", dig},
	{"host", host},
	{"node-cares", node_cares},
	{"python-name", python_name},
	{NULL, NULL},
};
