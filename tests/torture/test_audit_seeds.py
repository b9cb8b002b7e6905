"""The demo, whole, with other exits hostile each time: all that is planted is found, and nobody else is accused."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

pytestmark = pytest.mark.torture

DEMO = (sys.executable, "-m", "exitpin.orchestrator.lab.demo")
DEMO_S, END_S = 900.0, 60.0
WHOLE, QUARTER = 3, 1
# At a quarter: one tool of each kind, and every exit, so that all behaviours are there.
FEWER = ("exit-address", "http-body", "tls-cert", "dns-exit", "smtp-starttls", "download")
SCORE = re.compile(r"^precision ([\d.]+) recall ([\d.]+) \((\d+) findings, (\d+) honest exits, (\d+) accused\)$", re.M)
ATTRIBUTION = re.compile(r"^attribution: (\S+) (\d+)/(\d+) connections", re.M)
NO_NETWORK = ("make namespaces", "needs the program")


def seeds() -> list[int]:
    """EXITPIN_TORTURE_SEED repeats one."""
    if "EXITPIN_TORTURE_SEED" in os.environ:
        return [int(os.environ["EXITPIN_TORTURE_SEED"])]
    count = WHOLE if float(os.environ.get("EXITPIN_TORTURE_SCALE", "1")) >= 1 else QUARTER
    return random.SystemRandom().sample(range(1, 100_000), count)


SEEDS = seeds()


@pytest.fixture
def demo() -> Iterator[Callable[..., str]]:
    """Runs a demo to its end, and takes its lab down with it whatever happens."""
    running: list[subprocess.Popen[str]] = []

    def run(*words: str) -> str:
        name = f"seeds-{os.getpid()}"
        process = subprocess.Popen(
            [*DEMO, "--name", name, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        running.append(process)
        said, _ = process.communicate(timeout=DEMO_S)
        if process.returncode == 125 and any(words in said for words in NO_NETWORK):
            pytest.skip(said)
        return said

    yield run
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=END_S)


@pytest.mark.timeout(DEMO_S + END_S)
@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_whichever_exits_are_hostile_all_are_found_and_nobody_else(
    demo: Callable[..., str],
    number: int,
    scale: float,
    capsys: pytest.CaptureFixture[str],
    tell: Callable[[str, Mapping[str, object]], None],
) -> None:
    drawn = SEEDS[number]
    tools = () if scale >= 1 else FEWER
    with capsys.disabled():
        print(f"\nseed {drawn}: EXITPIN_TORTURE_SEED={drawn} repeats it")
    before = time.monotonic()
    said = demo("--seed", str(drawn), *tools)
    score, attribution = SCORE.search(said), ATTRIBUTION.search(said)
    assert score is not None and attribution is not None, said
    figures = {"precision": score[1], "recall": score[2], "findings": score[3], "honest": score[4], "accused": score[5]}
    tell(f"audit with seed {drawn}", {**figures, "seconds": round(time.monotonic() - before)})
    assert attribution[1] == "OK" and attribution[2] == attribution[3], said
    assert (score[1], score[2], score[5]) == ("1.00", "1.00", "0"), said
    assert int(score[3]) >= 20, said
