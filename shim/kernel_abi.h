/* What launcher and supervisor need of the kernel's interface and libc's headers may lack: musl has none of the kernel's,
 * and those of Debian 12 know no network rules of Landlock. Values never change once a kernel has them.
 * Sources: include/uapi/linux/{filter,bpf_common,seccomp,audit,landlock,capability,sockios,openat2}.h. */
#ifndef EXITPIN_KERNEL_ABI_H
#define EXITPIN_KERNEL_ABI_H

#include <stdint.h>

/* classic BPF, as seccomp runs it */
struct bpf_instruction {
	uint16_t code;
	uint8_t if_true, if_false;
	uint32_t operand;
};
struct bpf_program {
	unsigned short size;
	const struct bpf_instruction *instructions;
};
enum {
	BPF_LOAD = 0x20,	 /* LD | W | ABS: the word at offset operand */
	BPF_MASK = 0x54,	 /* ALU | AND | K */
	BPF_IF_EQUAL = 0x15,	 /* JMP | JEQ | K */
	BPF_IF_AT_LEAST = 0x35,	 /* JMP | JGE | K */
	BPF_SKIP = 0x05,	 /* JMP | JA: as many as operand */
	BPF_ANSWER = 0x06,	 /* RET | K */
};

struct seccomp_call {
	int32_t number;
	uint32_t machine;
	uint64_t instruction_pointer;
	uint64_t arguments[6];
};
#define SECCOMP_KILL 0x80000000U /* the whole process, by SIGSYS */
#define SECCOMP_ERROR 0x00050000U
#define SECCOMP_ASK 0x7fc00000U
#define SECCOMP_PASS 0x7fff0000U
enum {
	SECCOMP_FILTER = 1,		    /* operation SECCOMP_SET_MODE_FILTER */
	SECCOMP_NEW_LISTENER = 8,	    /* flags */
	SECCOMP_WAIT_KILLABLE = 32,
	MACHINE_X86_64 = 0x3e | 0xc0000000, /* AUDIT_ARCH_ */
	MACHINE_AARCH64 = 0xb7 | 0xc0000000,
	X32_BIT = 0x40000000,
};

/* what some rules are about: protocols, socket options, ioctls */
enum {
	ROUTING = 0, /* NETLINK_ROUTE */
	TCP = 6,
	LEVEL_V4 = 0,
	LEVEL_V6 = 41,
	OPTION_DEVICE = 25, /* SO_BINDTODEVICE */
	OPTION_DEVICE_INDEX = 62,
	OPTION_UNICAST_V4 = 50, /* IP_UNICAST_IF */
	OPTION_UNICAST_V6 = 76,
	OPTION_TCP_PROTOCOL = 31, /* TCP_ULP */
	OPTION_TCP_MD5 = 14,	  /* TCP_MD5SIG */
	OPTION_TCP_MD5_EXT = 32,
	OPTION_TCP_AO = 38,	    /* TCP_AO_ADD_KEY */
	OPTION_MIN_TTL = 21,	    /* IP_MINTTL */
	OPTION_MIN_HOPS = 73,	    /* IPV6_MINHOPCOUNT */
	ATTACH_TUNNEL = 0x400454ca, /* TUNSETIFF */
	NEW_USERFAULTFD = 0xaa00,   /* USERFAULTFD_IOC_NEW, of /dev/userfaultfd */
	SOCKET_IOCTLS = 0x8900,	    /* the first 16 are about the socket, the others about devices (SIOCGIFCONF) */
	UNSENT_BYTES = 0x894b,	    /* SIOCOUTQNSD: of the socket, too */
	WIRELESS_IOCTLS = 0x8b00,   /* SIOCIWFIRST */
};

/* seccomp user notification; the numbers of its ioctls hold the sizes of these */
struct seccomp_notice {
	uint64_t id;
	uint32_t tid, flags;
	struct seccomp_call call;
};
struct seccomp_answer {
	uint64_t id;
	int64_t value;
	int32_t error; /* negative */
	uint32_t flags;
};
struct seccomp_descriptor {
	uint64_t id;
	uint32_t flags, ours, theirs, theirs_flags;
};
#define SECCOMP_NOTICE_RECEIVE 0xc0502100UL
#define SECCOMP_NOTICE_ANSWER 0xc0182101UL
#define SECCOMP_NOTICE_IS_VALID 0x40082102UL
#define SECCOMP_NOTICE_GIVE 0x40182103UL
#define SECCOMP_NOTICE_SET_FLAGS 0x40082104UL
enum { SECCOMP_AT_NUMBER = 1, SECCOMP_AND_ANSWER = 2, SECCOMP_WAKE_HERE = 1 /* USER_NOTIF_FD_SYNC_WAKE_UP */ };

struct mount_attributes {
	uint64_t set, clear, propagation, user_namespace;
};
enum { MOUNT_SETATTR = 442 /* the system call, on every machine */, MOUNT_READ_ONLY = 1, MOUNT_NO_DEVICES = 4 };
enum { TREE_OF_ITS_OWN = 1 /* OPEN_TREE_CLONE */, MOVE_FROM_DESCRIPTOR = 4, MOVE_TO_DESCRIPTOR = 0x40 };

struct capability_header {
	uint32_t version;
	int pid;
};
struct capability_set { /* of 32 capabilities */
	uint32_t effective, permitted, inheritable;
};
enum { CAPABILITY_VERSION = 0x20080522, CAPABILITY_SETS = 2 };

struct path_opening { /* struct open_how */
	uint64_t flags, mode, resolve;
};
enum { OPENAT2 = 437 /* the system call, on every machine */, WITHOUT_LINKS = 4 /* RESOLVE_NO_SYMLINKS */ };

struct landlock_ruleset {
	uint64_t files, network, scopes;
};
struct landlock_path_rule {
	uint64_t rights;
	int32_t parent;
} __attribute__((packed));
struct landlock_port_rule {
	uint64_t rights, port;
};
enum {
	LANDLOCK_WITH_REFER = 2, /* ABI */
	LANDLOCK_WITH_TRUNCATE = 3,
	LANDLOCK_WITH_NETWORK = 4,
	LANDLOCK_WITH_SCOPES = 6,
	LANDLOCK_ASK_VERSION = 1,
	LANDLOCK_BELOW = 1, /* rule types */
	LANDLOCK_PORT = 2,
	LANDLOCK_WRITE_FILE = 1 << 1,
	LANDLOCK_REMOVE_DIR = 1 << 4,
	LANDLOCK_REMOVE_FILE = 1 << 5,
	LANDLOCK_MAKE_CHAR = 1 << 6,
	LANDLOCK_MAKE_DIR = 1 << 7,
	LANDLOCK_MAKE_REG = 1 << 8,
	LANDLOCK_MAKE_SOCK = 1 << 9,
	LANDLOCK_MAKE_FIFO = 1 << 10,
	LANDLOCK_MAKE_BLOCK = 1 << 11,
	LANDLOCK_MAKE_SYM = 1 << 12,
	LANDLOCK_REFER = 1 << 13,
	LANDLOCK_TRUNCATE = 1 << 14,
	LANDLOCK_BIND_TCP = 1,
	LANDLOCK_CONNECT_TCP = 2,
	LANDLOCK_ABSTRACT_SOCKETS = 1,
	LANDLOCK_SIGNALS = 2,
};

#endif
