"""Facts of more texts than they can hold: no number of copies hides one more, and what was equal stays equal."""

import base64
import json
import time
import tracemalloc
from collections.abc import Callable, Sequence

import pytest

from exitpin.orchestrator.audit.agreement import Control, Controls
from exitpin.orchestrator.tool import Command, Condition, Extract, Limits, Rule, Status, Tool
from exitpin.wrappers.extraction import Extraction, Harvest, extract
from exitpin.wrappers.long_lists import ITEMS_MAX, READ_MAX, bounded

DEADLINE_S = 4.0
MEMORY_BYTES = 64 << 20
SET = {"form": "set", "every": True}


def tags(texts: Sequence[str]) -> bytes:
    return "".join(f"<script src={text}>" for text in texts).encode()


def blocks(texts: Sequence[str]) -> bytes:
    bodies = (base64.encodebytes(text.encode()).decode() for text in texts)
    return "".join(f"-----BEGIN KEY-----\n{body}-----END KEY-----\n" for body in bodies).encode()


FORMS: dict[str, tuple[Callable[[Sequence[str]], bytes], dict[str, object]]] = {
    "regex": (tags, {"how": "regex", "argument": r"<script src=([^>]*)>"}),
    "json": (lambda texts: json.dumps(texts).encode(), {"how": "json"}),
    "lines": (lambda texts: "\n".join(texts).encode(), {"how": "lines"}),
    "pem": (blocks, {"how": "pem", "argument": "KEY"}),
}


def read(stdout: bytes, **how: object) -> Extraction:
    wanted = Extract("f", **how)  # type: ignore[arg-type]
    rules = (Rule(Status.TAMPERED, (Condition("f", "adds", True),)), Rule(Status.OK))
    command = Command(("true",), limits=Limits(stdout=4 << 20))
    return extract(Tool("t", "t", command, rules, extracts=(wanted,)), Harvest(stdout))


def adds(seen: Extraction, honest: Extraction) -> bool | None:
    assert (seen.failure, honest.failure) == ("", "")
    controls = Controls(tuple(Control("exit", honest.facts, 0.0) for _ in range(4)), quorum=2)
    assert controls.differs("f", seen.facts["f"]) is controls.adds("f", seen.facts["f"])
    return controls.adds("f", seen.facts["f"])


def items(found: Extraction) -> tuple[str, ...]:
    value = found.facts["f"]
    assert isinstance(value, tuple)
    return tuple(map(str, value))


@pytest.mark.parametrize("form", ["set", "text", "sha256"])
@pytest.mark.parametrize("how", FORMS)
@pytest.mark.parametrize("copies", [101, 1000, 5000, READ_MAX, 2 * READ_MAX])
def test_copies_of_what_is_honest_hide_nothing(copies: int, how: str, form: str) -> None:
    written, wanted = FORMS[how]
    honest = read(written(["/own.js"]), **wanted, every=True, form=form)
    lie = read(written(["/own.js"] * copies + ["//evil/"]), **wanted, every=True, form=form)
    assert adds(lie, honest) is True


@pytest.mark.parametrize("form", ["set", "text", "sha256"])
@pytest.mark.parametrize("how", FORMS)
@pytest.mark.parametrize("number", [1000, 1001, 5000, READ_MAX + 1000])
def test_many_that_are_the_same_for_all_are_equal_and_one_more_is_not(number: int, how: str, form: str) -> None:
    written, wanted = FORMS[how]
    texts = [f"/{each}.js" for each in range(number)]
    honest, again, lie = (
        read(written(each), **wanted, every=True, form=form) for each in (texts, texts, [*texts, "//evil/"])
    )
    assert adds(again, honest) is False
    assert adds(lie, honest) is True


def test_in_a_set_copies_take_no_room() -> None:
    found = read(tags(["/own.js"] * 5000 + ["/b.js"]), **FORMS["regex"][1], **SET)
    assert (found.facts["f"], found.problems) == (("/b.js", "/own.js"), ())


def test_a_page_that_changes_around_its_many_matches_is_the_same_page() -> None:
    texts = [f"/{each}.js" for each in range(5000)]
    one, other = (read(tags(texts) + end, **FORMS["regex"][1], **SET) for end in (b"<p>17:01", b"<p>17:02"))
    assert adds(one, other) is False


def test_the_last_of_too_many_says_that_there_are_more() -> None:
    found = read(tags([f"/{each}.js" for each in range(1500)]), **FORMS["regex"][1], **SET)
    assert len(items(found)) == ITEMS_MAX + 1
    assert items(found)[-1].startswith("... and more: sha256:")
    assert found.problems == ("f: of more than 1000 the last is a digest of the others",)


def test_of_a_set_the_order_of_what_has_no_room_does_not_count() -> None:
    one, other = ["a", "b", "c", "d"], ["b", "a", "d", "c", "d"]
    assert bounded(one, b"", is_set=True, most=2) == bounded(other, b"", is_set=True, most=2)
    assert bounded(one, b"", is_set=False, most=2) != bounded(other, b"", is_set=False, most=2)


def test_texts_that_are_shown_alike_are_one_value_of_a_set() -> None:
    assert bounded(["\\xff", "\udcff"], b"", is_set=True) == (["\\xff"], "")


def test_what_is_not_looked_at_counts_as_a_whole() -> None:
    many = ["same"] * (READ_MAX + 1)
    assert bounded(many, b"x", is_set=True) != bounded(many, b"y", is_set=True)
    assert bounded(many[1:], b"x", is_set=True) == (["same"], "")


def test_more_than_a_thousand_are_counted() -> None:
    assert read(tags(["/own.js"] * 5000), **FORMS["regex"][1], every=True, form="size").facts["f"] == 5000


@pytest.mark.parametrize("form", ["set", "text", "sha256", "size"])
@pytest.mark.parametrize(
    ("stdout", "how"),
    [
        (tags([str(each) for each in range(100_000)]), FORMS["regex"][1]),
        (b"a" * (256 << 10), {"how": "regex", "argument": "a"}),
        (b"\n" * (4 << 20), {"how": "lines"}),
        (b"[" + b"1," * 100_000 + b"1]", {"how": "json"}),
        (blocks(["x"]) * 5000, {"how": "pem", "argument": "KEY"}),
    ],
    ids=["100,000 tags", "a match at each byte", "empty lines", "100,000 numbers", "5,000 blocks"],
)
def test_very_many_cost_little(stdout: bytes, how: dict[str, object], form: str) -> None:
    started = time.process_time()
    found = read(stdout, **how, every=True, form=form)
    assert time.process_time() - started < DEADLINE_S
    assert found.failure == ""
    assert not isinstance(found.facts["f"], tuple) or len(found.facts["f"]) <= ITEMS_MAX + 1
    tracemalloc.start()  # which takes several times as long
    try:
        read(stdout, **how, every=True, form=form)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES
    finally:
        tracemalloc.stop()
