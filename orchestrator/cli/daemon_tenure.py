"""What the daemon has open: one tor, one session on it, and what its runs have in common.

It ends when tor is lent, lost, or so long open that its consensus is old; the daemon (`daemon_serve.py`) then begins
another one.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from ...wrappers.daemons import Daemons
from ...wrappers.household import Household
from ...wrappers.machine import abilities, yama_scope
from ..circuits import Pace
from ..containment import Containment
from ..evidence import EvidenceLog
from ..loop import Session
from ..model import Fingerprint, Run
from ..network import Network
from ..ports import Launch, Post
from ..runs import Life
from ..selection import first_hop_chooser
from ..settings import Settings
from ..witness import Witness
from .daemon_lease import Client

CONSENSUS_S = 3600.0
"""After so long a session ends as soon as nobody uses it, and the next one has a fresh consensus."""

Numbers = Iterator[int]


class Tenure:
    """One session on one open tor; it begins when that is opened, and ends when it is lent, lost, or old."""

    def __init__(
        self,
        network: Network,
        settings: Settings,
        pace: Pace,
        household: Household,
        directory: Path,
        numbers: Numbers,
        on_served: Callable[[], None],
    ) -> None:
        self.network = network
        self.household = household
        self.directory = directory
        self.opened = time.monotonic()
        self.abilities = abilities()
        self.may_supervise = not yama_scope() or os.geteuid() == 0 or self.abilities.has_namespaces
        """Yama lets none but an ancestor look into a tool, and a daemon is none; in a user namespace of the tool's own,
        and as root, it may."""
        self._numbers = numbers
        self._on_served = on_served
        self._sockets: dict[tuple[str, ...], Daemons] = {}
        self._clients: dict[str, Client] = {}
        header = {
            "session": f"daemon-{secrets.token_hex(3)}", "tor": network.tor_version,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }  # fmt: skip
        self.witness = Witness(header, shares_circuits=True)
        own = [Fingerprint(name) for name in settings.first_hops]
        self.session = Session(
            network.channel, self, pace=pace, rng=Random(),
            first_hops=first_hop_chooser(network.snapshot, own, (), settings.hops),
            evidence=EvidenceLog(None, header, self.witness.note), on_finished=self._finished,
        )  # fmt: skip
        network.channel.on_lost = self.lose_trust

    @property
    def is_over(self) -> bool:
        """Whether nothing more can begin in it."""
        is_old = time.monotonic() - self.opened > CONSENSUS_S and not self.session.active_count
        return self.session.trust_lost is not None or is_old

    def lose_trust(self, why: str) -> None:
        """Nothing can be proven any more: all runs end, and so does this."""
        self.session.lose_trust(why)
        self.session.finish()

    def daemons(self, containment: Containment) -> Daemons:
        """The Unix sockets of others, looked for once for all runs that may reach the same ones."""
        allowed = tuple(sorted(containment.unix))
        return self._sockets.setdefault(allowed, Daemons(str(self.directory), allowed))

    def next_number(self) -> int:
        """One that no run of this daemon had."""
        return next(self._numbers)

    def begin(self, run: Run, client: Client) -> None:
        """Start a client's run."""
        self._clients[run.run_id] = client
        self.session.start(run)

    def prepare(self, run: Run, post: Post, on_report: Callable[[bytes, int], None]) -> Launch:
        """As `Launcher`: by the client whose run it is."""
        return self._clients[run.run_id].prepare(run, post, on_report)

    def _finished(self, life: Life, launch: Launch | None) -> None:
        self._clients.pop(life.run.run_id).finished(life, launch)
        self._on_served()
