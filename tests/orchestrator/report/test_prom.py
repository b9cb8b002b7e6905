"""The metrics: text that Prometheus takes, and what it says."""

import shutil
import subprocess

import pytest

from exitpin.orchestrator.report.prom import exposition
from exitpin.orchestrator.results.wanted import STATUSES

from .exposed import Exposed, parsed
from .watched import HOSTILE, NOW, a_job, a_watch, accusation

SIZES = {"records": 10, "evidence": 20}
LIES = [accusation("tampered", 1), accusation("tampered", 2), accusation("broken", 3)]


def exposed(*jobs: object) -> Exposed:
    return parsed(exposition(jobs, SIZES))  # type: ignore[arg-type]


def test_every_status_of_a_tool_is_told_with_those_that_nobody_has() -> None:
    told = exposed(a_job(*LIES))
    counts = {labels["status"]: value for labels, value in told["exitpin_scan_verdicts"]}
    assert counts == dict.fromkeys(STATUSES, 0) | {"ok": 5, "tampered": 2, "broken": 1}


def test_each_finding_names_its_exit_and_what_is_beyond_them_is_counted() -> None:
    tally = {("tls-cert", "tampered"): 2, ("tls-cert", "broken"): 9}
    told = exposed(a_job(*LIES, tally=tally))
    found = {(labels["fingerprint"][-1], labels["tool"], labels["status"]) for labels, _ in told["exitpin_findings"]}
    tls = "tls-cert"
    assert found == {("1", tls, "tampered"), ("2", tls, "tampered"), ("3", tls, "broken")}
    assert told.value("exitpin_findings_omitted") == 8


def test_a_job_keeps_its_name_and_the_scan_has_one_series_for_its_own() -> None:
    told = exposed(a_job(scan_id="s7", lab="mine", is_under_way=True, planned=7))
    ((labels, value),) = told["exitpin_scan_info"]
    assert (labels, value) == (
        {"network": "lab mine", "scan": "tls-cert host=www.example.org", "scan_id": "s7", "state": "done"},
        1,
    )
    others = [labels for name, samples in told.items() if name != "exitpin_scan_info" for labels, _ in samples]
    assert not any("scan_id" in labels for labels in others)
    assert told.value("exitpin_scan_running") == 1
    assert (told.value("exitpin_scan_planned"), told.value("exitpin_scan_complete")) == (7, 0)
    assert told.value("exitpin_scan_end_timestamp_seconds") == NOW - 3600


def test_an_exit_that_a_tool_accuses_twice_is_one_series() -> None:
    told = exposed(a_job(*[accusation("suspect", 1)] * 2))
    assert [value for _, value in told["exitpin_findings"]] == [2]


def test_a_finding_that_a_scan_could_not_take_back_is_still_there() -> None:
    told = exposed(a_job(state="killed", held=(accusation("tampered", 4),), held_by=("s0",)))
    assert [labels["fingerprint"][-1] for labels, _ in told["exitpin_findings"]] == ["4"]


def test_hostile_text_stays_within_its_label() -> None:
    told = exposed(a_job(accusation("tampered", tool=HOSTILE), name=HOSTILE))
    ((labels, _),) = told["exitpin_findings"]
    assert labels["tool"] == labels["scan"] == HOSTILE.replace("\ud800", "\\udc00").replace("\\udc00", "\\ud800")


def test_where_nothing_was_recorded_only_the_size_is_told() -> None:
    told = exposed()
    assert {name for name, samples in told.items() if samples} == {"exitpin_store_bytes"}


def test_a_watch_tells_times_and_not_how_long_ago_they_were() -> None:
    told = parsed(exposition([], SIZES, [a_watch()]))
    assert told.value("exitpin_watch_iteration") == 41
    assert told.value("exitpin_watch_paused") == 0
    names = ("written", "end", "due", "snapshot")
    times = [told.value(f"exitpin_watch_{name}_timestamp_seconds") for name in names]
    assert times == [NOW - 60, NOW - 3600, NOW + 3600, NOW - 7200]
    ((labels, _),) = told["exitpin_watch_info"]
    assert labels == {"watch": "nightly", "state": "waiting", "scan": "all", "scan_id": "s41", "paused": ""}


def test_why_a_watch_is_paused_stands_in_one_series_alone() -> None:
    told = parsed(exposition([], SIZES, [a_watch(state="paused", paused="no snapshot", due=None)]))
    assert told.value("exitpin_watch_paused") == 1
    found = [name for name, samples in told.items() for labels, _ in samples if "paused" in labels]
    assert found == ["exitpin_watch_info"]
    assert told["exitpin_watch_due_timestamp_seconds"] == []


def test_without_a_watch_there_are_no_metrics_of_one() -> None:
    assert "exitpin_watch" not in exposition([a_job()], SIZES)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here")
def test_promtool_finds_no_fault() -> None:
    text = exposition([a_job(*LIES), a_job(name=HOSTILE)], SIZES, [a_watch(paused=HOSTILE)])
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
