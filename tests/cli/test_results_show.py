"""`exitpin results show`: all of it, in words, and nothing of it obeyed."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from exitpin.orchestrator.cli import results
from exitpin.orchestrator.errors import EXIT_USAGE, OperatorError

from ..orchestrator.values import GUARD, OTHER_EXIT
from .recorded_audit import EXIT, fill

Show = Callable[..., str]


@pytest.fixture
def show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Show:
    path = tmp_path / "results.sqlite"
    fill(path)

    def run(*words: str) -> str:
        whole = argparse.ArgumentParser()
        results.register(whole.add_subparsers(required=True))
        args = whole.parse_args(["results", "show", "--store", str(path), *words])
        assert args.execute(args) == 0
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize(
    "words",
    [
        "TAMPERED (critical): tls-cert through evil/00000000",
        EXIT.fingerprint,
        "the lab mine, tor 0.4.9",
        "tls-cert: Its own certificate?",
        "1: tampered when chain differs from what the controls agree on",
        "2 of 3 that got an answer lied; 2 in all",
        f"circuit 7: {GUARD} > {EXIT.fingerprint}",
        "stream 9 on circuit 7: 192.0.2.1:80",
        "from 127.64.0.1:40001 of pid 101; witnesses: source-address, source-port, socks-username",
        "controls: 2",
        "run s1-0009",
        f"exitpin audit tls-cert -e {EXIT.fingerprint} --lab --name mine -p host=example.org",
        "(its own record is not in the store)",
    ],
)
def test_a_verdict_tells_who_what_how_and_by_which_proof(words: str, show: Show) -> None:
    assert words in show("s1-v3")


def test_facts_stand_side_by_side_and_what_no_control_saw_is_marked(show: Show) -> None:
    lines = show("s1-v3").splitlines()
    place = lines.index("fact chain")
    assert lines[place + 1] == "  run s1-0001:"
    assert lines[place + 2] == "    true"
    assert lines[place + 3].startswith("    ! \\x1b]0;owned")
    assert lines[place + 4] == f"  control {OTHER_EXIT[:8]}: true"


def test_a_run_is_shown_with_what_its_tool_wrote(show: Show) -> None:
    text = show("s1-0001")
    assert "run\n  s1-0001  probe, tampered" in text
    assert "stdout, as the tool wrote it\n  | \\x1b]0;owned" in text
    assert "lines more (--json has all that was kept)" in text
    assert "refused: udp" in text


def test_an_error_tells_its_failure_and_its_layer(show: Show) -> None:
    text = show("s1-v2")
    assert text.startswith("ERROR: tls-cert through evil/00000000")
    assert "refused (blame: unknown, layer stream; not worth another try): " in text
    assert "none of 1 got an answer" in text


@pytest.mark.parametrize("name", ["s1-v3", "s1-v2", "s1-0001"])
def test_nothing_that_a_suspect_wrote_is_obeyed_or_makes_a_line(name: str, show: Show) -> None:
    lines = show(name).splitlines()
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("TAMPERED ") for line in lines[1:])


def test_json_is_the_record_and_only_ascii(show: Show) -> None:
    text = show("s1-v3", "--json")
    assert text.isascii() and all(line.isprintable() for line in text.splitlines())
    assert json.loads(text)["verdict_id"] == "s1-v3"


def test_the_beginning_of_an_id_is_enough_if_it_is_nobody_elses(show: Show) -> None:
    assert show("s0") == show("s0-v1")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("s1-v", r"several records\. Say one of s1-v1, s1-v2, s1-v3\."),
        ("x\033[31m", r"no record x\\x1b\[31m\. `exitpin results list`"),
        ("", "there is no record"),
    ],
)
def test_an_id_that_is_not_just_one_is_refused(name: str, sentence: str, show: Show) -> None:
    with pytest.raises(OperatorError, match=sentence) as caught:
        show(name)
    assert caught.value.exit_status == EXIT_USAGE
