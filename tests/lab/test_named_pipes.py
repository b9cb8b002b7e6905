"""Named pipes, through `run --lab` by a shell in the lab: what its own job reads, and what a daemon does."""

import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from exitpin.wrappers.machine import abilities

from .conftest import Lab
from .daemons import CLIENT, serving
from .running import EXITPIN

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(abilities().guard_problem), reason=abilities().guard_problem),
    pytest.mark.skipif(not abilities().has_namespaces, reason="no namespaces"),
]

SCRIPT = """
mkfifo own daemon
setsid sh -c 'exec 8<>daemon; : > ready; read -r words <&8; echo "daemon: $words" > told' &
daemon=$!
sh -c 'exec 9<>own; : > waiting; read -r words <&9; echo "own: $words"' &
job=$!
until [ -e ready ] && [ -e waiting ]; do sleep 0.02; done
"$@" -- sh -c 'echo some words > own; echo others > daemon || echo refused' 2> /dev/null
wait $job
"$@" --allow "pipe:$PWD/daemon" -- sh -c 'echo more words > daemon'
wait $daemon
cat told
"""


@pytest.fixture(params=[False, True], ids=["alone", "with a daemon of ours"])
def words(lab: Lab, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The command, as it takes a lease or not."""
    start = [CLIENT] if request.param else [*EXITPIN]
    with serving(lab) if request.param else nullcontext():
        yield [*start, "run", "--lab", "--name", lab.state.name, "-e", "exit01"]


@pytest.mark.parametrize("level", ["guard", "notify"])
def test_what_a_job_of_the_caller_reads_arrives_and_what_a_daemon_reads_is_refused(
    lab: Lab, words: list[str], level: str, tmp_path: Path
) -> None:
    there = [*EXITPIN, "lab", "exec", "--name", lab.state.name, "--"]
    done = subprocess.run(
        [*there, "sh", "-c", SCRIPT, "sh", *words, "--containment", level], cwd=tmp_path, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    *first, last = done.stdout.splitlines()
    assert (sorted(first), last) == (["own: some words", "refused"], "daemon: more words"), done.stderr
