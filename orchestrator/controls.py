"""What other vantages saw, and what of it counts: the controls that a run is compared with."""

from dataclasses import dataclass

from .model import Fingerprint
from .tool import Facts, Value


@dataclass(frozen=True, slots=True)
class Control:
    """What one control saw. `vantage`: exit, direct or pinned; `at`: when it ended, in seconds since the epoch."""

    vantage: str
    facts: Facts
    at: float
    run_id: str = ""
    exit: Fingerprint | None = None


@dataclass(frozen=True, slots=True)
class Controls:
    """The controls of one comparison. A value counts once `quorum` of them agree on it."""

    samples: tuple[Control, ...]
    quorum: int = 2

    def differs(self, field: str, value: Value) -> bool | None:
        """Whether `value` is none of the values that the controls agree on; None: they agree on none."""
        raise NotImplementedError
