"""The ground truth of a lab: who connected to whom, written down by those who were connected to, before they answer.

A line of the log: {"t": unix time, "service": name, "own": [address, port], "peer": [address, port]}. Targets write one
for each connection; so do the men in the middle ("wire": what an exit meant to open), who also announce the connections
that they open themselves in the exit's name ("onward": peer is their own end), so that nobody takes one for the exit's.
"""

import json
import os
import time
from pathlib import Path

Endpoint = tuple[str, int]


class GroundTruth:
    """The append-only log. One write per line, unbuffered."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, service: str, own: Endpoint, peer: Endpoint, **more: str) -> None:
        line = {"t": time.time(), "service": service, "own": own, "peer": peer, **more}
        os.write(self._descriptor, json.dumps(line).encode() + b"\n")
