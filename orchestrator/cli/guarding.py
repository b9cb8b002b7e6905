"""Signals, and what nobody caught, while runs are made. Called by the verbs that have one way to end: at once."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ours() -> tuple[signal.Signals, ...]:
    """The signals that are ours to answer: not a hang-up that somebody had ignored (nohup)."""
    return tuple(one for one in SIGNALS if one != signal.SIGHUP or signal.getsignal(one) is not signal.SIG_IGN)


@contextmanager
def guarding(interrupted: Callable[[int], None], lose_trust: Callable[[str], None]) -> Iterator[None]:
    """Within it a signal is `interrupted`'s to answer, by its number. An exception that nobody caught is printed, and
    `lose_trust` is told why nothing is proven any more: after the context, too, for the loop's last tasks end there."""
    loop = asyncio.get_running_loop()

    def uncaught(_: object, context: dict[str, Any]) -> None:
        loop.default_exception_handler(context)
        lose_trust(f"internal error: {context.get('exception') or context['message']}")

    loop.set_exception_handler(uncaught)
    signals = ours()
    for signo in signals:
        loop.add_signal_handler(signo, interrupted, signo)
    try:
        yield
    finally:
        for signo in signals:
            loop.remove_signal_handler(signo)
