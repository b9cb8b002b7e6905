/* The records that hooks, launcher and orchestrator exchange: the one definition, read by C and (between the cdef
 * marks) by cffi. Host byte order: both ends are on one machine. Every record travels whole in one SOCK_SEQPACKET
 * packet; anything short, long or odd is refused by whoever receives it. */
#ifndef EXITPIN_WIRE_H
#define EXITPIN_WIRE_H

#include <stdint.h>

/* cdef: begin */

enum {
	EXITPIN_MAGIC = 0x4e495058, /* "XPIN" */
	EXITPIN_WIRE_VERSION = 1,
	EXITPIN_NONCE_SIZE = 16,
	EXITPIN_NAME_MAX = 255,
	EXITPIN_ANSWERS_MAX = 2,
	EXITPIN_HIDDEN_MAX = 512, /* sockets and named pipes of daemons on the launcher's command line */
	EXITPIN_CLOSED_MAX = 512, /* what is closed off from every run, beside these */
};

/* What a hook reports. One connection to the run's report socket carries one report and its answer. */
enum exitpin_op {
	EXITPIN_HELLO = 1,	 /* the constructor ran; name: nothing. Answer error 0: go on; else _exit(127) */
	EXITPIN_CONNECT = 2,	 /* source: where the socket is bound; destination; the socket itself by SCM_RIGHTS */
	EXITPIN_PEER = 3,	 /* source: a connected socket's own endpoint; answer: the destination asked for */
	EXITPIN_RESOLVE = 4,	 /* name; destination.family: 0 either, AF_INET, AF_INET6; answer: addresses */
	EXITPIN_RESOLVE_PTR = 5, /* destination.address; answer: a name */
	EXITPIN_DENIED = 6,	 /* a hook refused something: reason, destination or name. No answer comes */
	EXITPIN_UNIX = 7,	 /* name: a Unix socket that the tool would reach, an abstract one with @. Answer error 0: it may */
};

/* Why a hook or the launcher refused. */
enum exitpin_reason {
	EXITPIN_REASON_NONE = 0,
	EXITPIN_REASON_UDP = 1,		  /* a datagram, or a socket that could send one */
	EXITPIN_REASON_RAW = 2,		  /* raw IP, ICMP, packet sockets */
	EXITPIN_REASON_FAMILY = 3,	  /* an address family that Tor can't carry */
	EXITPIN_REASON_PROTOCOL = 4,	  /* a stream that is not TCP: MPTCP, SCTP, SMC */
	EXITPIN_REASON_LISTEN = 5,	  /* listen or a bind to a fixed port */
	EXITPIN_REASON_LOOPBACK = 6,	  /* this machine's own services */
	EXITPIN_REASON_MULTICAST = 7,	  /* multicast or broadcast destination */
	EXITPIN_REASON_DEVICE = 8,	  /* the socket is bound to a device */
	EXITPIN_REASON_RESOLVER = 9,	  /* a resolver call that talks UDP by itself */
	EXITPIN_REASON_STATIC = 10,	  /* exec of a static binary: the shim can't be loaded into it */
	EXITPIN_REASON_SETUID = 11,	  /* exec of a setuid, setgid or file-capability binary */
	EXITPIN_REASON_FOREIGN = 12,	  /* exec of a binary of another class or machine */
	EXITPIN_REASON_NOT_FOUND = 13,	  /* launcher: no such command */
	EXITPIN_REASON_NOT_EXECUTABLE = 14, /* launcher: there, but can't be executed */
	EXITPIN_REASON_INHERITED = 15,	  /* a socket that was open before the tool started */
	EXITPIN_REASON_CONTAINMENT = 16,  /* launcher: the kernel would not contain the tool */
	EXITPIN_REASON_LIBC = 17,	  /* exec of a binary of another C library: the shim can't be loaded into it */
	EXITPIN_REASON_UNIX = 18,	  /* a Unix socket of somebody outside the run */
	EXITPIN_REASON_NO_ROOM = 19,	  /* the machine had no room for a report: the run fails */
};

enum exitpin_flag {
	EXITPIN_FLAG_NONBLOCK = 1, /* the socket is O_NONBLOCK */
	EXITPIN_FLAG_V6ONLY = 2,   /* IPV6_V6ONLY was set (the hook has cleared it) */
	EXITPIN_FLAG_BOUND = 4,	   /* the tool had bound the socket itself: the source address is a weaker witness */
};

/* family: AF_INET, AF_INET6 or 0 (none). IPv4 stands in the first four bytes of address. port in host order. */
struct exitpin_endpoint {
	uint16_t family;
	uint16_t port;
	uint8_t address[16];
};

/* From a hook. name_size bytes of name (no NUL) follow the struct in the same packet. */
struct exitpin_report {
	uint32_t magic;
	uint16_t version;
	uint16_t op;
	uint8_t nonce[16];
	uint32_t pid;
	uint32_t tid;
	uint32_t flags;
	uint16_t reason;
	uint16_t name_size;
	struct exitpin_endpoint source;
	struct exitpin_endpoint destination;
};

/* To a hook. error: 0 or an errno that the hooked call may set. For RESOLVE: eai is 0 or an EAI_ code. name_size bytes
 * of name follow (RESOLVE_PTR). */
struct exitpin_answer {
	uint32_t magic;
	int32_t error;
	int32_t eai;
	uint16_t count;
	uint16_t name_size;
	struct exitpin_endpoint endpoints[2];
};

/* Between the launcher and the orchestrator, on the launcher's control socket. */
enum exitpin_notice_kind {
	EXITPIN_NOTICE_STARTED = 1, /* pid: the tool's first process, about to exec */
	EXITPIN_NOTICE_REFUSED = 2, /* reason, error: nothing was started; the launcher exits */
	EXITPIN_NOTICE_EXITED = 3,  /* status: wait(2) status of the tool's first process, with its rusage */
	EXITPIN_NOTICE_ENDED = 4,   /* nothing of the tree is left; rusage of all of it; swept: how many had to be ended */
	EXITPIN_NOTICE_CROWDED = 5, /* there were more processes at a time than allowed: all are being killed */
	EXITPIN_NOTICE_CALLS = 6,   /* from the child: by SCM_RIGHTS the descriptor from which its calls can be read */
};

struct exitpin_notice {
	uint32_t magic;
	uint16_t kind;
	uint16_t reason;
	int32_t pid;
	int32_t status;
	int32_t error;
	uint32_t swept;
	uint64_t cpu_us;
	uint64_t maxrss_kib;
};

enum exitpin_order_kind {
	EXITPIN_ORDER_SIGNAL = 1, /* send signo to the tool's process group */
	EXITPIN_ORDER_END = 2,	  /* TERM to the whole tree, KILL after grace_ms (0: KILL at once) */
};

struct exitpin_order {
	uint32_t magic;
	uint16_t kind;
	uint16_t signo;
	uint32_t grace_ms;
};

/* Between a client and the daemon, on the daemon's socket. Strings (each ended by NUL) and texts travel in files of
 * memfd_create(2), by SCM_RIGHTS: whatever their size, nobody waits for a reader. */
enum exitpin_lease_kind {
	EXITPIN_LEASE_ASK = 1,	     /* a file: the working directory, `arguments` of a command line, `variables` */
	EXITPIN_LEASE_COME = 2,	     /* you may have it: make the process that is to be the root of the run's tree */
	EXITPIN_LEASE_HERE = 3,	     /* from that one, which the kernel names (SCM_CREDENTIALS), in our namespaces */
	EXITPIN_LEASE_INTERRUPT = 4, /* number: the signal that asks the client to end */
	EXITPIN_LEASE_DECLINE = 5,   /* that command line is no daemon's: go on as if there were none */
	EXITPIN_LEASE_GRANT = 6,     /* a file: `arguments` of the launcher, `variables`; its control socket; and, if the
				      * tool does not have the client's own, three standard descriptors */
	EXITPIN_LEASE_END = 7,	     /* number: the exit status, or less than 0: by which signal to end; two files: text for
				      * stdout, and for stderr */
	EXITPIN_LEASE_BORROW = 8,    /* let me have tor to myself for as long as this connection lasts: its lock says when */
	EXITPIN_LEASE_STATUS = 9,    /* END: JSON for stdout */
	EXITPIN_LEASE_STOP = 10,     /* end. The connection's end: it has ended */
	EXITPIN_LEASE_SAY = 11,	     /* a file: text for the client's stderr */
};

/* terminals: bit N, that descriptor N of the client is a terminal. */
struct exitpin_lease {
	uint32_t magic;
	uint16_t version;
	uint16_t kind;
	int32_t number;
	uint32_t arguments;
	uint32_t variables;
	uint32_t terminals;
};

/* cdef: end */

_Static_assert(sizeof(struct exitpin_endpoint) == 20, "endpoint is 20 bytes");
_Static_assert(sizeof(struct exitpin_report) == 80, "report is 80 bytes");
_Static_assert(sizeof(struct exitpin_answer) == 56, "answer is 56 bytes");
_Static_assert(sizeof(struct exitpin_notice) == 40, "notice is 40 bytes");
_Static_assert(sizeof(struct exitpin_order) == 12, "order is 12 bytes");
_Static_assert(sizeof(struct exitpin_lease) == 24, "lease is 24 bytes");

#endif
