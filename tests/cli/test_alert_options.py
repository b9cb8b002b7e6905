"""`--on STATUS,.. -- CMD ARG...`: what is the command, and what is ours."""

import argparse
import os
import shlex
from typing import Any

import pytest

from exitpin.orchestrator.cli import audit
from exitpin.orchestrator.cli.alert_options import check_alerts, plan_sentence, words_of
from exitpin.orchestrator.cli.main import whole_parser
from exitpin.orchestrator.errors import EXIT_USAGE, OperatorError


def parse(*words: str) -> Any:
    whole = argparse.ArgumentParser()
    audit.register(whole.add_subparsers(required=True))
    return whole.parse_args(["audit", *words])


@pytest.mark.parametrize(
    "command",
    [
        ["true"],
        ["mail", "-s", "an exit lies", "me@example.org"],
        ["--on", "tampered"],
        ["sh", "-c", 'cat > "$1"', "--", "--lab", "-h", "--help"],
        ["x", "--", "--", ""],
        ["tls-cert", "@all", "-e", "all", "$(id)", "*", "\n", "\udcff"],
    ],
)
@pytest.mark.parametrize("before", [["a", "b"], ["--lab", "a", "b"], ["a", "b", "-e", "x"]])
def test_all_behind_the_first_dashes_is_the_command(before: list[str], command: list[str]) -> None:
    for args in (
        parse(*before, "--on", "tampered", "--", *command),
        whole_parser().parse_args(["audit", *before, "--on", "tampered", "--", *command]),
    ):
        assert (args.tools, args.command, args.on) == (["a", "b"], command, frozenset({"tampered"}))


def test_without_dashes_there_is_no_command_and_nobody_is_told() -> None:
    args = parse("a", "--resume")
    assert (args.tools, args.command, args.on, words_of(args)) == (["a"], [], frozenset(), [])
    check_alerts(args, os.environ)


def test_an_option_of_ours_that_is_wrong_is_still_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--nope"], ["--on", "ok"], ["--on", ","], ["--on", "tampered", "--alert-timeout", "2h"]):
        with pytest.raises(SystemExit):
            parse("a", *words, "--", "true")
    assert "say some of tampered, suspect, broken, error" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--on", "tampered"], "wants a command"),
        (["--on", "tampered", "--"], "wants a command"),
        (["--on", "tampered", "--", ""], "wants a command"),
        (["--", "true"], "and not what for"),
        (["--on", "error", "--", "no-such-program"], "is no command here"),
        (["--on", "error", "--", "/"], "is no command here"),
    ],
)
def test_what_could_tell_nobody_is_refused_before_anything_starts(words: list[str], sentence: str) -> None:
    with pytest.raises(OperatorError, match=sentence) as caught:
        check_alerts(parse("a", *words), os.environ)
    assert caught.value.exit_status == EXIT_USAGE


def test_the_words_to_go_on_mean_the_same() -> None:
    command = ["sh", "-c", "mail -s 'x y' me", "--", "--on"]
    args = parse("a", "--on", "suspect,tampered", "--alert-timeout", "5m", "--", *command)
    again = parse(*shlex.split(shlex.join(words_of(args))))
    assert (again.on, again.alert_timeout, again.command) == (frozenset({"suspect", "tampered"}), 300.0, command)
    assert plan_sentence(args).endswith("for each verdict that is tampered, suspect")
