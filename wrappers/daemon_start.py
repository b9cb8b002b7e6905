"""Starting a daemon in the background, and hearing that it serves: `exitpin daemon run` with two descriptors of ours.

On one it says that it serves; of the other, a pidfd (pidfd_open(2)), it knows when the process has ended whose own it
is. Called by `cli/daemon.py`, from both sides, and by `own_daemon.py`.
"""

import os
import select
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO

READY, LIFE = "EXITPIN_READY_FD", "EXITPIN_LIFE_FD"
"""The variables that name them."""
NOTICE_S, START_S = 3.0, 300.0


def start_daemon(
    words: Sequence[str], log: IO[bytes], environment: Mapping[str, str], life: int | None = None
) -> "tuple[subprocess.Popen[bytes], IO[bytes]]":
    """Its process, in a session of its own, and where its first word will be read. `words`: the options; `log`: where
    all goes that it says; `life`: it ends with this process, and not by itself."""
    reading, writing = os.pipe()
    lives = {} if life is None else {LIFE: str(life)}
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "exitpin", "daemon", "run", *words],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            pass_fds=(writing, *(() if life is None else (life,))), env={**environment, READY: str(writing), **lives},
        )  # fmt: skip
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return process, os.fdopen(reading, "rb")


def serves(word: IO[bytes], on_late: Callable[[], None]) -> bool:
    """Wait for its first word: whether it serves. `on_late` is called when that takes long."""
    with word:
        if not select.select([word], [], [], NOTICE_S)[0]:
            on_late()
        return bool(select.select([word], [], [], START_S)[0]) and word.read(1) == b"1"


def on_serving() -> Callable[[], None]:
    """In the daemon: what it calls when it serves. The variable is gone then."""
    descriptor = os.environ.pop(READY, "")

    def tell() -> None:
        nonlocal descriptor
        if descriptor:
            os.write(int(descriptor), b"1")
            os.close(int(descriptor))
            descriptor = ""

    return tell
