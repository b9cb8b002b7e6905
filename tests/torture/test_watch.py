"""Watches on a network that changes, and whose every process is killed now and then: each record's exit was in its
snapshot, none is judged by a newer one, nobody is accused, all is accounted for, nothing grows, and nothing is left.
"""

import os
import random
import secrets
import signal
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.lab import start
from exitpin.orchestrator.lab.voting import Voting

from .resumed import is_begun
from .watched import Changes, Watched, accused, judge, wait_until

pytestmark = [pytest.mark.torture, pytest.mark.timeout(2400)]

PROFILE = Path(__file__).with_name("watched.toml")
ITERATIONS, KILLING_S = 30, 600.0
GROWTH_MAX = 4 << 20  # of the watch's memory, from its third iteration on
CHILD_FDS = 1  # a watch holds this of its iteration's process: it may have ended, or not, when we look


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A lab that lives, of the test's own."""
    name = f"watched-{os.getpid()}"
    try:
        start.up(name, None, profile=str(PROFILE), voting=Voting(10))
    except OperatorError as error:
        if "make namespaces" in error.message or "needs the program" in error.message:
            pytest.skip(str(error))
        raise
    found = Watched(name, tmp_path, secrets.token_hex(8))
    yield found
    for process in found.marked():
        with suppress(psutil.Error):
            process.kill()
    start.down(name)


def test_thirty_iterations_on_a_network_that_changes(
    watched: Watched, scale: float, seed: int, tell: Callable[..., None]
) -> None:
    count = max(6, int(ITERATIONS * scale))
    looks = defaultdict[int, list[tuple[int, int]]](list)
    with Changes(watched.lab, random.Random(seed)) as changes:
        watch = watched.watch("--iterations", str(count))
        process = psutil.Process(watch.pid)
        while watch.poll() is None:
            with suppress(psutil.Error):
                looks[watched.said.count(" verdicts: ")].append((process.memory_info().rss, process.num_fds()))
            with suppress(subprocess.TimeoutExpired):
                watch.wait(0.5)
    assert watch.returncode in (0, 3), watched.said  # 3: an exit that went meanwhile could not be judged
    figures = judge(watched)
    statuses = Counter(record["status"] for record in watched.rows("verdict").values())
    tell("iterations", {**figures, **statuses, **{f"changes.{verb}": n for verb, n in changes.made.items()}})
    assert figures["done"] == count
    assert statuses["ok"] > statuses["error"] and accused(watched) == []
    assert len({leg["consensus"] for scan in watched.scans() for leg in scan["legs"]}) >= count / 3
    sizes = [(min(rss for rss, _ in seen), min(fds for _, fds in seen)) for _, seen in sorted(looks.items())]
    settled = sizes[3:]  # before it are none, one and two iterations
    tell(
        "size",
        {"rss": [rss >> 10 for rss, _ in sizes[:: max(1, len(sizes) // 6)]], "fds": sorted({n for _, n in sizes})},
    )
    half = len(settled) // 2
    assert settled[-1][0] - settled[0][0] < GROWTH_MAX
    assert min(fds for _, fds in settled[half:]) <= min(fds for _, fds in settled[:half]) + CHILD_FDS
    assert watched.marked() == [] and watched.of_runs() == []


def test_ten_minutes_in_which_everything_is_killed_now_and_then(
    watched: Watched, scale: float, seed: int, tell: Callable[..., None]
) -> None:
    rng, kills = random.Random(seed), Counter[str]()
    recorded: set[str] = set()
    watch = watched.watch(is_slow=True)
    with Changes(watched.lab, random.Random(seed + 1), pause_s=10.0):
        wait_until(lambda: is_begun(watched.store), 120)
        deadline = time.monotonic() + max(90.0, KILLING_S * scale)
        at_last = deadline + KILLING_S
        while time.monotonic() < (deadline if kills["audit"] and kills["tool"] else at_last):
            with suppress(subprocess.TimeoutExpired):
                watch.wait(rng.uniform(0.5, 6.0))
            recorded |= set(watched.rows("verdict")) | set(watched.rows("run"))
            whom = _kill_somebody(watched, watch.pid, rng)
            kills[whom] += 1
            if whom == "watch":
                assert watch.wait(30) == -signal.SIGKILL, watched.said[-4000:]
                watch = watched.watch(is_slow=True)
            assert watch.poll() is None, watched.said[-4000:]
    done = sum(scan["state"] == "done" for scan in watched.scans())
    wait_until(lambda: sum(scan["state"] == "done" for scan in watched.scans()) > done, 240)
    watch.send_signal(signal.SIGTERM)
    assert watch.wait(90) == 0, watched.said[-4000:]
    wait_until(lambda: not watched.marked() and not watched.of_runs(), 60)
    figures = judge(watched)
    statuses = Counter(record["status"] for record in watched.rows("verdict").values())
    left = set(watched.rows("verdict")) | set(watched.rows("run"))
    tell("killed", {**figures, **statuses, **kills, "lost": len(recorded - left)})
    assert recorded <= left
    assert kills["audit"] and kills["tool"], kills
    assert accused(watched, restarted=True) == []


def _kill_somebody(watched: Watched, watch: int, rng: random.Random) -> str:
    """SIGKILL to one process of the system, of whatever kind there is now; which."""
    state = watched.state
    audits = [process for process in watched.marked() if process.pid != watch]
    relays = {role: [r.pid for r in state.relays if r.role == role and r.pid] for role in ("exit", "middle")}
    outside = {"audit": audits, "tool": watched.of_runs(), "daemon": _lab_daemons(state.supervisor_pid)}
    inside = {**relays, "client": [state.client_pid] if state.client_pid else []}
    kinds = ["watch", *(kind for kind, found in {**outside, **inside}.items() if found)]
    whom = rng.choice(kinds + [kind for kind in kinds if kind in ("audit", "tool")])
    with suppress(psutil.Error, OSError):
        if whom == "watch":
            os.kill(watch, signal.SIGKILL)
        elif whom in outside:
            rng.choice(outside[whom]).kill()
        else:
            _inside(watched, rng.choice(inside[whom]))
        return whom
    return "nobody"


def _inside(watched: Watched, pid: int) -> None:
    """SIGKILL by a pid of the lab's own namespace."""
    for process in psutil.Process(watched.state.supervisor_pid).children(recursive=True):
        with suppress(OSError, psutil.Error):
            status = Path(f"/proc/{process.pid}/status").read_text()
            numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
            if int(numbers[-1]) == pid:
                process.kill()


def _lab_daemons(supervisor: int) -> list[psutil.Process]:
    """What is no tor of the lab's own processes: targets, men in the middle."""
    return [one for one in psutil.Process(supervisor).children() if one.name() != "tor"]
