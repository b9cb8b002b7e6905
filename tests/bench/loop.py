"""(e) What a daemon saves: one call of `exitpin run`, and a loop of them beside the same loop of torsocks.

Both loops are `xargs -P8` of curl, against the same target, over the same middle; torsocks' tor attaches each stream to
whatever circuit it likes, ours goes through each of 16 exits in turn, on warm circuits, and each call is proved. Calls
enter nothing: both begin inside the lab.
"""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from sys import executable

from figures import Measure
from place import WEB, Place
from unpinned import Unpinned

AT_ONCE = 8
EXITPIN = str(Path(executable).with_name("exitpin"))
TRUE = "/bin/true"
CURL = ("/usr/bin/curl", "-sS", "-m", "60", WEB)


def measure(place: Place, rounds: int, times: int) -> list[Measure]:
    """`rounds` times the median of `times` single calls, and the rate of `2 * times` calls in a loop."""
    single = Measure("a call with a daemon, /bin/true", "ms", figure="{} ms over the bare tool", goal="at most 5")
    loop = Measure(f"curl, xargs -P{AT_ONCE}", "calls/s", figure="{} of torsocks', unpinned", goal="at least 0.80")
    exits = [relay.nickname for relay in place.exits]
    names = [exits[number % len(exits)] for number in range(2 * times)]
    environment = {**os.environ, **place.lab.environment(), "EXITPIN_FIRST_HOPS": place.middle}
    _exitpin("daemon", "start", environment=environment)
    try:
        for _ in range(rounds):
            call = [EXITPIN, "run", "-e", exits[0], "--", TRUE]
            single.add("bare", median(_took([TRUE], environment) for _ in range(times)))
            single.add("ours", median(_took(call, environment) for _ in range(times)))
            loop.add("ours", _xargs([EXITPIN, "run", "-e", "{}", "--", *CURL], names, environment))
            _exitpin("daemon", "stop", environment=environment)
            with Unpinned(place):
                torsocks = place.torsocks_environment(place.lab.socks_port)
                loop.add("torsocks", _xargs(["/usr/bin/torsocks", *CURL], names, torsocks))
            _exitpin("daemon", "start", environment=environment)
            _xargs([EXITPIN, "run", "-e", "{}", "--", TRUE], exits, environment)  # a warm circuit to each
    finally:
        _exitpin("daemon", "stop", environment=environment)
    single.compare("difference", "ours", "bare")
    loop.compare("ratio", "ours", "torsocks")
    return [single, loop]


def _exitpin(*words: str, environment: Mapping[str, str]) -> None:
    subprocess.run([EXITPIN, *words], env=environment, check=True, stdout=subprocess.DEVNULL)


def _took(command: Sequence[str], environment: Mapping[str, str]) -> float:
    began = time.monotonic()
    subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=True)
    return (time.monotonic() - began) * 1e3


def _xargs(command: Sequence[str], words: Sequence[str], environment: Mapping[str, str]) -> float:
    """Calls a second, one for each word, which stands for each `{}`. RuntimeError if one fails."""
    began = time.monotonic()
    done = subprocess.run(
        ["xargs", f"-P{AT_ONCE}", "-I{}", *command], input="\n".join(words), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, env=environment, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stderr}")
    return len(words) / (time.monotonic() - began)
