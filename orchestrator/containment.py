"""How firmly a tool is held to its circuit: what the kernel here can do, what was asked for, and the level of both.

  shim     hooks alone: an honest tool is pinned, and what the hooks miss leaves this machine outside Tor
  guard    the kernel refuses what the hooks miss (shim/launch/guard.c)
  notify   the kernel hands every connect to a supervisor (wrappers/supervisor.py): programs without hooks work, pinned
  notify+netns  the same, in a network without a device

Pure; what the kernel can do is asked by `wrappers/machine.py`. Called by the verbs that start tools, before the first
run: no level is ever given up silently.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .errors import EXIT_USAGE, OperatorError

LEVELS = ("shim", "guard", "notify", "notify+netns")
APART = {"shim+netns": "notify+netns", "guard+netns": "notify+netns"}
"""Levels that may be asked for, and the one that has a network of its own: its sockets are made by a supervisor."""
LANDLOCK_WITH_REFER = 2  # ABI, Linux 5.19
LANDLOCK_WITH_TRUNCATE = 3  # Linux 6.2
LANDLOCK_WITH_NETWORK = 4  # Linux 6.7
LANDLOCK_WITH_SCOPES = 6  # Linux 6.12

DAEMONS = "unix-socket daemons past the hooks"
PIPES = "named pipes that daemons read"
INHERITED = "inherited unix sockets"
FILES = "what other programs do with the user's files"
ATTRIBUTES = "times, modes and attributes of the user's files"
ADDRESSES = "this machine's addresses, in what a tool sends"
PROC = "this machine's addresses, as /proc has them of other processes, and /sys"
SIGNALS = "signals and abstract unix sockets of other processes"
PROCESSES = "memory and sockets of the user's other processes"
GROUPS = "control groups, which stop and kill processes"
QUEUES = "message queues and shared memory of other programs"
TERMINALS = "terminals of other programs"
TAPS = "macvtap and ipvtap devices, which send what is written to them"
AUTOMOUNTERS = "automounters, which go where a path says"
SETTINGS = "kernel settings, which root may write"
LISTENING = "listening on TCP past the hooks"
NO_NAMESPACES = "no namespaces can be made here"


@dataclass(frozen=True, slots=True)
class Abilities:
    """What this kernel has. `landlock_abi`: 0 for none; `notify_problem`: why it can't ask a supervisor, or empty;
    `has_namespaces`: whether a mount and a network namespace can be made; `is_root`: whose files are the kernel's
    settings, too; `guard_refusal`: why a guard that this kernel has can't be put on, or empty; `has_automounter`: a
    path that is looked up may be a request to a daemon of the machine's."""

    landlock_abi: int = 0
    notify_problem: str = ""
    has_namespaces: bool = False
    is_root: bool = False
    guard_refusal: str = ""
    has_automounter: bool = False

    @property
    def guard_problem(self) -> str:
        """Why there is no guard here, or empty."""
        if self.landlock_abi >= LANDLOCK_WITH_NETWORK:
            return self.guard_refusal
        return f"{self._landlock}, and network rules come with ABI {LANDLOCK_WITH_NETWORK} (Linux 6.7)"

    @property
    def keeps_apart(self) -> bool:
        """Whether Landlock keeps a tool from other processes, be there network rules or not."""
        return self.landlock_abi >= LANDLOCK_WITH_REFER and not self.guard_refusal

    @property
    def read_only_problem(self) -> str:
        """Why files can't be kept from being written to, or empty."""
        if self.landlock_abi >= LANDLOCK_WITH_TRUNCATE:
            return self.guard_refusal
        return f"{self._landlock}, and all rules for files come with ABI {LANDLOCK_WITH_TRUNCATE} (Linux 6.2)"

    @property
    def _landlock(self) -> str:
        return f"Landlock has ABI {self.landlock_abi}" if self.landlock_abi else "the kernel has no Landlock"

    def problems(self) -> dict[str, str]:
        """By level, why it is not there; empty: it is."""
        netns = self.notify_problem or ("" if self.has_namespaces else NO_NAMESPACES)
        return dict(zip(LEVELS, ("", self.guard_problem, self.notify_problem, netns), strict=True))


@dataclass(frozen=True, slots=True)
class Containment:
    """A level in force. `asked`: the least that was asked for, None: nothing was said; `may_listen`: the tool may have
    sockets of its own to which others connect; `unix`, `pipes`: the Unix sockets and named pipes of others that it may
    reach; `dns_server`: the public resolver to which what is no question for an address goes, through the exit;
    `finds_all`, `finds_pipes`: False of a run for which more sockets, or named pipes, of daemons were there than could
    be found, or hidden; `is_read_only`: the tool may change files of its run, those at and below `writes`, and no
    others; `why`: it is another level than was asked for, or than runs have without a word."""

    level: str
    asked: str | None = None
    abilities: Abilities = Abilities()
    may_listen: bool = False
    unix: frozenset[str] = frozenset()
    dns_server: str | None = None
    finds_all: bool = True
    pipes: frozenset[str] = frozenset()
    finds_pipes: bool = True
    is_read_only: bool = False
    writes: frozenset[str] = frozenset()
    why: str = ""

    @property
    def is_guarded(self) -> bool:
        """Whether Landlock stands behind all else."""
        return self.level != "shim" and not self.abilities.guard_problem

    @property
    def is_alone(self) -> bool:
        """Whether the memory and descriptors of other processes are out of reach."""
        return self.level != "shim" and self.abilities.keeps_apart

    @property
    def is_supervised(self) -> bool:
        """Whether a supervisor makes each connect."""
        return self.level.startswith("notify")

    @property
    def is_apart(self) -> bool:
        """Whether the tool is in a network without a device."""
        return self.level == "notify+netns"

    @property
    def has_own_mounts(self) -> bool:
        """Whether control groups can only be read, devices that carry frames and terminals of others can't be opened,
        and named pipes of daemons, message queues and shared memory of others are not there."""
        return self.level != "shim" and self.abilities.has_namespaces

    @property
    def is_hiding(self) -> bool:
        """Whether the sockets of daemons are not there for the tool. A supervisor is asked for each anyway."""
        return self.level == "guard" and self.abilities.has_namespaces

    @property
    def open(self) -> tuple[str, ...]:
        """The ways out that it does not close."""
        found = ["raw system calls", "static and Go binaries", PROCESSES] if self.level == "shim" else []
        if not self.is_supervised and not (self.is_hiding and self.finds_all):
            found.append(DAEMONS)
        if not (self.has_own_mounts and self.finds_pipes) and not (self.is_read_only and not self.writes):
            found.append(PIPES)
        if not self.has_own_mounts:
            found += [QUEUES, TERMINALS, TAPS]
        if self.level != "shim" and not self.has_own_mounts and not self.is_read_only:
            found.append(GROUPS)
        if self.level != "shim" and not self.is_alone:
            found.append(PROCESSES)
        elif self.level != "shim" and self.abilities.landlock_abi < LANDLOCK_WITH_SCOPES:
            found.append(SIGNALS)
        found += [INHERITED, ATTRIBUTES if self.is_read_only else FILES]
        if self.abilities.has_automounter:
            found.append(AUTOMOUNTERS)
        if self.abilities.is_root and not self.is_read_only:
            found.append(SETTINGS)
        found.append(PROC if self.is_apart else ADDRESSES)
        if self.may_listen and self.level == "guard":
            found.append(LISTENING)
        written = sorted(self.writes) if self.is_read_only else []
        return (*found, *sorted(self.unix), *sorted(self.pipes), *written)

    @property
    def idle(self) -> tuple[str, ...]:
        """What was named and can have no effect at this level, as sentences."""
        found = []
        if self.writes and not self.is_read_only:
            found.append("--allow write:PATH has no effect: without --read-only a tool may write wherever you may")
        if self.dns_server is not None and not self.is_supervised:
            found.append(f"--dns-server has no effect: only notify has a name server, and the level is {self.level}")
        elif self.dns_server is not None and not self.abilities.has_namespaces:
            found.append(f"--dns-server has no effect: {NO_NAMESPACES}, and without them UDP is refused")
        is_scoped = self.is_guarded and not self.is_supervised and self.abilities.landlock_abi >= LANDLOCK_WITH_SCOPES
        if is_scoped or self.is_apart:
            why = f"at the level {self.level} no abstract socket of others can be reached"
            abstract = (name for name in sorted(self.unix) if name[0] == "@")
            found += [f"--allow unix:{name} has no effect: {why}, but as standard input or output" for name in abstract]
        return tuple(found)

    @property
    def warning(self) -> str:
        """What to say before anything is run; nothing where the kernel stands behind the hooks."""
        return WARNING if self.level == "shim" else ""

    def told(self) -> dict[str, object]:
        """As a record has it."""
        return {
            "level": self.level,
            "asked": self.asked,
            "why": self.why or None,
            "allowed": [
                *(["listen"] if self.may_listen else []),
                *(f"unix:{path}" for path in sorted(self.unix)),
                *(f"pipe:{path}" for path in sorted(self.pipes)),
                *(f"write:{path}" for path in sorted(self.writes)),
            ],
            "read_only": self.is_read_only,
            "dns_server": self.dns_server,
            "open": list(self.open),
        }

    def satisfies(self, level: str) -> bool:
        """Whether this is at least that level."""
        return LEVELS.index(self.level) >= LEVELS.index(level)


def of_run(scan: Mapping[str, object], launch: object) -> Mapping[str, object]:
    """`scan`, what all records share, with the containment of one run, where its launch knows that."""
    containment = getattr(launch, "containment", None)
    return {**scan, "containment": containment.told()} if isinstance(containment, Containment) else scan


NOTHING: Mapping[str, str] = MappingProxyType({})
WARNING = """\
containment level is shim: the hooks steer an honest tool, but what they miss (raw system calls, static binaries,
daemons behind unix sockets) is not blocked, and would leave this machine outside Tor."""


def contain(
    asked: str | None,
    abilities: Abilities,
    *,
    may_listen: bool = False,
    unix: Collection[str] = (),
    pipes: Collection[str] = (),
    writes: Collection[str] = (),
    is_read_only: bool = False,
    dns_server: str | None = None,
    wanted: Mapping[str, str] = NOTHING,
) -> Containment:
    """The level for what was asked: that or the next stronger one that is there. Without a word it is the guard, where
    there is none a supervisor, and the hooks alone where there is neither. `wanted`: the least levels for what is to be
    run, and why; of those that are there the strongest is taken. Raises OperatorError rather than fall below what was
    asked for, be it a level or `is_read_only`."""
    problems = abilities.problems()
    if asked is None:
        level = next(one for one in ("guard", "notify", "shim") if not problems[one])
    else:
        least = APART.get(asked, asked)
        level = next((one for one in LEVELS[LEVELS.index(least) :] if not problems[one]), least)
    if problems[level]:
        hint = "`exitpin doctor` shows what there is; --containment shim runs with the hooks alone."
        raise OperatorError(f"containment level {level} is not there: {problems[level]}.", hint, EXIT_USAGE)
    why = "a supervisor makes the sockets of a network of its own" if asked in APART else problems[asked or "guard"]
    for least, reason in wanted.items():
        if LEVELS.index(least) > LEVELS.index(level) and not problems[least]:
            level, why = least, reason
    if is_read_only:
        _check_read_only(level, abilities)
    return Containment(
        level, asked, abilities, may_listen, frozenset(unix), dns_server, pipes=frozenset(pipes),
        is_read_only=is_read_only, writes=frozenset(writes), why=why,
    )  # fmt: skip


def _check_read_only(level: str, abilities: Abilities) -> None:
    problem = abilities.read_only_problem
    if problem:
        raise OperatorError(f"--read-only is not there: {problem}.", "Leave it out.", EXIT_USAGE)
    if level == "shim":
        raise OperatorError("--read-only wants guard or notify: hooks keep no file.", "", EXIT_USAGE)
