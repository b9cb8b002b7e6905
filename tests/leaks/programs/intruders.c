/* Reaching into a process outside of ours: holder.c, which sends a datagram to where its memory says. The words: its pid, the
 * number of its datagram socket, where its memory has destinations, and the port of a local server. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vector.h"

static pid_t holder(const struct aim *aim)
{
	return atoi(aim->extra[0]);
}

static uintptr_t where(const struct aim *aim)
{
	return strtoul(aim->extra[2], NULL, 16) + aim->number * sizeof(uint64_t);
}

/* What the holder wants to find: the port, the address. */
static uint64_t holders_errand(const struct aim *aim)
{
	return ((uint64_t)aim->port << 32) | ntohl(aim->in.sin_addr.s_addr);
}

static int done(const char *call, long result)
{
	if (sent(call, result) != WORKED)
		return DENIED;
	usleep(300000); /* it looks every now and then */
	return WORKED;
}

static int pidfd_take(const struct aim *aim)
{
	int process = (int)told("pidfd_open", syscall(SYS_pidfd_open, holder(aim), 0));
	int fd = (int)told("pidfd_getfd", syscall(SYS_pidfd_getfd, process, atoi(aim->extra[1]), 0));

	if (fd < 0)
		return DENIED;
	return sent("sendto", sendto(fd, aim->mark, strlen(aim->mark), 0, (const struct sockaddr *)&aim->in,
				     sizeof(aim->in)));
}

/* The same, and the datagram goes by a call that names no destination. */
static int pidfd_take_connect(const struct aim *aim)
{
	int process = (int)told("pidfd_open", syscall(SYS_pidfd_open, holder(aim), 0));
	int fd = (int)told("pidfd_getfd", syscall(SYS_pidfd_getfd, process, atoi(aim->extra[1]), 0));

	if (fd < 0 || told("syscall connect", syscall(SYS_connect, fd, &aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	return sent("write", write(fd, aim->mark, strlen(aim->mark)));
}

static int vm_write(const struct aim *aim)
{
	uint64_t words = holders_errand(aim);
	const struct iovec ours = {&words, sizeof(words)}, theirs = {(void *)where(aim), sizeof(words)};

	return done("process_vm_writev", process_vm_writev(holder(aim), &ours, 1, &theirs, 1, 0));
}

static int proc_mem(const struct aim *aim)
{
	uint64_t words = holders_errand(aim);
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", holder(aim));
	int fd = (int)told("open", open(path, O_RDWR | O_CLOEXEC));

	return done("pwrite", pwrite(fd, &words, sizeof(words), (off_t)where(aim)));
}

static int trace(const struct aim *aim)
{
	if (told("PTRACE_ATTACH", ptrace(PTRACE_ATTACH, holder(aim), NULL, NULL)) < 0)
		return DENIED;
	waitpid(holder(aim), NULL, 0);
	long result = ptrace(PTRACE_POKEDATA, holder(aim), where(aim), holders_errand(aim));

	ptrace(PTRACE_DETACH, holder(aim), NULL, NULL);
	return done("PTRACE_POKEDATA", result);
}

/* Through a local server that goes where it is told, on loopback in its disguises. */
static int local_proxy(const struct aim *aim, int family, const char *host)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(aim->extra[3]))};
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = to.sin_port};
	char words[64], answer[64];
	int fd = (int)told("socket", socket(family, SOCK_STREAM, 0));

	inet_pton(family, host, family == AF_INET ? (void *)&to.sin_addr : (void *)&to6.sin6_addr);
	const struct sockaddr *address = family == AF_INET ? (struct sockaddr *)&to : (struct sockaddr *)&to6;

	if (told("connect", connect(fd, address, family == AF_INET ? sizeof(to) : sizeof(to6))) < 0)
		return DENIED;
	snprintf(words, sizeof(words), "CONNECT 198.51.100.%u %u\n", aim->number, aim->port);
	if (told("send", send(fd, words, strlen(words), MSG_NOSIGNAL)) < 0)
		return DENIED;
	return told("recv", recv(fd, answer, sizeof(answer), 0)) > 0 ? WORKED : DENIED;
}

static int proxy_loopback(const struct aim *aim)
{
	return local_proxy(aim, AF_INET, "127.0.0.1");
}

static int proxy_any(const struct aim *aim)
{
	return local_proxy(aim, AF_INET, "0.0.0.0");
}

static int proxy_loopback6(const struct aim *aim)
{
	return local_proxy(aim, AF_INET6, "::1");
}

static int proxy_mapped(const struct aim *aim)
{
	return local_proxy(aim, AF_INET6, "::ffff:127.0.0.1");
}

const struct vector intruder_vectors[] = {
	{"pidfd-getfd", pidfd_take},
	{"pidfd-getfd-connect", pidfd_take_connect},
	{"vm-writev", vm_write},
	{"proc-mem", proc_mem},
	{"ptrace", trace},
	{"proxy-loopback", proxy_loopback},
	{"proxy-any", proxy_any},
	{"proxy-loopback6", proxy_loopback6},
	{"proxy-mapped", proxy_mapped},
	{NULL, NULL},
};
