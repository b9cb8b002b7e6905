"""For all tests: signals as a shell in the foreground leaves them, somebody who listens outside of all runs, and the
same examples on every machine, without a clock of hypothesis' own."""

import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("exitpin", derandomize=True, deadline=None, max_examples=60, database=None)
settings.load_profile("exitpin")

# A shell starts background jobs with SIGINT ignored, and ignored it would stay in every program that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Unix socket on which somebody outside the run listens, alone in its folder."""
    path = tmp_path_factory.mktemp("d") / "daemon"
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        listener.listen()
        yield path
