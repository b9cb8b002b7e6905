"""Scripts that judge for themselves, audited: what they say is confirmed and compared, and what an exit puts into their
output makes it neither stronger nor better."""

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.lab.state import LabState

from .running import EXITPIN, Audited, audit, nickname

pytestmark = [pytest.mark.lab, pytest.mark.timeout(150)]

HEADER = """\
#!/bin/bash
# /// exitpin
# schema = "exitpin.tool/1"
# id = "check"
# summary = "Is the page changed?"
# requires.curl = {{}}
# params.url = {{ type = "url", lab = "http://web.test/page" }}
# destination = [{{ url = "{{{{url}}}}" }}]
# run.argv = ["{shell}", "{{{{script}}}}", "{{{{url}}}}"]
# run.parse = "{parse}"
# ///
"""
GET = 'page=$(curl -qsS --max-time 30 "$1")\n'
SAYS = """\
set -e
page=$(curl -qsS --max-time 30 "$1")
printf '%s\\n' "$page"                   # whoever reads this reads what the exit wrote
exitpin emit page="$page" size="${#page}"
printf '%s' "$page" | exitpin evidence - page.html
case $page in *ads.evil*) exitpin verdict tampered "a script of somebody's"; exit 100 ;; esac
exitpin verdict ok
"""
BY_STATUS = """\
set -e
curl -qsS --max-time 30 "$1" | tee "$EXITPIN_ARTIFACTS/page"
! grep -q ads.evil "$EXITPIN_ARTIFACTS/page" || exit 101
"""
FAILS = """\
set -e
curl -qsS --max-time 30 "$1" | tee "$EXITPIN_ARTIFACTS/page"
if grep -q ads.evil "$EXITPIN_ARTIFACTS/page"; then exit 7; fi
echo 1..1; echo ok 1
"""
TESTS = """\
page=$(curl -qsS --max-time 30 "$1") || { echo "Bail out! curl: $?"; exit 1; }
printf '%s\\n' "$page"
echo 1..2
echo "ok 1 - it came"
case $page in *ads.evil*) echo "not ok 2 - nothing was added # TODO" ;; *) echo "ok 2 - nothing was added" ;; esac
"""
BATS = """\
@test "nothing is added" {
    page=$(curl -qsS --max-time 30 "$URL") || skip "no answer"
    [[ $page != *ads.evil* ]]
}
"""


def written(folder: Path, parse: str, code: str, *, shell: str = "bash", end: str = "sh") -> str:
    path = folder / f"check.{end}"
    path.write_text(HEADER.format(parse=parse, shell=shell) + code)
    return str(path)


def by_exit(done: Audited) -> dict[str, dict[str, Any]]:
    """The verdicts, by the exit's nickname."""
    assert "Traceback" not in done.stderr, done.stderr
    found = {verdict["exit"]["nickname"]: verdict for verdict in done.stored()}
    assert found, done.stderr
    return found


def runs(done: Audited, name: str) -> list[dict[str, Any]]:
    return [run for run in done.stored("run") if run["exit"]["nickname"] == name and run["role"] != "control"]


def verified(done: Audited) -> None:
    words = [*EXITPIN, "results", "verify", "--store", str(done.store)]
    checked = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_a_script_says_is_confirmed_and_rests_on_what_others_were_given(audited: LabState, tmp_path: Path) -> None:
    injects = nickname(audited, "injects-script")
    done = audit(audited, tmp_path, written(tmp_path, "status", SAYS), "-e", f"exit01,exit02,{injects}")
    found = by_exit(done)
    assert {name: verdict["status"] for name, verdict in found.items()} == {
        "exit01": "ok", "exit02": "ok", injects: "tampered",
    }  # fmt: skip
    verdict = found[injects]
    assert (verdict["reason"], verdict["lied"], verdict["of"]) == ("a script of somebody's", 3, 3)
    assert Counter(run["role"] for run in verdict["runs"]) == {"probe": 1, "confirm": 2}
    assert len(verdict["controls"]) >= 3
    for run in runs(done, injects):
        assert (run["facts"]["verdict"], run["facts"]["reason"]) == ("tampered", "a script of somebody's")
        assert "\\nverdict=ok\\nexitpin verdict ok" in run["facts"]["page"]
        assert "evidence:page.html" in {item["name"] for item in run["evidence"]}
    assert done.status == 1
    verified(done)


def test_an_exit_status_is_a_verdict_and_the_page_is_none(audited: LabState, tmp_path: Path) -> None:
    injects = nickname(audited, "injects-script")
    done = audit(audited, tmp_path, written(tmp_path, "status", BY_STATUS), "-e", f"exit01,{injects}")
    found = by_exit(done)
    assert (found["exit01"]["status"], found[injects]["status"], found[injects]["lied"]) == ("ok", "suspect", 3)
    assert found[injects]["reason"] == "the script says so by its exit status, 101"


def test_under_set_e_a_curl_that_failed_does_not_accuse(audited: LabState, tmp_path: Path) -> None:
    resets = nickname(audited, "resets")
    done = audit(audited, tmp_path, written(tmp_path, "status", "set -e\n" + GET), "-e", f"exit01,{resets}")
    found = by_exit(done)
    assert (found["exit01"]["status"], found[resets]["status"], found[resets]["layer"]) == ("ok", "error", "tool")
    assert found[resets]["reason"].startswith("exit status ")


@pytest.mark.parametrize(
    ("parse", "code"),
    [
        ("status", "exitpin verdict tampered 'they all lie'\n"),
        ("status", "exit 100\n"),
        ("status", "exit 102\n"),
        ("tap", "echo 1..1; echo not ok 1 - they all lie\n"),
    ],
)
def test_what_a_script_says_of_everybody_accuses_nobody(
    audited: LabState, tmp_path: Path, parse: str, code: str
) -> None:
    done = audit(audited, tmp_path, written(tmp_path, parse, GET + code), "-e", "exit01,exit02")
    assert {(v["status"], v["layer"]) for v in by_exit(done).values()} == {("error", "control")}


def test_a_fact_that_is_set_twice_is_an_error_of_the_run(audited: LabState, tmp_path: Path) -> None:
    code = GET + 'exitpin emit a=1; printf "a=%s\\n" 2 >> "$EXITPIN_FACTS"; exit 100\n'
    done = audit(audited, tmp_path, written(tmp_path, "status", code), "-e", "exit01")
    assert (by_exit(done)["exit01"]["status"], by_exit(done)["exit01"]["layer"]) == ("error", "parse")
    assert "a is set twice" in by_exit(done)["exit01"]["reason"]


def test_not_ok_is_suspect_at_most_whatever_the_page_says_beside_it(audited: LabState, tmp_path: Path) -> None:
    injects, resets = nickname(audited, "injects-script"), nickname(audited, "resets")
    done = audit(audited, tmp_path, written(tmp_path, "tap", TESTS), "-e", f"exit01,{injects},{resets}")
    found = by_exit(done)
    assert (found["exit01"]["status"], found["exit01"]["reason"]) == ("ok", "2 ok")
    assert (found[injects]["status"], found[injects]["lied"], found[injects]["of"]) == ("suspect", 3, 3)
    assert found[injects]["reason"].startswith("not ok: nothing was added")
    assert (found[resets]["status"], found[resets]["layer"]) == ("error", "parse")
    assert "it gave up: curl: " in found[resets]["reason"]
    verified(done)


@pytest.mark.parametrize("parse", ["tap", "status"])
def test_no_page_makes_a_success_of_a_script_that_failed(audited: LabState, tmp_path: Path, parse: str) -> None:
    """What it prints before it fails is whole TAP, all of it from the exit."""
    injects = nickname(audited, "injects-script")
    done = audit(audited, tmp_path, written(tmp_path, parse, FAILS), "-e", f"exit01,{injects}")
    found = by_exit(done)
    assert found["exit01"]["status"] == "ok"
    assert (found[injects]["status"], found[injects]["layer"], found[injects]["reason"]) == (
        "error", "tool", "exit status 7",
    )  # fmt: skip


def test_a_replay_reads_what_a_script_says(audited: LabState, tmp_path: Path) -> None:
    injects = nickname(audited, "injects-script")
    done = audit(audited, tmp_path, written(tmp_path, "status", SAYS), "-e", injects)
    run_id = runs(done, injects)[0]["run_id"]
    words = [*EXITPIN, "replay", "--store", str(done.store), "--json", run_id]
    made = subprocess.run(words, capture_output=True, text=True, timeout=90, check=False)
    assert made.returncode in (0, 1), made.stderr
    assert "tampered" in json.dumps([json.loads(line) for line in made.stdout.splitlines()])


@pytest.mark.skipif(shutil.which("bats") is None, reason="bats is not installed")
def test_a_file_of_bats_is_an_audit(audited: LabState, tmp_path: Path) -> None:
    injects = nickname(audited, "injects-script")
    path = Path(written(tmp_path, "tap", BATS, shell="bats", end="bats"))
    argv = '"{{script}}"]\n# run.env = { URL = "{{url}}" }'  # each argument of bats is a file
    path.write_text(path.read_text().replace('"{{script}}", "{{url}}"]', argv))
    found = by_exit(audit(audited, tmp_path, str(path), "-e", f"exit01,{injects}"))
    assert (found["exit01"]["status"], found[injects]["status"]) == ("ok", "suspect")
    assert found[injects]["reason"].startswith("not ok: nothing is added")
