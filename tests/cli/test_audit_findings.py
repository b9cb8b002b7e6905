"""The findings at the end of a scan: lines for programs, a table and the next steps for people."""

import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

from exitpin.orchestrator.cli.audit_findings import SHOWN_MAX, findings_table

HOSTILE = "\033]0;owned\007 [bold]x[/bold] \t\n\u202e"


class Terminal:
    """Standard output, as far as it says what it is."""

    def __init__(self, out: Any) -> None:
        self._out = out

    def isatty(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)


Table = Callable[[list[dict[str, Any]]], str]


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Table:
    """The table as a terminal would get it."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def table(findings: list[dict[str, Any]]) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", Terminal(sys.stdout))
            return findings_table(findings, "s1")

    return table


def a_finding(number: int = 1, status: str = "tampered", **changes: Any) -> dict[str, Any]:
    return {
        "status": status, "severity": "high", "lied": 2, "of": 3, "reason": "changed", "verdict_id": f"s1-v{number}",
        "tool": {"id": "tls-cert"}, "exit": {"nickname": f"exit{number:02d}", "fingerprint": f"{number:040X}"},
        **changes,
    }  # fmt: skip


def test_a_pipe_gets_a_line_a_finding_the_gravest_first() -> None:
    text = findings_table([a_finding(1, "broken", lied=0), a_finding(2, reason=HOSTILE)], "s1")
    rows = [line.split("\t") for line in text.splitlines()]
    assert [row[:5] for row in rows] == [
        ["tampered", "tls-cert", "exit02", f"{2:040X}", "2 of 3 lied"],
        ["broken", "tls-cert", "exit01", f"{1:040X}", ""],
    ]
    assert all(line.replace("\t", "").isprintable() for line in text.splitlines())
    assert findings_table([], "s1") == ""


def test_findings_of_one_kind_stand_in_the_order_of_their_exits() -> None:
    text = findings_table([a_finding(3), a_finding(1), a_finding(2)], "s1")
    assert [line.split("\t")[2] for line in text.splitlines()] == ["exit01", "exit02", "exit03"]


def test_a_terminal_gets_a_table_with_colour_and_what_to_do_next(on_terminal: Table) -> None:
    text = on_terminal([a_finding(1, "broken", lied=0, of=0), a_finding(2, reason=HOSTILE)])
    assert "\x1b[1;31mtampered" in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = plain.splitlines()
    assert lines[0].split() == ["STATUS", "SEVERITY", "TOOL", "EXIT", "LIED", "ID"]
    assert lines[1].split() == ["tampered", "high", "tls-cert", "exit02/00000000", "2/3", "s1-v2"]
    assert lines[-2:] == ["  exitpin results show s1-v2", "  exitpin report email s1-v2"]
    assert "\\x1b]0;owned\\x07 [bold]x[/bold] \\t\\n\\u202e" in plain
    assert on_terminal([]) == ""


def test_no_colour_is_used_where_nobody_wants_it(on_terminal: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in on_terminal([a_finding()])


def test_of_very_many_findings_the_gravest_are_shown(on_terminal: Table) -> None:
    text = on_terminal([a_finding(number) for number in range(SHOWN_MAX + 9)])
    assert "and 9 more" in text
    assert "exitpin results list --scan s1 --status findings -n 0" in text


def test_a_verdict_of_an_earlier_session_is_named_by_its_question(on_terminal: Table) -> None:
    known = {name: value for name, value in a_finding().items() if name not in ("verdict_id", "severity")}
    assert "exitpin results show s1-v0123456789ab" in on_terminal([{**known, "key": "0123456789abcdef"}])
