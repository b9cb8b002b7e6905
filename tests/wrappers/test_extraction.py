"""Facts from hostile output: what is read, what is refused, and how long it may take."""

import base64
import hashlib
import json
import os
import random
import resource
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from exitpin.orchestrator.tool import Command, Condition, Extract, Limits, Rule, Status, Tool, Value
from exitpin.wrappers.extraction import Extraction, ExtractionTimeout, Harvest, extract, search
from exitpin.wrappers.folding import folder

DEADLINE_S = 4.0  # of the processor: for what takes milliseconds, or one pattern's half second
MEMORY_BYTES = 64 << 20
CATASTROPHE = r"(\S+\s+)*\d$"


def tool(*wanted: Extract, **limits: int) -> Tool:
    command = Command(argv=("true",), limits=Limits(**limits))
    rules = (Rule(Status.ERROR, tuple(Condition(each.name, "absent", True) for each in wanted)), Rule(Status.OK))
    return Tool("t", "t", command, rules, extracts=wanted)


def read(harvest: Harvest, **how: object) -> Extraction:
    return extract(tool(Extract("f", **how)), harvest)  # type: ignore[arg-type]


def value(stdout: bytes, **how: object) -> Value:
    return read(Harvest(stdout), **how).facts["f"]


def bounded(act: Callable[[], Extraction]) -> Extraction:
    """What it returns, if it was quick and took little memory."""
    tracemalloc.start()
    started = time.process_time()
    try:
        found = act()
        assert time.process_time() - started < DEADLINE_S
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES
    finally:
        tracemalloc.stop()
    return found


def pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("stdout", "how", "expected"),
    [
        (b"text\n", {}, "text"),
        (b"", {}, ""),
        (b"abc", {"form": "size"}, 3),
        (b"abc", {"form": "sha256"}, hashlib.sha256(b"abc").hexdigest()),
        (b"a=1 a=2", {"how": "regex", "argument": r"a=(\d)", "type": "int"}, 1),
        (b"a=1 a=2", {"how": "regex", "argument": r"a=\d"}, "a=1"),
        (b"a=2 a=1 a=2", {"how": "regex", "argument": r"a=(\d)", "every": True}, ("2", "1", "2")),
        (b"a=2 a=1 a=2", {"how": "regex", "argument": r"a=(\d)", "every": True, "form": "set"}, ("1", "2")),
        (b"a=2 a=1 a=2", {"how": "regex", "argument": r"a=(\d)", "every": True, "form": "size"}, 3),
        (b"nothing", {"how": "regex", "argument": r"a=(\d)"}, None),
        (b"nothing", {"how": "regex", "argument": r"a=(\d)", "every": True}, None),
        (b'{"a/b": {"~": [5, "x"]}}', {"how": "json", "argument": "/a~1b/~0/0", "type": "int"}, 5),
        (b'{"a": [5, "x", {"c": 1}]}', {"how": "json", "argument": "/a", "every": True}, ("5", "x", '{"c":1}')),
        (b'{"a": [2, 1]}', {"how": "json", "argument": "/a"}, "[2,1]"),
        (b'{"a": true}', {"how": "json", "argument": "/a", "type": "bool"}, True),
        (b'{"a": null}', {"how": "json", "argument": "/a"}, None),
        (b'{"a": 1}', {"how": "json", "argument": "/b"}, None),
        (b"[1]", {"how": "json", "argument": "/1"}, None),
        (b"a\r\n\nb\n", {"how": "lines"}, ("a", "b")),
        (b"no blocks", {"how": "pem", "argument": "CERTIFICATE"}, None),
        (b"\xff\xfe ok", {}, "\\xff\\xfe ok"),
        (b"1.5", {"type": "float"}, 1.5),
    ],
)
def test_each_form_of_extraction_reads_what_it_says(stdout: bytes, how: dict[str, object], expected: Value) -> None:
    found = read(Harvest(stdout), **how)
    assert (found.facts["f"], found.failure, found.problems) == (expected, "", ())


def test_a_chain_is_the_fingerprints_of_its_certificates_in_order() -> None:
    stdout = b"0 s:CN = a\n" + pem(b"leaf") + b"1 s:CN = ca\n" + pem(b"ca" * 500)
    assert value(stdout, how="pem", argument="CERTIFICATE", form="sha256") == (
        hashlib.sha256(b"leaf").hexdigest(),
        hashlib.sha256(b"ca" * 500).hexdigest(),
    )


def test_a_block_that_is_no_base64_keeps_its_place() -> None:
    bad = b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"
    chain = value(bad + pem(b"x"), how="pem", argument="CERTIFICATE", form="sha256")
    assert isinstance(chain, tuple)
    assert chain[0].startswith("unreadable:")
    assert chain[1] == hashlib.sha256(b"x").hexdigest()


def test_facts_that_the_tool_emitted_are_read_by_name() -> None:
    wanted = (Extract("location", "facts"), Extract("n", "facts", argument="count", type="int"), Extract("x", "facts"))
    found = extract(tool(*wanted), Harvest(facts=b"location=https://a/?b=c\ncount=2\n"))
    assert (found.facts, found.failure) == ({"location": "https://a/?b=c", "n": 2, "x": None}, "")


@pytest.mark.parametrize("lines", [b"f=1\nf=2\n", b"f=1\nf=1\n", b"other=1\nf=1\nother=1\nother=2\n"])
def test_a_fact_that_is_set_twice_is_none_and_no_other_counts_either(lines: bytes) -> None:
    found = read(Harvest(facts=lines), source="facts")
    assert found.failure == "parse"
    assert len(found.problems) == 1
    assert found.problems[0].endswith(" is set twice")


def test_emitted_facts_with_wrong_names_are_dropped_and_told() -> None:
    lines = b"A=1\n=2\nno equals\n" + b"a" * 65 + b"=3\nf=\xff\x1b[2J\n"
    found = read(Harvest(facts=lines), source="facts")
    assert found.facts["f"] == "\\xff\x1b[2J"
    assert found.problems == ("facts: 4 lines are not NAME=VALUE",)


def test_of_emitted_facts_only_the_first_thousand_count() -> None:
    found = read(Harvest(facts=b"".join(b"a%d=1\n" % i for i in range(2000)) + b"f=1\n"), source="facts")
    assert found.facts["f"] is None
    assert "facts: only the first 1000 lines were read" in found.problems


def random_bytes() -> bytes:
    return random.Random(7).randbytes(10 << 20)


HOSTILE: list[tuple[str, bytes, dict[str, object], str]] = [
    ("random bytes, a pattern", random_bytes(), {"how": "regex", "argument": r"<script[^>]*>", "every": True}, ""),
    ("random bytes, text", random_bytes(), {}, ""),
    ("random bytes, lines", random_bytes(), {"how": "lines"}, ""),
    ("random bytes, JSON", random_bytes(), {"how": "json", "argument": "/a"}, ""),
    ("random bytes, PEM", random_bytes(), {"how": "pem", "argument": "CERTIFICATE", "form": "sha256"}, ""),
    ("a body made for the pattern", b"ab " * 4000 + b"!", {"how": "regex", "argument": CATASTROPHE}, "parse"),
    ("a match at each place", b"a" * (2 << 20), {"how": "regex", "argument": r"(?=(a*))", "every": True}, "any"),
    ("100,000 headers", b"X-A: b\r\n" * 100_000, {"how": "regex", "argument": r"(?m)^(\S+):", "every": True}, ""),
    ("a chain of 200", pem(b"x" * 900) * 200, {"how": "pem", "argument": "CERTIFICATE", "form": "sha256"}, ""),
    ("blocks that never end", b"-----BEGIN A-----" * 50_000, {"how": "pem", "argument": "A"}, ""),
    ("a JSON depth bomb", b"[" * 500_000, {"how": "json", "argument": "/0"}, ""),
    ("JSON with a huge number", b'{"a": %s}' % (b"9" * 100_000), {"how": "json", "argument": "/a"}, ""),
    ("JSON with infinity", b'{"a": 1e999}', {"how": "json", "argument": "/a", "type": "float"}, ""),
    ("JSON of a million texts", b"[" + b'"",' * 340_000 + b'""]', {"how": "json", "argument": "/5"}, ""),
    ("a huge number", b"9" * 100_000, {"type": "int"}, ""),
    ("other people's digits", "\u0661\u0662".encode(), {"type": "int"}, ""),
    ("not a number", b"nan", {"type": "float"}, ""),
]


@pytest.mark.parametrize(("stdout", "how", "failure"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_hostile_output_costs_little_and_raises_nothing(stdout: bytes, how: dict[str, object], failure: str) -> None:
    wanted = tool(Extract("f", **how), stdout=4 << 20)  # type: ignore[arg-type]
    found = bounded(lambda: extract(wanted, Harvest(stdout)))
    assert failure in (found.failure, "any")
    json.dumps(dict(found.facts), allow_nan=False).encode()
    for text in found.facts["f"] if isinstance(found.facts["f"], tuple) else ():
        assert len(text) <= 4096


@pytest.mark.parametrize("stdout", [b"[" * 200_000, b'{"a": %s}' % (b"9" * 100_000), b'{"a": NaN}', b"{", b"\xff"])
def test_json_that_can_not_be_read_is_no_fact_and_a_problem(stdout: bytes) -> None:
    found = read(Harvest(stdout), how="json", argument="/a")
    assert found.facts["f"] is None
    assert len(found.problems) == 1


def test_output_is_cut_at_the_limit_of_the_tool_before_it_is_looked_at() -> None:
    found = extract(tool(Extract("f", form="size"), stdout=1000), Harvest(b"x" * 5000))
    assert found.facts["f"] == 1000
    assert found.problems == ("stdout: cut after 1000 bytes",)


def test_a_pattern_that_takes_too_long_fails_the_extraction_and_not_its_neighbours() -> None:
    wanted = tool(Extract("slow", how="regex", argument=CATASTROPHE), Extract("quick", how="regex", argument="ab"))
    found = bounded(lambda: extract(wanted, Harvest(b"ab " * 4000 + b"!")))
    assert found.facts == {"slow": None, "quick": "ab"}
    assert found.failure == "parse"
    assert "took longer than 0.5 s" in found.problems[0]


def test_a_search_says_that_it_does_not_know_rather_than_no() -> None:
    assert search("b+", "abc")
    assert not search("^b", "abc")
    with pytest.raises(ExtractionTimeout):
        search(CATASTROPHE, "ab " * 4000 + "!")


def test_texts_that_differ_only_behind_the_cut_are_still_two() -> None:
    one, other = (value(b"x" * 10_000 + end) for end in (b"1", b"2"))
    assert one != other
    assert isinstance(one, str)
    assert len(one) == 4096


def test_bytes_that_are_no_text_and_control_characters_can_be_stored() -> None:
    found = value(b'{"a": "\\ud800\\u0000"}', how="json", argument="/a")
    assert found == "\\ud800\x00"
    assert value(b"\x1b]0;owned\x07\x9b\xff") == "\x1b]0;owned\x07\\x9b\\xff"


def test_an_artifact_is_read_from_the_folder_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"<html>")
    assert read(Harvest(artifacts=str(tmp_path)), source="artifact:body").facts["f"] == "<html>"
    assert read(Harvest(artifacts={"body": b"mapped"}), source="artifact:body").facts["f"] == "mapped"


def test_an_artifact_that_is_not_there_is_no_fact() -> None:
    for artifacts in ("", {}):
        found = read(Harvest(artifacts=artifacts), source="artifact:body", form="sha256")
        assert found.facts["f"] is None
        assert found.problems == ("'body': no such artifact",)
        assert found.failure == ""


def link(folder: Path) -> None:
    (folder / "f").symlink_to("/etc/hostname")


def dangling(folder: Path) -> None:
    (folder / "f").symlink_to("nowhere")


def fifo(folder: Path) -> None:
    os.mkfifo(folder / "f")


def directory(folder: Path) -> None:
    (folder / "f").mkdir()


@pytest.mark.parametrize("make", [link, dangling, fifo, directory])
def test_an_artifact_that_is_no_plain_file_is_not_opened(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path)
    found = bounded(lambda: read(Harvest(artifacts=str(tmp_path)), source="artifact:f"))
    assert found.facts["f"] is None
    assert len(found.problems) == 1


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "..", ".", "", "sub/x"])
def test_an_artifact_outside_of_the_folder_is_not_opened(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (tmp_path / "sub").mkdir()
    found = read(Harvest(artifacts=str(tmp_path / "sub")), source=f"artifact:{name}")
    assert found.facts["f"] is None
    assert len(found.problems) == 1


def test_a_folder_that_was_exchanged_for_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "artifacts").symlink_to("/etc")
    found = read(Harvest(artifacts=str(tmp_path / "artifacts")), source="artifact:hostname")
    assert found.facts["f"] is None


def test_of_a_huge_artifact_only_the_limit_is_read(tmp_path: Path) -> None:
    with open(tmp_path / "f", "wb") as file:
        file.truncate(1 << 40)
    wanted = tool(Extract("f", "artifact:f", form="size"), artifacts=100_000)
    found = bounded(lambda: extract(wanted, Harvest(artifacts=str(tmp_path))))
    assert found.facts["f"] == 100_000
    assert found.problems == ("artifact:f: cut after 100000 bytes",)


def test_a_file_that_this_machine_can_not_open_is_not_taken_for_missing(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"honest")
    wanted = tool(Extract("body", "artifact:body", form="sha256"))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
        with suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        found = extract(wanted, Harvest(artifacts=str(tmp_path)))
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert found.failure == "parse"


def test_a_machine_that_is_busy_makes_no_pattern_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a time of the processor, and not of the clock."""
    clock = count(start=time.monotonic(), step=10)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    assert search(r"\d", "1 2 3")
    fold = folder(r"[A-Z]+", 0.5)
    assert [fold("A b"), fold("C d")] == ["a b", "c d"]
