"""How gently a verb treats Tor and targets: settings in force, pace of circuits, first hops, how long a run may take,
no wide scan unasked."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..circuits import FirstHops, Pace
from ..errors import EXIT_USAGE, OperatorError
from ..model import Destination, Fingerprint, Relay, Snapshot
from ..network import Vantage
from ..selection import first_hop_chooser
from ..settings import BUILT_IN, COMMAND_LINE, Settings, load_settings

LAB_JOBS, LAB_PENDING, REAL_PENDING = 64, 64, 4
LAB_TIMEOUT_MAX_S = 45.0
WIDE_RUNS = 20


def settings_in_force(args: argparse.Namespace, environment: Mapping[str, str], vantage: Vantage) -> Settings:
    """The settings in force; in the lab nobody has to be polite unless the command line says so."""
    given = {
        "build_delay": args.build_delay,
        "build_jitter": args.build_jitter,
        "timeout": args.timeout,
        "jobs": args.jobs,
        "rate": getattr(args, "rate", None),
        "per_destination": getattr(args, "per_destination", None),
    }
    if vantage.is_lab:
        given["build_delay"] = given["build_delay"] or "0s"
        given["build_jitter"] = given["build_jitter"] or "0s"
        given["jobs"] = given["jobs"] or LAB_JOBS
    settings = load_settings(environment, given)
    if vantage.is_lab and settings.origin("rate") != COMMAND_LINE:
        return replace(settings, rate=None)
    return settings


def pace_of(settings: Settings, vantage: Vantage) -> Pace:
    """How fast circuits are built."""
    pending = LAB_PENDING if vantage.is_lab else REAL_PENDING
    delay_s = max(settings.build_delay_s, settings.rate.interval_s if settings.rate else 0.0)
    return Pace(delay_s, settings.build_jitter_s, pending)


def first_hops_of(settings: Settings, snapshot: Snapshot, tested: Iterable[Relay]) -> FirstHops:
    """First hops: the user's own, or good guards, and no exit that is under test."""
    own = [Fingerprint(name) for name in settings.first_hops]
    return first_hop_chooser(snapshot, own, {relay.fingerprint for relay in tested}, settings.hops)


def timeout_max_of(settings: Settings, vantage: Vantage) -> float | None:
    """What no run may exceed, in seconds; None: only its tool says. In the lab all is near: who waits for minutes there
    waits for the dead."""
    if settings.origin("timeout") != BUILT_IN:
        return settings.timeout_s
    return LAB_TIMEOUT_MAX_S if vantage.is_lab else None


def refuse_a_wide_scan(settings: Settings, runs: int, named: Sequence[Destination], *, is_allowed: bool) -> None:
    """Many exits at one door look like an attack to whoever lives behind it. Raises OperatorError."""
    is_theirs = bool(named) and all(settings.owns(*destination) for destination in named)
    if runs > WIDE_RUNS and not is_theirs and not is_allowed:
        raise OperatorError(
            f"{runs} runs are a wide scan, and where they go is not declared as yours.",
            f"Name the destination by --to and in `destinations` of the configuration, take --sample {WIDE_RUNS},"
            " or say --wide if you may.",
            EXIT_USAGE,
        )
