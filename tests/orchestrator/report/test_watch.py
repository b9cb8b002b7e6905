"""Which scans monitoring looks at: the last of each job that has ended, as it stands in the store."""

from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.report.watch import Watched, watched
from exitpin.orchestrator.results.blobs import blobs_directory
from exitpin.orchestrator.results.scan_lock import held

from ..recorded import reader, scan_record, verdict_record, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


def jobs(path: Path, **options: Any) -> list[Watched]:
    with reader(path) as store:
        return watched(store, **options)


def asking(host: str) -> dict[str, object]:
    return {"tools": [{"id": "tls-cert", "params": {"port": "443", "host": host}}]}


def test_of_each_job_the_last_scan_counts(path: Path) -> None:
    a, b = asking("a.example"), asking("b.example")
    scans = [
        ("s1", 1.0, a),
        ("s2", 2.0, b),
        ("s3", 3.0, a),
        ("s4", 4.0, {**a, "vantage": {"kind": "lab", "name": "x"}}),
    ]
    write(path, [scan_record(name, started=started, **told) for name, started, told in scans])
    assert [(job.scan_id, job.name, job.lab) for job in jobs(path)] == [
        ("s4", "tls-cert host=a.example port=443", "x"),
        ("s3", "tls-cert host=a.example port=443", ""),
        ("s2", "tls-cert host=b.example port=443", ""),
    ]
    assert [job.scan_id for job in jobs(path, since=3.5)] == ["s4"]


def test_a_replay_is_no_job(path: Path) -> None:
    write(path, [scan_record("s1"), scan_record("s2", started=2000.0, planned=0, replays="s1-0001")])
    assert [job.scan_id for job in jobs(path)] == ["s1"]


def test_a_job_has_the_same_name_in_whatever_order_its_tools_were_said(path: Path) -> None:
    tools = [{"id": "tls-cert", "params": {}}, {"id": "dns-exit", "params": {"name": "x"}}]
    write(path, [scan_record("s1", tools=tools), scan_record("s2", tools=tools[::-1], started=2000.0)])
    (job,) = jobs(path)
    assert (job.scan_id, job.name) == ("s2", "dns-exit name=x, tls-cert")


def test_a_second_look_at_one_exit_does_not_stand_in_for_the_scan_of_all(path: Path) -> None:
    write(path, [scan_record("s1", exits=["A" * 40, "B" * 40]), scan_record("s2", started=2000.0, exits=["B" * 40])])
    assert [(job.scan_id, job.name) for job in jobs(path)] == [
        ("s2", f"tls-cert host=www.example.org through {'B' * 40}"),
        ("s1", "tls-cert host=www.example.org"),
    ]


def test_names_that_are_cut_still_differ(path: Path) -> None:
    long = ["a" * 300 + end for end in "xy"]
    write(path, [scan_record(f"s{n}", **asking(host)) for n, host in enumerate(long)])
    names = {job.name for job in jobs(path)}
    assert len(names) == 2
    assert all(len(name) < 180 for name in names)


def test_what_the_scan_before_found_holds_until_the_next_has_ended(path: Path) -> None:
    running = scan_record("s2", started=2000.0, state="running", ended=None)
    write(path, [scan_record("s1"), verdict_record(1, status="tampered"), running])
    with held(blobs_directory(path), "s2"):
        (job,) = jobs(path)
        assert (job.scan_id, job.is_under_way, job.counts["tampered"]) == ("s1", True, 1)
    (job,) = jobs(path)
    assert (job.scan_id, job.state, job.is_under_way, job.is_complete) == ("s2", "killed", False, False)


def test_a_scan_that_was_killed_ended_with_its_last_verdict(path: Path) -> None:
    scan = scan_record(state="running", ended=None, planned=9)
    write(path, [scan, verdict_record(1, ended=1234.0), verdict_record(2, ended=1111.0)])
    (job,) = jobs(path)
    assert (job.ended, job.verdicts, job.planned) == (1234.0, 2, 9)


def test_a_scan_that_ended_early_takes_back_only_what_it_asked_again(path: Path) -> None:
    lies = [verdict_record(n, status="tampered", scan_id="s1", verdict_id=f"s1-{n}") for n in (1, 2, 3)]
    again = [
        verdict_record(1, status="ok", scan_id="s2", verdict_id="s2-1"),
        verdict_record(2, status="error", scan_id="s2", verdict_id="s2-2"),
    ]
    early = scan_record("s2", started=2000.0, state="interrupted", planned=3)
    write(path, [scan_record("s1", planned=3), *lies, early, *again])
    (job,) = jobs(path)
    assert (job.scan_id, job.accused, job.held_by) == ("s2", (), ("s1",))
    assert [one.record_id for one in job.held] == ["s1-2", "s1-3"]


def test_nothing_is_held_from_before_the_last_complete_scan(path: Path) -> None:
    lie = verdict_record(1, status="tampered", scan_id="s1", verdict_id="s1-1")
    honest = verdict_record(1, scan_id="s2", verdict_id="s2-1")
    early = [scan_record(name, started=at, state="killed") for name, at in (("s3", 3000.0), ("s4", 4000.0))]
    write(path, [scan_record("s1"), lie, scan_record("s2", started=2000.0), honest, *early])
    (job,) = jobs(path)
    assert (job.scan_id, job.held, job.held_by) == ("s4", (), ())


def test_findings_are_named_the_gravest_first_and_all_is_counted(path: Path) -> None:
    statuses = ("broken", "ok", "tampered", "error", "suspect")
    verdicts = [verdict_record(n, status=status) for n, status in enumerate(statuses)]
    write(path, [scan_record(planned=5), *verdicts])
    (job,) = jobs(path)
    assert [one.status for one in job.accused] == ["tampered", "suspect", "broken"]
    assert job.counts == dict.fromkeys(statuses, 1)
    assert job.is_complete


def test_only_jobs_with_the_tool_that_is_asked_for_are_told(path: Path) -> None:
    write(path, [scan_record("s1"), scan_record("s2", tools=[{"id": "dns-exit"}])])
    assert [job.scan_id for job in jobs(path, tool="dns-exit")] == ["s2"]
    assert jobs(path, tool="dns") == []
