/* System calls without libc: no errno, no cancellation points, no symbol that another preload library could replace.
 * Each returns what the kernel returned: a value, or minus an errno. Usable in signal handlers, after vfork, and before
 * any constructor. */
#ifndef EXITPIN_SYS_H
#define EXITPIN_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>

#if defined(__x86_64__) && !defined(__ILP32__)

static inline long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#elif defined(__aarch64__) && !defined(__ILP32__)

static inline long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}

#else
#error "exitpin knows x86_64 and aarch64"
#endif

static inline long sys_socket(int family, int type, int protocol)
{
	return sys_call(SYS_socket, family, type, protocol, 0, 0, 0);
}

static inline long sys_socketpair(int family, int type, int protocol, int *pair)
{
	return sys_call(SYS_socketpair, family, type, protocol, (long)pair, 0, 0);
}

static inline long sys_connect(int fd, const void *address, socklen_t size)
{
	return sys_call(SYS_connect, fd, (long)address, size, 0, 0, 0);
}

static inline long sys_bind(int fd, const void *address, socklen_t size)
{
	return sys_call(SYS_bind, fd, (long)address, size, 0, 0, 0);
}

static inline long sys_listen(int fd, int backlog)
{
	return sys_call(SYS_listen, fd, backlog, 0, 0, 0, 0);
}

static inline long sys_getsockname(int fd, void *address, socklen_t *size)
{
	return sys_call(SYS_getsockname, fd, (long)address, (long)size, 0, 0, 0);
}

static inline long sys_getpeername(int fd, void *address, socklen_t *size)
{
	return sys_call(SYS_getpeername, fd, (long)address, (long)size, 0, 0, 0);
}

static inline long sys_getsockopt(int fd, int level, int option, void *value, socklen_t *size)
{
	return sys_call(SYS_getsockopt, fd, level, option, (long)value, (long)size, 0);
}

static inline long sys_setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
	return sys_call(SYS_setsockopt, fd, level, option, (long)value, size, 0);
}

static inline long sys_sendto(int fd, const void *data, size_t size, int flags, const void *address, socklen_t length)
{
	return sys_call(SYS_sendto, fd, (long)data, (long)size, flags, (long)address, length);
}

static inline long sys_sendmsg(int fd, const struct msghdr *message, int flags)
{
	return sys_call(SYS_sendmsg, fd, (long)message, flags, 0, 0, 0);
}

static inline long sys_sendmmsg(int fd, void *messages, unsigned count, int flags)
{
	return sys_call(SYS_sendmmsg, fd, (long)messages, count, flags, 0, 0);
}

static inline long sys_recvmsg(int fd, struct msghdr *message, int flags)
{
	return sys_call(SYS_recvmsg, fd, (long)message, flags, 0, 0, 0);
}

static inline long sys_open(const char *path, int flags)
{
	return sys_call(SYS_openat, AT_FDCWD, (long)path, flags, 0, 0, 0);
}

static inline long sys_openat(int directory, const char *path, int flags)
{
	return sys_call(SYS_openat, directory, (long)path, flags, 0, 0, 0);
}

static inline long sys_read(int fd, void *data, size_t size)
{
	return sys_call(SYS_read, fd, (long)data, (long)size, 0, 0, 0);
}

static inline long sys_pread(int fd, void *data, size_t size, uint64_t offset)
{
	return sys_call(SYS_pread64, fd, (long)data, (long)size, (long)offset, 0, 0);
}

static inline long sys_write(int fd, const void *data, size_t size)
{
	return sys_call(SYS_write, fd, (long)data, (long)size, 0, 0, 0);
}

static inline long sys_close(int fd)
{
	return sys_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

static inline long sys_fcntl(int fd, int command, long argument)
{
	return sys_call(SYS_fcntl, fd, command, argument, 0, 0, 0);
}

static inline long sys_dup3(int from, int to, int flags)
{
	return sys_call(SYS_dup3, from, to, flags, 0, 0, 0);
}

static inline long sys_fstat(int fd, struct stat *status)
{
	return sys_call(SYS_fstat, fd, (long)status, 0, 0, 0, 0);
}

static inline long sys_fgetxattr(int fd, const char *name, void *value, size_t size)
{
	return sys_call(SYS_fgetxattr, fd, (long)name, (long)value, (long)size, 0, 0);
}

static inline long sys_execveat(int directory, const char *path, char *const argv[], char *const envp[], int flags)
{
	return sys_call(SYS_execveat, directory, (long)path, (long)argv, (long)envp, flags, 0);
}

static inline long sys_execve(const char *path, char *const argv[], char *const envp[])
{
	return sys_call(SYS_execve, (long)path, (long)argv, (long)envp, 0, 0, 0);
}

static inline long sys_uname(struct utsname *names)
{
	return sys_call(SYS_uname, (long)names, 0, 0, 0, 0, 0);
}

static inline long sys_getpid(void)
{
	return sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static inline long sys_gettid(void)
{
	return sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

/* Signals do not shorten it. */
static inline void sys_sleep_ms(long ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	while (sys_call(SYS_nanosleep, (long)&left, (long)&left, 0, 0, 0, 0) == -EINTR)
		;
}

static inline _Noreturn void sys_exit(int status)
{
	for (;;)
		sys_call(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

#endif
