/* The state that the thread shares with the loop and with the runs' own threads: one lock is held whenever any
 * of it is looked at that changes. */
#ifndef EXITPIN_AHEAD_TABLE_H
#define EXITPIN_AHEAD_TABLE_H

#include <pthread.h>
#include <time.h>

#include "../socks.h"
#include "../text.h"
#include "ahead.h"

/* HUSH_MS: so long the loop is left in peace while a connect goes well. SILENT_MAX: with more that say nothing, the
 * loop is to take them by itself, as fast as it can: each costs a descriptor. */
enum { LINES_MAX = 1 << 16, REPLY_MAX = 262, HUSH_MS = 5, SILENT_MAX = 16 };

/* What an event of epoll is about: the kind, and the number of ticket, flight or silent connection. */
enum watched { WATCH_STOP, WATCH_KICK, WATCH_CONTROL, WATCH_REPORTS, WATCH_SILENT, WATCH_TOOL, WATCH_HOOK };

/* A hook's connection that has said nothing yet. */
struct silent {
	struct silent *next;
	uint64_t number, ticket;
	int connection, pid;
};

struct standing {
	struct standing *next;
	uint64_t number;
	int silent_count; /* how often a hook that was to be heard said nothing */
	bool is_used;
	struct exitpin_ahead_ticket ticket;
};

/* How far it is; REPLIED: Tor's side has said all, or has ended. */
enum dialogue { CONNECTING, GREETED, NAMED, ASKED, REPLIED };

/* A connect under way. connection: of the hook that waits, or -1: a call does. source: with IPv4 as IPv4. */
struct flight {
	struct flight *next;
	uint64_t number;
	int connection, calls, tool;
	uint64_t call;
	struct exitpin_endpoint source;
	char tag[EXITPIN_AHEAD_TAG_SIZE], host[256];
	uint16_t port;
	uint32_t circuit, patience_ms;
	struct timespec since;
	uint64_t stream; /* 0: Tor has not told of it yet */
	bool is_watched, is_opened, is_granted, is_spoiled, is_answered;
	enum dialogue at;
	uint8_t reply[REPLY_MAX];
	size_t have, need;
};

struct noted {
	struct noted *next;
	struct exitpin_ahead_note note;
};

/* An ATTACHSTREAM that Tor has not answered yet. */
struct asked {
	struct asked *next;
	uint64_t stream;
	uint32_t circuit;
	struct timespec since;
};

struct exitpin_ahead {
	pthread_mutex_t lock;
	pthread_t thread;
	int poll, stop, kick, control, noted;
	struct exitpin_endpoint tor;
	uint64_t network; /* cookie of our network namespace; 0: the kernel tells none */
	uint64_t numbers;
	int holders; /* the thread's owner, and doors */
	bool is_lost, is_hushed;
	struct timespec hushed_since;
	struct standing *standing;
	struct silent *silent;
	struct flight *flights;
	struct noted *first, **last;
	struct asked *asked, **asked_last;
	size_t lines_size;
	char lines[LINES_MAX];
};

/* thread.c: a ticket that has not been used; what epoll tells of; how long ago that was. */
struct standing *ahead_standing(struct exitpin_ahead *ahead, uint64_t number);
int ahead_watch(struct exitpin_ahead *ahead, int fd, enum watched what, uint64_t number, uint32_t events);
void ahead_watch_for(struct exitpin_ahead *ahead, int fd, enum watched what, uint64_t number, uint32_t events);
void ahead_unwatch(struct exitpin_ahead *ahead, int fd);
double ahead_passed_ms(const struct timespec *since);
void ahead_release(struct exitpin_ahead *ahead);

/* notes.c */
struct exitpin_ahead_note *ahead_note(struct exitpin_ahead *ahead, enum exitpin_ahead_kind kind);
void ahead_announce(struct exitpin_ahead *ahead);
void ahead_note_text(struct exitpin_ahead_note *note, const char *text, size_t size);
void ahead_lose(struct exitpin_ahead *ahead, const char *why);

/* take.c: a hook has connected, or says something; a connection is a hook's; the ticket is the loop's again, and
 * told so; the ticket is asked for, or has been used; those that have been are forgotten. */
void ahead_accept(struct exitpin_ahead *ahead, struct standing *standing);
void ahead_hear(struct exitpin_ahead *ahead, struct silent *silent);
void ahead_take_hook(struct exitpin_ahead *ahead, struct standing *standing, int connection, int pid);
void ahead_return(struct exitpin_ahead *ahead, struct standing *standing);
void ahead_give_back(struct exitpin_ahead *ahead, struct standing *standing);
void ahead_use(struct exitpin_ahead *ahead, struct standing *standing);
void ahead_forget_used(struct exitpin_ahead *ahead);

/* go.c: the cookie of a socket's network namespace (0: the kernel tells none); whether it is a TCP socket that reaches
 * our Tor; uses the ticket for a reported connect of tool, if that is plain: it has then been noted, and the ticket is
 * gone. call NULL: a hook's, on connection; else connection is -1. */
uint64_t ahead_network_of(int fd);
bool ahead_is_ours(const struct exitpin_ahead *ahead, int fd);
bool ahead_try(struct exitpin_ahead *ahead, struct standing *standing, int connection, int pid, int tool,
	       const struct exitpin_call *call, const uint8_t *bytes, size_t size);

/* dialogue.c: the flight begins (false: Tor was not reached, and nothing has happened), Tor's SOCKS side can be read
 * or written to, whoever waits has gone, both sides may have said yes. */
bool ahead_begin(struct exitpin_ahead *ahead, struct flight *flight);
void ahead_go_on(struct exitpin_ahead *ahead, struct flight *flight);
void ahead_hang_up(struct exitpin_ahead *ahead, struct flight *flight);
void ahead_settle(struct exitpin_ahead *ahead, struct flight *flight);
struct flight *ahead_flight(struct exitpin_ahead *ahead, uint64_t number);

/* control.c: lines of Tor can be read. */
void ahead_read_control(struct exitpin_ahead *ahead);

#endif
