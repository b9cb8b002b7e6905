"""`exitpin doctor [CMD]`: whether this machine can run exitpin, and this command under it; one line a check.

Looks and says what to do; changes nothing and starts no tor. Its exit status is 1 if a check failed.
"""

import argparse
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ... import shim
from ...wrappers import machine, tors
from ...wrappers.output import printable
from ...wrappers.program import look_at, read_elf
from ..containment import LANDLOCK_WITH_NETWORK, Abilities, contain
from ..errors import OperatorError
from ..settings import load_settings

TOR_AT_LEAST = (0, 4, 8)  # ConfluxEnabled
COLOURS = {"ok": "\033[32m", "warn": "\033[33m", "fail": "\033[31m"}

NOT_HIDDEN = "their Unix sockets are not hidden: no namespaces can be made here"
NO_NAMES = "no answers for dig at notify, and no notify+netns: no namespaces can be made here"
ALLOW_NAMESPACES = "let user namespaces be made, or run as root"

DESCRIPTION = """\
Check what a run and the lab need, one line a check: ok, warn or fail, what was
found, and what to do; the levels of containment are tried as a run tries them.
With CMD, also say whether that command can be run: a setuid program can't hold
the shim, ping is no TCP, a static program, Go and dig want the level notify.
Nothing is started or changed."""
EPILOG = """\
exit status: 0 nothing failed, 1 a check failed

examples:
  exitpin doctor
  exitpin doctor dig
  exitpin doctor --json ./probe.sh | jq '.checks[] | select(.state == "fail")'"""


class Check(NamedTuple):
    """One line: ok, warn or fail; what was found; what to do about it."""

    name: str
    state: str
    found: str
    advice: str = ""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `doctor`."""
    parser = subparsers.add_parser(
        "doctor",
        help="check this machine, and whether a command can be run",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="one object: {ok, checks: [{name, state, found, advice}]}")
    parser.add_argument("cmd", metavar="CMD", nargs="?", help="a command as one would type it, without arguments")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Make all checks and print them."""
    checks = [check_command(args.cmd)] if args.cmd is not None else []
    checks = [*check_machine(), *checks]
    ok = all(check.state != "fail" for check in checks)
    if args.json:
        print(json.dumps({"ok": ok, "checks": [check._asdict() for check in checks]}, indent=2))
    else:
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print("\n".join(line(check, coloured) for check in checks))
    return 0 if ok else 1


def line(check: Check, coloured: bool) -> str:
    """`fail  tor          not found: install the package tor`."""
    state = f"{check.state:<5}"
    if coloured:
        state = f"{COLOURS[check.state]}{state}\033[0m"
    text = f"{check.found}: {check.advice}" if check.advice else check.found
    return f"{state} {printable(check.name):<12} {printable(text)}"


def check_machine() -> Iterator[Check]:
    """All that does not depend on a command."""
    yield check_python()
    yield check_tor()
    yield from check_shim(Path(shim.__file__).parent)
    yield check_namespaces()
    abilities = machine.abilities()
    yield from check_kernel(abilities)
    yield from check_containment(abilities)
    yield check_files(abilities)
    yield check_automounts(machine.automounts())
    yield check_foreign_tor()
    yield check_settings()
    yield from check_lab()


def check_python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", "ok", f"{version} ({sys.executable})")


def check_tor() -> Check:
    path, version = tors.find_tor(os.environ.get("PATH", ""))
    if path is None:
        return Check("tor", "fail", "not found", "mask tor.service and install the package tor; `make setup` does both")
    text = ".".join(map(str, version))
    if version < TOR_AT_LEAST:
        least = ".".join(map(str, TOR_AT_LEAST))
        return Check(
            "tor", "fail", f"{path} {text or 'tells no version'}", f"connections are told apart from {least} on"
        )
    return Check("tor", "ok", f"{text} ({path})")


def check_shim(folder: Path) -> Iterator[Check]:
    """The C parts: there, and for this machine. (Any path will do: a run has a link that ld.so takes.)"""
    yield _built("launcher", folder / "exitpin-launch", os.X_OK)
    preload = _built("preload", folder / "exitpin-preload.so", os.R_OK)
    if preload.state == "ok" and b"connect\0" not in (folder / "exitpin-preload.so").read_bytes():
        preload = Check("preload", "fail", "it has no hook for connect", "build it anew: make")
    yield preload
    try:
        from ...shim import bindings  # noqa: F401 # that it loads is the question
    except (ImportError, OSError) as error:
        yield Check("bindings", "fail", str(error), "build them: `make setup`, or install exitpin again")
    else:
        yield Check("bindings", "ok", "the shim's records can be read")


def _built(name: str, path: Path, mode: int) -> Check:
    try:
        elf, own = read_elf(str(path)), read_elf(os.path.realpath(sys.executable))
    except OSError as error:
        return Check(name, "fail", f"{path}: {error.strerror}", "build it: `make setup`, or install exitpin again")
    if elf is None or (own is not None and (elf.ident, elf.machine) != (own.ident, own.machine)):
        return Check(name, "fail", f"{path} is not built for this machine", "build it anew: `make clean setup`")
    if not os.access(path, mode):
        return Check(name, "fail", f"{path} has no right to be used", "chmod +x it, or see whether its mount is noexec")
    return Check(name, "ok", str(path))


def check_namespaces() -> Check:
    why = machine.why_no_namespaces()
    if not why:
        return Check("namespaces", "ok", "user, network, mount and PID namespaces can be made")
    sysctls = machine.restricting_sysctls()
    advice = f"sudo sysctl {' '.join(sysctls)}" if sysctls else "the lab needs them; a container may have to allow them"
    return Check("namespaces", "fail", why, advice)


def check_containment(abilities: Abilities) -> Iterator[Check]:
    """The level that runs have unless they ask for another, as it was tried; and what it lacks here."""
    no_guard, no_notify = abilities.guard_problem, abilities.notify_problem
    level = contain(None, abilities).level
    others = [f"no {name}: {why}" for name, why in (("guard", no_guard), ("notify", no_notify)) if why]
    if level == "shim":
        advice = "hooks alone: run tools that you trust, or take a newer kernel"
        yield Check("containment", "warn", "; ".join(["shim", *others]), advice)
        return
    found = "guard; notify by itself for static programs, Go and dig" if not others else "; ".join([level, *others])
    yield Check("containment", "ok", found, "static programs and Go are refused, dig wants +tcp" if no_notify else "")
    if level == "guard" and abilities.has_namespaces:
        yield Check(
            "daemons", "ok", "hidden at guard: a tool hears ECONNREFUSED of their sockets, and nothing is noted"
        )
    elif level == "guard":
        notify = "" if no_notify else ", and notify asks for each Unix socket"
        yield Check("daemons", "warn", NOT_HIDDEN, f"hooks alone refuse them at guard; {ALLOW_NAMESPACES}{notify}")
    if not no_notify and not abilities.has_namespaces:
        yield Check("udp", "warn", NO_NAMES, ALLOW_NAMESPACES)


def check_files(abilities: Abilities) -> Check:
    """Whether a tool can be kept from changing any, for who wants that."""
    problem = abilities.read_only_problem
    if problem:
        return Check("files", "warn", f"no --read-only: {problem}", "take a newer kernel, or a user of the tool's own")
    return Check("files", "ok", "a tool may change yours, unless it has --read-only")


def check_automounts(places: list[str]) -> Check:
    """Whether a path that a tool looks up is a request to somebody who goes there without Tor."""
    if not places:
        return Check("automounts", "ok", "none that is asked by name")
    found = f"{', '.join(places)}: a path there makes the automounter connect to where the tool says, at every level"
    advice = "umount it, or run exitpin in a mount namespace without it"
    return Check("automounts", "warn", found, advice)


def check_kernel(abilities: Abilities) -> Iterator[Check]:
    """What the kernel has for the containment levels."""
    yield Check("kernel", "ok", os.uname().release)
    abi = abilities.landlock_abi
    if abi >= LANDLOCK_WITH_NETWORK:
        yield Check("landlock", "ok", f"ABI {abi}, with network rules")
    else:
        found = f"ABI {abi}, without network rules" if abi else "not there"
        wanted = f"the guard wants ABI {LANDLOCK_WITH_NETWORK}: Linux 6.7, with landlock in lsm= of its command line"
        yield Check("landlock", "warn", found, f"{wanted}, and not refused by a container's profile")
    if machine.has_seccomp_notify():
        yield Check("seccomp", "ok", "with user notification")
    else:
        yield Check("seccomp", "warn", "no user notification", "the level notify wants it")
    scope = machine.yama_scope()
    if scope is not None and scope >= 2:
        yield Check("yama", "warn", f"ptrace_scope {scope}", "the level notify wants 0 or 1")
    else:
        yield Check("yama", "ok", "not there" if scope is None else f"ptrace_scope {scope}")


def check_foreign_tor() -> Check:
    foreign = tors.foreign_tors()
    if not foreign:
        return Check("tor service", "ok", "no other tor on this machine's network")
    pids = ", ".join(str(tor.pid) for tor in foreign)
    if any(tor.is_service for tor in foreign):
        advice = (
            "exitpin does not use it; unless you want it: sudo systemctl mask --now tor.service tor@default.service"
        )
        return Check("tor service", "warn", f"tor runs on the public network (pid {pids})", advice)
    return Check(
        "tor service", "warn", f"somebody's tor may run on the public network (pid {pids})", "exitpin does not use it"
    )


def check_settings() -> Check:
    try:
        settings = load_settings(os.environ)
    except OperatorError as error:
        return Check(
            "settings", "fail", "; ".join(error.message.splitlines()), "correct them; `exitpin config show --help`"
        )
    changed = len(settings.origins)
    return Check("settings", "ok", f"{changed} set, the others built-in" if changed else "all built-in")


def check_lab() -> Iterator[Check]:
    """The private networks, and the folder that it and the runs keep their sockets in."""
    from ..lab import state

    try:
        found = state.running()
    except OperatorError as error:
        yield Check("lab", "fail", error.message, error.hint)
    else:
        named = ", ".join(f"{one.name} ({one.exits} exits)" for one in found)
        yield Check("lab", "ok", f"running: {named}" if found else "not running (`exitpin lab up` starts it)")
    folder = state.base_directory().parent
    try:
        status = folder.lstat()
    except FileNotFoundError:
        usable = os.access(next(path for path in folder.parents if path.exists()), os.W_OK)
    except OSError:
        usable = False
    else:
        usable = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
    if usable:
        yield Check("runtime", "ok", str(folder))
    else:
        yield Check("runtime", "fail", f"{folder} can't be a folder that only you write to", "set XDG_RUNTIME_DIR")


def check_command(command: str) -> Check:
    """Whether one command can be run under the shim."""
    program = look_at(command, os.environ.get("PATH", ""))
    if program.obstacle:
        return Check(command, "fail", program.obstacle)
    through = "".join(f", run by {interpreter}" for interpreter in program.interpreters)
    if program.unhooked:
        why = machine.abilities().notify_problem
        if why:
            return Check(command, "fail", program.unhooked, f"only the level notify can pin it: {why}")
        return Check(command, "ok", f"{program.path}{through} can be run at the level notify", program.unhooked)
    return Check(command, "ok", f"{program.path}{through} can be run", program.remark)
