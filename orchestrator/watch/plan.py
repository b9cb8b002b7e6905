"""What a watch scans, how often, and how. Frozen values; `wrappers/watch_files.py` reads them from a file."""

from dataclasses import dataclass

SCHEMA = "exitpin.watch/1"


@dataclass(frozen=True, slots=True)
class PlannedScan:
    """One scan that is made again and again. An iteration begins `interval_s` after the one before began, and up to
    `jitter_s` later at random; `arguments`: what `exitpin audit` is given, without `--`; `alert`: the command after it,
    with the options that say for what: for verdicts with one of the statuses `alert_on`."""

    name: str
    interval_s: float
    jitter_s: float
    arguments: tuple[str, ...]
    alert: tuple[str, ...] = ()
    alert_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """All scans of a watch, and the files in which it tells how it is doing; None: in none. `store` None: the user's
    own."""

    name: str
    scans: tuple[PlannedScan, ...]
    store: str | None = None
    prometheus: str | None = None
    status: str | None = None
