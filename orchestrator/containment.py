"""How firmly a tool is held to its circuit: what the kernel here can do, what was asked for, and the level of both.

  shim     hooks alone: an honest tool is pinned, and what the hooks miss leaves this machine outside Tor
  guard    the kernel refuses what the hooks miss (shim/launch/guard.c)

Pure; what the kernel can do is asked by `wrappers/machine.py`. Called by the verbs that start tools, before the first
run: no level is ever given up silently.
"""

from dataclasses import dataclass

from .errors import EXIT_USAGE, OperatorError

LEVELS = ("shim", "guard", "notify")
LANDLOCK_WITH_NETWORK = 4  # ABI, Linux 6.7

_OPEN = {
    "shim": ("raw system calls", "static and Go binaries", "unix-socket daemons", "inherited unix sockets"),
    "guard": ("unix-socket daemons", "inherited unix sockets"),
}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What this kernel has. `landlock_abi`: 0 for none."""

    landlock_abi: int = 0


@dataclass(frozen=True, slots=True)
class Containment:
    """A level in force. `asked`: the least that was asked for, None: nothing was said; `may_listen`: the tool may have
    sockets of its own to which others connect."""

    level: str
    asked: str | None = None
    may_listen: bool = False

    @property
    def open(self) -> tuple[str, ...]:
        """The ways out that it does not close."""
        listeners = ("listening sockets",) if self.may_listen and self.level != "shim" else ()
        return (*_OPEN[self.level], *listeners)

    @property
    def warning(self) -> str:
        """What to say before anything is run; nothing where the kernel stands behind the hooks."""
        return WARNING if self.level == "shim" else ""

    def told(self) -> dict[str, object]:
        """As a record has it."""
        return {"level": self.level, "asked": self.asked, "open": list(self.open)}

    def satisfies(self, level: str) -> bool:
        """Whether this is at least that level."""
        return LEVELS.index(self.level) >= LEVELS.index(level)


WARNING = """\
containment level is shim: the hooks steer an honest tool, but what they miss (raw system calls, static binaries,
daemons behind unix sockets) is not blocked, and would leave this machine outside Tor."""


def contain(asked: str | None, abilities: Abilities, *, may_listen: bool = False) -> Containment:
    """The level for what was asked; without that, the firmest there is. Raises OperatorError rather than fall below."""
    if asked == "shim":
        return Containment("shim", asked, may_listen)
    why = why_no_guard(abilities)
    if asked == "notify":
        why = why_no_notify()
    if asked is not None and why:
        hint = "`exitpin doctor` shows what there is; --containment shim runs with the hooks alone."
        raise OperatorError(f"containment level {asked} is not there: {why}.", hint, EXIT_USAGE)
    return Containment("shim" if why else "guard", asked, may_listen)


def why_no_guard(abilities: Abilities) -> str:
    """Why there is no guard here; empty: there is."""
    if abilities.landlock_abi >= LANDLOCK_WITH_NETWORK:
        return ""
    has = f"Landlock has ABI {abilities.landlock_abi}" if abilities.landlock_abi else "the kernel has no Landlock"
    return f"{has}, and network rules come with ABI {LANDLOCK_WITH_NETWORK} (Linux 6.7)"


def why_no_notify() -> str:
    """Why there is no notify here."""
    return "this version has none"
