"""`exitpin` whose clocks are told by a file: python jumping_audit.py FILE WORDS. In FILE, once it is there: `wall=N`,
`monotonic=N`, `boottime=N`, by how many seconds each is ahead of this machine's."""

import sys
from pathlib import Path

from exitpin.orchestrator.cli import changes_told
from exitpin.orchestrator.cli.main import main
from exitpin.orchestrator.clocks import Clocks
from exitpin.wrappers.clocks import read_clocks

OFFSETS = Path(sys.argv[1])


def read() -> Clocks:
    real = read_clocks()
    try:
        words = [word.partition("=") for word in OFFSETS.read_text().split()]
    except FileNotFoundError:
        return real
    return real._replace(**{name: getattr(real, name) + float(ahead) for name, _, ahead in words})


changes_told.read_clocks = read
sys.exit(main(sys.argv[2:]))
