/* System calls past libc: by syscall(2), by the instruction itself, by the ABIs of 32 bits. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vector.h"

static int syscall_connect(const struct aim *aim)
{
	int fd = (int)told("syscall socket", syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));

	if (told("syscall connect", syscall(SYS_connect, fd, &aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	return converse(aim, fd);
}

static int syscall_udp(const struct aim *aim)
{
	int fd = (int)told("syscall socket", syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0));

	return sent("syscall sendto",
		    syscall(SYS_sendto, fd, aim->mark, strlen(aim->mark), 0, &aim->in, sizeof(aim->in)));
}

static int syscall_sendto_tfo(const struct aim *aim)
{
	int fd = (int)told("socket", socket(AF_INET, SOCK_STREAM, 0));

	if (told("syscall sendto", syscall(SYS_sendto, fd, aim->mark, strlen(aim->mark), MSG_FASTOPEN, &aim->in,
					   sizeof(aim->in))) < 0)
		return DENIED;
	return converse(aim, fd);
}

static int syscall_sendmsg_tfo(const struct aim *aim)
{
	struct iovec data = {(void *)aim->mark, strlen(aim->mark)};
	const struct msghdr message = {
		.msg_name = (void *)&aim->in, .msg_namelen = sizeof(aim->in), .msg_iov = &data, .msg_iovlen = 1};
	int fd = (int)told("socket", socket(AF_INET, SOCK_STREAM, 0));

	if (told("syscall sendmsg", syscall(SYS_sendmsg, fd, &message, MSG_FASTOPEN)) < 0)
		return DENIED;
	return converse(aim, fd);
}

/* The kernel binds a listener that has no port by itself, in a range that the socket wants: a bind that nobody is asked for.
 * The neighbour on the wire tries to come in. */
static int syscall_listen(const struct aim *aim)
{
	enum { PORT_RANGE = 51 /* IP_LOCAL_PORT_RANGE */ };
	const uint32_t port = 20000 + aim->number, range = port << 16 | port;
	const int on = 1;
	int fd = (int)told("syscall socket", syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));

	told("syscall setsockopt", syscall(SYS_setsockopt, fd, IPPROTO_IP, PORT_RANGE, &range, sizeof(range)));
	/* who was here before, in another way, may have left the port in TIME_WAIT */
	told("syscall setsockopt", syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	if (told("syscall listen", syscall(SYS_listen, fd, 4)) < 0)
		return DENIED;
	int accepted = (int)told("accept", accept(fd, NULL, NULL));

	return accepted < 0 ? DENIED : sent("send", send(accepted, aim->mark, strlen(aim->mark), MSG_NOSIGNAL));
}

/* A protocol on top of TCP that has a connect of its own. */
static int syscall_smc(const struct aim *aim)
{
	enum { PROTOCOL = 31 /* TCP_ULP */ };
	int fd = (int)told("syscall socket", syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));

	if (told("syscall setsockopt", syscall(SYS_setsockopt, fd, IPPROTO_TCP, PROTOCOL, "smc", 4)) < 0 ||
	    told("syscall connect", syscall(SYS_connect, fd, &aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	return converse(aim, fd);
}

/* The stream is opened by a thread that glibc knows nothing of. */
static int in_clone(void *context)
{
	return syscall_connect(context);
}

static int raw_clone(const struct aim *aim)
{
	enum { STACK = 1 << 18 };
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return await(clone(in_clone, stack + STACK, CLONE_UNTRACED | 17 /* SIGCHLD */, (void *)aim));
}

#ifdef __x86_64__

static long raw(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
}

static int raw_instruction(const struct aim *aim)
{
	long fd = told_raw("raw socket", raw(SYS_socket, AF_INET, SOCK_STREAM, 0));

	if (fd < 0 || told_raw("raw connect", raw(SYS_connect, fd, (long)&aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	return converse(aim, (int)fd);
}

/* The socket is libc's, as any library would have it. */
static int raw_connect_alone(const struct aim *aim)
{
	int fd = (int)told("socket", socket(AF_INET, SOCK_STREAM, 0));

	if (told_raw("raw connect", raw(SYS_connect, fd, (long)&aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	return converse(aim, fd);
}

static int x32(const struct aim *aim)
{
	enum { X32_BIT = 0x40000000 };
	long fd = told_raw("x32 socket", raw(X32_BIT | SYS_socket, AF_INET, SOCK_STREAM, 0));

	if (fd < 0 || told_raw("x32 connect", raw(X32_BIT | SYS_connect, fd, (long)&aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	return converse(aim, (int)fd);
}

enum { I386_SOCKETCALL = 102, I386_SOCKET = 359, I386_CONNECT = 362 };

static long int80(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "0"(number), "b"(a), "c"(b), "d"(c) : "r8", "r9", "r10", "r11", "memory");
	return (int)result;
}

/* Memory whose addresses have 32 bits, for arguments. */
static uint32_t *low_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
}

static int int80_socketcall(const struct aim *aim)
{
	enum { CALL_SOCKET = 1, CALL_CONNECT = 3 };
	uint32_t *words = low_memory();

	memcpy(words, (uint32_t[]){AF_INET, SOCK_STREAM, 0}, 12);
	long fd = told_raw("int80 socketcall socket", int80(I386_SOCKETCALL, CALL_SOCKET, (long)words, 0));

	memcpy(words + 8, &aim->in, sizeof(aim->in));
	memcpy(words, (uint32_t[]){(uint32_t)fd, (uint32_t)(uintptr_t)(words + 8), sizeof(aim->in)}, 12);
	if (fd < 0 || told_raw("int80 socketcall connect", int80(I386_SOCKETCALL, CALL_CONNECT, (long)words, 0)) < 0)
		return DENIED;
	return converse(aim, (int)fd);
}

static int int80_direct(const struct aim *aim)
{
	uint32_t *words = low_memory();
	long fd = told_raw("int80 socket", int80(I386_SOCKET, AF_INET, SOCK_STREAM, 0));

	memcpy(words, &aim->in, sizeof(aim->in));
	if (fd < 0 || told_raw("int80 connect", int80(I386_CONNECT, fd, (long)words, sizeof(aim->in))) < 0)
		return DENIED;
	return converse(aim, (int)fd);
}

/* A datagram: what stops a connect does not stop it. */
static int int80_udp(const struct aim *aim)
{
	enum { I386_SENDTO = 369 };
	uint32_t *words = low_memory();
	long fd = told_raw("int80 socket", int80(I386_SOCKET, AF_INET, SOCK_DGRAM, 0));

	memcpy(words, &aim->in, sizeof(aim->in));
	if (fd < 0 || told_raw("int80 connect", int80(I386_CONNECT, fd, (long)words, sizeof(aim->in))) < 0)
		return DENIED;
	return sent("write", syscall(SYS_write, fd, "x", 1));
}

#endif

const struct vector syscall_vectors[] = {
	{"syscall-connect", syscall_connect},
	{"syscall-udp", syscall_udp},
	{"syscall-sendto-tfo", syscall_sendto_tfo},
	{"syscall-sendmsg-tfo", syscall_sendmsg_tfo},
	{"syscall-listen", syscall_listen},
	{"syscall-smc", syscall_smc},
	{"raw-clone", raw_clone},
#ifdef __x86_64__
	{"raw-instruction", raw_instruction},
	{"raw-connect-alone", raw_connect_alone},
	{"x32", x32},
	{"int80-socketcall", int80_socketcall},
	{"int80-direct", int80_direct},
	{"int80-udp", int80_udp},
#endif
	{NULL, NULL},
};
