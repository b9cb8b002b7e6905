"""What an audit leaves, held against its evidence, handed on, and swept: with real runs, and a control without Tor."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from exitpin.orchestrator.lab.conduct import PLAIN
from exitpin.orchestrator.lab.state import LabState
from exitpin.orchestrator.results.changed_exits import Documents, exit_changes
from exitpin.orchestrator.results.stored import open_store

from .running import EXITPIN, Audited, audit, nickname

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]
DEADLINE_S = 60


def results(store: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [*EXITPIN, "results", *words, "--store", str(store)]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


@pytest.fixture(scope="module")
def twice(audited: LabState, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """One store with two scans of a liar and two honest exits; the second one looks without Tor, too."""
    folder = tmp_path_factory.mktemp("twice")
    liar = nickname(audited, "tls-self-signed")
    plain = [relay.nickname for relay in audited.relays if relay.role == "exit" and relay.behaviour == PLAIN]
    honest = plain[:2]
    first = audit(audited, folder, "tls-cert", "-e", ",".join(honest))
    command = [*EXITPIN, "audit", "--lab", "--name", audited.name, "tls-cert", "-e", ",".join([liar, *honest])]
    command += ["--direct-control", "--store", str(first.store)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    return Audited(done.returncode, done.stdout, done.stderr, first.store)


def test_a_store_is_consistent_and_one_byte_less_is_seen(twice: Audited) -> None:
    done = results(twice.store, "verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("consistent: 5 verdicts")
    run = next(run for run in twice.stored("run") if run["streams"])
    (events,) = [item for item in run["evidence"] if item["name"] == "events"]
    folder = twice.store.with_name(f"{twice.store.name}.evidence")
    piece = folder / events["sha256"][:2] / f"{events['sha256'][2:]}.gz"
    content = piece.read_bytes()
    piece.write_bytes(content[:-1])
    try:
        done = results(twice.store, "verify", run["run_id"])
        assert done.returncode == 1
        assert done.stdout.startswith(f"INCONSISTENT {run['run_id']}: events: ")
    finally:
        piece.write_bytes(content)


def test_the_liar_is_new_in_the_second_scan(twice: Audited) -> None:
    done = results(twice.store, "diff", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert (told["counts"]["new"], told["counts"]["new-exit"], told["counts"]["unchanged"]) == (1, 1, 2)


def test_the_network_between_two_scans_is_read_from_what_tor_gave(twice: Audited) -> None:
    done = results(twice.store, "diff", "--json")
    assert json.loads(done.stdout)["network"] == [] and "can't be told" not in done.stderr
    scan = results(twice.store, "list", "--scans", "--json").stdout.splitlines()[0]
    with open_store(twice.store) as reader:  # type: ignore[union-attr]
        record = reader.scan(json.loads(scan)["scan_id"]) or {}
        kept = {item["name"]: reader.blobs.read(item["sha256"]) for item in record["evidence"]}
    before = Documents(kept["consensus"], kept["descriptors"])
    after = Documents(
        kept["consensus"].replace(b" Running", b""), kept["descriptors"].replace(b"\naccept", b"\nreject")
    )
    changes = exit_changes([before], [after], set(record["exits"]))
    assert {(change.kind, change.exit) for change in changes} == {
        (kind, name) for kind in ("policy", "flags") for name in record["exits"]
    }
    assert {change.lost for change in changes if change.kind == "flags"} == {("Running",)}
    nicknames = {verdict["exit"]["fingerprint"]: verdict["exit"]["nickname"] for verdict in twice.stored()}
    assert all(change.nickname == nicknames[change.exit] for change in changes)


@pytest.mark.parametrize("options", [[], ["--public"]])
def test_a_third_person_can_check_a_bundle_elsewhere(options: list[str], twice: Audited, tmp_path: Path) -> None:
    file = tmp_path / "finding.tar.gz"
    assert results(twice.store, "bundle", "-o", str(file), *options).returncode == 0
    home = {**os.environ, "HOME": str(tmp_path / "nowhere"), "XDG_STATE_HOME": str(tmp_path / "nowhere")}
    command = [*EXITPIN, "results", "verify", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False, env=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("consistent: 1 verdict")


def test_what_is_exported_in_public_names_nothing_of_this_machine(twice: Audited, audited: LabState) -> None:
    done = results(twice.store, "export", "--runs", "--public")
    assert "127." not in done.stdout and audited.name not in done.stdout and '"/' not in done.stdout
    records = [json.loads(line) for line in done.stdout.splitlines()]
    direct = [c for record in records for c in record["controls"] if c["vantage"] == "direct"]
    assert direct and all(control["facts"] == {} for control in direct)


def test_findings_survive_a_sweep_with_all_that_they_rest_on(twice: Audited, tmp_path: Path) -> None:
    before = results(twice.store, "bundle", "-o", str(tmp_path / "before.tar.gz"))
    done = results(twice.store, "gc", "--older-than", "0s", "--keep", "findings")
    assert done.returncode == 0, done.stderr
    after = results(twice.store, "bundle", "-o", str(tmp_path / "after.tar.gz"))
    assert before.returncode == after.returncode == 0
    assert (tmp_path / "before.tar.gz").read_bytes() == (tmp_path / "after.tar.gz").read_bytes()
    assert results(twice.store, "verify").stdout.startswith("consistent: 1 verdict")
