#include <netdb.h>
#include <resolv.h>

#include "probe.h"

static void show(const char *what, int error, const struct addrinfo *list)
{
	char host[64], port[16];

	printf("%s=%d", what, error);
	for (; error == 0 && list != NULL; list = list->ai_next) {
		getnameinfo(list->ai_addr, list->ai_addrlen, host, 64, port, 16, NI_NUMERICHOST | NI_NUMERICSERV);
		printf(" %s:%s/%d/%d/%d", host, port, list->ai_family, list->ai_socktype, list->ai_protocol);
		if (list->ai_canonname != NULL)
			printf(" (%s)", list->ai_canonname);
	}
	printf("\n");
}

static void look(const char *what, const char *node, const char *service, int family, int type, int flags)
{
	struct addrinfo hints = {.ai_family = family, .ai_socktype = type, .ai_flags = flags}, *list = NULL;
	int error = getaddrinfo(node, service, &hints, &list);

	show(what, error, list);
	if (error == 0)
		freeaddrinfo(list);
}

static void addrinfo(void)
{
	struct addrinfo *list = NULL;

	errno = 77;
	int error = getaddrinfo("example.org", "80", NULL, &list);

	show("no_hints", error, list);
	printf("errno=%d\n", errno);
	freeaddrinfo(list->ai_next);
	list->ai_next = NULL;
	freeaddrinfo(list);
	look("literal6", "2001:db8::1", "80", AF_UNSPEC, SOCK_STREAM, 0);
	look("hex", "0x7f.1", "80", AF_UNSPEC, SOCK_STREAM, 0);
	look("wrong_family", "2001:db8::1", "80", AF_INET, SOCK_STREAM, 0);
	look("mapped", "198.51.100.1", "80", AF_INET6, SOCK_STREAM, AI_V4MAPPED);
	look("numeric_name", "example.org", "80", AF_UNSPEC, SOCK_STREAM, AI_NUMERICHOST);
	look("service", "198.51.100.1", "https", AF_UNSPEC, SOCK_STREAM, 0);
	look("no_service", "198.51.100.1", "nonesuch", AF_UNSPEC, SOCK_STREAM, 0);
	look("numeric_service", "198.51.100.1", "https", AF_UNSPEC, SOCK_STREAM, AI_NUMERICSERV);
	look("passive", NULL, "80", AF_INET, SOCK_STREAM, AI_PASSIVE);
	look("loopback", NULL, "80", AF_INET6, SOCK_STREAM, 0);
	look("localhost", "localhost", "80", AF_INET, SOCK_STREAM, 0);
	look("under_localhost", "a.localhost.", "80", AF_INET, SOCK_STREAM, 0);
	look("canonical", "example.org", NULL, AF_INET, SOCK_STREAM, AI_CANONNAME);
	look("inet6", "example.org", "80", AF_INET6, SOCK_STREAM, 0);
	look("missing", "nothing.example", "80", AF_UNSPEC, SOCK_STREAM, 0);
	look("invalid", "two words", "80", AF_UNSPEC, SOCK_STREAM, 0);
	look("empty", "", "80", AF_UNSPEC, SOCK_STREAM, 0);
	look("no_port", "198.51.100.1", "", AF_UNSPEC, SOCK_STREAM, 0);
	look("any_port", "198.51.100.1", "*", AF_UNSPEC, SOCK_STREAM, 0);
	look("any_node", "*", "80", AF_INET, SOCK_STREAM, AI_PASSIVE);
	look("any_at_all", "*", "*", AF_UNSPEC, SOCK_STREAM, 0);
	look("nothing", NULL, NULL, AF_UNSPEC, SOCK_STREAM, 0);
	look("bad_family", "example.org", "80", AF_UNIX, SOCK_STREAM, 0);
	look("bad_type", "example.org", "80", AF_UNSPEC, SOCK_SEQPACKET, 0);
}

static void own_name(void)
{
	char name[256];

	gethostname(name, sizeof(name));
	printf("error=%d\n", getaddrinfo(name, NULL, NULL, &(struct addrinfo *){NULL}));
	printf("id=%lx\n", gethostid());
}

static void nameinfo(void)
{
	struct sockaddr_in in = to4("198.51.100.7", 443), lo = to4("127.0.0.1", 80);
	struct sockaddr_in6 mapped = to6("::ffff:198.51.100.7", 80);
	char host[64], port[32];

	printf("%d ", getnameinfo((void *)&in, sizeof(in), host, 64, port, 32, 0));
	printf("%s %s\n", host, port);
	printf("%d ", getnameinfo((void *)&lo, sizeof(lo), host, 64, port, 32, NI_NAMEREQD));
	printf("%s %s\n", host, port);
	printf("%d ", getnameinfo((void *)&mapped, sizeof(mapped), host, 64, port, 32, NI_NUMERICHOST));
	printf("%s %s\n", host, port);
	in = to4("203.0.113.1", 80);
	printf("%d ", getnameinfo((void *)&in, sizeof(in), host, 64, NULL, 0, 0));
	printf("%s\n", host);
	printf("%d ", getnameinfo((void *)&in, sizeof(in), host, 64, NULL, 0, NI_NAMEREQD));
	printf("%d ", getnameinfo((void *)&in, sizeof(in), host, 4, NULL, 0, NI_NUMERICHOST));
	printf("%d\n", getnameinfo((void *)&in, 3, host, 64, NULL, 0, 0));
}

static void show_host(const char *what, const struct hostent *entry)
{
	char text[64];

	if (entry == NULL) {
		printf("%s=%d\n", what, h_errno);
		return;
	}
	printf("%s=%s %s aliases=%d size=%d\n", what, entry->h_name,
	       inet_ntop(entry->h_addrtype, entry->h_addr_list[0], text, 64), entry->h_aliases[0] != NULL,
	       entry->h_length);
}

static void hostent(void)
{
	struct hostent entry, *found;
	struct in_addr address;
	char buffer[1024];
	int error, status;

	show_host("name", gethostbyname("example.org"));
	show_host("name2", gethostbyname2("example.org", AF_INET6));
	show_host("missing", gethostbyname("nothing.example"));
	inet_pton(AF_INET, "198.51.100.7", &address);
	show_host("addr", gethostbyaddr(&address, 4, AF_INET));
	status = gethostbyname_r("example.org", &entry, buffer, 16, &found, &error);
	printf("small=%s %d\n", strerrorname_np(status), error);
	status = gethostbyname_r("example.org", &entry, buffer, sizeof(buffer), &found, &error);
	show_host("name_r", found);
	status = gethostbyname2_r("example.org", AF_INET6, &entry, buffer + 1, sizeof(buffer) - 1, &found, &error);
	show_host("name2_r", found);
	status = gethostbyaddr_r(&address, 4, AF_INET, &entry, buffer, sizeof(buffer), &found, &error);
	show_host("addr_r", found);
	(void)status;
}

static void refused(void)
{
	unsigned char answer[512];
	struct gaicb request = {.ar_name = "example.org"}, *list[] = {&request};
	struct __res_state state;
	char *host = strdup("example.org");

	memset(&state, 0, sizeof(state));
	printf("query=%d ", res_query("example.org", 1, 1, answer, sizeof(answer)));
	printf("%d\n", h_errno);
	printf("search=%d\n", res_search("example.org", 1, 1, answer, sizeof(answer)));
	printf("nsearch=%d\n", res_nsearch(&state, "example.org", 1, 1, answer, sizeof(answer)));
	printf("send=%d\n", res_send(answer, 12, answer, sizeof(answer)));
	printf("getaddrinfo_a=%d\n", getaddrinfo_a(GAI_WAIT, list, 1, NULL));
	printf("network=%d\n", getnetbyname("example.org") != NULL);
	say("rcmd", rcmd(&host, 514, "a", "a", "true", NULL));
	say("rexec", rexec(&host, 512, "a", "a", "true", NULL));
}

static const struct command commands[] = {
	{"addrinfo", addrinfo}, {"own_name", own_name}, {"nameinfo", nameinfo}, {"hostent", hostent},
	{"refused", refused}, {NULL, NULL},
};

int main(int argc, char **argv)
{
	return run_command(commands, argc, argv);
}
