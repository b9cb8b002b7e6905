/* What need not wait for the orchestrator's loop: a thread that carries out the next connect of a run, by a ticket
 * that the loop has written for it, in the way of the loop itself: the report and who made it are checked, the
 * tool's socket is claimed for the run's circuit, greeted to Tor with the ticket's tag, its stream attached where
 * all witnesses agree, and the tool answered when Tor's SOCKS side and SUCCEEDED on that circuit have both said so.
 *
 * A ticket is good for one connect. The loop takes it back before it takes any other step about that run, so that
 * nothing it was written by can have changed when it is used; what was done meanwhile stands in notes, which the
 * loop reads before any later line of Tor's, and decides once more. Whatever is not plain is left to the loop, as if
 * nobody had looked at it, and ends the ticket.
 *
 * Any thread may call any of this, but for a door's: one thread waits at it, the loop alone opens and shuts it; and
 * nothing follows exitpin_ahead_stop, which comes once, but that doors are left. Descriptors are lent: whoever lent
 * them closes them, when no ticket and no flight has them any more; those that come with a note are given. Errors are
 * minus an errno. */
#ifndef EXITPIN_AHEAD_H
#define EXITPIN_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../notify.h"
#include "../wire.h"

/* cdef: begin */

struct exitpin_ahead;

enum {
	EXITPIN_AHEAD_TAG_SIZE = 128,
	EXITPIN_AHEAD_PLACES_MAX = 32,
	EXITPIN_AHEAD_PACKET_MAX = 1024,
	EXITPIN_AHEAD_FDS_MAX = 253, /* SCM_MAX_FD: what has no room is closed by the kernel while we wait */
	EXITPIN_AHEAD_ANSWERED = 1,
	EXITPIN_AHEAD_IS_ATTACHED = 2,
};

/* Where a connect to an endpoint leads; port 0: to any of its ports, and on to the same. */
struct exitpin_ahead_place {
	struct exitpin_endpoint endpoint;
	char host[256];
};

/* reports: the run's report socket; calls: where its calls are answered, or -1; root: of the run's process tree;
 * run: its own address; goes_anywhere: an IPv4 address that is in no place leads to itself; patience_ms: after that
 * it is for the loop to answer, who is about to call it too late. */
struct exitpin_ahead_ticket {
	int reports, calls, root;
	bool goes_anywhere;
	uint8_t nonce[16];
	struct exitpin_endpoint run;
	uint32_t circuit, patience_ms;
	char tag[EXITPIN_AHEAD_TAG_SIZE];
	size_t places_count;
	struct exitpin_ahead_place places[EXITPIN_AHEAD_PLACES_MAX];
};

/* Of REPORTED nothing was done. WENT: the ticket was used, for a connect to host and port, by connection or call, of which
 * packet is the report and fds[0] the tool's socket. code: Tor's SOCKS reply, or -1: its side ended, or spoke no
 * SOCKS; or that of its reply to ATTACHSTREAM stream circuit, with its text in packet. */
enum exitpin_ahead_kind {
	EXITPIN_AHEAD_ACCEPTED = 1, /* connection: of a hook that has said nothing yet; pid: whose */
	EXITPIN_AHEAD_REPORTED = 2, /* connection, pid, and what was read: packet, fds and is_cut */
	EXITPIN_AHEAD_WENT = 3,
	EXITPIN_AHEAD_REPLIED = 4,  /* flight, code */
	EXITPIN_AHEAD_HUNG_UP = 5,  /* flight: whoever waited has gone */
	EXITPIN_AHEAD_ATTACHED = 6, /* stream, circuit, code */
	EXITPIN_AHEAD_LOST = 7,	    /* the control connection; why, in packet */
	EXITPIN_AHEAD_RETURNED = 8, /* the ticket, unused: the loop is to read for itself */
};

/* flight: what a ticket that was used has become, until it is ended. Unused fields are 0, descriptors -1. */
struct exitpin_ahead_note {
	int kind, connection, pid, code;
	bool is_cut;
	uint64_t ticket, flight, stream;
	uint32_t circuit;
	struct exitpin_call call;
	size_t fds_count;
	int fds[EXITPIN_AHEAD_FDS_MAX];
	size_t size;
	uint8_t packet[EXITPIN_AHEAD_PACKET_MAX];
	char host[256];
	uint16_t port;
};

/* Of a supervised run. hooks: path of its report socket. Zeroed but for that, it has no ticket. */
struct exitpin_door {
	struct exitpin_ahead *ahead;
	int64_t ticket;
	char hooks[108];
};

/* A call, as it was when its maker waited for it: refused with error, by a defence, or to be made by us; pid: its
 * process; problem: an errno, why it can't be made; tool: a copy of the socket that it is about, or -1; size bytes
 * of address; connection: -1, or that of a hook, which this is, and no call any more. */
struct exitpin_taken {
	struct exitpin_call call;
	int error, pid, problem, tool, connection;
	char defence[24];
	size_t size;
	uint8_t address[128];
};

/* cdef: end */

/* control: a control connection, authenticated, that hears STREAM and nothing else, and is used by nobody else; tor:
 * its SOCKS port; noted: an eventfd that is written to when there are notes. NULL and errno. */
struct exitpin_ahead *exitpin_ahead_start(int control, const struct exitpin_endpoint *tor, int noted);
void exitpin_ahead_stop(struct exitpin_ahead *ahead);

/* A ticket's number, never 0, or minus an errno; EINVAL: circuit 0, for which Tor would choose one, or no tag. From here
 * until it is recalled or used, nobody else reads what it names. */
int64_t exitpin_ahead_issue(struct exitpin_ahead *ahead, const struct exitpin_ahead_ticket *ticket);

/* It is good for nothing any more. Whether there are no notes, of this or of others. */
bool exitpin_ahead_recall(struct exitpin_ahead *ahead, int64_t ticket);

/* The next call that is left to the loop, or a hook's connection that nobody hears: 1. 0: wake can be read. Minus an
 * errno; EPIPE: nobody is left who could call. Connects of hooks to the report socket, and what goes by the door's
 * ticket, are carried out meanwhile. what: as in rules.h. In a thread that may wait: the kernel may wait for the
 * tool. */
int exitpin_door_wait(const struct exitpin_door *door, int listener, int wake, int what, bool may_listen,
		      struct exitpin_taken *taken);

/* The ticket that is out, or none any more. */
void exitpin_door_open(struct exitpin_door *door, struct exitpin_ahead *ahead, int64_t ticket);
void exitpin_door_shut(struct exitpin_door *door);

/* Nobody waits at it any more. */
void exitpin_door_leave(struct exitpin_door *door);

/* The oldest note that was not read yet; false: there is none. */
bool exitpin_ahead_next(struct exitpin_ahead *ahead, struct exitpin_ahead_note *note);

/* How long Tor has owed a reply; 0: it owes none. */
double exitpin_ahead_waits_s(struct exitpin_ahead *ahead);

/* Whether there are notes that are not announced yet, for a few milliseconds: they are about the only flight there
 * is, which goes well. Whoever has nothing else to do does it a favour by waiting for the announcement. */
bool exitpin_ahead_is_hushed(struct exitpin_ahead *ahead);

/* Nothing more is done about this flight; what has been: whoever waited was told of success, Tor was told to attach its
 * stream. */
int exitpin_ahead_end(struct exitpin_ahead *ahead, uint64_t flight);
bool exitpin_ahead_is_answered(struct exitpin_ahead *ahead, uint64_t flight);

#endif
