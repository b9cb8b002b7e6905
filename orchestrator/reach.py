"""What circuits tell of the relays before exits, taken together: which of them fail, and whether any answers.

Pure. Joins `hop_health.py` and `outage.py` for the pool.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .build_failures import Broken
from .circuit import Circuit
from .effects import Effect
from .hop_health import HopHealth
from .model import Fingerprint
from .outage import Outage


@dataclass(slots=True)
class Reach:
    """`limit_s`: how long an outage may last."""

    health: HopHealth
    limit_s: float
    outage: Outage = field(init=False)

    def __post_init__(self) -> None:
        self.outage = Outage(self.limit_s)

    def look_round(self, now: float) -> None:
        """Bring the health of hops up to date: in an outage nobody in particular is to be shunned."""
        self.health.look_round(now)
        if self.outage.is_on:
            self.health.aside = frozenset()

    def launched(self, hops: Sequence[Fingerprint], now: float) -> None:
        """A circuit goes through these hops."""
        self.health.launched(hops, now)
        self.outage.looked(now)

    def answered(self, circuit: Circuit, reached: int, now: float) -> list[Effect]:
        """So many hops of a circuit have answered: all of them but the exit are well, and so is the network."""
        for relay in circuit.path[:-1][:reached]:
            self.health.heard(relay, now)
        for relay in circuit.path[: reached - 1]:
            self.health.went_beyond(relay)
        forgiven_since = self.outage.forgiven_since
        back = self.outage.heard(circuit.launched, now)
        if back:
            self.health.forgive(forgiven_since)
        return back

    def failed(self, circuit: Circuit, broken: Broken, reason: str, now: float, *, is_answer: bool) -> list[Effect]:
        """A circuit was not built. `is_answer`: a first hop said so itself, and is there."""
        relay = broken.failed
        if relay is None:
            if len(broken.suspects) == 2:
                self.health.not_beyond(*broken.suspects)
            return []
        if broken.is_at_exit:
            return []
        self.health.failed(relay, circuit.launched, now)
        return [] if is_answer else self.outage.silent(relay, circuit.launched, reason, now)
