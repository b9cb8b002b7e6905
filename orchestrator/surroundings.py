"""What a session knows of its surroundings, and whom it tells when they change: first hops, network, clocks."""

from collections.abc import Callable
from dataclasses import dataclass, field

from .clocks import Clocks, Jump
from .effects import NetworkChanged
from .hop_health import HopHealth

ReadClocks = Callable[[], Clocks]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`health`: of relays before exits, which whoever draws them goes by; `on_network` hears when no first hop answers,
    and when one does again; `clocks` reads them (None: they are not looked at), and `on_jump` hears when time did not
    go on as it should: the runs of that moment were ended, and say nothing."""

    health: HopHealth = field(default_factory=HopHealth)
    on_network: Callable[[NetworkChanged], None] = lambda told: None
    clocks: ReadClocks | None = None
    on_jump: Callable[[Jump], None] = lambda jump: None
