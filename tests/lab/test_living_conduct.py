"""A lab that lives and has odd exits: what they do stays with them, and targets that were killed are the same again."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.lab import start
from exitpin.orchestrator.lab.voting import Voting

from .conftest import lab_or_skip, verb
from .living import LivingLab, until

pytestmark = [pytest.mark.torture, pytest.mark.timeout(400)]

INJECTS, SLOW, LIAR = "exit04", "exit05", "exit06"


@pytest.fixture(scope="module")
def odd() -> Iterator[LivingLab]:
    name = f"odd-{os.getpid()}"
    lab_or_skip(name, None, profile=str(Path(__file__).with_name("living.toml")), voting=Voting(10))
    try:
        yield LivingLab(name)
    finally:
        start.down(name)


def page(lab: LivingLab, exit_: str) -> str:
    done = lab.exitpin("run", "-e", exit_, "--", "curl", "-sS", "http://web.test/page")
    assert done.returncode == 0, done.stderr
    return done.stdout


def seconds(lab: LivingLab, exit_: str) -> float:
    curl = ("curl", "-sS", "-o", "/dev/null", "-w", "%{time_total}", "http://web.test/ip")
    done = lab.exitpin("run", "-e", exit_, "--", *curl)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def host_key(lab: LivingLab) -> str:
    done = lab.exec("ssh-keyscan", "-T", "10", "-t", "ed25519", "ssh.test")
    assert done.returncode == 0 and "AAAA" in done.stdout
    return done.stdout


def pid_of(lab: LivingLab, daemon: str) -> int:
    (pid,) = lab.exec("pgrep", "-f", f"[e]xitpin.wrappers.lab_{daemon}").stdout.split()
    return int(pid)


def refuses_ssh(lab: LivingLab, exit_: str) -> bool:
    """Whether an exit that declares that it allows port 22 does not."""
    done = lab.exitpin("run", "-e", exit_, "--json", "--", "ssh-keyscan", "-T", "10", "-t", "ed25519", "ssh.test")
    (record,) = map(json.loads, done.stdout.splitlines())
    return bool(record["failure"]) and record["failure"]["kind"] == "policy"


def test_a_new_exit_injects_as_its_model_does(odd: LivingLab) -> None:
    odd.change("add", "twin", "--like", INJECTS)
    honest = page(odd, "exit01")
    assert page(odd, "twin") == page(odd, INJECTS) != honest


def test_a_new_exit_is_slow_as_its_model_is_and_nobody_else(odd: LivingLab) -> None:
    targets = pid_of(odd, "targets")
    odd.change("add", "snail", "--like", SLOW)
    assert seconds(odd, "snail") > 1.4
    assert any(seconds(odd, "exit01") < 1.4 for _ in range(5))  # a busy machine may be slow for once
    assert pid_of(odd, "targets") == targets  # they were told, and not started anew


def test_who_lies_about_its_policy_lies_on_under_a_new_key(odd: LivingLab) -> None:
    assert refuses_ssh(odd, LIAR)
    odd.change("rekey", LIAR)
    until(lambda: refuses_ssh(odd, LIAR), 60)
    assert LIAR in odd.exitpin("exits", "--to", "ssh.test:22").stdout


def test_targets_that_were_killed_come_back_the_same(odd: LivingLab) -> None:
    before, ca = host_key(odd), odd.state.ca_file.read_bytes()
    odd.kill(pid_of(odd, "targets"))
    until(lambda: odd.exec("curl", "-sS", "https://web.test/ip").returncode == 0, 30)
    assert (host_key(odd), odd.state.ca_file.read_bytes()) == (before, ca)


def test_men_in_the_middle_that_were_killed_come_back(odd: LivingLab) -> None:
    meddled = page(odd, INJECTS)
    odd.kill(pid_of(odd, "mitm"))
    until(lambda: odd.exitpin("run", "-e", INJECTS, "--", "curl", "-sS", "http://web.test/page").stdout == meddled, 60)


def test_a_lab_of_another_pace_is_another_shape(odd: LivingLab) -> None:
    argv = verb("up", "--name", odd.name, "--profile", str(Path(__file__).with_name("living.toml")))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 125 and "another shape" in done.stderr and "voting each 10 s" in done.stderr
