"""Linux namespaces: making a set of them with an init of ours, and running in the set of another process.

Decides nothing about what happens inside. Called by the lab's supervisor (`run_as_init`), and by `lab exec` and
`run --lab` (`run_inside`).
Sources: namespaces(7), user_namespaces(7), pid_namespaces(7), setns(2), PR_SET_PDEATHSIG in prctl(2).
"""

import errno
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..orchestrator.errors import BY_INTERRUPT, ByInterrupt, OperatorError
from ..shim import bindings

CLONE_NEW = {
    "user": 0x10000000,
    "mnt": 0x00020000,
    "net": 0x40000000,
    "pid": 0x20000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
}
SI_KERNEL = 0x80

FORWARDED = {
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTSTP,
}

Main = Callable[[], int]


def run_as_init(main: Main) -> int:
    """Make new namespaces, run `main` as the first process of the PID namespace, and return its status when it ends.

    The calling process must be single-threaded and is changed for good: it has entered the namespaces itself (but the
    PID namespace). `main` dies when the caller dies. Raises OperatorError when the kernel does not allow it.
    """
    _unshare_all()
    child = os.fork()
    if child == 0:
        _become(main, parent_seen_as=0)
    return wait_status(child)


def run_inside(pid: int, main: Main, on_killed: Callable[[], None] = lambda: None) -> int:
    """Run `main` in a child process inside the namespaces of `pid`, and return its status (128+N for a signal).
    `on_killed` is called when the child was killed, which is no status of what it ran.

    Signals sent to us go on to the child; those that the terminal sent have reached it already. The child is killed
    when we are. When we are inside already, `main` is called directly. The calling process must be single-threaded, is
    changed for good, and keeps its working directory. Raises OperatorError when the namespaces can't be entered.
    """
    missing = [kind for kind in CLONE_NEW if _identity(pid, kind) != _identity(os.getpid(), kind)]
    if not missing:
        return main()
    try:
        directory = os.getcwd()
    except FileNotFoundError as error:
        raise OperatorError("The working directory is gone.", "Go to one that is there, and try again.") from error
    _enter(pid, missing)
    try:
        os.chdir(directory)
    except OSError:
        os.chdir("/")
    terminal = _own_terminal()
    old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED | {signal.SIGCHLD, signal.SIGCONT})
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
        _become(main, parent_seen_as=0)
    try:
        status = _attend(child, stops_with_it=_has_terminal())
    finally:
        if terminal is not None:
            _take_back(terminal)
        signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        on_killed()
    return BY_INTERRUPT if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT else shell_status(status)


def _has_terminal() -> bool:
    """Whether there may be a shell that wants to know that we are stopped, and continues us."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _own_terminal() -> int | None:
    """The controlling terminal, if our group is its foreground."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    with suppress(OSError):
        if os.tcgetpgrp(terminal) == os.getpgrp():
            return terminal
    os.close(terminal)
    return None


def _take_back(terminal: int) -> None:
    """Close it; our group is its foreground again, unless a shell has made another one that meanwhile. Who took it in
    another PID namespace could not give it back: ours has no number there."""
    with suppress(OSError):  # it has hung up
        if _is_gone(os.tcgetpgrp(terminal)):
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})  # we are in the background
            os.tcsetpgrp(terminal, os.getpgrp())
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.close(terminal)


def _is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def die_with_parent(parent_seen_as: int) -> None:
    """Ask to be killed when the parent ends; exit at once if it has ended. A parent outside our PID namespace is 0."""
    bindings.set_death_signal(signal.SIGKILL)
    if os.getppid() != parent_seen_as:
        os._exit(128 + signal.SIGKILL)


def outlive_parent() -> None:
    """Take back `die_with_parent`."""
    bindings.set_death_signal(0)


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2); OSError on failure."""
    try:
        bindings.mount(source, target, kind, flags, options)
    except OSError as error:
        error.filename = target
        raise


def wait_status(pid: int) -> int:
    """Wait for a child; its exit status as a shell tells it."""
    return shell_status(os.waitpid(pid, 0)[1])


def shell_status(status: int) -> int:
    """A wait(2) status as a shell tells it: 128+N for a signal."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _unshare_all() -> None:
    everything = sum(CLONE_NEW.values())
    uid, gid = os.geteuid(), os.getegid()
    number = _unshare(everything)
    if number == 0:
        try:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
            Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
        except OSError as error:
            raise _forbidden(error.errno or 0) from error
    elif uid != 0 or _unshare(everything & ~CLONE_NEW["user"]) != 0:
        raise _forbidden(number)


def _unshare(kinds: int) -> int:
    """0, or the errno."""
    try:
        bindings.unshare(kinds)
    except OSError as error:
        return error.errno or errno.EINVAL
    return 0


def _forbidden(number: int) -> OperatorError:
    hint = "Allow it, or run as root."
    if Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").exists():
        hint = "Run as root, or allow it: `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu)."
    elif Path("/proc/sys/kernel/unprivileged_userns_clone").exists():
        hint = "Run as root, or allow it: `sudo sysctl kernel.unprivileged_userns_clone=1` (Debian)."
    elif number == errno.ENOSPC:
        hint = "Raise the limit: `sudo sysctl user.max_user_namespaces=10000`."
    return OperatorError(f"This system does not let you make namespaces ({os.strerror(number)}).", hint)


def _identity(pid: int, kind: str) -> int:
    try:
        return os.stat(f"/proc/{pid}/ns/{kind}").st_ino
    except FileNotFoundError as error:
        raise OperatorError(f"The process {pid} whose namespaces were asked for is gone.") from error
    except PermissionError as error:
        raise OperatorError(
            f"The namespaces of process {pid} belong to another user.", "Use the account that made them."
        ) from error


def _enter(pid: int, kinds: list[str]) -> None:
    descriptor = os.pidfd_open(pid)
    try:
        bindings.setns(descriptor, sum(CLONE_NEW[kind] for kind in kinds))
    except OSError as error:
        has_threads = error.errno == errno.EINVAL
        hint = "The process must have one thread." if has_threads else "Use the account that made them."
        raise OperatorError(f"The namespaces of process {pid} can't be entered ({error.strerror}).", hint) from error
    finally:
        os.close(descriptor)


def _become(main: Main, *, parent_seen_as: int) -> None:
    """The child's side of a fork: never returns, whatever `main` does."""
    status = 125
    try:
        die_with_parent(parent_seen_as)
        status = main()
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except OperatorError as error:
        print(f"exitpin: {error}", file=sys.stderr)
        status = error.exit_status
    except KeyboardInterrupt:
        status = BY_INTERRUPT
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            if isinstance(status, ByInterrupt):
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
                os.kill(os.getpid(), signal.SIGINT)
            os._exit(status & 0xFF)


def _attend(child: int, *, stops_with_it: bool) -> int:
    """Pass signals on to the child until it ends; its wait(2) status. `stops_with_it`: stop when it stops, so that a
    shell's job control works. Where there is no shell nobody would continue us: whoever stopped it continues it."""
    while True:
        found = signal.sigwaitinfo(FORWARDED | {signal.SIGCHLD, signal.SIGCONT})
        if found.si_signo == signal.SIGCONT:
            os.kill(child, signal.SIGCONT)
        elif found.si_signo != signal.SIGCHLD:
            if found.si_code != SI_KERNEL:
                os.kill(child, found.si_signo)
            continue
        pid, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
        if pid == 0:
            continue
        if not os.WIFSTOPPED(status):
            return status
        if stops_with_it:
            os.kill(os.getpid(), signal.SIGSTOP)
            os.kill(child, signal.SIGCONT)
