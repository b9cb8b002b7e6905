"""What a lab that lives consists of, and how it is told to be another: torrcs, signals, lists of the authorities.

Lives in pid 1 of the lab. Decides nothing: what is changed stands in `lab_changing.py`, which calls this, as
`lab_publishing.py` does.
"""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..orchestrator.errors import OperatorError
from ..orchestrator.lab.change import Verb
from ..orchestrator.lab.conduct import encode
from ..orchestrator.lab.network import Relay
from ..orchestrator.lab.residents import line_of
from ..orchestrator.lab.state import RESIDENTS_FILE
from .lab_boot import MIDDLEMEN, TARGETS, Boot
from .lab_keeper import Keeper
from .lab_tors import Identities

READY_S = 60.0
LOOK_S = 0.05
APPROVED_FILE = "approved-routers"
RELOADED = "Received reload signal"


@dataclass
class Grounds:
    """What there is to be changed. Who changes anything holds the `lock`.

    `revisions`: of the torrcs; `unpublished`: who has one that the authorities may not know, and when it was told last
    (monotonic); `declaring`: exits that keep, for now, to what they declare; `removed`: those who are off, authorities
    among them; `former`: fingerprints that are no more.
    """

    boot: Boot
    who: Identities
    environment: Mapping[str, str]
    keeper: Keeper
    revisions: dict[str, int] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    former: set[str] = field(default_factory=set)
    unpublished: dict[str, float] = field(default_factory=dict)
    declaring: set[str] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def fingerprint(self, nickname: str) -> str:
        return self.who.fingerprints[nickname]

    def is_running(self, nickname: str) -> bool:
        return nickname in self.keeper.plant.pids

    def lives(self, relay: Relay) -> bool:
        """Whether it is meant to relay."""
        return relay.nickname not in self.removed

    def write(self, relay: Relay) -> None:
        """Its torrc, one revision on. OperatorError when tor would not take it; then the old one stands."""
        name = relay.nickname
        path = self.boot.tor_root / name / "torrc"
        old = path.read_bytes() if path.exists() else None
        revision = self.revisions.get(name, 0) + 1
        self.boot.write_torrc(relay, self.who, declares=name in self.declaring, revision=revision)
        complaint = verified(self.boot.spec["tor"], path)
        if complaint is not None:
            if old is not None:
                path.write_bytes(old)
            raise OperatorError(f"tor refuses this of {name}: {complaint}.")
        self.revisions[name] = revision
        self.unpublished[name] = time.monotonic()

    def write_all(self, relays: Sequence[Relay]) -> None:
        """As `write`: all of them, or none."""
        paths = [self.boot.tor_root / relay.nickname / "torrc" for relay in relays]
        before = {path: path.read_bytes() for path in paths if path.exists()}
        revisions, unpublished = dict(self.revisions), dict(self.unpublished)
        try:
            for relay in relays:
                self.write(relay)
        except (OperatorError, OSError):
            self.revisions, self.unpublished = revisions, unpublished
            for path, old in before.items():
                path.write_bytes(old)
            raise

    async def start(self, relay: Relay) -> None:
        """Start its tor, and return when it listens."""
        self.boot.start_tor(relay.nickname, self.environment)
        self.keeper.started(relay.nickname)
        deadline = time.monotonic() + READY_S
        while not await listens(relay):
            if time.monotonic() > deadline:
                words = self.keeper.plant.last_words(relay.nickname)
                raise OperatorError(f"The relay {relay.nickname} does not start: {words}.")
            await asyncio.sleep(LOOK_S)

    async def reload(self, nickname: str) -> None:
        """Let a tor read its torrc again, and return when it does; one that dies meanwhile reads it when it starts."""
        log = self.boot.tor_root / nickname / "notice.log"
        seen = log.stat().st_size
        pid = self.keeper.plant.pids.get(nickname)
        if pid is None:
            return
        os.kill(pid, signal.SIGHUP)
        deadline = time.monotonic() + READY_S
        while self.keeper.plant.pids.get(nickname) == pid:
            with open(log, errors="replace") as lines:
                lines.seek(seen)
                if RELOADED in lines.read():
                    return
            if time.monotonic() > deadline:
                raise OperatorError(f"The tor {nickname} does not read its torrc again.")
            await asyncio.sleep(LOOK_S)

    def note(self, why: Verb, relay: Relay, is_up: bool) -> None:
        """A line in the book of residents."""
        line = line_of(
            time.time(), why, is_up, relay.nickname, self.fingerprint(relay.nickname), (relay.address, relay.address6),
            relay.policy,
        )  # fmt: skip
        with open(self.boot.directory / RESIDENTS_FILE, "a") as book:
            book.write(line)

    async def tell_authorities(self) -> None:
        """Whom they reject, and whom they vote Exit and Guard."""
        relays = (*self.boot.network.middles, *self.boot.network.exits)
        rejected = self.former | {self.fingerprint(one.nickname) for one in relays if not self.lives(one)}
        content = "".join(f"!reject {fingerprint}\n" for fingerprint in sorted(rejected))
        told = []
        for authority in self.boot.network.authorities:
            approved = self.boot.tor_root / authority.nickname / APPROVED_FILE
            torrc = approved.with_name("torrc")
            before = (approved.read_text() if approved.exists() else "", torrc.read_text())
            self.boot.write_torrc(authority, self.who, declares=False)
            approved.write_text(content)
            if before != (content, torrc.read_text()):
                told.append(authority.nickname)
        await asyncio.gather(*(self.reload(name) for name in told))

    def tell_targets(self) -> None:
        """There is another cast: names, and who is late or meddles."""
        spec = self.boot.spec
        cast = [encode(relay.conduct) for relay in self.boot.network.exits]
        spec |= {"cast": cast, "added": [relay.nickname for relay in self.boot.network.exits[spec["exits"] :]]}
        path = Path(spec["path"])
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps({name: value for name, value in spec.items() if name != "path"}))
        draft.rename(path)
        for name in (TARGETS, MIDDLEMEN):
            if name in self.keeper.plant.pids:
                os.kill(self.keeper.plant.pids[name], signal.SIGHUP)


def verified(tor: str, torrc: Path) -> str | None:
    """What tor has against a torrc. In this thread, so that nobody else reaps it."""
    command = [tor, "--verify-config", "--hush", "-f", str(torrc), "--defaults-torrc", "/dev/null"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=READY_S, check=False)
    except subprocess.TimeoutExpired:
        return f"it said nothing for {READY_S:g} s"
    lines = [line.partition("] ")[2] for line in (done.stdout + done.stderr).splitlines() if "] " in line]
    return None if done.returncode == 0 else "; ".join(lines[:2])[:300] or f"status {done.returncode}"


async def listens(relay: Relay) -> bool:
    """Whether somebody takes connections at a relay's ORPort."""
    try:
        _, writer = await asyncio.open_connection(relay.address, relay.or_port)
    except OSError:
        return False
    writer.close()
    return True
