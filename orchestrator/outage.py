"""Whether any circuit can be built: when nobody answers it is the network, or all first hops, and no exit's fault.

Theory. Whatever comes back from a first hop is a sign of life. When circuits through SILENT_HOPS different first hops
failed at the first hop since the last sign, or through all that there are, there is an *outage*. While it lasts one
circuit at a time is built, to see, with growing pauses; runs wait for theirs, and none is failed for it. The next sign
of life ends it; but what was on its way when the network went still comes in for a moment, and is none. After
`limit_s` it is given up: what waits is failed, and blames the first hops.

An outage also begins on suspicion (`doubt`): the machine slept, Tor says that the network is down. Then the first
circuit goes at once.

Pure: time comes in as `now` (seconds, monotonic). Called by the pool.
"""

from dataclasses import dataclass, field

from .effects import Effect, NetworkChanged
from .model import Fingerprint

SILENT_HOPS = 3
LOOK_S, LOOK_MAX_S = 2.0, 30.0
ON_ITS_WAY_S = 2.0
"""So long what comes over a circuit of before may have been sent while the network was there."""
FORGIVEN_S = 60.0
"""So long before an outage was noticed failures of first hops are counted to it."""


@dataclass(slots=True)
class Outage:
    """`is_on`: there is one; `is_given_up`: it has lasted too long."""

    limit_s: float
    is_on: bool = False
    is_given_up: bool = False
    began: float = 0.0
    reason: str = ""
    _silent: dict[Fingerprint, float] = field(default_factory=dict)
    _heard: float | None = None
    _pause_s: float = LOOK_S
    _look_at: float = 0.0

    @property
    def forgiven_since(self) -> float:
        """Who failed since then may have failed for the network."""
        return min(self._silent.values(), default=self.began) - FORGIVEN_S

    def heard(self, launched: float, now: float) -> list[Effect]:
        """A sign of life, over a circuit that was launched at that time."""
        if self.is_on and launched < self.began and now < self.began + ON_ITS_WAY_S:
            return []
        self._heard = now
        was_on = self.is_on
        self._silent.clear()
        self.is_on = self.is_given_up = False
        return [NetworkChanged("back", self.reason, now - self.began)] if was_on else []

    def silent(self, first_hop: Fingerprint, launched: float, reason: str, now: float) -> list[Effect]:
        """A circuit that was launched at that time failed at its first hop."""
        if self._heard is not None and launched < self._heard and not self.is_on:
            return []
        self._silent.setdefault(first_hop, launched)
        self.reason = reason
        if self.is_on:
            return self._still(now)
        return self._begin(reason, now) if len(self._silent) >= SILENT_HOPS else []

    def nobody_left(self, now: float) -> list[Effect]:
        """All first hops that could be used are put aside. One that failed while others answer is no outage."""
        return self._begin(self.reason, now) if self._silent and not self.is_on else []

    def doubt(self, why: str, now: float) -> list[Effect]:
        """Something says that nothing may work."""
        if not self.is_on:
            self._begin(why, now)
        return [NetworkChanged("doubted", why)]

    def look_soon(self, now: float) -> None:
        """Something says that it may be over."""
        self._look_at, self._pause_s = now, LOOK_S

    def may_launch(self, now: float, building: int) -> bool:
        """Whether a circuit may be launched, with so many under way."""
        return not self.is_on or (now >= self._look_at and not building)

    def look_at(self) -> float:
        """When the next circuit may be launched; 0: at once."""
        return self._look_at if self.is_on else 0.0

    def looked(self, now: float) -> None:
        """A circuit was launched."""
        if self.is_on:
            self._look_at = now + self._pause_s
            self._pause_s = min(LOOK_MAX_S, 2 * self._pause_s)

    def _begin(self, reason: str, now: float) -> list[Effect]:
        self.is_on, self.is_given_up, self.began, self.reason = True, False, now, reason
        self._pause_s, self._look_at = LOOK_S, now
        return [NetworkChanged("gone", reason)]

    def _still(self, now: float) -> list[Effect]:
        if self.is_given_up or now - self.began < self.limit_s:
            return []
        self.is_given_up = True
        return [NetworkChanged("given up", self.reason, now - self.began)]
