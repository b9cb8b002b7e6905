"""What a client of the daemon asks: what is taken as `exitpin run` takes it, and what is none of the daemon's."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from exitpin.orchestrator.cli.daemon_question import (
    OF_THE_DAEMON,
    UNSET,
    Declined,
    _parser,
    decline_other_settings,
    read_question,
)
from exitpin.orchestrator.network import Vantage
from exitpin.orchestrator.rate import Rate
from exitpin.orchestrator.settings import Settings
from exitpin.shim.bindings import Lease, LeaseKind
from exitpin.wrappers.lease import packed

LAB = Vantage("lab", Path("/x"), "default")
OWN = Vantage("own", Path("/x"))

HONOURED = {
    *("exits", "destinations", "flag", "not_flag", "family", "bad_exits", "sample", "seed", "timeout", "resolve"),
    *("ipv6", "bandwidth_min", "bandwidth_max", "measured", "limit"),
    *("containment", "allow", "read_only", "dns_server", "json", "record", "lab", "name", "command", "code", "words"),
}
WITHOUT_MEANING = {"jobs", "wide"}
"""Where there is one run."""


def ask(
    *words: str, vantage: Vantage = LAB, directory: str = "/", env: Mapping[str, str] | None = None, terminals: int = 0
) -> object:
    variables = [f"{name}={value}" for name, value in (env or {}).items()]
    file = os.memfd_create("question")
    os.write(file, packed([directory, *words, *variables]))
    lease = Lease(LeaseKind.ASK, arguments=len(words), variables=len(variables), terminals=terminals)
    return read_question(lease, [file], vantage)


@pytest.mark.parametrize("verb", ["run", "sh"])
def test_each_option_is_honoured_or_declined_or_has_no_meaning_for_one_run(verb: str) -> None:
    parser = _parser(verb)
    (subparsers,) = (action for action in parser._actions if action.dest == "verb")
    dests = {action.dest for action in subparsers.choices[verb]._actions} - {"help"}  # type: ignore[index,attr-defined]
    assert dests <= HONOURED | set(UNSET) | WITHOUT_MEANING
    assert not HONOURED & set(UNSET)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--lab", "-e", "x", "--events", "f", "--", "true"),
        ("run", "--lab", "-e", "x", "--joblog", "f", "--", "true"),
        ("run", "--lab", "-e", "x", "--repeat", "2", "--", "true"),
        ("run", "--lab", "-e", "x", "--build-delay", "3s", "--", "true"),
        ("run", "--lab", "-e", "x", "--contact", "(a+)+$", "--", "true"),
        ("run", "--lab", "-e", "x", "--country", "de", "--", "true"),
        ("run", "--lab", "-e", "x", "--not-as", "64496", "--", "true"),
        ("run", "--lab", "-e", "x", "--first-seen", "48h", "--", "true"),
        ("run", "--lab", "-e", "-", "--", "true"),
        ("run", "--lab", "-e", "a,@file", "--", "true"),
        ("run", "--lab", "-e", "x", "--nonsense", "--", "true"),
        ("run", "--lab", "--help"),
        ("run", "--lab", "--name", "other", "-e", "x", "--", "true"),
        ("run", "-e", "x", "--", "true"),
        ("run", "--control", "/y", "-e", "x", "--", "true"),
        ("audit", "--lab", "@all"),
        (),
    ],
)
def test_what_is_not_one_run_here_is_declined(words: tuple[str, ...]) -> None:
    with pytest.raises(Declined):
        ask(*words)


def test_a_lab_that_the_environment_names_is_meant(tmp_path: Path) -> None:
    words = ("run", "-e", "x", "--", "true")
    ask(*words, env={"EXITPIN_LAB": "default"})
    ask(*words, vantage=OWN)
    with pytest.raises(Declined):
        ask(*words, vantage=OWN, env={"EXITPIN_LAB": "default"})
    with pytest.raises(Declined):
        ask("run", "--name", "default", *words[1:], vantage=OWN)


def test_nothing_is_opened_for_a_client_that_would_wait_or_be_another_process_s(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "script").write_text("true")
    for verb, path in (("sh", "pipe"), ("sh", "/dev/stdin"), ("sh", "/proc/self/fd/3"), ("run", "./pipe")):
        with pytest.raises(Declined):
            ask(verb, "--lab", "-e", "x", path, directory=str(tmp_path))
    with pytest.raises(Declined):
        ask("run", "--lab", "-e", "x", "--record", "pipe", "true", directory=str(tmp_path))
    with pytest.raises(Declined):
        ask("run", "--lab", "-e", "x", "true", env={"TORSOCKS_CONF_FILE": str(tmp_path / "pipe")})
    for words in (("sh", "script"), ("sh", "nowhere"), ("run", "./script"), ("run", "pipe"), ("sh", "-c", "true")):
        ask(words[0], "--lab", "-e", "x", *words[1:], directory=str(tmp_path))


def test_who_asks_is_read_with_its_place_and_its_terminals() -> None:
    args, caller = ask("sh", "--lab", "-e", "x", directory="/usr", env={"A": "b=c", "B": ""}, terminals=5)  # type: ignore[misc]
    assert (caller.directory, caller.terminals) == ("/usr", {0, 2})
    assert dict(caller.environment) == {"A": "b=c", "B": ""}
    assert caller.place("bin") == "/usr/bin"
    assert args.exits == ["x"]


def test_what_can_not_be_read_is_declined_and_its_descriptors_are_closed() -> None:
    before = len(os.listdir("/proc/self/fd"))
    reading, writing = os.pipe()
    for descriptors in ([], [reading], [writing, os.dup(writing)]):
        with pytest.raises(Declined):
            read_question(Lease(LeaseKind.ASK, arguments=1), descriptors, LAB)
    assert len(os.listdir("/proc/self/fd")) == before


OTHER = {
    "first_hops": ("A" * 40,),
    "first_hops_fallback": "guards",
    "hops": 3,
    "network_wait_s": 9.0,
    "build_delay_s": 9.0,
    "build_jitter_s": 9.0,
    "rate": Rate(1, "h"),
    "control": "/x",
}


@pytest.mark.parametrize("name", OF_THE_DAEMON)
def test_other_settings_than_the_daemons_are_declined(name: str) -> None:
    decline_other_settings(Settings(), Settings())
    with pytest.raises(Declined):
        decline_other_settings(Settings(**{name: OTHER[name]}), Settings())  # type: ignore[arg-type]
