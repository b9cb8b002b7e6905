"""`exitpin audit --resume` and `--retry-failed`, as people type them after something went wrong."""

import json
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from exitpin.orchestrator.lab.state import LabState
from exitpin.orchestrator.results.scan_lock import held

from .conftest import eventually
from .running import EXITPIN, Audited, Log, audit, audit_command, stored

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

SLOW = ("http-body", "-p", "url=http://web.test/delay/1", "-j", "4")
FIXED_EXITS = "exit01,exit02,exit03,exit04"


def resume(lab: LabState, store: Path, *words: str) -> Audited:
    """Go on with what is in this store."""
    argv = audit_command(lab, "--store", str(store), *(words or ("--resume",)))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL, check=False)
    return Audited(done.returncode, done.stdout, done.stderr, store)


def scan_until(lab: LabState, store: Path, number: signal.Signals) -> Audited:
    """A scan of four exits that got this signal when its first runs were under way."""
    log = Log.of(lab)
    words = audit_command(lab, "--store", str(store), *SLOW, "-e", FIXED_EXITS, "--repeat", "3")
    running = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    def begun() -> None:
        assert len(log.peers("http")) >= 4

    eventually(begun, 30)
    running.send_signal(number)
    out, said = running.communicate(timeout=40)
    assert running.returncode == 128 + number, said
    return Audited(running.returncode, out, said, store)


@pytest.fixture(scope="module", params=[signal.SIGINT, signal.SIGTERM])
def scanned(audited: LabState, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Audited:
    """One that got a Ctrl-C, and one that was told to end at once; for those who leave it as it is."""
    return scan_until(audited, tmp_path_factory.mktemp("scanned") / "store.sqlite", request.param)


@pytest.fixture
def interrupted(scanned: Audited, tmp_path: Path) -> Audited:
    """The same, to be gone on with: a copy."""
    shutil.copytree(scanned.store.parent, tmp_path, dirs_exist_ok=True)
    said = scanned.stderr.replace(str(scanned.store.parent), str(tmp_path))
    return replace(scanned, stderr=said, store=tmp_path / scanned.store.name)


def test_whoever_is_impatient_hears_how_to_go_on_all_the_same(audited: LabState, tmp_path: Path) -> None:
    log = Log.of(audited)
    words = audit_command(audited, "--store", str(tmp_path / "store.sqlite"), *SLOW, "-e", FIXED_EXITS)
    running = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def begun() -> None:
        assert log.peers("http")

    eventually(begun, 30)
    for _ in range(6):
        running.send_signal(signal.SIGTERM)
    lines = running.communicate(timeout=40)[1].splitlines()
    assert running.returncode == 128 + signal.SIGTERM
    assert sum("to go on: exitpin audit --resume " in line for line in lines) == 1, lines


def probes(store: Path) -> Counter[tuple[str, int]]:
    return Counter((run["key"], run["repetition"]) for run in stored(store, "run") if run["role"] == "probe")


def scan_of(store: Path) -> dict[str, object]:
    with closing(sqlite3.connect(store)) as database:
        ((text,),) = database.execute("SELECT scan FROM scans").fetchall()
    found: dict[str, object] = json.loads(text)
    return found


def test_the_command_that_an_interrupted_scan_prints_goes_on_with_it(audited: LabState, interrupted: Audited) -> None:
    assert any(verdict["interrupted"] for verdict in interrupted.stored())
    assert scan_of(interrupted.store)["state"] == "interrupted"
    told = re.search(r"to go on: exitpin (audit --resume .*)", interrupted.stderr)
    assert told is not None, interrupted.stderr
    before = {run["run_id"] for run in interrupted.stored("run") if run["failure"] is None and run["role"] == "probe"}
    log = Log.of(audited)
    done = subprocess.run([*EXITPIN, *shlex.split(told[1])], capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert "of 4 verdicts stay as they are" in done.stderr
    verdicts = stored(interrupted.store)
    assert [verdict["status"] for verdict in verdicts] == ["ok"] * 4
    assert not any(verdict["interrupted"] for verdict in verdicts)
    assert set(probes(interrupted.store).values()) == {1} and len(probes(interrupted.store)) == 12
    made = [run for run in stored(interrupted.store, "run") if run["run_id"] not in {*before}]
    assert len(log.peers("http")) <= len(made)
    assert before <= {run["run_id"] for run in stored(interrupted.store, "run") if run["role"] == "probe"}
    scan = scan_of(interrupted.store)
    assert scan["state"] == "done" and len(scan["legs"]) == 2  # type: ignore[arg-type]


def test_what_is_done_is_not_asked_again(audited: LabState, tmp_path: Path) -> None:
    first = audit(audited, tmp_path, "http-body", "-e", FIXED_EXITS)
    log = Log.of(audited)
    refused = resume(audited, first.store)
    assert refused.status == 2 and "no scan that was interrupted" in refused.sentences[-1]
    none = resume(audited, first.store, "--retry-failed")
    assert none.status == 0 and "4 of 4 verdicts stay as they are; 0 that ended in an error" in none.stderr
    assert log.peers("http") == []


def test_errors_are_asked_again_and_nothing_else_is(audited: LabState, tmp_path: Path) -> None:
    tool = tmp_path / "flaky.toml"
    tool.write_text(
        'schema = "exitpin.tool/1"\nid = "flaky"\nsummary = "Fails until told otherwise"\n'
        'destination = [{ host = "web.test", port = 80 }]\n'
        f'run.argv = ["sh", "-c", "test $EXITPIN_EXIT_NICK != exit02 || test -e {tmp_path}/well"]\n'
        'baseline = { mode = "none" }\n'
        'verdict = [{ status = "error", when = [{ field = "exit_code", not = 0 }], reason = "not well" },\n'
        '           { status = "ok" }]\n'
    )
    first = audit(audited, tmp_path, str(tool), "-e", FIXED_EXITS)
    assert first.status == 3 and first.counts == {"ok": 3, "error": 1}
    assert "to ask again what ended in an error: exitpin audit --resume " in first.stderr
    (tmp_path / "well").touch()
    again = resume(audited, first.store, "--retry-failed")
    assert again.status == 0 and again.counts == {"ok": 4}, again.stderr
    assert set(probes(first.store).values()) == {1}
    roles = Counter(run["role"] for run in stored(first.store, "run"))
    assert roles["superseded"] >= 1 and roles["probe"] == 4


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--resume", "--sample", "3"), "has its tools, exits and repetitions already"),
        (("tls-cert", "--resume", "x"), "has its tools, exits and repetitions already"),
        (("--resume", "no-such-scan"), "there is no scan no-such-scan"),
        (("--retry-failed", "--repeat", "2"), "has its tools, exits and repetitions already"),
    ],
)
def test_misuse_is_one_sentence(audited: LabState, scanned: Audited, words: tuple[str, ...], sentence: str) -> None:
    done = resume(audited, scanned.store, *words)
    assert (done.status, done.stdout) == (2, "")
    (said,) = done.sentences
    assert sentence in said


def test_nothing_recorded_is_nothing_to_go_on_with(audited: LabState, tmp_path: Path) -> None:
    done = resume(audited, tmp_path / "none.sqlite")
    assert done.status == 2 and "nothing was recorded yet" in done.sentences[-1]
    assert not (tmp_path / "none.sqlite").exists()


def test_a_scan_that_is_running_is_not_gone_on_with(audited: LabState, scanned: Audited) -> None:
    scan_id = str(scan_of(scanned.store)["scan_id"])
    with held(Path(f"{scanned.store}.evidence"), scan_id):
        done = resume(audited, scanned.store)
    assert done.status == 2 and f"scan {scan_id} is running" in done.sentences[-1]
    assert len(scan_of(scanned.store)["legs"]) == 1  # type: ignore[arg-type]


def test_a_tool_that_has_changed_is_refused(audited: LabState, tmp_path: Path) -> None:
    tool = tmp_path / "mine.toml"
    text = (
        'schema = "exitpin.tool/1"\nid = "mine"\nsummary = "One"\ndestination = [{ host = "web.test", port = 80 }]\n'
        'params.token = { type = "str", secret = true }\n'
        'run.argv = ["sh", "-c", "exit 1"]\nbaseline = { mode = "none" }\n'
        'verdict = [{ status = "error", when = [{ field = "exit_code", not = 0 }] }, { status = "ok" }]\n'
    )
    tool.write_text(text)
    first = audit(audited, tmp_path, str(tool), "-e", "exit01", "-p", "token=hunter22")
    assert first.status == 3
    assert "-p mine.token=..." in first.stderr and "hunter22" not in first.stderr
    for path in tmp_path.rglob("*.sqlite*"):
        assert not path.is_file() or b"hunter22" not in path.read_bytes()
    without = resume(audited, first.store, "--retry-failed")
    assert without.status == 2 and "token" in without.sentences[-1]
    other = resume(audited, first.store, "--retry-failed", "-p", "mine.token=other")
    assert other.status == 2 and "Give token as it was then: -p mine.token=..." in other.sentences[-1]
    assert resume(audited, first.store, "--retry-failed", "-p", "token=hunter22").status == 3
    tool.write_text(text.replace("One", "Two"))
    changed = resume(audited, first.store, "--retry-failed", "-p", "token=hunter22")
    assert changed.status == 2 and "mine has changed since scan" in changed.sentences[-1]


def test_a_dry_run_says_what_is_left_and_does_nothing(audited: LabState, scanned: Audited) -> None:
    log = Log.of(audited)
    done = resume(audited, scanned.store, "--resume", "--dry-run")
    assert done.status == 0 and "are left to be asked" in done.stdout and "load: " in done.stdout
    assert log.peers("http") == []
    assert len(scan_of(scanned.store)["legs"]) == 1  # type: ignore[arg-type]


def test_an_exit_that_is_gone_is_told_and_not_asked(audited: LabState, interrupted: Audited) -> None:
    gone = "F" * 40
    with closing(sqlite3.connect(interrupted.store)) as database, database:
        (text,) = database.execute("SELECT scan FROM scans").fetchone()
        scan = json.loads(text)
        scan["exits"].append(gone)
        scan["planned"] += 1
        database.execute("UPDATE scans SET scan = ?, planned = ?", (json.dumps(scan), scan["planned"]))
    done = resume(audited, interrupted.store)
    assert done.status == 3 and done.counts == {"ok": 4, "skipped": 1}
    (told,) = [verdict for verdict in done.stored() if verdict["exit"]["fingerprint"] == gone]
    assert (told["status"], told["layer"]) == ("skipped", "gone")
