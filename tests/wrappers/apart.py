"""What changes the process that it runs in, run in one of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

DEADLINE_S = 30.0


def apart(script: Callable[[], Awaitable[None]]) -> None:
    """Run the script in a process of its own: a household keeps what it does to its process."""
    child = os.fork()
    if child == 0:
        status = 1
        signal.alarm(int(2 * DEADLINE_S))  # a loop that stands still misses its own deadline
        try:
            asyncio.run(asyncio.wait_for(script(), DEADLINE_S))  # type: ignore[arg-type]
            status = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
