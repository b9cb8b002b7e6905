/* A lease: asked for -> granted, and the launcher runs -> ended, with what the daemon says of it. The daemon decides what
 * the exit status is: it knows whether each connection was the exit's. Without its word there is none. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

/* Who has asked us to end asks often twice, in one go (timeout(1)): a second later it is meant. */
enum { PATIENCE_MS = 10000, INSISTS_MS = 1000, LOOK_MS = 5, LOOKS_MAX = 2000 };

struct tenancy {
	int connection, signals;
	pid_t launcher;	   /* 0: not started, or gone */
	bool was_granted;
	int interrupted_by; /* the first signal that asked us to end */
	int64_t insists_from_ms;
	int64_t waits_until_ms; /* for the daemon's last word; 0: as long as it takes */
};

extern char **environ;

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool write_strings(int file, char **strings, uint32_t *count)
{
	for (*count = 0; strings[*count] != NULL; ++*count)
		if (!write_whole(file, strings[*count], strlen(strings[*count]) + 1))
			return false;
	return true;
}

static bool ask(int connection, char **arguments)
{
	struct exitpin_lease lease = {
		.magic = EXITPIN_MAGIC, .version = EXITPIN_WIRE_VERSION, .kind = EXITPIN_LEASE_ASK};
	char directory[PATH_MAX];
	int file = memfd_create("exitpin", MFD_CLOEXEC);

	for (int fd = 0; fd <= 2; fd++)
		lease.terminals |= isatty(fd) ? 1U << fd : 0;
	bool is_asked = file >= 0 && getcwd(directory, sizeof(directory)) != NULL &&
			write_whole(file, directory, strlen(directory) + 1) &&
			write_strings(file, arguments + 1, &lease.arguments) &&
			write_strings(file, environ, &lease.variables) && send_packet(connection, &lease, file);

	close(file);
	return is_asked;
}

/* Whatever still runs of the tree has no parent but us. */
static void end_tree(struct tenancy *tenancy)
{
	for (int looks = 0; looks < LOOKS_MAX; looks++) {
		pid_t gone = waitpid(-1, NULL, WNOHANG);

		if (gone < 0)
			break;
		if (gone > 0)
			continue;
		if (tenancy->launcher == 0 || looks * LOOK_MS > 1000) /* it is ending: its tree first */
			signal_descendants(SIGKILL);
		poll(NULL, 0, LOOK_MS);
	}
	take_back_terminal();
}

static _Noreturn void lose(struct tenancy *tenancy, const char *why)
{
	close(tenancy->connection);
	if (tenancy->launcher > 0)
		kill(tenancy->launcher, SIGTERM);
	end_tree(tenancy);
	fprintf(stderr, "exitpin: %s: nothing of this run is attributed.\n", why);
	_exit(tenancy->interrupted_by != 0 ? 128 + tenancy->interrupted_by : EXIT_FAILED);
}

static _Noreturn void end(struct tenancy *tenancy, const struct packet *packet)
{
	size_t size = 0;
	int status = packet->lease.number;

	if (tenancy->was_granted)
		end_tree(tenancy);
	char *text = read_whole(packet->fds[0], &size);

	if (text != NULL && !write_whole(STDOUT_FILENO, text, size)) {
		fprintf(stderr, "exitpin: standard output can't be written: %s. What was printed is not whole.\n",
			strerror(errno));
		status = EXIT_FAILED;
	}
	text = read_whole(packet->fds[1], &size);
	if (text != NULL)
		write_whole(STDERR_FILENO, text, size);
	if (status < 0)
		end_by(-status);
	_exit(status);
}

static void begin(struct tenancy *tenancy, const struct packet *grant)
{
	size_t size = 0;
	char *strings = read_whole(grant->fds[0], &size);

	tenancy->launcher = strings != NULL ? start_launcher(grant, strings, size) : -1;
	free(strings);
	for (int i = 0; i < PACKET_FDS; i++)
		close(grant->fds[i]);
	if (tenancy->launcher < 0) { /* the daemon sees that the control socket is closed, and says it */
		tenancy->launcher = 0;
		fprintf(stderr, "exitpin: the launcher could not be started: %s.\n", strerror(errno));
	}
	tenancy->was_granted = true;
	if (tenancy->launcher == 0)
		tenancy->waits_until_ms = now_ms() + PATIENCE_MS;
}

static void say(const struct packet *packet)
{
	size_t size;
	char *text = read_whole(packet->fds[0], &size);

	if (text != NULL)
		write_whole(STDERR_FILENO, text, size);
	free(text);
	close(packet->fds[0]);
}

/* The first packet that asks for something, while signals still end us by themselves. False: the daemon is gone. */
static bool wait_for_call(int connection, struct packet *packet)
{
	bool is_there;

	while ((is_there = receive_packet(connection, packet)) && packet->lease.kind == EXITPIN_LEASE_SAY)
		say(packet);
	return is_there;
}

static void heed(struct tenancy *tenancy, const struct packet *packet)
{
	if (packet->lease.kind == EXITPIN_LEASE_SAY)
		say(packet);
	if (packet->lease.kind == EXITPIN_LEASE_END)
		end(tenancy, packet);
	if (packet->lease.kind == EXITPIN_LEASE_GRANT && !tenancy->was_granted)
		begin(tenancy, packet);
}

static void reap(struct tenancy *tenancy)
{
	for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;)
		if (pid == tenancy->launcher) {
			tenancy->launcher = 0;
			tenancy->waits_until_ms = now_ms() + PATIENCE_MS;
		}
}

static void read_signals(struct tenancy *tenancy)
{
	struct signalfd_siginfo info;

	while (read(tenancy->signals, &info, sizeof(info)) == sizeof(info)) {
		const struct exitpin_lease interrupt = {
			.magic = EXITPIN_MAGIC, .version = EXITPIN_WIRE_VERSION, .kind = EXITPIN_LEASE_INTERRUPT,
			.number = (int)info.ssi_signo};

		if (info.ssi_signo == SIGCHLD) {
			reap(tenancy);
			continue;
		}
		if (tenancy->interrupted_by != 0 && now_ms() >= tenancy->insists_from_ms)
			lose(tenancy, "the daemon had not ended it");
		if (tenancy->interrupted_by == 0) {
			tenancy->interrupted_by = (int)info.ssi_signo;
			tenancy->insists_from_ms = now_ms() + INSISTS_MS;
			tenancy->waits_until_ms = now_ms() + PATIENCE_MS;
		}
		send_packet(tenancy->connection, &interrupt, -1);
	}
}

static int take_signals(void)
{
	sigset_t taken;
	struct sigaction before;

	sigemptyset(&taken);
	sigaddset(&taken, SIGCHLD);
	sigaddset(&taken, SIGINT);
	sigaddset(&taken, SIGTERM);
	if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) /* nohup */
		sigaddset(&taken, SIGHUP);
	sigprocmask(SIG_BLOCK, &taken, NULL);
	return signalfd(-1, &taken, SFD_NONBLOCK | SFD_CLOEXEC);
}

static bool go_to_the_daemon(int connection, const struct place *place)
{
	const struct exitpin_lease here = {
		.magic = EXITPIN_MAGIC, .version = EXITPIN_WIRE_VERSION, .kind = EXITPIN_LEASE_HERE};

	return go_there(place) && send_packet(connection, &here, -1);
}

void take_lease(int connection, const struct place *place, char **arguments)
{
	struct tenancy tenancy = {.connection = connection};
	struct packet packet;

	if (!ask(connection, arguments))
		return;
	struct pollfd answer = {connection, POLLIN, 0};

	if (poll(&answer, 1, PATIENCE_MS) == 0) { /* one that has to wait says so */
		fputs("exitpin: the daemon does not answer. `exitpin daemon status` tells its pid; EXITPIN_NO_DAEMON=1 does"
		      " without.\n", stderr);
		_exit(EXIT_FAILED);
	}
	if (!wait_for_call(connection, &packet))
		return;
	if (packet.lease.kind == EXITPIN_LEASE_END)
		end(&tenancy, &packet);
	if (packet.lease.kind != EXITPIN_LEASE_COME || !go_to_the_daemon(connection, place))
		return;
	tenancy.signals = take_signals();
	if (tenancy.signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0 || !prepare_tree()) {
		fprintf(stderr, "exitpin: the run can't be prepared: %s.\n", strerror(errno));
		_exit(EXIT_FAILED);
	}
	remember_terminal();
	for (;;) {
		struct pollfd ready[2] = {{tenancy.connection, POLLIN, 0}, {tenancy.signals, POLLIN, 0}};
		bool is_waiting = tenancy.waits_until_ms != 0;

		poll(ready, 2, is_waiting ? PATIENCE_MS : -1);
		if (ready[1].revents)
			read_signals(&tenancy);
		if (is_waiting && now_ms() >= tenancy.waits_until_ms)
			lose(&tenancy, "the daemon does not answer");
		if (ready[0].revents && !receive_packet(tenancy.connection, &packet))
			lose(&tenancy, "the daemon has gone");
		if (ready[0].revents)
			heed(&tenancy, &packet);
	}
}
