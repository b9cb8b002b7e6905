#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "program.h"
#include "sys.h"
#include "text.h"

#ifdef __x86_64__
enum { OUR_MACHINE = EM_X86_64 };
#else
enum { OUR_MACHINE = EM_AARCH64 };
#endif

enum {
	SCRIPT_DEPTH = 5,    /* as the kernel: fs/exec.c */
	SCRIPT_LINE = 256,   /* as the kernel: BINPRM_BUF_SIZE */
	SEGMENTS_MAX = 1024, /* none has more; a hostile header may say so */
};

static bool read_exactly(int fd, void *data, size_t size, uint64_t offset)
{
	return sys_pread(fd, data, size, offset) == (long)size;
}

/* `#! /path argument` -> /path, as fs/binfmt_script.c reads it; empty for anything else. */
static void read_interpreter(int fd, char interpreter[SCRIPT_LINE])
{
	char line[SCRIPT_LINE];
	long size = sys_pread(fd, line, sizeof(line), 0);
	long i = 2, length = 0;

	if (size > 2 && line[0] == '#' && line[1] == '!') {
		while (i < size && (line[i] == ' ' || line[i] == '\t'))
			i++;
		while (i < size && line[i] != ' ' && line[i] != '\t' && line[i] != '\n' && length < SCRIPT_LINE - 1)
			interpreter[length++] = line[i++];
	}
	interpreter[length] = '\0';
}

/* glibc's dynamic linkers are called ld-linux-<arch>.so.N; LSB programs name a link to one. */
static bool is_glibc_linker(const char *path, size_t size)
{
	size_t start = 0;

	for (size_t i = 0; i < size && path[i] != '\0'; i++)
		if (path[i] == '/')
			start = i + 1;
	return size - start > 8 && (memcmp(path + start, "ld-linux", 8) == 0 || memcmp(path + start, "ld-lsb", 6) == 0);
}

static int check_elf(int fd, const Elf64_Ehdr *elf)
{
	Elf64_Phdr segment;
	char linker[SCRIPT_LINE];

	if (elf->e_ident[EI_CLASS] != ELFCLASS64 || elf->e_ident[EI_DATA] != ELFDATA2LSB ||
	    elf->e_machine != OUR_MACHINE || elf->e_phentsize != sizeof(segment) || elf->e_phnum > SEGMENTS_MAX)
		return EXITPIN_REASON_FOREIGN;
	for (unsigned i = 0; i < elf->e_phnum; i++) {
		if (!read_exactly(fd, &segment, sizeof(segment), elf->e_phoff + i * sizeof(segment)))
			return EXITPIN_REASON_FOREIGN;
		if (segment.p_type != PT_INTERP)
			continue;
		if (segment.p_filesz > sizeof(linker) || !read_exactly(fd, linker, segment.p_filesz, segment.p_offset))
			return EXITPIN_REASON_FOREIGN;
		return is_glibc_linker(linker, segment.p_filesz) ? EXITPIN_REASON_NONE : EXITPIN_REASON_LIBC;
	}
	return EXITPIN_REASON_STATIC;
}

/* One file, without what interprets it. */
static int check_file(int fd, char interpreter[SCRIPT_LINE])
{
	struct stat status;
	Elf64_Ehdr elf = {.e_ident = {0}};

	interpreter[0] = '\0';
	if (sys_fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		return EXITPIN_REASON_NONE;
	long size = sys_pread(fd, &elf, sizeof(elf), 0);

	if (size < 0)
		return EXITPIN_REASON_FOREIGN;
	if (size < SELFMAG || memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0)
		read_interpreter(fd, interpreter);
	if (interpreter[0] != '\0') /* the kernel heeds neither bit on a script */
		return EXITPIN_REASON_NONE;
	if ((status.st_mode & S_ISUID) || (status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) ||
	    sys_fgetxattr(fd, "security.capability", NULL, 0) > 0)
		return EXITPIN_REASON_SETUID;
	if (size < SELFMAG || memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0)
		return EXITPIN_REASON_NONE;
	return size < (long)sizeof(elf) ? EXITPIN_REASON_FOREIGN : check_elf(fd, &elf);
}

/* Opened for reading anew, since an executable's fd may be O_PATH. */
static long open_program(int directory, const char *path, int flags)
{
	const int how = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	char own[14 + 11] = "/proc/self/fd/";

	if (!(flags & AT_EMPTY_PATH) || path[0] != '\0' || directory < 0)
		return sys_openat(directory, path, how);
	exitpin_format_decimal((uint32_t)directory, own + 14);
	long fd = sys_open(own, how);

	/* no /proc: the kernel could execute what we can't look at */
	return fd == -ENOENT && sys_fcntl(directory, F_GETFD, 0) >= 0 ? -EACCES : fd;
}

/* exec will fail for the same reason, and the kernel will say which. No other error of open says that: EMFILE, for one,
 * is about us. A path that can't be read at all must not reach the note of a refusal. */
static bool exec_fails_too(long error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -ELOOP || error == -EFAULT;
}

int exitpin_program_check(int directory, const char *path, int flags)
{
	char interpreter[SCRIPT_LINE];

	for (int depth = 0; depth <= SCRIPT_DEPTH; depth++) {
		long fd = open_program(directory, path, flags);

		if (fd < 0)
			return exec_fails_too(fd) ? EXITPIN_REASON_NONE : EXITPIN_REASON_FOREIGN;
		int reason = check_file((int)fd, interpreter);

		sys_close((int)fd);
		if (reason != EXITPIN_REASON_NONE || interpreter[0] == '\0')
			return reason;
		path = interpreter;
		directory = AT_FDCWD;
		flags = 0;
	}
	return EXITPIN_REASON_NONE;
}
