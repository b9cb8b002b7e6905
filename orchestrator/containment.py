"""How firmly a tool is held to its circuit: what the kernel here can do, what was asked for, and the level of both.

  shim     hooks alone: an honest tool is pinned, and what the hooks miss leaves this machine outside Tor
  guard    the kernel refuses what the hooks miss (shim/launch/guard.c)
  notify   the kernel hands every connect to a supervisor (wrappers/supervisor.py): programs without hooks work, pinned
  notify+netns  the same, in a network without a device

Pure; what the kernel can do is asked by `wrappers/machine.py`. Called by the verbs that start tools, before the first
run: no level is ever given up silently.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from .errors import EXIT_USAGE, OperatorError

LEVELS = ("shim", "guard", "notify", "notify+netns")
LANDLOCK_WITH_NETWORK = 4  # ABI, Linux 6.7

DAEMONS = "unix-socket daemons past the hooks"
ADDRESSES = "this machine's addresses, in what a tool sends"
_OPEN = {
    "shim": (
        "raw system calls",
        "static and Go binaries",
        DAEMONS,
        "inherited unix sockets",
    ),
    "guard": (DAEMONS, "inherited unix sockets", ADDRESSES),
    "notify": ("inherited unix sockets", ADDRESSES),
    "notify+netns": ("inherited unix sockets",),
}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What this kernel has. `landlock_abi`: 0 for none; `notify_problem`: why it can't ask a supervisor, or empty;
    `has_namespaces`: whether a mount and a network namespace can be made."""

    landlock_abi: int = 0
    notify_problem: str = ""
    has_namespaces: bool = False


@dataclass(frozen=True, slots=True)
class Containment:
    """A level in force. `asked`: the least that was asked for, None: nothing was said; `may_listen`: the tool may have
    sockets of its own to which others connect; `unix`: the Unix sockets of others that it may reach;
    `dns_server`: the public resolver to which what is no question for an address goes, through the exit;
    `is_hiding`: sockets of daemons are not there for it."""

    level: str
    asked: str | None = None
    may_listen: bool = False
    unix: frozenset[str] = frozenset()
    dns_server: str | None = None
    is_hiding: bool = False

    @property
    def open(self) -> tuple[str, ...]:
        """The ways out that it does not close."""
        listeners = ("listening sockets",) if self.may_listen and self.level != "shim" else ()
        hidden = [DAEMONS] if self.is_hiding else []
        return (*(one for one in _OPEN[self.level] if one not in hidden), *listeners, *sorted(self.unix))

    @property
    def warning(self) -> str:
        """What to say before anything is run; nothing where the kernel stands behind the hooks."""
        return WARNING if self.level == "shim" else ""

    @property
    def is_supervised(self) -> bool:
        """Whether a supervisor makes each connect."""
        return self.level.startswith("notify")

    @property
    def is_apart(self) -> bool:
        """Whether the tool is in a network without a device."""
        return self.level == "notify+netns"

    def told(self) -> dict[str, object]:
        """As a record has it."""
        return {"level": self.level, "asked": self.asked, "open": list(self.open)}

    def satisfies(self, level: str) -> bool:
        """Whether this is at least that level."""
        return LEVELS.index(self.level) >= LEVELS.index(level)


WARNING = """\
containment level is shim: the hooks steer an honest tool, but what they miss (raw system calls, static binaries,
daemons behind unix sockets) is not blocked, and would leave this machine outside Tor."""


def contain(
    asked: str | None,
    abilities: Abilities,
    *,
    may_listen: bool = False,
    unix: Collection[str] = (),
    dns_server: str | None = None,
    wanted: Iterable[str] = (),
) -> Containment:
    """The level for what was asked. Without a word it is the guard, where there is none a supervisor, and the hooks
    alone where there is neither; a supervisor, where what is to be run wants one (`wanted`) and there is one. Raises
    OperatorError rather than fall below what was asked for."""
    problems = {"shim": "", "guard": why_no_guard(abilities), "notify": abilities.notify_problem}
    problems["notify+netns"] = problems["notify"] or ("" if abilities.has_namespaces else NO_NAMESPACES)
    if asked is None:
        wants_notify = "notify" in wanted and not problems["notify"]
        level = "notify" if wants_notify else next(one for one in ("guard", "notify", "shim") if not problems[one])
    else:
        better = LEVELS[LEVELS.index(asked) :]
        level = next((one for one in better if not problems[one]), asked)
    if problems[level]:
        hint = "`exitpin doctor` shows what there is; --containment shim runs with the hooks alone."
        raise OperatorError(f"containment level {level} is not there: {problems[level]}.", hint, EXIT_USAGE)
    is_hiding = level == "guard" and abilities.has_namespaces  # a supervisor is asked for each
    return Containment(level, asked, may_listen, frozenset(unix), dns_server, is_hiding)


NO_NAMESPACES = "no namespaces can be made here"


def why_no_guard(abilities: Abilities) -> str:
    """Why there is no guard here; empty: there is."""
    if abilities.landlock_abi >= LANDLOCK_WITH_NETWORK:
        return ""
    has = f"Landlock has ABI {abilities.landlock_abi}" if abilities.landlock_abi else "the kernel has no Landlock"
    return f"{has}, and network rules come with ABI {LANDLOCK_WITH_NETWORK} (Linux 6.7)"
