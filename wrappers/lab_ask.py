"""Asks a lab that lives for a change, and waits until the consensus of its client shows it. For the command line."""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..orchestrator.errors import EXIT_TIMEOUT, OperatorError
from ..orchestrator.lab.change import Change, Changed, Verb, encode
from ..orchestrator.lab.state import LabState
from ..orchestrator.lab.voting import validity_of
from ..orchestrator.model import Fingerprint, Snapshot
from .directory import read_snapshot
from .lab_tors import revision_of
from .tor import ControlChannel, ControlError, authenticate

MADE_S = 120.0
LOOK_S = 0.5
LINE_MOST = 1 << 20


def make(lab: LabState, change: Change) -> list[Changed]:
    """Have it made; returns when it is made at the relays. Raises OperatorError."""
    if lab.voting is None:
        raise OperatorError(
            f"The lab {lab.name} is frozen: its network can't change.",
            "Start one that lives: `exitpin lab up --voting 10s`, after `exitpin lab down` or with another --name.",
        )
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(MADE_S)
            connection.connect(str(lab.change_socket))
            connection.sendall(json.dumps(encode(change)).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer: dict[str, Any] = json.loads(lines.readline(LINE_MOST))
    except (OSError, ValueError) as error:
        raise OperatorError(f"The lab {lab.name} does not answer: {error}.", "Look at its logs.") from error
    if "error" in answer:
        raise OperatorError(answer["error"], answer["hint"], answer["status"])
    return [Changed(**one) for one in answer["changed"]]


def wait(lab: LabState, change: Change, changed: Sequence[Changed], timeout_s: float) -> Snapshot:
    """The first snapshot of the client that shows a change. OperatorError when there is none in time."""
    return asyncio.run(_wait(lab, condition_of(change, changed), timeout_s))


def condition_of(change: Change, changed: Sequence[Changed]) -> Callable[[Snapshot, float], bool]:
    """Whether a snapshot shows it at that unix time: descriptors of the right revision, those who left gone; of the
    authorities, whether the consensus is still valid."""
    if change.verb is Verb.STOP_AUTHORITIES:
        return lambda snapshot, now: not _is_valid(snapshot, now)
    if change.verb is Verb.START_AUTHORITIES:
        return _is_valid
    return lambda snapshot, _: all(_shows(snapshot, one) for one in changed)


def _shows(snapshot: Snapshot, one: Changed) -> bool:
    relay = snapshot.relays.get(Fingerprint(one.fingerprint))
    if not one.is_up:
        return relay is None or "Running" not in relay.flags
    if relay is None or "Running" not in relay.flags or revision_of(relay.contact) < one.revision:
        return False
    return all(other is relay for other in snapshot.relays.values() if other.nickname == one.nickname)


def _is_valid(snapshot: Snapshot, now: float) -> bool:
    validity = validity_of(snapshot.consensus)
    return validity is not None and validity.valid_after <= now < validity.valid_until


async def _wait(lab: LabState, is_shown: Callable[[Snapshot, float], bool], timeout_s: float) -> Snapshot:
    deadline = time.monotonic() + timeout_s
    channel: ControlChannel | None = None
    try:
        while True:
            try:
                channel = channel or ControlChannel(authenticate(lab.control_socket))
                snapshot = await read_snapshot(channel)
                if is_shown(snapshot, time.time()):
                    return snapshot
            except ControlError:  # it may be about to start again
                if channel is not None:
                    channel.close()
                channel = None
            if time.monotonic() > deadline:
                raise OperatorError(
                    f"The change is made, but the client's consensus does not show it after {timeout_s:g} s.",
                    "`exitpin lab status` tells how old it is; --timeout waits longer.",
                    EXIT_TIMEOUT,
                )
            await asyncio.sleep(LOOK_S)
    finally:
        if channel is not None:
            channel.close()
