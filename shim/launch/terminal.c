#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "launch.h"

/* The controlling terminal, if our group has it now; a tool whose stdin is a pipe may still ask it for a password. */
static int own_terminal(void)
{
	int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (terminal >= 0 && tcgetpgrp(terminal) == getpgrp())
		return terminal;
	if (terminal >= 0)
		close(terminal);
	return -1;
}

static void set_foreground(int terminal, pid_t group)
{
	void (*before)(int) = signal(SIGTTOU, SIG_IGN); /* we may be in the background of it by now */

	tcsetpgrp(terminal, group);
	signal(SIGTTOU, before);
}

static int terminal = -1;

void terminal_take(pid_t group)
{
	terminal = own_terminal();
	if (terminal >= 0)
		set_foreground(terminal, group);
}

void terminal_give_back(void)
{
	if (terminal < 0)
		return;
	set_foreground(terminal, getpgrp());
	close(terminal);
	terminal = -1;
}

void stop_with_the_tool(pid_t group, int signo)
{
	terminal_give_back();
	kill(0, signo);
	terminal_take(group);
	kill(-group, SIGCONT);
}
