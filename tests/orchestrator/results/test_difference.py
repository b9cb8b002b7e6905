"""Two scans beside each other: what is new, gone, or can't be told."""

import dataclasses

import pytest

from exitpin.orchestrator.results.difference import Change, Difference, Side, compare
from exitpin.orchestrator.results.standing import Standing


def standing(exit: str = "A", status: str = "ok", scan: str = "s1", **changes: object) -> Standing:
    severity = "high" if status in ("tampered", "suspect") else None
    one = Standing(f"{scan}-v{exit}", scan, "tls-cert", "p1", "d1", exit, f"nick{exit}", status, severity, 1000.0)
    return one._replace(**changes)  # type: ignore[arg-type]


def difference(
    before: list[Standing], after: list[Standing], exits: tuple[str, str] | None = ("AB", "AB")
) -> Difference:
    """`exits`: the plans, a letter an exit; None: nobody wrote them down."""
    plans = (None, None) if exits is None else tuple(frozenset(plan) for plan in exits)
    return compare(Side("s1", plans[0], tuple(before)), Side("s2", plans[1], tuple(after)))


def told(found: Difference) -> list[tuple[str, str]]:
    return [(change.kind, change.exit) for change in found.changes]


@pytest.mark.parametrize(
    ("before", "after", "kind", "is_worse"),
    [
        ("ok", "tampered", "new", True),
        ("error", "broken", "new", True),
        ("skipped", "suspect", "new", True),
        ("tampered", "ok", "gone", False),
        ("tampered", "error", "unseen", False),
        ("broken", "skipped", "unseen", False),
        ("suspect", "tampered", "flipped", True),
        ("tampered", "suspect", "flipped", False),
        ("ok", "error", "flipped", False),
        ("error", "ok", "flipped", False),
    ],
)
def test_what_became_of_a_verdict_has_one_name(before: str, after: str, kind: str, is_worse: bool) -> None:
    found = difference([standing(status=before)], [standing(status=after, scan="s2")])
    (change,) = found.changes
    assert (change.kind, change.is_worse, found.is_worse) == (kind, is_worse, is_worse)
    assert (change.before, change.after) == (standing(status=before), standing(status=after, scan="s2"))


@pytest.mark.parametrize("status", ["ok", "tampered", "error", "skipped"])
def test_what_says_the_same_is_only_counted(status: str) -> None:
    found = difference([standing(status=status)], [standing(status=status, scan="s2")])
    assert (found.changes, found.unchanged, found.is_worse) == ((), 1, False)


def test_a_finding_that_has_no_verdict_in_the_later_scan_is_not_gone() -> None:
    found = difference([standing("A", "tampered"), standing("B")], [standing("B", scan="s2")])
    (change,) = found.changes
    assert (change.kind, change.after) == ("unseen", None)


def test_a_finding_that_has_no_verdict_in_the_earlier_scan_is_new() -> None:
    assert told(difference([standing("A")], [standing("A"), standing("B", "broken")])) == [("new", "B")]


def test_when_the_tools_file_has_changed_nothing_is_said_of_each_other() -> None:
    found = difference([standing(status="tampered", digest="d0")], [standing(status="ok")])
    assert (told(found), found.is_worse) == ([("incomparable", "A")], False)


def test_exits_come_and_go_with_the_plan_and_bring_their_gravest_verdict() -> None:
    before = [standing("A"), standing("G", "tampered"), standing("G", "ok", tool="dns-exit")]
    after = [standing("A"), standing("N", "broken", "s2")]
    found = difference(before, after, ("AGX", "AN"))
    assert told(found) == [("new", "N"), ("new-exit", "N"), ("gone-exit", "G"), ("gone-exit", "X")]
    by_exit = {(change.kind, change.exit): change for change in found.changes}
    assert by_exit["gone-exit", "G"] == Change("gone-exit", "", "G", "nickG", standing("G", "tampered"), None)
    assert by_exit["gone-exit", "X"] == Change("gone-exit", "", "X", "", None, None)
    assert found.is_worse


def test_without_a_plan_the_exits_with_a_verdict_are_taken_for_it() -> None:
    found = difference([standing("A"), standing("G")], [standing("A", scan="s2")], None)
    assert told(found) == [("gone-exit", "G")]


def test_what_only_one_scan_asked_is_counted_by_tool() -> None:
    before = [standing("A"), standing("A", "tampered", tool="http-body")]
    after = [standing("A"), standing("A", "tampered", tool="dns-exit"), standing("A", tool="tls-cert", params_key="p2")]
    found = difference(before, after)
    assert (found.changes, found.unmatched) == ((), {"dns-exit": 1, "http-body": 1, "tls-cert": 1})


def test_the_gravest_change_comes_first() -> None:
    severities = {"B": "low", "C": "critical"}
    before = [standing(exit) for exit in "ABCDE"] + [standing("F", "tampered"), standing("G", "suspect")]
    statuses = dict(zip("ABCDEFG", ("broken", "tampered", "tampered", "error", "ok", "ok", "tampered"), strict=True))
    after = [standing(e, s, severity=severities.get(e)) for e, s in statuses.items()]
    found = difference(before, after, ("ABCDEFG", "ABCDEFG"))
    assert told(found) == [
        *(("new", "C"), ("new", "B"), ("new", "A")),
        *(("flipped", "G"), ("flipped", "D"), ("gone", "F")),
    ]
    assert found.counts["new"] == 3 and found.unchanged == 1


def test_a_change_is_a_value() -> None:
    assert dataclasses.is_dataclass(Change)
    with pytest.raises(dataclasses.FrozenInstanceError):
        difference([standing()], [standing(status="broken")]).changes[0].kind = "gone"  # type: ignore[misc]
