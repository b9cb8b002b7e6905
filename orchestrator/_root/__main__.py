"""`python -m exitpin` is the command `exitpin`."""

import sys

from exitpin.orchestrator.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
