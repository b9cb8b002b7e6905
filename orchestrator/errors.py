"""What an operator may see: one sentence of what is wrong and one of what to do next.

Raised by the shell (adapters, command line) for the *operator*; a run that failed is data and never an
exception. `cli/main.py` prints these and exits with `exit_status`; any other exception is a bug.
"""

EXIT_USAGE = 2
EXIT_TIMEOUT = 124
EXIT_FAILED = 125
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127


class ByInterrupt(int):
    """An exit status of 130 for a Ctrl-C: whoever ends with it ends by SIGINT, or a shell would go on with its loop."""


BY_INTERRUPT = ByInterrupt(130)


def status_of_signal(signo: int) -> int:
    """How one ends whom a signal ended: as a shell tells it."""
    return BY_INTERRUPT if 128 + signo == BY_INTERRUPT else 128 + signo


class OperatorError(Exception):
    """A failure that the operator can act on.

    `message` says what is wrong, `hint` what to do next (may be empty), `exit_status` is what the process exits with.
    """

    def __init__(self, message: str, hint: str = "", exit_status: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_status = exit_status

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
