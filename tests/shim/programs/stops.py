"""Has a child join the group of one of those who have started the tool, the nearest first, and draw a SIGTTOU of the
kernel's upon it: stops.py HOW_MANY. 77: it could not join."""

import os
import signal
import sys
import termios


def parent(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])


def join(group, terminal):
    try:
        os.setpgid(0, group)
    except PermissionError:
        os._exit(77)
    termios.tcsetattr(terminal, termios.TCSANOW, termios.tcgetattr(terminal))
    os._exit(0)


def main():
    terminal, pid = os.open("/dev/tty", os.O_RDWR), os.getpid()
    for _ in range(int(sys.argv[1])):
        pid = parent(pid)
        group, child = os.getpgid(pid), os.fork()
        if child == 0:
            join(group, terminal)
        status = os.waitpid(child, os.WUNTRACED)[1]
        is_stopped = os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGTTOU
        print("stopped" if is_stopped else os.waitstatus_to_exitcode(status), flush=True)
    signal.pause()


main()
