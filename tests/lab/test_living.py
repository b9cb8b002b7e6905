"""A lab whose network changes: each change as the client's consensus shows it, and as the targets see it."""

import json
import subprocess
import time

import pytest

from .conftest import COMMAND_S, Lab, eventually, verb
from .living import LivingLab, until

pytestmark = [pytest.mark.torture, pytest.mark.timeout(400)]


def listed(lab: LivingLab, *words: str) -> set[str]:
    """The nicknames that `exitpin exits` finds."""
    done = lab.exitpin("exits", "--json", *words)
    assert done.returncode == 0, done.stderr
    return {json.loads(line)["nickname"] for line in done.stdout.splitlines()}


def test_a_new_exit_carries_runs_from_an_address_of_its_own(living_lab: LivingLab) -> None:
    (told,) = living_lab.change("add", "newcomer")
    assert living_lab.relay("newcomer").fingerprint == told["fingerprint"]
    assert living_lab.seen_through("newcomer") == told["address"] == living_lab.relay("newcomer").address
    assert [exit.address for exit in living_lab.exits()].count(told["address"]) == 1


def test_a_removed_exit_is_gone_from_the_list_until_it_is_restored(living_lab: LivingLab) -> None:
    assert "exit01" in listed(living_lab)
    (told,) = living_lab.change("remove", "exit01")
    assert not told["is_up"]
    assert "exit01" not in listed(living_lab)
    assert (living_lab.relay("exit01").pid, living_lab.relay("exit01").is_removed) == (0, True)
    living_lab.change("restore", "exit01")
    assert "exit01" in listed(living_lab)
    assert living_lab.seen_through("exit01") == told["address"]


def test_an_exit_declares_and_keeps_to_its_new_policy(living_lab: LivingLab) -> None:
    living_lab.change("policy", "exit02", "reject *:80", "accept *:*")
    assert "exit02" not in listed(living_lab, "--to", "web.test:80")
    assert "exit02" in listed(living_lab, "--to", "web.test:443")
    assert living_lab.relay("exit02").policy == ("reject *:80", "accept *:*")
    living_lab.change("policy", "exit02", "accept *:80,accept *:443")
    assert living_lab.relay("exit02").policy == ("accept *:80", "accept *:443", "reject *:*")
    assert "exit02" in listed(living_lab, "--to", "web.test:80")
    assert living_lab.seen_through("exit02") == living_lab.relay("exit02").address


def test_the_exit_flag_follows_the_policy(living_lab: LivingLab) -> None:
    def has_flag(nickname: str) -> bool:
        lines = living_lab.state.cookie_file.with_name("cached-consensus").read_text().splitlines()
        place = next(n for n, line in enumerate(lines) if line.startswith(f"r {nickname} "))
        return "Exit" in next(line for line in lines[place:] if line.startswith("s ")).split()

    living_lab.change("policy", "exit03", "accept *:22")
    assert not has_flag("exit03")
    living_lab.change("policy", "exit03", "accept *:80", "accept *:443")
    assert has_flag("exit03")


def test_a_rekeyed_exit_is_another_relay_under_the_same_name_and_address(living_lab: LivingLab) -> None:
    old = living_lab.relay("exit04")
    before = time.time()
    living_lab.change("rekey", "exit04")
    new = living_lab.relay("exit04")
    assert (new.nickname, new.address) == (old.nickname, old.address) and new.fingerprint != old.fingerprint
    known = {json.loads(line)["fingerprint"] for line in living_lab.exitpin("exits", "--json").stdout.splitlines()}
    assert new.fingerprint in known and old.fingerprint not in known
    assert living_lab.seen_through(new.fingerprint) == old.address
    assert living_lab.residents().at(old.address, before) == old.fingerprint
    assert living_lab.residents().at(old.address, time.time()) == new.fingerprint


def test_a_client_that_was_killed_comes_back_where_it_was(living_lab: LivingLab) -> None:
    before = living_lab.state
    living_lab.kill(before.client_pid)
    until(lambda: living_lab.state.client_pid not in (0, before.client_pid), 20)
    after = living_lab.state
    assert (after.socks_port, after.control_socket) == (before.socks_port, before.control_socket)
    until(lambda: living_lab.seen_through("exit01") == living_lab.relay("exit01").address, 60)


def test_relays_and_daemons_that_were_killed_come_back(living_lab: LivingLab) -> None:
    before = living_lab.relay("exit01")
    living_lab.kill(before.pid)
    until(lambda: living_lab.relay("exit01").pid not in (0, before.pid), 20)
    # a tor whose connection to another was reset does not try that one again for a minute
    until(lambda: living_lab.seen_through("exit01") == before.address, 120)
    assert living_lab.relay("exit01").fingerprint == before.fingerprint


def test_authorities_that_were_killed_come_back_and_know_everybody(living_lab: LivingLab) -> None:
    before, began = listed(living_lab), time.time()
    for relay in living_lab.state.relays:
        if relay.role == "authority":
            living_lab.kill(relay.pid)
    until(lambda: living_lab.status()["consensus"]["valid_after"] > began + 20, 120)
    assert listed(living_lab) == before
    assert all(relay.pid for relay in living_lab.state.relays)


def test_a_consensus_becomes_stale_when_the_authorities_stop(living_lab: LivingLab) -> None:
    assert living_lab.status()["consensus"]["valid_until"] > time.time()
    living_lab.change("authorities", "stop")
    assert living_lab.status()["consensus"]["valid_until"] <= time.time()
    assert {relay.pid for relay in living_lab.state.relays if relay.role == "authority"} == {0}
    living_lab.change("policy", "exit03", "accept *:443", wait=False)  # nobody hears of it yet
    living_lab.change("authorities", "start")
    assert living_lab.status()["consensus"]["valid_until"] > time.time()
    until(lambda: "exit03" not in listed(living_lab, "--to", "web.test:80"), 120)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["add", "exit01"], "There is a relay exit01 already"),
        (["add", "EXIT01"], "There is a relay EXIT01 already"),
        (["add", "no-such"], "can't be the nickname"),
        (["add", "other", "--like", "nobody"], "There is no exit 'nobody'"),
        (["remove", "auth1"], "There is no middle or exit 'auth1'"),
        (["policy", "mid1", "accept *:*"], "There is no exit 'mid1'"),
        (["policy", "exit01", "accept everything"], "This is no exit policy"),
    ],
)
def test_what_makes_no_sense_is_refused(living_lab: LivingLab, words: list[str], reason: str) -> None:
    argv = verb("change", words[0], "--name", living_lab.name, *words[1:])
    done = subprocess.run(argv, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr


def test_a_frozen_lab_does_not_change(lab: Lab) -> None:
    argv = verb("change", "add", "newcomer", "--name", lab.state.name)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    assert done.returncode == 125 and "is frozen" in done.stderr


def test_status_says_that_it_lives(living_lab: LivingLab) -> None:
    def says() -> None:
        argv = verb("status", "--name", living_lab.name)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=COMMAND_S, check=True)
        assert "lives: votes each 10 s; the client's consensus is of " in done.stdout

    eventually(says)
    assert living_lab.status()["voting"] == {"interval_s": 10, "valid": 3}
