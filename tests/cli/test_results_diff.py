"""`exitpin results diff` and `history`, as a user calls them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import EXIT_USAGE, OperatorError

from ..orchestrator.recorded import scan_record, verdict_record, write
from .calling import Call, calling
from .recorded_audit import HOSTILE

A, B, C = ({"fingerprint": letter * 40, "nickname": f"nick{letter}"} for letter in "ABC")
EVIL = {"fingerprint": "E" * 40, "nickname": HOSTILE}


def scan(number: int, *exits: dict[str, str], **changes: object) -> dict[str, object]:
    told = {"started": 1000.0 * number, "ended": 1000.0 * number + 9, "planned": len(exits), **changes}
    return scan_record(f"s{number}", exits=[one["fingerprint"] for one in exits], consensus=f"c{number}", **told)


def verdict(number: int, of_exit: dict[str, str], status: str = "ok", **changes: object) -> dict[str, object]:
    told = {
        "verdict_id": f"s{number}-v{of_exit['fingerprint'][0]}",
        "ended": 1000.0 * number + 5,
        "reason": "",
        **changes,
    }
    return verdict_record(number, scan_id=f"s{number}", exit=of_exit, status=status, **told)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two scans of A and B; then one with C and without B, in which somebody lies, and another network's."""
    found = tmp_path / "results.sqlite"
    lie = {"severity": "high", "reason": HOSTILE}
    write(
        found,
        [
            *(scan(1, A, B, EVIL), verdict(1, A), verdict(1, B, "broken", reason="dead"), verdict(1, EVIL)),
            *(scan(2, A, B, EVIL), verdict(2, A), verdict(2, B), verdict(2, EVIL, "error")),
            *(
                scan(3, A, C, EVIL, state="interrupted", planned=4),
                verdict(3, A, tool={"id": "tls-cert", "digest": "d2"}),
            ),
            *(verdict(3, C), verdict(3, EVIL, "tampered", **lie)),
            scan(4, A, vantage={"kind": "lab", "name": "mine"}),
            verdict(4, A, vantage={"kind": "lab", "name": "mine"}),
        ],
    )
    return found


@pytest.fixture
def call(path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    yield calling(capsys, "--store", str(path))


def test_the_two_latest_scans_of_one_network_are_compared_and_named(call: Call) -> None:
    said = call("diff")
    assert said.status == 1
    assert said.err.splitlines() == [
        "exitpin: s2 -> s3",
        "exitpin: scan s3 is interrupted: 3 of 4 verdicts",
        "exitpin: 1 new, 1 new-exit, 1 gone-exit, 1 incomparable; 0 unchanged",
        "exitpin: changed policies and flags can't be told: no snapshot was kept with scan s2",
    ]
    assert [(cells[0], cells[1], cells[3], cells[4]) for cells in said.cells()] == [
        ("new", "tls-cert", "error", "tampered"),
        ("new-exit", "", "", "ok"),
        ("gone-exit", "", "ok", ""),
    ]


def test_two_scans_are_compared_by_how_their_ids_begin(call: Call) -> None:
    said = call("diff", "s1", "s2")
    assert said.status == 0
    assert [cells[:5] for cells in said.cells()] == [
        ["flipped", "tls-cert", said.cells()[0][2], "ok", "error"],
        ["gone", "tls-cert", "nickB/BBBBBBBB", "broken", "ok"],
    ]
    assert call("diff", "s2", "s1").status == 1, "backwards the finding is new"


def test_what_a_suspect_wrote_fills_one_cell_and_is_not_obeyed(call: Call) -> None:
    for said in (call("diff"), call("history", "EEEE")):
        assert all(line.replace("\t", "").isprintable() for line in (said.out + said.err).splitlines())
    assert {len(cells) for cells in call("diff").cells()} == {8}
    assert call("diff").cells()[0][6].startswith("\\x1b]0;owned\\x07\\x9b31m\\ttab\\nTAMPERED")


def test_json_has_all_of_it_and_only_ascii(call: Call) -> None:
    said = call("diff", "--json")
    assert said.out.isascii() and said.status == 1
    told = json.loads(said.out)
    assert (told["before"], told["after"]) == ("s2", "s3")
    assert told["counts"] == {
        "new": 1, "flipped": 0, "unseen": 0, "gone": 0, "new-exit": 1, "gone-exit": 1, "incomparable": 1,
        "unchanged": 0,
    }  # fmt: skip
    first = told["changes"][0]
    assert (first["change"], first["is_worse"], first["exit"]["fingerprint"]) == ("new", True, "E" * 40)
    assert (first["before"]["status"], first["after"]["reason"]) == ("error", HOSTILE)
    assert told["changes"][-1]["change"] == "incomparable"


def test_a_tool_can_be_chosen(path: Path, call: Call) -> None:
    other = {"id": "dns-exit", "digest": "d"}
    tools = [{"id": "tls-cert"}, {"id": "dns-exit"}]
    write(path, [scan(5, A, tools=tools), verdict(5, A), verdict(5, A, verdict_id="x5", tool=other)])
    write(path, [scan(6, A, tools=tools), verdict(6, A), verdict(6, A, "broken", verdict_id="x6", tool=other)])
    assert call("diff", "--tool", "tls-cert").status == 0
    said = call("diff", "--tool", "dns-exit")
    assert (said.status, [cells[1] for cells in said.cells()]) == (1, ["dns-exit"])
    said = call("diff", "s3", "s6")
    assert "exitpin: dns-exit: 1 verdicts of what only one of the scans asked\n" in said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["s1"], "say two scans, or none"),
        (["s1", "all"], "say two scans, or none"),
        (["s1", "zz"], "there is no scan zz"),
        (["--tool", "other"], "no two scans of one network that ask the same"),
    ],
)
def test_scans_that_are_not_two_are_refused(words: list[str], sentence: str, call: Call) -> None:
    with pytest.raises(OperatorError, match=sentence) as caught:
        call("diff", *words)
    assert caught.value.exit_status == EXIT_USAGE


def test_the_history_of_an_exit_is_a_line_a_scan_the_oldest_first(call: Call) -> None:
    said = call("history", "nickB")
    assert said.cells() == [
        ["1970-01-01 00:16:40", "c1", "B", "tls-cert broken: dead", "s1"],
        ["1970-01-01 00:33:20", "c2", ".", "", "s2"],
    ]
    assert said.err.splitlines() == [
        f"exitpin: nickB/{'B' * 40}: 2 scans, first asked 1970-01-01 00:16:45, last 1970-01-01 00:33:25; the tools of a"
        " strip, from the left:",
        "exitpin: 1 tls-cert: asked 2 times, 1 finding: first 1970-01-01 00:16:45 (broken),"
        " last 1970-01-01 00:16:45 (broken), 1 flip; last ok",
        "exitpin:   broken: seen 1 time, first 1970-01-01 00:16:45, last 1970-01-01 00:16:45",
    ]


@pytest.mark.parametrize(
    ("words", "scans"),
    [
        (["AAAA"], ["s1", "s2", "s3", "s4"]),
        (["AAAA", "-n", "2"], ["s3", "s4"]),
        (["AAAA", "--since", "1970-01-01T00:40"], ["s3", "s4"]),
        (["AAAA", "--tool", "nothing"], []),
    ],
)
def test_a_history_holds_what_was_asked_for(words: list[str], scans: list[str], call: Call) -> None:
    assert [cells[4] for cells in call("history", *words).cells()] == scans


def test_the_history_as_json_is_an_object_a_scan(call: Call) -> None:
    *_, last = map(json.loads, call("history", "EEEE", "--json").out.splitlines())
    assert (last["scan_id"], last["strip"], last["statuses"]) == ("s3", "T", {"tls-cert": "tampered"})
    assert last["findings"][0]["reason"] == HOSTILE
    assert last["in_a_row"] == {"tls-cert": {"failures": 0, "findings": 1}}
    assert last["asked"] == {"first": 1005.0, "last": 3005.0}


def test_what_is_shown_of_a_history_changes_no_number_in_it(path: Path, call: Call) -> None:
    told = {"when": HOSTILE, "reason": "x"}
    write(path, [*(scan(7, A), verdict(7, A, "broken", **told)), *(scan(8, A), verdict(8, A, "broken", **told))])
    (line,) = map(json.loads, call("history", "AAAA", "--json", "-n", "1").out.splitlines())
    assert (line["scan_id"], line["in_a_row"]) == ("s8", {"tls-cert": {"failures": 2, "findings": 2}})
    (finding,) = line["findings"]
    assert (finding["rule"], finding["seen"]) == (HOSTILE, {"first": 7005.0, "last": 8005.0, "times": 2})
    err = call("history", "AAAA", "--since", "1970-01-01T02:10").err
    assert "2 failures in a row, 2 findings in a row" in err
    assert "broken (\\x1b]0;owned" in err and "seen 2 times" in err


def test_a_name_that_is_not_just_one_exits_is_refused(path: Path, call: Call) -> None:
    write(path, [verdict(4, {"fingerprint": "AAAA" + "0" * 36, "nickname": "nickb"}, verdict_id="s4-vX")])
    with pytest.raises(OperatorError, match="Say a fingerprint of nickb/AAAA0"):
        call("history", "nickB")
    with pytest.raises(OperatorError, match="may be several exits"):
        call("history", "AAAA")
    with pytest.raises(OperatorError, match="no verdict names an exit"):
        call("history", "nobody")
