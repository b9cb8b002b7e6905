#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "client.h"

static int terminal = -1;

void remember_terminal(void)
{
	if (terminal >= 0) /* our parent's */
		close(terminal);
	terminal = own_terminal();
}

void take_back_terminal(void)
{
	pid_t group = terminal >= 0 ? tcgetpgrp(terminal) : -1;

	/* 0: of another PID namespace. A shell that has made another group its foreground keeps it */
	if (group < 0 || group == getpgrp() || (group > 0 && (kill(-group, 0) == 0 || errno == EPERM)))
		return;
	void (*before)(int) = signal(SIGTTOU, SIG_IGN); /* we are in the background of it */

	tcsetpgrp(terminal, getpgrp());
	signal(SIGTTOU, before);
}
