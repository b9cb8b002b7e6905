"""Scans by schedule, in the lab: what an iteration is, and how a watch ends and goes on."""

import json
import signal
from collections import Counter
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from exitpin.orchestrator.lab.state import LabState

from .conftest import eventually, wait_for_end
from .running import Log, stored
from .watching import Watching, audits_of, scan

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

CERTS = scan("certs", "tls-cert", 'select = { exits = ["exit01"] }')
WEB = scan("web", "http-body", 'select = { exits = ["exit01", "exit02"] }')
SLOW = scan(
    "slow", "http-body", 'select = { exits = ["exit01", "exit02"] }', "jobs = 2", "repeat = 3",
    'params = { url = "http://web.test/delay/1" }',
)  # fmt: skip
LONG = SLOW.replace("repeat = 3", "repeat = 7")


def test_what_is_due_is_made_once_and_the_next_iteration_waits_for_its_time(audited: LabState, tmp_path: Path) -> None:
    watching = Watching.of(audited, tmp_path, CERTS, WEB)
    first, second = watching.run("--once"), watching.run("--once")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert sorted(watching.iterations()) == [("certs", 1, "done"), ("web", 1, "done")]
    told = json.loads((tmp_path / "status.json").read_text())
    assert (told["state"], told["watch"], told["iteration"]) == ("stopped", "nightly", 1)
    assert 'scan="http-body url=http://web.test/page"' in (tmp_path / "exitpin.prom").read_text()


def test_iterations_follow_one_another_each_in_its_time(audited: LabState, tmp_path: Path) -> None:
    watching = Watching.of(
        audited, tmp_path, scan("certs", "tls-cert", 'select = { exits = ["exit01"] }', interval="3s")
    )
    done = watching.run("--iterations", "3")
    assert done.returncode == 0, done.stderr
    assert watching.iterations() == [("certs", number, "done") for number in (1, 2, 3)]
    started = [one["started"] for one in watching.scans()]
    assert all(later - earlier >= 3.0 for earlier, later in pairwise(started))


def test_a_scan_of_newcomers_is_done_when_nobody_is_new(audited: LabState, tmp_path: Path) -> None:
    newcomers = scan("newcomers", "tls-cert", 'select = { first_seen = "48h" }', interval="3s")
    watching = Watching.of(audited, tmp_path, newcomers)
    done = watching.run("--iterations", "2")
    assert done.returncode == 0, done.stderr
    assert watching.iterations() == [("newcomers", 1, "done"), ("newcomers", 2, "done")]
    assert "0 of 18 exits" in done.stderr
    assert watching.scans()[0]["legs"][0]["change"] is None, "nobody knows what was before"


def test_findings_of_an_iteration_are_the_exit_status_of_a_watch_that_ends_by_itself(
    audited: LabState, tmp_path: Path
) -> None:
    liar = next(one.nickname for one in audited.relays if one.behaviour == "tls-self-signed")
    watching = Watching.of(audited, tmp_path, scan("certs", "tls-cert", f'select = {{ exits = ["{liar}"] }}'))
    assert watching.run("--once").returncode == 1


def test_alerts_that_nobody_heard_are_tried_again_until_somebody_does(audited: LabState, tmp_path: Path) -> None:
    liar = next(one.nickname for one in audited.relays if one.behaviour == "tls-self-signed")
    page = ["sh", "-c", f"cd {tmp_path}; test -e awake || exit 7; cat >> told"]
    alert = f'alert = {{ on = ["tampered"], command = {json.dumps(page)} }}'
    watching = Watching.of(audited, tmp_path, scan("certs", "tls-cert", f'select = {{ exits = ["{liar}"] }}', alert))
    with watching.started() as watch:
        eventually(
            lambda: _assert("not all alerts of iteration 1 were told; they are tried again" in watching.said), 60
        )
        assert not (tmp_path / "told").exists()
        (tmp_path / "awake").touch()
        eventually(lambda: _assert("certs: iteration 2 at 20" in watching.said), 60)
        watch.send_signal(signal.SIGTERM)
        assert watch.wait(10) == 0
    (told,) = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    assert [told] == stored(watching.store)
    assert watching.iterations() == [("certs", 1, "done")]


def test_a_dry_run_tells_the_load_of_each_scan_and_makes_none(audited: LabState, tmp_path: Path) -> None:
    watching = Watching.of(audited, tmp_path, CERTS, WEB)
    done = watching.run("--dry-run")
    assert done.returncode == 0, done.stderr
    assert "certs: every 3600 s" in done.stderr
    assert "load: 1 to secure.test:443" in done.stdout
    assert "load: 2 to web.test:80" in done.stdout
    assert done.stdout.count("circuits: ") == done.stdout.count("streams: ") == 2
    assert watching.scans() == []


def test_a_plan_that_is_wrong_is_told_whole_and_nothing_is_started(audited: LabState, tmp_path: Path) -> None:
    watching = Watching.of(audited, tmp_path, scan("certs", "tls-cert", "repeats = 2", "select = { exists = 1 }"))
    done = watching.run("--once")
    assert done.returncode == 2
    assert "scan[0].repeats: no such key; did you mean" in done.stderr
    assert "scan[0].select.exists: no such key; did you mean" in done.stderr
    assert not watching.store.exists()


def test_an_iteration_whose_process_is_killed_is_gone_on_with(audited: LabState, tmp_path: Path) -> None:
    watching, log = Watching.of(audited, tmp_path, LONG), Log.of(audited)

    def has_runs() -> None:
        assert len([run for run in stored(watching.store, "run") if run["role"] == "probe"]) >= 2

    with watching.started("--iterations", "1") as watch:
        eventually(lambda: _assert(watching.store.exists() and log.peers("http")), 60)
        eventually(has_runs, 60)
        for audit in audits_of(watch.pid):
            audit.kill()
        assert watch.wait(120) == 0, watching.said
    assert watching.iterations() == [("slow", 1, "done")]
    assert "slow: iteration 1 ended before its time (exit status -9); it is tried again at" in watching.said
    probes = Counter((run["key"], run["repetition"]) for run in stored(watching.store, "run") if run["role"] == "probe")
    assert set(probes.values()) == {1} and len(probes) == 14
    assert len(watching.scans()[0]["legs"]) == 2


def test_a_scan_with_a_secret_parameter_is_gone_on_with(audited: LabState, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'schema = "exitpin.tool/1"\nid = "mine"\nsummary = "One"\ndestination = [{ host = "web.test", port = 80 }]\n'
        f'run.argv = ["sh", "-c", "test -e {tmp_path}/soon || sleep 1"]\n'
        'baseline = { mode = "none" }\nverdict = [{ status = "ok" }]\n'
        'params.token = { secret = true }\nparams.port = { type = "port", default = "80" }\n'
    )
    options = ("jobs = 1", "repeat = 12", 'params = { token = "hunter22", port = 81 }')
    watching = Watching.of(audited, tmp_path, scan("mine", "./mine.toml", 'select = { exits = ["exit01"] }', *options))
    with watching.started("--iterations", "1") as watch:
        eventually(lambda: _assert(watching.scans() and stored(watching.store, "run")), 60)
        for audit in audits_of(watch.pid):
            audit.kill()
        (tmp_path / "soon").touch()
        watch.wait(120)
    assert watching.iterations() == [("mine", 1, "done")], watching.said
    assert len(watching.scans()[0]["legs"]) == 2
    assert "hunter22" not in watching.said


def test_when_a_watch_is_killed_its_audit_ends_and_the_next_watch_goes_on_with_it(
    audited: LabState, tmp_path: Path
) -> None:
    watching = Watching.of(audited, tmp_path, SLOW)
    with watching.started() as watch:
        eventually(lambda: _assert(audits_of(watch.pid) and watching.scans()), 60)
        audits = audits_of(watch.pid)
        watch.kill()
    for audit in audits:
        wait_for_end(audit.pid, 30)
    done = watching.run("--once")
    assert done.returncode == 0, done.stderr
    assert watching.iterations() == [("slow", 1, "done")]
    assert "slow: iteration 1 is gone on with" in done.stderr


@pytest.mark.parametrize(("signo", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, -signal.SIGINT)])
def test_a_signal_ends_a_watch_and_its_audit_and_all_that_had_ended_is_known(
    audited: LabState, tmp_path: Path, signo: signal.Signals, status: int
) -> None:
    watching = Watching.of(audited, tmp_path, SLOW)
    with watching.started() as watch:
        eventually(lambda: _assert(audits_of(watch.pid) and watching.scans()), 60)
        audits = audits_of(watch.pid)
        watch.send_signal(signo)
        assert watch.wait(60) == status, watching.said
    assert not any(psutil.pid_exists(audit.pid) for audit in audits)
    assert watching.iterations() == [("slow", 1, "interrupted")]


def test_two_watches_by_one_plan_on_one_store_are_refused(audited: LabState, tmp_path: Path) -> None:
    watching = Watching.of(audited, tmp_path, CERTS)
    with watching.started():
        eventually(lambda: _assert(watching.scans()), 60)
        second = watching.run("--once")
    assert second.returncode == 2
    assert "the watch nightly is running" in second.stderr


def test_a_watch_that_waits_says_what_for_and_ends_at_once_when_it_is_told_to(
    audited: LabState, tmp_path: Path
) -> None:
    watching = Watching.of(audited, tmp_path, CERTS)
    with watching.started() as watch:
        eventually(lambda: _assert("certs: iteration 2 at 20" in watching.said), 60)
        state = json.loads((tmp_path / "status.json").read_text())
        assert (state["watch"], state["state"], state["scan"]) == ("nightly", "waiting", "certs")
        assert 3500 < state["due"] - state["last_ended"] < 3600
        watch.send_signal(signal.SIGTERM)
        assert watch.wait(10) == 0


def _assert(is_so: object) -> None:
    assert is_so
