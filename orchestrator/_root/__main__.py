"""`python -m exitpin` is the command `exitpin`."""

from exitpin.orchestrator.cli.main import console

if __name__ == "__main__":
    console()
