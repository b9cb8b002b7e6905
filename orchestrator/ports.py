"""What the core needs of the world, as Protocols: `wrappers/` implements them, unit tests may fake them."""

from collections.abc import Callable, Iterable
from typing import Protocol

from .effects import AnswerCall
from .model import Claim, Run, Ticket

Post = Callable[[object], None]
Reply = tuple[int, list[str]]
"""Status code, and the text of every line (a data line's block is one text)."""

COMMAND_TIMEOUT_S = 30.0


class Control(Protocol):
    """A control connection that pins streams."""

    on_event: Callable[[str], None]
    unheard: list[str]
    on_lost: Callable[[str], None]

    @property
    def ahead(self) -> "Ahead | None":
        """Who makes connects by tickets, if anybody does."""

    @property
    def pinning_options(self) -> Iterable[str]:
        """The options that no one may change while runs are open."""

    def send(self, command: str, on_reply: Callable[[Reply], None]) -> None:
        """Send one command; replies come in order with events."""

    def longest_wait_s(self) -> float:
        """How long the oldest unanswered command has been waiting."""


class Ahead(Protocol):
    """Who makes connects by tickets, over a control connection of its own; launches know how to ask it."""

    def was_sent(self, stream_id: int, circuit_id: int, on_reply: Callable[[Reply], None]) -> None:
        """ATTACHSTREAM was sent: hear its reply, which may have come."""

    def longest_wait_s(self) -> float:
        """How long the oldest such reply has been waited for."""


class Launch(Protocol):
    """One run's hold on the world: its report socket, its process tree, its tool's sockets."""

    def start(self) -> str | None:
        """Start the tool; what went wrong, or None."""

    def end(self, grace_s: float) -> None:
        """End the whole tree."""

    def kill(self) -> None:
        """Kill the launcher and what is left of the tree; a LauncherLost is posted."""

    def go_ahead(self, ticket: Ticket, by: Ahead) -> None:
        """The next connect need not wait to be reported, if it can do without: `by` makes it."""

    def recall(self) -> None:
        """There is no ticket any more; a connect that has used it is reported before this returns."""

    def is_attached(self, call: int) -> bool:
        """Whether Tor was told to attach the stream of this call, if a ticket was used for it. Nothing more is done
        about it."""

    def open_stream(self, call: int, claim: Claim) -> None:
        """Connect the call's socket to Tor and speak SOCKS; a SocksAnswered is posted."""

    def bind_lookup(self, call: int, host: str) -> None:
        """Bind a socket to the run's address for a look-up; a LookupBound is posted."""

    def answer(self, answer: AnswerCall) -> None:
        """Answer a hook that waits."""

    def close(self) -> None:
        """Let go of everything."""


class Launcher(Protocol):
    """Prepares runs."""

    def prepare(self, run: Run, post: Post, on_report: Callable[[bytes, int], None]) -> Launch:
        """A run's report socket and directory; nothing is started yet."""
