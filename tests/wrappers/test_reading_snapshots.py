"""How a snapshot is asked of tor, by a tor that is played: all of it is of one consensus, the signed one where tor has
it."""

import asyncio
import re
from collections.abc import Sequence

import pytest

from exitpin.orchestrator.model import Snapshot
from exitpin.wrappers.directory import TRIES, read_snapshot
from exitpin.wrappers.tor import ControlError

from .scripted_tor import Peer, played
from .test_directory import ONE, TWO, descriptor, status

FIRST, SECOND = "2026-01-02 03:00:00", "2026-01-02 04:00:00"
UNMEASURED = "w Bandwidth=7 Unmeasured=1\n"


def signed(valid_after: str, nickname: str) -> str:
    head = f"network-status-version 3\nvote-status consensus\nvalid-after {valid_after}\n"
    return f"{head}{status(ONE, nickname, bandwidth=UNMEASURED)}directory-footer\n"


def asked(hours: Sequence[str], consensus: str) -> Snapshot:
    """What is read of a tor that is at these hours, one after the other, and has that consensus on its disk."""
    found: list[Snapshot] = []
    left = list(hours)

    def answer(question: str) -> list[str]:
        key = question.split()[1]
        if key == "consensus/valid-after":
            return [f"250-{key}={left.pop(0) if len(left) > 1 else left[0]}", "250 OK"]
        if key in ("consensus/fresh-until", "consensus/valid-until"):
            return [f"250-{key}=2026-01-02 0{key.count('v')}:00:00", "250 OK"]
        if key == "EnforceDistinctSubnets":
            return ["250 EnforceDistinctSubnets=1"]
        if key == "dir/status-vote/current/consensus" and not consensus:
            return ["551 Could not open cached consensus."]
        text = {
            "ns/all": status(ONE, "by-tor".replace("-", "")),
            "desc/all-recent": descriptor(ONE, "accept *:80", "reject *:*") + descriptor(TWO, "reject *:*"),
        }.get(key, consensus)
        return [f"250+{key}=", *text.rstrip("\n").split("\n"), ".", "250 OK"]

    async def script(peer: Peer) -> None:
        reading = asyncio.create_task(read_snapshot(peer.channel))
        while not reading.done():
            told = asyncio.create_task(peer.reads())
            await asyncio.wait({reading, told}, return_when=asyncio.FIRST_COMPLETED)
            if not told.done():
                told.cancel()
                break
            for question in re.findall(r"GET\w+ \S+", told.result()):
                await peer.says(*answer(question))
        found.append(await reading)

    played(script)
    return found[0]


def test_the_signed_consensus_is_read_and_kept() -> None:
    seen = asked([FIRST], signed(FIRST, "signed"))
    assert (seen.relays[ONE].nickname, seen.relays[ONE].is_measured) == ("signed", False)
    assert (seen.fresh_until, seen.valid_until) == ("2026-01-02 00:00:00", "2026-01-02 01:00:00")
    assert (seen.consensus, seen.valid_after) == (signed(FIRST, "signed"), FIRST)
    assert seen.relays[ONE].policy is not None


@pytest.mark.parametrize("consensus", ["", signed(SECOND, "other")], ids=["not handed out", "another one on the disk"])
def test_without_it_tor_says_itself_what_it_goes_by(consensus: str) -> None:
    seen = asked([FIRST], consensus)
    assert seen.relays[ONE].nickname == "bytor"
    assert seen.consensus == status(ONE, "bytor").rstrip("\n") + "\n"


def test_a_consensus_that_comes_meanwhile_is_read_instead() -> None:
    seen = asked([FIRST, SECOND], signed(SECOND, "new"))
    assert (seen.valid_after, seen.relays[ONE].nickname) == (SECOND, "new")


def test_a_tor_whose_consensus_never_stays_is_given_up() -> None:
    hours = [f"2026-01-02 {hour:02}:00:00" for hour in range(TRIES + 2)]
    with pytest.raises(ControlError, match="took a new consensus"):
        asked(hours, "")
