"""`exitpin audit` in a lab: what it finds, whom it does not accuse, and that it accounts for everybody."""

import json
import os
import pty
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from exitpin.orchestrator.lab.audit_score import score_audit
from exitpin.orchestrator.lab.state import LabState

from .running import Audited, Log, audit, audit_command, nickname

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

PINNED = """
schema = "exitpin.tool/1"
id = "pinned"
summary = "Do targets see the exit's own address?"
params.url = { type = "url", lab = "http://web.test/ip" }
destination = [{ url = "{{url}}" }]
requires.curl = {}
run.argv = ["curl", "-qsS", "--max-time", "9", "{{url}}"]
extract.address = { regex = '^(\\S+)' }
baseline = { mode = "pinned", pins = { address = "PIN" } }
verdict = [
  { status = "error", when = [{ field = "exit_code", not = 0 }], reason = "no answer" },
  { status = "suspect", when = [{ field = "address", differs = true }], reason = "not known: {{address}}" },
  { status = "ok" },
]
"""


@pytest.fixture(scope="module")
def whole(audited: LabState, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """Two tools against everybody, with a record of each run."""
    return audit(audited, tmp_path_factory.mktemp("whole"), "tls-cert", "http-body", "--json", "--runs")


def of_exit(records: list[dict[str, object]], name: str, tool: str) -> list[dict[str, object]]:
    return [r for r in records if r["exit"]["nickname"] == name and r["tool"]["id"] == tool]  # type: ignore[index]


# Account.


def test_what_was_planted_is_found_and_nobody_else_is_accused(audited: LabState, whole: Audited) -> None:
    exits = [relay for relay in audited.relays if relay.role == "exit"]
    score = score_audit(exits, whole.stored())
    assert (score.problems, score.errors) == ((), ())
    assert (score.planted, score.accused_exits) == (4, 0)


def test_every_exit_is_told_once_for_each_tool_those_skipped_included(audited: LabState, whole: Audited) -> None:
    exits = [relay.nickname for relay in audited.relays if relay.role == "exit"]
    due = Counter((name, tool) for name in exits for tool in ("tls-cert", "http-body"))
    verdicts = [record for record in whole.shown if record["schema"] == "exitpin.verdict/1"]
    assert Counter((verdict["exit"]["nickname"], verdict["tool"]["id"]) for verdict in verdicts) == due
    (skipped,) = [verdict for verdict in verdicts if verdict["status"] == "skipped"]
    assert (skipped["exit"]["nickname"], skipped["layer"]) == (nickname(audited, "only-80"), "policy")


def test_account_output_and_store_agree(whole: Audited) -> None:
    shown = {kind: [r for r in whole.shown if r["schema"] == f"exitpin.{kind}/1"] for kind in ("verdict", "run")}
    assert Counter(verdict["status"] for verdict in shown["verdict"]) == whole.counts
    stored = whole.stored()
    assert sorted(shown["verdict"], key=lambda r: r["verdict_id"]) == sorted(stored, key=lambda r: r["verdict_id"])
    last = {run["run_id"]: run for run in shown["run"]}
    assert last == {run["run_id"]: run for run in whole.stored("run")}
    named = Counter(attempt["run_id"] for verdict in stored for attempt in verdict["runs"])
    assert named == Counter(name for name, run in last.items() if run["role"] != "control")
    assert whole.status == 1


def test_a_lie_is_confirmed_on_circuits_through_other_first_hops(audited: LabState, whole: Audited) -> None:
    for behaviour, tool in (("injects-script", "http-body"), ("tls-self-signed", "tls-cert")):
        name = nickname(audited, behaviour)
        (verdict,) = of_exit(whole.stored(), name, tool)
        assert (verdict["status"], verdict["lied"], verdict["of"]) == ("tampered", 3, 3)
        assert [attempt["role"] for attempt in verdict["runs"]] == ["probe", "confirm", "confirm"]  # type: ignore
        runs = {run["run_id"]: run for run in whole.stored("run")}
        probe, *confirmations = [runs[attempt["run_id"]]["circuits"] for attempt in verdict["runs"]]  # type: ignore
        assert len({circuit["id"] for (circuit,) in (probe, *confirmations)}) == 3
        assert all(circuit["path"][-1] == probe[0]["path"][-1] for (circuit,) in confirmations)
        assert all(circuit["path"][0] != probe[0]["path"][0] for (circuit,) in confirmations)


def test_a_finding_is_held_against_many_controls_some_of_them_younger(audited: LabState, whole: Audited) -> None:
    (verdict,) = of_exit(whole.stored(), nickname(audited, "injects-script"), "http-body")
    first = min(attempt["t"] for attempt in verdict["runs"])  # type: ignore[attr-defined]
    controls: list[dict[str, object]] = verdict["controls"]  # type: ignore[assignment]
    assert len(controls) >= 26
    assert len([control for control in controls if control["at"] > first]) >= 4  # type: ignore[operator]
    assert {control["vantage"] for control in controls} == {"exit"}
    assert verdict["exit"]["fingerprint"] not in {control["exit"] for control in controls}  # type: ignore[index]


# Output.


def test_json_is_a_record_a_verdict_and_nothing_else(audited: LabState, tmp_path: Path) -> None:
    done = audit(audited, tmp_path, "http-body", "-e", "exit01,exit02", "--json")
    assert done.status == 0
    assert [record["schema"] for record in done.shown] == ["exitpin.verdict/1"] * 2
    assert all(line.startswith("exitpin: ") for line in done.sentences)


def test_without_json_stdout_is_a_line_a_finding(audited: LabState, tmp_path: Path) -> None:
    injects, resets = nickname(audited, "injects-script"), nickname(audited, "resets")
    done = audit(audited, tmp_path, "http-body", "-e", f"exit01,{resets},{injects}")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[:3] for row in rows] == [["tampered", "http-body", injects], ["broken", "http-body", resets]]
    assert (rows[0][3], rows[0][4]) == (audited.relay(injects).fingerprint, "3 of 3 lied")
    assert "\x1b" not in done.stdout + done.stderr
    assert audit(audited, tmp_path, "http-body", "-e", "exit01").stdout == ""


def test_without_colour_a_terminal_gets_none(audited: LabState, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    words = audit_command(audited, "--store", str(tmp_path / "s"), "http-body", "-e", "exit01")
    running = subprocess.Popen(words, stdout=theirs, stderr=theirs, env={**os.environ, "NO_COLOR": "1"})
    os.close(theirs)
    said = b""
    while part := _read(ours):
        said += part
    os.close(ours)
    assert running.wait(30) == 0
    assert b"1 of 1 verdicts: 1 ok" in said
    assert re.search(rb"\x1b\[[0-9;]*m", said) is None


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # the other side of a terminal has gone
        return b""


def test_a_dry_run_prints_the_plan_and_starts_nothing(audited: LabState, tmp_path: Path) -> None:
    log = Log.of(audited)
    done = audit(audited, tmp_path, "tls-cert", "http-body", "--repeat", "3", "--direct-control", "--dry-run")
    assert done.status == 0
    for part in (
        "plan: 18 exits, 2 tools, 3 times each: 105 probes", "skipped: tls-cert: 1 exits (policy)", "54 to web.test:80",
        "51 to secure.test:443", "1 clear-net connections from this machine to secure.test:443", "once in 3: 70%",
    ):  # fmt: skip
        assert part in done.stdout
    assert log.peers("http", "https") == []
    assert not done.store.exists()


# Statuses.


@pytest.mark.parametrize(
    ("behaviour", "words", "status"),
    [
        ("plain", (), 0),
        ("resets", (), 0),
        ("resets", ("--fail-on", "suspect"), 0),
        ("resets", ("--fail-on", "broken"), 1),
        ("injects-script", ("--fail-on", "broken"), 1),
        ("plain", ("-p", "url=http://refused.test:81/"), 3),
    ],
)
def test_the_exit_status_tells_findings_from_the_one_named_on_and_what_could_not_be_judged(
    audited: LabState, tmp_path: Path, behaviour: str, words: tuple[str, ...], status: int
) -> None:
    assert audit(audited, tmp_path, "http-body", "-e", nickname(audited, behaviour), *words).status == status


# Targets that are down, or odd.


@pytest.mark.parametrize("url", ["http://refused.test:81/", "http://blackhole.test/"])
def test_a_target_that_is_down_for_all_accuses_nobody(audited: LabState, tmp_path: Path, url: str) -> None:
    done = audit(audited, tmp_path, "http-body", "-p", f"url={url}", "--timeout", "1s")
    judged = [verdict for verdict in done.stored() if verdict["status"] != "skipped"]
    assert len(judged) >= 17
    assert {(verdict["status"], verdict["layer"]) for verdict in judged} == {("error", "control")}
    assert "controls failed" in judged[0]["reason"]
    assert done.status == 3


@pytest.mark.parametrize(
    ("tool", "param", "liar"),
    [
        ("http-body", "url=http://changing.test/", "injects-script"),
        ("http-body", "url=http://changing.test/ads", None),
        ("tls-cert", "host=rotating.test", "tls-self-signed"),
    ],
)
def test_a_target_with_many_answers_accuses_nobody_but_the_liar(
    audited: LabState, tmp_path: Path, tool: str, param: str, liar: str | None
) -> None:
    done = audit(audited, tmp_path, tool, "-p", param, "--repeat", "2")
    expected = {nickname(audited, "resets"): "broken"} | ({nickname(audited, liar): "tampered"} if liar else {})
    assert done.accused == expected
    assert "error" not in done.counts
    if liar == "injects-script":
        (verdict,) = [verdict for verdict in done.stored() if verdict["status"] == "tampered"]
        assert verdict["when"] == "scripts has what the controls lack"


# Controls.


def test_direct_controls_are_made_where_they_are_allowed_and_marked(audited: LabState, tmp_path: Path) -> None:
    ours = {relay.address for relay in audited.relays if relay.role == "exit"}
    for words, count in (((), 0), (("--direct-control",), 1)):
        log = Log.of(audited)
        done = audit(audited, tmp_path, "tls-cert", "http-body", "-e", "exit01,exit02", "--json", *words)
        assert done.status == 0
        for service in ("http", "https"):
            assert len([peer for peer in log.peers(service) if peer not in ours]) == count
        for verdict in done.shown:
            vantages = Counter(control["vantage"] for control in verdict["controls"])
            assert (vantages["direct"], vantages["exit"] >= 3) == (count, True)
        plan = "1 clear-net connections from this machine to web.test:80"
        assert any(plan in line for line in done.sentences) is bool(count)


@pytest.mark.parametrize(("pin", "status"), [("{{exit.ip}}", "ok"), ("192.0.2.99", "suspect")])
def test_what_is_pinned_is_compared_without_asking_anybody(
    audited: LabState, tmp_path: Path, pin: str, status: str
) -> None:
    tool = tmp_path / "pinned.toml"
    tool.write_text(PINNED.replace("PIN", pin))
    log = Log.of(audited)
    done = audit(audited, tmp_path, str(tool), "-e", "exit01,exit02")
    assert {verdict["status"] for verdict in done.stored()} == {"suspect" if status == "suspect" else "ok"}
    assert {control["vantage"] for verdict in done.stored() for control in verdict["controls"]} == {"pinned"}
    assert set(log.peers("http")) == {audited.relay(name).address for name in ("exit01", "exit02")}
    assert {run["role"] for run in done.stored("run")} <= {"probe", "confirm"}


def test_a_pin_in_a_drop_in_of_the_users_is_obeyed(
    audited: LabState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_in = tmp_path / "exitpin" / "tools.d" / "ssh-hostkey.toml.d" / "pins.toml"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text('baseline = { mode = "pinned", pins = { keys = "ssh-ed25519 AAAA" } }\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (verdict,) = audit(audited, tmp_path, "ssh-hostkey", "-e", "exit01").stored()
    assert (verdict["status"], verdict["controls"][0]["facts"]) == ("tampered", {"keys": "ssh-ed25519 AAAA"})


def test_a_verdict_says_how_to_see_it_again(audited: LabState, whole: Audited, tmp_path: Path) -> None:
    (verdict,) = of_exit(whole.stored(), nickname(audited, "injects-script"), "http-body")
    words = str(verdict["reproduce"]).split()
    assert words[:2] == ["exitpin", "audit"]
    done = subprocess.run(
        [*audit_command(audited)[:3], *words[1:], "--store", str(tmp_path / "s"), "--json"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    (again,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (again["status"], again["key"], again["rule"]) == ("tampered", verdict["key"], verdict["rule"])
