"""How gently a verb treats Tor and targets: settings in force, pace of circuits, first hops, how long a run may take,
no wide scan unasked."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..circuits import FirstHops, Pace
from ..errors import EXIT_USAGE, OperatorError
from ..first_hops import first_hop_chooser, own_first_hops
from ..hop_health import HopHealth
from ..model import Destination, Fingerprint, Relay, Snapshot
from ..network import Vantage
from ..settings import BUILT_IN, COMMAND_LINE, Settings, load_settings
from .say import say

LAB_JOBS, LAB_PENDING, REAL_PENDING = 64, 64, 4
LAB_TIMEOUT_MAX_S = 45.0
WIDE_RUNS = 20
RUN_NETWORK_WAIT_S = 60.0


def settings_in_force(args: argparse.Namespace, environment: Mapping[str, str], vantage: Vantage) -> Settings:
    """The settings in force; in the lab nobody has to be polite unless the command line says so."""
    given = {
        "build_delay": args.build_delay,
        "build_jitter": args.build_jitter,
        "timeout": args.timeout,
        "jobs": args.jobs,
        "rate": getattr(args, "rate", None),
        "hops": getattr(args, "hops", None),
        "network_wait": getattr(args, "network_wait", None),
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


def pace_of(settings: Settings, vantage: Vantage, *, is_scan: bool = False) -> Pace:
    """How fast circuits are built, and how long one is waited for while no first hop answers: a scan has more patience
    than somebody who types a command."""
    pending = LAB_PENDING if vantage.is_lab else REAL_PENDING
    delay_s = max(settings.build_delay_s, settings.rate.interval_s if settings.rate else 0.0)
    is_asked_for = is_scan or settings.origin("network_wait") != BUILT_IN
    wait_s = settings.network_wait_s if is_asked_for else RUN_NETWORK_WAIT_S
    return Pace(delay_s, settings.build_jitter_s, pending, outage_max_s=wait_s)


def spacing_of(settings: Settings, vantage: Vantage) -> tuple[float, float]:
    """How far apart two runs at one destination start, in seconds, and what is added to it at random at most."""
    return (0.0, 0.0) if vantage.is_lab else (settings.build_delay_s, settings.build_jitter_s)


def first_hops_of(
    settings: Settings, snapshot: Snapshot, tested: Iterable[Relay], health: HopHealth | None = None
) -> FirstHops:
    """First hops: the user's own, or good guards, and no exit that is under test. `health`: of the session that they
    are for. Raises OperatorError when none of the user's own is there, and no other may stand in."""
    named = [Fingerprint(name) for name in settings.first_hops]
    own, or_guards = own_first_hops(snapshot, named), settings.first_hops_fallback == "guards"
    missing = [f"{name[:8]} is {why}" for name, why in own.missing.items()]
    if named and not own.usable and not or_guards:
        raise OperatorError(
            f"none of your first hops can be used now: {', '.join(missing)} (of {snapshot.valid_after}).",
            'Start one of them, or say first_hops_fallback = "guards" to let others stand in.',
        )
    if missing:
        left = f"{len(own.usable)} of {len(named)} are left" if own.usable else "guards stand in"
        say(f"of your first hops {', '.join(missing)}: {left}")
    avoid = {relay.fingerprint for relay in tested}
    return first_hop_chooser(snapshot, named, avoid, settings.hops, health=health, or_guards=or_guards)


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
