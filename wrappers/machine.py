"""What the kernel of this machine can do: namespaces, and the means of containment.

Each question is asked of the kernel itself, without side effects; decides nothing. Called by the doctor,
and by whoever starts tools.
Sources: landlock_create_ruleset(2), seccomp(2), user_namespaces(7), Documentation/admin-guide/LSM/Yama.rst, proc(5),
Documentation/filesystems/autofs.rst.
"""

import errno
import os
import re
import subprocess
from pathlib import Path

from ..orchestrator.containment import LANDLOCK_WITH_REFER, Abilities
from ..shim import bindings

TIMEOUT_S = 5
REFUSED = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.E2BIG)
"""What the kernel, or who stands before it, says for good. Any other error may be of the moment."""
NOTIFY_SINCE = (5, 19)  # SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: a signal does not break a connect off


def why_no_namespaces() -> str:
    """Why a set of user, network, mount and PID namespaces can't be made and used; empty if it can.

    A loopback interface is brought up in it: where AppArmor restricts them, making one works and using it does not.
    """
    argv = [
        "unshare",
        "--user",
        "--map-root-user",
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "ip",
        "link",
        "set",
        "lo",
        "up",
    ]
    status, output = ask(argv)
    return "" if status == 0 else " ".join(output.split()) or f"unshare ended with status {status}"


def abilities() -> Abilities:
    """What the kernel has for containment."""
    abi = bindings.landlock_abi()
    refusal = _why_refused() if abi >= LANDLOCK_WITH_REFER else ""
    return Abilities(abi, why_no_notify(), bindings.has_namespaces(), _is_root(), refusal, bool(automounts()))


def _why_refused() -> str:
    """Why what the kernel has of the guard can't be put on; empty: it can, or the launcher will be the one to say."""
    try:
        bindings.try_guard()
    except OSError as error:
        if error.errno in REFUSED:
            return f"seccomp(2) or Landlock is refused here ({error.strerror}), as by the profile of a container"
    return ""


def _is_root(proc: Path = Path("/proc")) -> bool:
    """Whether we are the machine's root, and not only that of a user namespace, as in a lab."""
    return os.geteuid() == 0 and read(proc / "self/uid_map").split() == ["0", "0", "4294967295"]


def automounts(proc: Path = Path("/proc")) -> list[str]:
    """Where a name that is looked up is asked of an automount daemon, whatever the name is: places as the kernel writes
    them, in which a blank is \\040. One that is `direct` mounts one thing at one place, and chooses nothing by it."""
    found = []
    for line in read(proc / "self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        kind, *options = after.split(" ") if after else [""]
        if kind == "autofs" and "indirect" in options[-1].split(","):
            found.append(before.split(" ")[4])
    return sorted(found)


def why_no_notify(proc: Path = Path("/proc"), release: str | None = None) -> str:
    """Why the kernel can't hand a tool's connects to a supervisor; empty: it can. `release`: of another kernel."""
    release = os.uname().release if release is None else release
    version = tuple(int(part) for part in re.findall(r"\d+", release)[:2])
    if version < NOTIFY_SINCE:
        return f"it wants Linux {NOTIFY_SINCE[0]}.{NOTIFY_SINCE[1]}, this is {release}"
    if not has_seccomp_notify(proc):
        return "the kernel has no seccomp user notification"
    scope = yama_scope(proc)
    if scope is not None and scope > 1:
        return f"Yama's ptrace_scope is {scope}, and the supervisor has to reach into the tool: it wants 0 or 1"
    try:
        bindings.try_supervisor()
    except OSError as error:
        calls = "seccomp(2), pidfd_getfd(2) or process_vm_readv(2)"
        return f"{calls} is refused here ({error.strerror}), as by the profile of a container"
    return ""


def has_seccomp_notify(proc: Path = Path("/proc")) -> bool:
    """Whether a seccomp filter may ask a supervisor (SECCOMP_RET_USER_NOTIF)."""
    return "user_notif" in read(proc / "sys/kernel/seccomp/actions_avail").split()


def yama_scope(proc: Path = Path("/proc")) -> int | None:
    """Yama's ptrace_scope; None without Yama."""
    text = read(proc / "sys/kernel/yama/ptrace_scope").strip()
    return int(text) if text.isdigit() else None


def restricting_sysctls(proc: Path = Path("/proc")) -> list[str]:
    """The settings that forbid unprivileged user namespaces here, each as `NAME=WANTED`."""
    wanted = {
        "kernel/apparmor_restrict_unprivileged_userns": ("1", "0"),
        "kernel/unprivileged_userns_clone": ("0", "1"),
        "user/max_user_namespaces": ("0", "15000"),
    }
    return [
        f"{name.replace('/', '.')}={good}"
        for name, (bad, good) in wanted.items()
        if read(proc / "sys" / name).strip() == bad
    ]


def ask(argv: list[str]) -> tuple[int, str]:
    """Status and output (both streams) of a short program; status 127 if it can't be run or does not end."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return done.returncode, done.stdout


def read(path: Path) -> str:
    """A file of the kernel's; empty where there is none."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
