"""Sees to it that the authorities of a lab that lives know each relay's newest descriptor.

An upload may come to nothing: no authority runs, or it is the second descriptor within one second, which they take for
the same (router_add_to_routerlist of tor looks at `published`). A relay without a directory of its own does not
notice. So what they hold is looked at, and who is missing is told to publish again.
"""

import asyncio
import re
import time
import traceback

from ..orchestrator.errors import OperatorError
from ..orchestrator.lab.network import Relay
from .lab_grounds import Grounds
from .lab_tors import revision_of

LOOK_S = 1.0
PATIENCE_S = 5.0
HELD_FILES = ("cached-descriptors", "cached-descriptors.new")

_DESCRIPTOR = re.compile(r"^router ", re.MULTILINE)
_FINGERPRINT = re.compile(r"^fingerprint ([0-9A-F ]{49})$", re.MULTILINE)
_CONTACT = re.compile(r"^contact (.*)$", re.MULTILINE)


async def keep_published(grounds: Grounds) -> None:
    """For good: one look a second at who has been changed, under the lock of changes."""
    while True:
        await asyncio.sleep(LOOK_S)
        if grounds.unpublished:
            async with grounds.lock:
                try:
                    await look(grounds)
                except (OperatorError, OSError):  # pid 1 must live on; the next look tries again
                    traceback.print_exc()


async def look(grounds: Grounds) -> None:
    """Once: who is known now, and who has to publish again."""
    network = grounds.boot.network
    held = [held_by(grounds, one) for one in network.authorities if grounds.is_running(one.nickname)]
    for relay in (*network.middles, *network.exits):
        name = relay.nickname
        if name not in grounds.unpublished:
            continue
        wanted = (grounds.fingerprint(name), grounds.revisions.get(name, 0))
        knowing = sum(one.get(wanted[0], -1) >= wanted[1] for one in held)
        if 2 * knowing > len(network.authorities):
            del grounds.unpublished[name]
            if name in grounds.declaring:
                await _turn(grounds, relay)
        elif held and grounds.is_running(name) and time.monotonic() - grounds.unpublished[name] > PATIENCE_S:
            grounds.write(relay)
            await grounds.reload(name)


async def _turn(grounds: Grounds, relay: Relay) -> None:
    """What it declared is known: from now on it does as it will."""
    grounds.declaring.discard(relay.nickname)
    grounds.keeper.stop(relay.nickname)
    revision = grounds.revisions.get(relay.nickname, 0)
    grounds.boot.write_torrc(relay, grounds.who, declares=False, revision=revision)
    await grounds.start(relay)


def held_by(grounds: Grounds, authority: Relay) -> dict[str, int]:
    """The revisions of descriptors that an authority has stored, by fingerprint."""
    found: dict[str, int] = {}
    for name in HELD_FILES:
        path = grounds.boot.tor_root / authority.nickname / name
        text = path.read_text(errors="replace") if path.exists() else ""
        for part in _DESCRIPTOR.split(text)[1:]:
            fingerprint, contact = _FINGERPRINT.search(part), _CONTACT.search(part)
            if fingerprint and contact:
                key = fingerprint[1].replace(" ", "")
                found[key] = max(found.get(key, -1), revision_of(contact[1]))
    return found
