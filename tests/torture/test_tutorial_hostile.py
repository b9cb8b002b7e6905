"""The tutorial's scripts against exits that they were not written for: all 46 of the hostile lab, and dead ports."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.lab import start
from exitpin.orchestrator.lab.state import LabState, load

from ..lab.conftest import lab_or_skip
from ..lab.running import EXITPIN, audit

pytestmark = [pytest.mark.torture, pytest.mark.timeout(400)]

FOLDER = Path(__file__).resolve().parent.parent.parent / "docs" / "tutorial"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
SEED = 11
AUDIT_S = 300.0
KNOWN_KEY = "ssh-keyscan -t ed25519 ssh.test 2>/dev/null | cut -d ' ' -f 3"

PAGES = ("sslstrip", "injects-script", "injects-on-one-host", "block-page-200")
NO_PAGES = ("dns-dead", "resets-http", "very-slow")
FOUND = {
    "first": dict.fromkeys((*PAGES, "hijacks-all"), "tampered"),
    "page-hash": {
        **dict.fromkeys(PAGES, "tampered"), **dict.fromkeys(("hijacks-all", "block-page-403"), "suspect"),
        **dict.fromkeys(NO_PAGES, "broken"),
    },
    "cert": {
        "tls-self-signed": "tampered", "tls-mitm-injects": "tampered", "tls-trusted-ca": "suspect",
        "tls-downgrade": "broken", "resets-https": "broken", "dns-dead": "broken",
    },
    "starttls": {"smtp-strip": "tampered", "strips-on-one-port": "tampered"},
    "hostkey": {"ssh-mitm": "tampered"},
    "names": {"dns-lies": "suspect", "nxdomain-hijack": "suspect"},
}  # fmt: skip
"""By script and behaviour: who is found at the first look. All others are ok, skipped, or an error."""

MAY_FAIL = {"block-page-403", "dns-dead", "resets-http", "very-slow", "refuses-ssh", "refuses-mail", "fails-a-third"}
"""Whose answer may be missing."""


@pytest.fixture(scope="module")
def hostile() -> Iterator[LabState]:
    name = f"tutorial-hostile-{os.getpid()}"
    lab_or_skip(name, None, profile="hostile", seed=SEED)
    try:
        yield load(name)
    finally:
        start.down(name)


def test_each_script_finds_its_liars_among_46_exits_and_accuses_nobody_else(hostile: LabState, tmp_path: Path) -> None:
    inside = [*EXITPIN, "lab", "exec", "--name", hostile.name, "--", "sh", "-c", KNOWN_KEY]
    key = subprocess.run(inside, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    done = audit(hostile, tmp_path, *map(str, SCRIPTS), "-p", f"key={key}", timeout=AUDIT_S)
    behaviours = {relay.nickname: relay.behaviour for relay in hostile.relays if relay.role == "exit"}
    verdicts = [(one["tool"]["id"], behaviours[one["exit"]["nickname"]], one["status"]) for one in done.stored()]
    assert len(verdicts) == len(SCRIPTS) * len(behaviours)
    found: dict[str, dict[str, str]] = {script: {} for script in FOUND}
    for script, behaviour, status in verdicts:
        if status in ("tampered", "suspect", "broken"):
            found[script][behaviour] = status
    assert found == FOUND
    assert {behaviour for _, behaviour, status in verdicts if status == "error"} <= MAY_FAIL


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_no_dead_port_makes_a_script_accuse_anybody(path: Path) -> None:
    words = ["-p", "key=AAAAC3Nza"] if path.stem == "hostkey" else []
    argv = [*EXITPIN, "tools", "test", "--chaos", "--json", str(path), *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and outcomes and all(one["passed"] for one in outcomes), done.stdout + done.stderr
