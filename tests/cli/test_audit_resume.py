"""`exitpin audit --resume`: what it says of a tool that is not what it was, and what to type to go on."""

import argparse
import shlex
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.audit.params import Bound
from exitpin.orchestrator.cli.audit import register
from exitpin.orchestrator.cli.audit_resume import Resumed, check_tool, command, settings_of, take_settings
from exitpin.orchestrator.cli.audit_scan import AuditScan
from exitpin.orchestrator.cli.audit_tools import Chosen
from exitpin.orchestrator.errors import EXIT_USAGE, OperatorError
from exitpin.orchestrator.network import Vantage

from ..orchestrator.scans import tool

MINE = {"id": "mine", "word": "/home/me/my tools/mine.toml", "digest": "d" * 64, "key": "k", "secret": ["pin", "token"]}
CURL = {"id": "curl", "word": "curl", "digest": "d" * 64, "key": "k", "secret": []}
RESUMED = Resumed({"scan_id": "s1", "tools": [MINE, CURL]}, False)


@pytest.mark.parametrize(
    ("tool_id", "digest", "key", "sentence", "hint"),
    [
        ("mine", "e" * 64, "l", "mine has changed since scan s1", "exitpin audit '/home/me/my tools/mine.toml'`"),
        ("curl", "e" * 64, "l", "curl has changed since scan s1", "`exitpin audit curl`"),
        ("curl", "d" * 64, "l", "curl has other parameters than in scan s1.", "`exitpin audit curl`"),
        ("mine", "d" * 64, "l", "mine has other parameters than in scan s1.", "-p mine.pin=... -p mine.token=..."),
        ("new", "d" * 64, "k", "new has changed since scan s1", "`exitpin audit new`"),
    ],
)
def test_a_tool_that_is_not_what_it_was_is_refused_with_what_to_type(
    tool_id: str, digest: str, key: str, sentence: str, hint: str
) -> None:
    with pytest.raises(OperatorError) as caught:
        check_tool(RESUMED, tool_id, digest, key)
    assert sentence in caught.value.message and hint in caught.value.hint
    assert caught.value.exit_status == EXIT_USAGE


def test_what_stands_in_a_store_is_not_obeyed_by_a_terminal() -> None:
    foreign = {**MINE, "word": "./\x1b]0;owned\x07.toml", "digest": "\x1b[2J"}
    with pytest.raises(OperatorError) as caught:
        check_tool(Resumed({"scan_id": "s1", "tools": [foreign]}, False), "mine", "e" * 64, "k")
    assert str(caught.value).isprintable()


def test_a_tool_that_is_what_it_was_is_taken() -> None:
    check_tool(RESUMED, "mine", "d" * 64, "k")


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    return parser.parse_args(["audit", *words])


HOW = ("--containment=notify", "--allow=listen", "--dns-server=9.9.9.9", "--jobs=3", "--hops=3", "--order=need")


def test_how_a_scan_was_contained_and_paced_holds_when_it_goes_on() -> None:
    begun = parsed("curl", *HOW)
    scan = {"settings": settings_of(begun, 1), "tools": [CURL], "vantage": {"kind": "own"}}
    again = parsed("--resume=s1")
    take_settings(again, scan)
    assert settings_of(again, 1) == settings_of(begun, 1)
    assert (again.containment, again.allow, again.hops) == ("notify", ["listen"], begun.hops)


def test_what_is_said_anew_when_a_scan_goes_on_is_what_holds() -> None:
    scan = {"settings": settings_of(parsed("curl", *HOW), 1), "tools": [CURL], "vantage": {"kind": "own"}}
    again = parsed("--resume=s1", "--containment=guard", "--allow=unix:/run/x", "--jobs=5")
    take_settings(again, scan)
    assert (again.containment, again.allow, again.jobs) == ("guard", ["unix:/run/x"], 5)


# What to type to go on.


def next_step(*words: str, **resumed: Any) -> str:
    """What is said where there is no consensus to go on by, of a scan with a secret that was given."""
    one = tool("mine")
    chosen = Chosen(
        [(one, Bound(one, {}, secret=frozenset({"token", "pin"})), "k")], {"mine": frozenset({"token"})}, {}
    )
    args = parsed(*words)
    scan = AuditScan(args, Vantage("own", Path("/x")), {"HOME": "/home/me"}, Resumed(**resumed) if resumed else None)
    return scan._next_step(chosen)


def test_who_is_told_to_go_on_is_told_to_give_the_secrets_again() -> None:
    said = next_step("--resume=s1", scan={"scan_id": "s1"}, is_retry=False)
    assert said == "go on: exitpin audit --resume s1 -p mine.token=..."


def test_a_scan_that_has_not_begun_is_tried_again() -> None:
    assert next_step("curl") == "try again"


def test_a_retry_that_had_no_consensus_to_go_by_is_made_again() -> None:
    said = next_step("--retry-failed", scan={"scan_id": "s1"}, is_retry=True)
    assert said == "go on: exitpin audit --resume s1 --retry-failed -p mine.token=..."


@pytest.mark.parametrize("is_retry", [True, False])
def test_what_is_to_be_typed_is_understood(is_retry: bool) -> None:
    told = ("--on", "tampered", "--", "mail", "-s", "it lies", "me@example.org")
    args = parsed("--resume=s1", "--control=127.0.0.1:9051", "--fail-on=broken", *told)
    words = shlex.split(command("s1", args, {"mine": ("token",)}, is_retry=is_retry))
    again = parsed(*words[2:])
    assert (again.resume, again.retry_failed, again.params) == ("s1", is_retry, ["mine.token=..."])
    assert (again.control, again.fail_on, again.command) == ("127.0.0.1:9051", "broken", args.command)
