#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "launch.h"

static int terminal = -1; /* while the tool has it */

/* Groups of another PID namespace all have the number 0. Whose the terminal is is then told by a read of nothing: in the
 * background that fails (EIO, where nobody is to be stopped for it). */
static bool may_read(int file)
{
	void (*before)(int) = signal(SIGTTIN, SIG_IGN);
	char nothing;
	bool may = read(file, &nothing, 0) == 0 || errno != EIO;

	signal(SIGTTIN, before);
	return may;
}

/* A tool whose stdin is a pipe may still ask it for a password. */
int own_terminal(void)
{
	int file = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (file >= 0 && tcgetpgrp(file) == getpgrp() && (getpgrp() != 0 || may_read(file)))
		return file;
	if (file >= 0)
		close(file);
	return -1;
}

static void set_foreground(pid_t group)
{
	void (*before)(int) = signal(SIGTTOU, SIG_IGN); /* we may be in the background of it by now */

	tcsetpgrp(terminal, group);
	signal(SIGTTOU, before);
}

void terminal_take(pid_t group)
{
	terminal = own_terminal();
	if (terminal >= 0)
		set_foreground(group);
}

void terminal_give_back(void)
{
	if (terminal < 0)
		return;
	set_foreground(getpgrp());
	close(terminal);
	terminal = -1;
}

/* Whether there may be a shell that wants to know that we are stopped, and continues us. */
static bool has_terminal(void)
{
	int file = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (file < 0)
		return false;
	close(file);
	return true;
}

void stop_with_the_tool(pid_t group, int signo)
{
	if (!has_terminal())
		return;
	terminal_give_back();
	kill(0, signo == SIGSTOP ? SIGTSTP : signo); /* that one stops nobody whom no shell would continue */
	terminal_take(group);
	kill(-group, SIGCONT);
}
