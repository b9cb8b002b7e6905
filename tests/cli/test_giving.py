"""`exitpin emit`, `evidence` and `verdict`, as a script calls them: what they write, and that they start fast."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exitpin.orchestrator.audit.said import EXTRACTS
from exitpin.orchestrator.cli import giving
from exitpin.orchestrator.tool import Limits, Status
from exitpin.wrappers import harvest, values
from exitpin.wrappers.harvest import Harvest, Sources
from exitpin.wrappers.torsocks import passthrough_dir

Words = tuple[str | bytes, ...]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """The files of a run."""
    (tmp_path / "facts").touch()
    (tmp_path / "evidence").mkdir()
    return tmp_path


def give(desk: Path, *words: str | bytes, without: tuple[str, ...] = (), **options: object) -> tuple[int, str]:
    """Exit status and what was said of one call, made as a script in a run makes it."""
    inside = {
        "EXITPIN": "1", "EXITPIN_FACTS": f"{desk}/facts", "EXITPIN_EVIDENCE": f"{desk}/evidence",
        "EXITPIN_PYTHON": sys.executable, "PATH": os.environ["PATH"],
    }  # fmt: skip
    environment = {name: value for name, value in inside.items() if name not in without}
    done = subprocess.run(
        [str(passthrough_dir() / "exitpin"), *words], env=environment, capture_output=True, timeout=30, check=False,
        cwd=desk, **options,  # type: ignore[call-overload]
    )  # fmt: skip
    assert b"Traceback" not in done.stderr
    return done.returncode, done.stderr.decode()


def emitted(desk: Path) -> dict[str, str]:
    """The facts, as their reader finds them."""
    sources = Sources(Harvest(facts=(desk / "facts").read_bytes()), Limits())
    found = dict(sources.emitted())
    assert sources.problems == []
    return found


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (b"plain", "plain"),
        (b"", ""),
        (b"a=b c", "a=b c"),
        ("Grüße".encode(), "Grüße"),
        (b"x\nverdict=ok\r\ny", "x\\nverdict=ok\\r\\ny"),
        (b"\\n", "\\\\n"),
        (b"\x1b[2J\x07\x7f", "\\x1b[2J\\x07\\x7f"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("\u2028\u202e\x85".encode(), "\\u2028\\u202e\\x85"),
    ],
)
def test_a_value_is_one_line_whatever_it_holds(desk: Path, given: bytes, read: str) -> None:
    assert give(desk, "emit", b"f=" + given, "other=1") == (0, "")
    assert emitted(desk) == {"f": read, "other": "1"}


def test_no_two_values_become_the_same() -> None:
    texts = ["a\nb", "a\\nb", "a\\\nb", "a\\\\nb", "\udcff", "\\xff", "\xff", "a" * 5000, "a" * 4999 + "b", "a" * 4096]
    assert len({giving.escaped(text) for text in texts}) == len(texts)


def test_a_long_value_ends_in_its_digest_and_leaves_room_for_others(desk: Path) -> None:
    assert give(desk, "emit", "f=" + "\n" * 50_000, "g=1") == (0, "")
    found = emitted(desk)
    assert len(found["f"]) == values.VALUE_MAX
    assert found["f"].endswith("... sha256:" + values.digest(b"\n" * 50_000))
    assert found["g"] == "1"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("emit",), "there is no NAME=VALUE"),
        (("emit", "a"), "a is not NAME=VALUE"),
        (("emit", "A=1"), "A=1 is not NAME=VALUE"),
        (("emit", "=1"), "=1 is not NAME=VALUE"),
        (("emit", "a=1", "\x1b[2J\n=1"), "\\x1b[2J\\n=1 is not NAME=VALUE"),
        (("emit", "a" * 65 + "=1"), "is not NAME=VALUE"),
        (("emit", "verdict=ok"), "verdict is said by `exitpin verdict STATUS REASON`"),
        (("verdict",), "nothing is no verdict; it is ok, tampered, suspect, broken, error"),
        (("verdict", "TAMPERED", "x"), "TAMPERED is no verdict"),
        (("verdict", "tampered"), "tampered wants a reason"),
        (("verdict", "tampered", " "), "tampered wants a reason"),
        (("evidence",), "it wants FILE"),
        (("evidence", "nothing"), "nothing: No such file or directory"),
        (("evidence", "/etc"), "nothing was given: Is a directory"),
        (("evidence", "facts", "../x"), "../x is no name"),
        (("evidence", "facts", "-x"), "-x is no name"),
        (("evidence", "facts", ".x"), ".x is no name"),
        (("evidence", "facts", "a\nb"), "a\\nb is no name"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_nothing_is_given(desk: Path, words: Words, sentence: str) -> None:
    status, told = give(desk, *words)
    assert status in (giving.MISUSED, giving.FAILED)
    assert sentence in told
    assert told.count("\n") == 1
    assert (desk / "facts").read_bytes() == b"" and not list((desk / "evidence").iterdir())


@pytest.mark.parametrize("without", [("EXITPIN",), ("EXITPIN_FACTS",), ("EXITPIN", "EXITPIN_FACTS")])
@pytest.mark.parametrize("words", [("emit", "a=1"), ("evidence", "facts"), ("verdict", "ok")])
def test_outside_of_a_run_they_refuse(desk: Path, words: Words, without: tuple[str, ...]) -> None:
    status, told = give(desk, *words, without=without)
    assert (status, told.count("\n")) == (2, 1)
    assert f"`exitpin {words[0]!s}` is for scripts inside of a run" in told
    assert (desk / "facts").read_bytes() == b"" and not list((desk / "evidence").iterdir())


def test_a_fact_that_is_set_twice_is_told_to_whoever_set_it(desk: Path) -> None:
    assert give(desk, "emit", "a=1") == (0, "")
    status, told = give(desk, "emit", "b=1", "a=2")
    assert (status, told) == (1, "exitpin emit: a is set twice, and the run ends as error (parse).\n")


def test_a_verdict_is_a_fact_that_is_set_once(desk: Path) -> None:
    assert give(desk, "verdict", "tampered", "another", "key:\n\x1b") == (0, "")
    assert emitted(desk) == {"verdict": "tampered", "reason": "another key:\\n\\x1b"}
    assert give(desk, "verdict", "ok")[0] == 1


def test_what_others_wrote_without_an_end_of_line_is_no_part_of_it(desk: Path) -> None:
    (desk / "facts").write_text("a=1")
    assert give(desk, "emit", "b=2") == (0, "")
    assert emitted(desk) == {"a": "1", "b": "2"}


@pytest.mark.parametrize("known", [b"x\n" * 1000, b"a=" + b"x" * (64 << 10) + b"\n"])
def test_more_than_is_ever_read_is_not_taken(desk: Path, known: bytes) -> None:
    (desk / "facts").write_bytes(known)
    status, told = give(desk, "emit", "b=2")
    assert (status, (desk / "facts").read_bytes()) == (1, known)
    assert "has room for 1000 facts" in told


def test_a_link_in_place_of_the_facts_is_not_followed(desk: Path, tmp_path: Path) -> None:
    (desk / "facts").unlink()
    (tmp_path / "other").write_text("")
    (desk / "facts").symlink_to(tmp_path / "other")
    assert give(desk, "emit", "b=2")[0] == giving.FAILED
    assert (tmp_path / "other").read_text() == ""


def test_evidence_is_a_copy_under_a_name(desk: Path) -> None:
    (desk / "page").write_bytes(bytes(range(256)))
    assert give(desk, "evidence", "page") == (0, "")
    assert give(desk, "evidence", "-", "out.txt", input=b"piped") == (0, "")
    assert {path.name: path.read_bytes() for path in (desk / "evidence").iterdir()} == {
        "page": bytes(range(256)), "out.txt": b"piped",
    }  # fmt: skip
    assert give(desk, "evidence", "page") == (2, "exitpin evidence: page is kept already.\n")


def test_evidence_is_cut_where_the_kernel_says(desk: Path) -> None:
    (desk / "page").write_bytes(b"x" * 300_000)
    limited = ["sh", "-c", 'ulimit -f 200; exec "$@"', "sh", sys.executable, "-IS", giving.__file__, "evidence", "page"]
    inside = {"EXITPIN": "1", "EXITPIN_FACTS": f"{desk}/facts", "EXITPIN_EVIDENCE": f"{desk}/evidence"}
    done = subprocess.run(limited, env=inside, cwd=desk, capture_output=True, text=True, timeout=30, check=False)
    size = (desk / "evidence" / "page").stat().st_size
    assert (done.returncode, done.stderr) == (0, f"exitpin evidence: page was cut after {size} bytes.\n")
    assert 0 < size < 300_000


def test_there_is_no_end_of_neither_files_nor_bytes(desk: Path) -> None:
    for number in range(giving.FILES_MAX):
        (desk / "evidence" / str(number)).touch()
    assert give(desk, "evidence", "facts") == (1, "exitpin evidence: a run has room for 64 files.\n")


def test_where_nothing_is_kept_a_script_goes_on(desk: Path) -> None:
    status, told = give(desk, "evidence", "facts", without=("EXITPIN_EVIDENCE",))
    assert (status, told.count("\n")) == (0, 1)
    assert "--json or --events" in told


@pytest.mark.parametrize("verb", giving.VERBS)
def test_each_explains_itself(desk: Path, verb: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "exitpin", verb, "--help"], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (0, giving.HELP[verb])


EXAMPLES = [line.strip() for text in giving.HELP.values() for line in text.splitlines() if line.startswith("  ")]


@pytest.mark.parametrize("line", EXAMPLES)
def test_the_examples_of_the_help_work(desk: Path, line: str) -> None:
    (desk / "body").write_text("a body")
    (desk / "chain.pem").write_text("a chain")
    inside = {
        "EXITPIN": "1", "EXITPIN_FACTS": f"{desk}/facts", "EXITPIN_EVIDENCE": f"{desk}/evidence",
        "EXITPIN_ARTIFACTS": str(desk), "EXITPIN_PYTHON": sys.executable, "code": "200", "key": "ssh-ed25519 AAAA",
        "url": f"file://{desk}/body", "PATH": f"{passthrough_dir()}:{os.environ['PATH']}",
    }  # fmt: skip
    done = subprocess.run(["sh", "-euc", line], env=inside, cwd=desk, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert emitted(desk) or [path.read_text() for path in (desk / "evidence").iterdir()] in (["a body"], ["a chain"])


def test_whoever_reads_what_they_write_knows_the_same_limits() -> None:
    assert (giving.FACTS_BYTES, giving.FACTS_MAX) == (harvest.FACTS_BYTES, harvest.FACTS_MAX)
    assert (giving.NAME_MAX, giving.VALUE_MAX) == (harvest.NAME_MAX, values.VALUE_MAX)
    assert tuple(read.name for read in EXTRACTS["status"]) == giving.SPOKEN
    assert set(giving.STATUSES) == set(Status) - {Status.SKIPPED}


def test_they_start_without_what_other_verbs_need(desk: Path) -> None:
    code = "import sys; from exitpin.orchestrator.cli.main import main; main(['emit', 'a=1']); print(*sys.modules)"
    inside = {**os.environ, "EXITPIN": "1", "EXITPIN_FACTS": f"{desk}/facts"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=inside, capture_output=True, text=True, timeout=30, check=True
    )
    assert not {"argparse", "asyncio", "stem", "importlib.metadata", "signal", "subprocess"} & set(done.stdout.split())
    assert emitted(desk) == {"a": "1"}


def test_in_a_run_every_other_verb_is_the_command_itself(desk: Path) -> None:
    done = subprocess.run(
        [str(passthrough_dir() / "exitpin"), "--version"], env={**os.environ, "EXITPIN_PYTHON": sys.executable},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()[0]) == (0, "exitpin")
