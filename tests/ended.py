"""How a process has ended that a signal ended, as its parent sees it."""

import signal


def ended_by(signo: int) -> int:
    """The `returncode` of an exitpin that this signal ended: of SIGINT it dies, so that a shell ends its loop."""
    return -signo if signo == signal.SIGINT else 128 + signo
