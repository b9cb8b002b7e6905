/* The supervisor's side of seccomp user notification: what a tool's process asks of the kernel is read, carried out on the
 * tool's own socket, and answered. Errors are minus an errno. Source: seccomp_unotify(2), pidfd_getfd(2). */
#ifndef EXITPIN_NOTIFY_H
#define EXITPIN_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

struct exitpin_call {
	uint64_t id;
	uint32_t tid;
	int32_t number;
	uint64_t arguments[6];
};

/* The next call that waits. -ENOENT: whoever made it is gone. Blocks if none waits. */
int exitpin_call_receive(int listener, struct exitpin_call *call);

/* Whether its maker still waits: only then is what was read of it, by tid, its own. */
bool exitpin_call_is_alive(int listener, uint64_t id);

/* The call returns: error 0, or an errno. */
int exitpin_call_answer(int listener, uint64_t id, int error);

/* The call returns 0, and fd of its maker is from now on what ours is, closed on exec. */
int exitpin_call_replace(int listener, uint64_t id, int fd, int ours);

/* The call, which makes a descriptor, returns one for what ours is. */
int exitpin_call_give(int listener, uint64_t id, int ours, bool is_cloexec);

/* connect(2) that waits for nobody: of a socket for datagrams or netlink, which sends nothing, or to AF_UNSPEC. */
int exitpin_connect_at_once(int fd, const void *address, size_t size);

/* A copy of a process's descriptor; tid names one of its threads, pid the process. */
int exitpin_descriptor_of(int tid, int pid, int fd);

/* Up to size bytes of its memory; how many. */
long exitpin_read_memory(int tid, uint64_t address, void *data, size_t size);

/* A CONNECT report about this connect of the tool's socket, as the hook would make it (steer.h), with nonce, pid and tid
 * given; where it is we who refuse, a DENIED one, and the reason. 0 or minus the errno that the tool gets. */
long exitpin_report_connect(int fd, const void *address, size_t size, const struct exitpin_endpoint *run_address,
			    struct exitpin_report *report, int *reason);

#endif
