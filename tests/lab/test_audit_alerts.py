"""`exitpin audit --on STATUS -- CMD`, as people type it: who is told, once, and what stays when it ends."""

import json
import os
import re
import select
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from exitpin.orchestrator.lab.state import LabState

from .conftest import eventually
from .running import EXITPIN, Audited, audit, audit_command, stored

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

EXITS = "exit01,exit02,exit03"
KEEP = 'cat > "$0/told.$$"'


@pytest.fixture
def liar(tmp_path: Path) -> str:
    """A tool that calls exit02 and exit03 liars, whatever they do."""
    tool = tmp_path / "liar.toml"
    tool.write_text(
        'schema = "exitpin.tool/1"\nid = "liar"\nsummary = "Always"\n'
        'destination = [{ host = "web.test", port = 80 }]\n'
        'run.argv = ["sh", "-c", "test $EXITPIN_EXIT_NICK = exit01"]\nbaseline = { mode = "none" }\n'
        'verdict = [{ status = "tampered", when = [{ field = "exit_code", not = 0 }], reason = "it lied" },\n'
        '           { status = "ok" }]\n'
    )
    return str(tool)


def told(folder: Path) -> list[dict[str, object]]:
    records: list[dict[str, object]] = [json.loads(path.read_text()) for path in folder.glob("told.*")]
    return sorted(records, key=lambda record: str(record["verdict_id"]))


def on(folder: Path, script: str = KEEP) -> list[str]:
    """The words that send each alert to this shell script."""
    return ["--on", "tampered", "--", "sh", "-c", script, str(folder)]


def lies(done: Audited) -> list[dict[str, object]]:
    found = [verdict for verdict in done.stored() if verdict["status"] == "tampered"]
    return sorted(found, key=lambda verdict: str(verdict["verdict_id"]))


def test_each_finding_is_told_with_the_very_record_that_is_kept(audited: LabState, liar: str, tmp_path: Path) -> None:
    done = audit(audited, tmp_path, liar, "-e", EXITS, *on(tmp_path))
    assert done.status == 1, done.stderr
    assert len(lies(done)) == 2 and told(tmp_path) == lies(done)
    assert "exitpin: alerts: 2 told" in done.sentences
    assert f"alerts: `sh -c {shlex.quote(KEEP)} {tmp_path}` for each verdict that is tampered" in done.stderr


def test_an_alert_that_takes_longer_than_the_scan_is_told_to_its_end(
    audited: LabState, liar: str, tmp_path: Path
) -> None:
    tool = Path(liar)
    tool.write_text(
        tool.read_text().replace("test $EXITPIN_EXIT_NICK = exit01", "test $EXITPIN_EXIT_NICK = exit01 && sleep 1")
    )
    done = audit(audited, tmp_path, liar, "-e", EXITS, *on(tmp_path, f"sleep 2; {KEEP}"))
    assert "exitpin: alerts: 2 told" in done.sentences
    assert told(tmp_path) == lies(done)


def test_a_command_that_fails_is_told_at_the_end_and_again_when_the_scan_goes_on(
    audited: LabState, liar: str, tmp_path: Path
) -> None:
    script = f'test -e "$0/well" || {{ echo "no route"; exit 7; }}; {KEEP}'
    done = audit(audited, tmp_path, liar, "-e", EXITS, *on(tmp_path, script))
    assert done.status == 1, "the verdicts stand"
    said = next(sentence for sentence in done.sentences if "alerts:" in sentence and "failed" in sentence)
    assert "0 told, 2 failed, the last: exit status 7: no route; 2 verdicts were not told" in said
    again = re.search(r"to tell: (exitpin audit --resume .*)", said)
    assert again is not None
    (tmp_path / "well").touch()
    for _ in range(2):
        second = subprocess.run(
            [*EXITPIN, *shlex.split(again[1])[1:]], capture_output=True, text=True, timeout=90, check=False
        )
        assert second.returncode == 1, second.stderr
        assert told(tmp_path) == lies(done), "the second time nobody is told anything"
    assert "alerts: 2 told" not in second.stderr


@pytest.mark.parametrize("signals", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)])
def test_an_end_that_is_asked_for_leaves_no_command_behind(
    audited: LabState, liar: str, tmp_path: Path, signals: tuple[signal.Signals, ...]
) -> None:
    # Whoever is left holds the pipe open: the numbers that processes have in the lab are others' outside of it.
    os.mkfifo(tmp_path / "held")
    held = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    script = 'exec 9> "$0/held"; sleep 600 & : > "$0/begun.$$"; wait'
    store = tmp_path / "store.sqlite"
    words = audit_command(audited, "--store", str(store), liar, "-e", EXITS, *on(tmp_path, script))
    running = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def begun() -> None:
        assert len(list(tmp_path.glob("begun.*"))) == 2

    eventually(begun, 60)
    assert running.stderr is not None
    said = ""
    for number, one in enumerate(signals):
        running.send_signal(one)
        while number == 0 and len(signals) > 1 and "once more ends them" not in said:
            said += running.stderr.readline()
    said += running.communicate(timeout=60)[1]
    if len(signals) > 1:
        assert re.search(r"interrupted: \d+ running jobs? and 2 alerts may end", said), said
    assert running.returncode == 128 + signals[0], said
    assert "2 verdicts were not told; to tell: exitpin audit --resume" in said
    assert len([verdict for verdict in stored(store) if verdict["status"] == "tampered"]) == 2
    end = select.poll()
    end.register(held, 0)
    assert end.poll(20_000) == [(held, select.POLLHUP)]
    os.close(held)
