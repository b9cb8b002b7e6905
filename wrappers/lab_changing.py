"""Carries out the changes of a lab that lives, one at a time, in pid 1 of the lab.

A relay that leaves is rejected by the authorities, because they would call it Running for 45 minutes more.
`lab_publishing.py` sees to it that descriptors reach them.
"""

import asyncio
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..orchestrator.errors import OperatorError
from ..orchestrator.lab import change as changes
from ..orchestrator.lab.change import Change, Changed, Verb
from ..orchestrator.lab.network import Relay, Role
from . import lab_keys
from .lab_grounds import Grounds

DRAFT = "keys.new"


async def carry_out(grounds: Grounds, change: Change) -> list[Changed]:
    """Make a change; returns when it is made at the relays. OperatorError when it can't be."""
    relays = await _VERBS[change.verb](grounds, change)
    return [
        Changed(
            relay.nickname, grounds.fingerprint(relay.nickname), relay.address,
            grounds.revisions.get(relay.nickname, 0), grounds.lives(relay),
        )
        for relay in relays
    ]  # fmt: skip


async def _add(grounds: Grounds, change: Change) -> Iterable[Relay]:
    boot = grounds.boot
    before = boot.network
    boot.network = changes.added(before, change)
    relay = boot.network.exits[-1]
    place = boot.tor_root / relay.nickname
    _new_identity(grounds, relay)
    _declare(grounds, relay)
    try:
        grounds.write(relay)
    except OperatorError:
        boot.network = before
        shutil.rmtree(place)
        raise
    grounds.tell_targets()
    await grounds.tell_authorities()
    grounds.note(change.verb, relay, True)
    await grounds.start(relay)
    return [relay]


async def _remove(grounds: Grounds, change: Change) -> Iterable[Relay]:
    relays = changes.found(grounds.boot.network, change.names)
    for relay in relays:
        if grounds.lives(relay):
            grounds.keeper.stop(relay.nickname)
            grounds.removed.add(relay.nickname)
            grounds.unpublished.pop(relay.nickname, None)
            grounds.note(change.verb, relay, False)
    await grounds.tell_authorities()
    return relays


async def _restore(grounds: Grounds, change: Change) -> Iterable[Relay]:
    relays = changes.found(grounds.boot.network, change.names)
    gone = [relay for relay in relays if not grounds.lives(relay)]
    _write_declaring(grounds, gone)
    grounds.removed.difference_update(relay.nickname for relay in gone)
    await grounds.tell_authorities()  # before they are sent its descriptor
    for relay in gone:
        grounds.note(change.verb, relay, True)
    await asyncio.gather(*(grounds.start(relay) for relay in gone))
    return relays


async def _policy(grounds: Grounds, change: Change) -> Iterable[Relay]:
    boot = grounds.boot
    before = boot.network
    boot.network = changes.with_policy(before, change)
    relays = changes.found(boot.network, change.names)
    _refuse_removed(grounds, relays)
    try:
        grounds.write_all(relays)
    except (OperatorError, OSError):
        boot.network = before
        raise
    grounds.tell_targets()
    await grounds.tell_authorities()
    for relay in relays:
        grounds.note(change.verb, relay, True)
    await asyncio.gather(*(grounds.reload(relay.nickname) for relay in relays))
    return relays


async def _rekey(grounds: Grounds, change: Change) -> Iterable[Relay]:
    relays = changes.found(grounds.boot.network, change.names)
    _refuse_removed(grounds, relays)
    before = grounds.who
    drafts = [grounds.boot.tor_root / relay.nickname / DRAFT for relay in relays]
    try:
        for relay in relays:
            _new_identity(grounds, relay, DRAFT)
        _write_declaring(grounds, relays)
    except (OperatorError, OSError):
        grounds.who = before
        for draft in drafts:
            shutil.rmtree(draft, ignore_errors=True)
        raise
    after, grounds.who = grounds.who, before
    for relay, draft in zip(relays, drafts, strict=True):
        grounds.keeper.stop(relay.nickname)
        grounds.note(change.verb, relay, False)
        grounds.former.add(grounds.fingerprint(relay.nickname))
        shutil.rmtree(draft.with_name("keys"))
        draft.rename(draft.with_name("keys"))
    grounds.who = after
    await grounds.tell_authorities()
    for relay in relays:
        grounds.note(change.verb, relay, True)
    await asyncio.gather(*(grounds.start(relay) for relay in relays))
    return relays


async def _stop_authorities(grounds: Grounds, change: Change) -> Iterable[Relay]:
    for authority in grounds.boot.network.authorities:
        grounds.keeper.stop(authority.nickname)
        grounds.removed.add(authority.nickname)
    return grounds.boot.network.authorities


async def _start_authorities(grounds: Grounds, change: Change) -> Iterable[Relay]:
    stopped = [one for one in grounds.boot.network.authorities if not grounds.lives(one)]
    grounds.removed.difference_update(authority.nickname for authority in stopped)
    await asyncio.gather(*(grounds.start(authority) for authority in stopped))
    return grounds.boot.network.authorities


_VERBS = {
    Verb.ADD: _add,
    Verb.REMOVE: _remove,
    Verb.RESTORE: _restore,
    Verb.POLICY: _policy,
    Verb.REKEY: _rekey,
    Verb.STOP_AUTHORITIES: _stop_authorities,
    Verb.START_AUTHORITIES: _start_authorities,
}


def _declare(grounds: Grounds, relay: Relay) -> None:
    """Until the authorities know its descriptor, an exit that lies about its policy keeps to it."""
    if relay.role is Role.EXIT and relay.conduct.enforce:
        grounds.declaring.add(relay.nickname)


def _write_declaring(grounds: Grounds, relays: Sequence[Relay]) -> None:
    """Their torrcs: all, or none."""
    before = set(grounds.declaring)
    try:
        for relay in relays:
            _declare(grounds, relay)
        grounds.write_all(relays)
    except (OperatorError, OSError):
        grounds.declaring = before
        raise


def _new_identity(grounds: Grounds, relay: Relay, name: str = "keys") -> None:
    place = grounds.boot.tor_root / relay.nickname / name
    place.parent.mkdir(mode=0o700, exist_ok=True)
    fingerprint = lab_keys.make_identity(place)
    grounds.who = replace(grounds.who, fingerprints={**grounds.who.fingerprints, relay.nickname: fingerprint})


def _refuse_removed(grounds: Grounds, relays: Sequence[Relay]) -> None:
    for relay in relays:
        if not grounds.lives(relay):
            raise OperatorError(f"The relay {relay.nickname} was removed.", "`exitpin lab change restore` starts it.")
