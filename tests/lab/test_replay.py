"""`exitpin replay` in a lab: the same exit is asked the same once more, and what differs is said."""

import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.audit.keys import run_key
from exitpin.orchestrator.lab.state import LabState
from exitpin.orchestrator.results.blobs import BlobFiles, blobs_directory
from exitpin.orchestrator.verify import read_evidence, verify
from exitpin.wrappers.machine import abilities

from .running import EXITPIN, Audited, Log, audit, nickname, stored

pytestmark = [pytest.mark.lab, pytest.mark.timeout(90)]

SECRETIVE = """
schema = "exitpin.tool/1"
id = "secretive"
summary = "Does a page with a password come as it should?"
params.url = { type = "url", lab = "http://web.test/ip" }
params.password = { secret = true }
destination = [{ url = "{{url}}" }]
requires.curl = {}
run.argv = ["curl", "-qsS", "--max-time", "9", "-u", "me:{{password}}", "{{url}}"]
extract.address = { regex = '^(\\S+)' }
verdict = [{ status = "ok" }]
"""


@pytest.fixture(scope="module")
def whole(audited: LabState, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """An honest exit, one that injects, and one that resets, asked for a page."""
    names = ["exit01", nickname(audited, "injects-script"), nickname(audited, "resets")]
    return audit(audited, tmp_path_factory.mktemp("replayed"), "http-body", "-e", ",".join(names))


def run_through(done: Audited, name: str, role: str = "probe") -> dict[str, Any]:
    return next(run for run in done.stored("run") if run["exit"]["nickname"] == name and run["role"] == role)


def replay(store: Path, run_id: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """Nothing but the id of the run says in which lab it is made."""
    argv = [*EXITPIN, "replay", run_id, "--store", str(store), *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)


@pytest.mark.parametrize("behaviour", ["plain", "injects-script", "resets"])
def test_an_exit_that_does_the_same_again_is_told_as_such(audited: LabState, whole: Audited, behaviour: str) -> None:
    then = run_through(whole, nickname(audited, behaviour))
    log = Log.of(audited)
    done = replay(whole.store, then["run_id"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"THE SAME: http-body through {then['exit']['nickname']}/")
    assert then["run_id"] in done.stdout
    assert set(log.peers("http")) == {audited.relay(then["exit"]["nickname"]).address}


def test_the_new_run_is_recorded_with_evidence_that_proves_its_exit(audited: LabState, whole: Audited) -> None:
    then = run_through(whole, nickname(audited, "injects-script"))
    done = replay(whole.store, then["run_id"], "--json")
    told = json.loads(done.stdout)
    now = told["now"]
    assert (told["is_same"], told["differs"], told["then"]["run_id"]) == (True, [], then["run_id"])
    assert now in stored(whole.store, "run")
    assert (now["role"], now["replays"], now["key"]) == ("replay", then["run_id"], then["key"])
    assert now["scan_id"] != then["scan_id"] and now["verdict"] is None
    assert now["circuits"][0]["id"] != then["circuits"][0]["id"]
    pieces = {piece["name"]: piece["sha256"] for piece in now["evidence"]}
    assert {"events", "stdout", "artifact:body"} <= pieces.keys()
    events = BlobFiles(blobs_directory(whole.store)).read(pieces["events"]).decode().splitlines()
    assert verify(read_evidence(iter(events)), [now]).problems == []


def test_a_replay_is_no_scan_that_lists_begin_with_or_that_monitoring_counts(whole: Audited) -> None:
    assert replay(whole.store, run_through(whole, "exit01")["run_id"]).returncode == 0
    scan_id = whole.stored()[0]["scan_id"]
    words = ["results", "list", "--store", str(whole.store)]
    listed = subprocess.run([*EXITPIN, *words], capture_output=True, text=True, timeout=30, check=True)
    assert f"of scan {scan_id}" in listed.stderr
    words = ["report", "prom", "--store", str(whole.store)]
    metrics = subprocess.run([*EXITPIN, *words], capture_output=True, text=True, timeout=30, check=True).stdout
    assert metrics.count("exitpin_scan_info{") == 1


def test_what_has_changed_is_told_by_value_and_is_status_1(audited: LabState, tmp_path: Path) -> None:
    done = audit(audited, tmp_path, "http-body", "-e", "exit01", "-p", "url=http://changing.test/")
    again = replay(done.store, run_through(done, "exit01")["run_id"], "--repeat", "2", "--json")
    found = [json.loads(line) for line in again.stdout.splitlines()]
    assert again.returncode == 1
    assert [one["differs"] for one in found] == [["fact body"]] * 2
    assert [one["now"]["repetition"] for one in found] == [1, 2]
    text = replay(done.store, run_through(done, "exit01")["run_id"]).stdout
    assert text.startswith("DIFFERENT in fact body: http-body through exit01/")
    assert "  fact body\n    - " in text and "kept now only: stdout, artifact:body" in text


def test_a_secret_has_to_be_given_again_and_other_parameters_can_t(audited: LabState, tmp_path: Path) -> None:
    tool = tmp_path / "secretive.toml"
    tool.write_text(SECRETIVE)
    done = audit(audited, tmp_path, str(tool), "-e", "exit01", "-p", "password=sesame-open")
    run_id = run_through(done, "exit01")["run_id"]
    without = replay(done.store, run_id)
    assert (without.returncode, "give -p password=" in without.stderr) == (2, True)
    other = replay(done.store, run_id, "-p", "url=http://web.test/")
    assert (other.returncode, "-p url: a replay has the recorded parameters" in other.stderr) == (2, True)
    given = replay(done.store, run_id, "-p", "password=sesame-open", "--json")
    assert given.returncode == 0
    assert "sesame" not in given.stdout
    assert json.loads(given.stdout)["caveats"] == []


def test_another_secret_is_refused_and_asked_with_only_if_one_says_so(audited: LabState, tmp_path: Path) -> None:
    tool = tmp_path / "secretive.toml"
    tool.write_text(SECRETIVE.replace("secret = true", 'secret = true, lab = "of-the-lab"'))
    done = audit(audited, tmp_path, str(tool), "-e", "exit01", "-p", "password=sesame-open")
    run_id, log = run_through(done, "exit01")["run_id"], Log.of(audited)
    sentence = f"secretive has other parameters than in run {run_id}. Give password as it was then: -p secretive."
    for words in ((), ("-p", "password=other")):
        refused = replay(done.store, run_id, *words)
        assert (refused.returncode, sentence in refused.stderr) == (2, True), refused.stderr
    assert log.peers("http") == []
    anyway = replay(done.store, run_id, "-p", "password=other", "--anyway")
    assert anyway.returncode == 0
    assert "\n  but the parameters may differ from those of then\n" in anyway.stdout


@pytest.mark.skipif(bool(abilities().notify_problem), reason=abilities().notify_problem)
@pytest.mark.parametrize("asked", [(), ("--containment", "guard")])
def test_a_tool_that_wants_a_stronger_level_has_it_then_and_again(
    audited: LabState, tmp_path: Path, asked: tuple[str, ...]
) -> None:
    tool = tmp_path / "secretive.toml"
    given = SECRETIVE.replace("params.password = { secret = true }", 'params.password = { default = "x" }')
    tool.write_text(f'{given}run.containment = "notify"\n')
    done = audit(audited, tmp_path, str(tool), "-e", "exit01", *asked)
    then = run_through(done, "exit01")
    again = replay(done.store, then["run_id"], *asked)
    assert again.returncode == 0, again.stderr
    assert {one["containment"]["level"] for one in stored(done.store, "run")} == {"notify"}
    said = "exitpin: containment level is notify, and guard was asked for: secretive wants it\n"
    assert [said in text for text in (done.stderr, again.stderr)] == [bool(asked)] * 2


def test_a_replay_of_a_liar_is_not_shown_as_honest(audited: LabState, whole: Audited) -> None:
    liar = nickname(audited, "injects-script")
    done = replay(whole.store, run_through(whole, liar)["run_id"], "--json")
    run_id = json.loads(done.stdout)["now"]["run_id"]
    words = ["--store", str(whole.store)]
    listed = subprocess.run(
        [*EXITPIN, "results", "list", "--runs", "--scan", "all", "-e", liar, "-n", "1", *words],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert listed.stdout.startswith("not judged\treplay\thttp-body\t") and listed.stdout.endswith(f"{run_id}\n")
    page = subprocess.run(
        [*EXITPIN, "results", "show", run_id, *words], capture_output=True, text=True, timeout=30, check=True
    )
    assert page.stdout.startswith("NOT JUDGED: http-body through ")


def test_a_tool_that_has_changed_since_is_not_run_unasked(audited: LabState, tmp_path: Path) -> None:
    tool = tmp_path / "secretive.toml"
    tool.write_text(SECRETIVE.replace("params.password = { secret = true }", 'params.password = { default = "x" }'))
    done = audit(audited, tmp_path, str(tool), "-e", "exit01")
    run_id = run_through(done, "exit01")["run_id"]
    tool.write_text(tool.read_text() + "# another one\n")
    tool.write_text(tool.read_text().replace('"9"', '"8"'))
    refused = replay(done.store, run_id)
    assert (refused.returncode, "secretive has changed since" in refused.stderr) == (2, True)
    assert replay(done.store, run_id, "--anyway").returncode == 0


def test_an_exit_that_has_left_the_network_is_named(audited: LabState, tmp_path: Path) -> None:
    done = audit(audited, tmp_path, "http-body", "-e", "exit01")
    run = run_through(done, "exit01")
    run["exit"]["fingerprint"] = "A" * 40
    with closing(sqlite3.connect(done.store)) as database:
        ((scan,),) = database.execute("SELECT scan FROM scans").fetchall()
        run["key"] = run_key(json.loads(scan)["tools"][0]["key"], "A" * 40)
        database.execute("UPDATE runs SET record = ? WHERE record_id = ?", (json.dumps(run), run["run_id"]))
        database.commit()
    gone = replay(done.store, run["run_id"])
    assert gone.returncode == 125
    assert f"exit exit01 ({'A' * 40}) is not in the consensus of " in gone.stderr
