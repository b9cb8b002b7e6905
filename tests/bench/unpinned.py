"""The lab's client as everybody's tor is: it attaches streams by itself, for loops of torsocks.

The line that leaves streams to a controller is taken back for as long as the `with` block lasts. In a warm lab no
authority runs, and without one this tor builds nothing by itself: each exit has a circuit beforehand, over the same
middle as on all other sides.
"""

from bare_control import BareControl
from place import Place


class Unpinned:
    """For as long as the `with` block lasts."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._control = BareControl(place.control())
        self._circuits: list[str] = []

    def __enter__(self) -> "Unpinned":
        self._circuits = [self._control.build(self._place.middle, relay.fingerprint) for relay in self._place.exits]
        self._ask("SETEVENTS")  # nobody reads them
        self._ask("SETCONF __LeaveStreamsUnattached=0")
        return self

    def __exit__(self, *_: object) -> None:
        self._ask("SETCONF __LeaveStreamsUnattached=1")
        for circuit in self._circuits:
            self._ask(f"CLOSECIRCUIT {circuit}")
        self._control.close()

    def _ask(self, command: str) -> None:
        self._control.send(command)
        lines: list[bytes] = []
        while not any(line.startswith(b"250 ") for line in lines):
            lines = self._control.lines()
            if any(line.startswith(b"5") for line in lines):
                raise RuntimeError(f"{command}: {lines!r}")
