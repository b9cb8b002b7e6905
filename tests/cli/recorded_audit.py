"""A store with one audit in it, as a hostile exit may have filled it: what `results list` and `show` are tried on."""

from pathlib import Path
from typing import Any

from exitpin.orchestrator import events as ev
from exitpin.orchestrator.audit.cases import Attempt, Conclusion, Role
from exitpin.orchestrator.audit.controls import Control, Controls
from exitpin.orchestrator.audit.disclosure import ToolUse
from exitpin.orchestrator.audit.records import run_record, verdict_record
from exitpin.orchestrator.audit.verdict import Judgement
from exitpin.orchestrator.model import Failure
from exitpin.orchestrator.observation import fold
from exitpin.orchestrator.tool import Command, Condition, Extract, Rule, Status, Tool

from ..orchestrator.lives import opened
from ..orchestrator.recorded import write
from ..orchestrator.values import OTHER_EXIT, relay

HOSTILE = "\033]0;owned\007\x9b31m\ttab\nTAMPERED \u202efake [bold]x[/bold] \ud800"
SCAN = {"scan_id": "s1", "vantage": {"kind": "lab", "name": "mine", "tor": "0.4.9"}, "consensus": "2026-01-02"}
RULES = (Rule(Status.TAMPERED, (Condition("chain", "differs", True),)), Rule(Status.OK))
TOOL = Tool(
    "tls-cert", "Its own certificate?", Command(("openssl",)), RULES, "", "critical", extracts=(Extract("chain"),)
)
USE = ToolUse(TOOL, {"host": "example.org"}, frozenset({"host"}), "/usr/bin/openssl", "3.0")
LIE = Judgement(Status.TAMPERED, HOSTILE, 0)
CONTROLS = Controls((Control("exit", {"chain": ("true",)}, 900.0, "s1-0009", OTHER_EXIT), Control("direct", {}, 901.0)))
EXIT = relay(0xE1, nickname="evil", contact=HOSTILE)


def run(judgement: Judgement = LIE) -> dict[str, Any]:
    """A run with one proven stream, whose output and facts mean no good."""
    told, _ = opened()
    told.life.connections.by_number[1].resolved = HOSTILE
    told.step(ev.Denied(101, "udp", HOSTILE), ev.ProcessExited(0, None), ev.TreeEnded(0.1, 4096, 0))
    folded = {**fold(told.life, SCAN, {"truncated": False}), "run_id": "s1-0001"}
    facts = {"chain": ("true", HOSTILE), "title": HOSTILE}
    hostile = HOSTILE.encode("utf-8", "surrogatepass")
    return run_record(
        folded, USE, key="k", role="probe", stdout=hostile, stderr=hostile * 20, facts=facts, controls=CONTROLS,
        judgement=judgement,
    )  # fmt: skip


def verdict(name: str, conclusion: Conclusion, *attempts: Attempt, scan: str = "s1") -> dict[str, Any]:
    return verdict_record(
        conclusion, USE, EXIT, {**SCAN, "scan_id": scan}, verdict_id=name, key="k", attempts=attempts,
        controls=CONTROLS, started=1000.0, ended=1060.0,
    )  # fmt: skip


def fill(path: Path) -> None:
    """An older scan, then one with a lie, an error and an honest answer, in no good order."""
    refused = Failure("refused", "unknown", True, HOSTILE)
    lies = [Attempt(f"s1-000{n}", Role.PROBE, 5.0, None, None, LIE) for n in (1, 2)]
    error = Attempt("s1-0003", Role.PROBE, 5.0, None, refused, Judgement(Status.ERROR, HOSTILE))
    old = verdict("s0-v1", Conclusion(Status.BROKEN, "old", blame="exit"), scan="s0")
    write(
        path,
        [
            {**old, "started": 10.0, "ended": 20.0},
            verdict("s1-v1", Conclusion(Status.OK, "", 1, of=1)),
            verdict("s1-v2", Conclusion(Status.ERROR, HOSTILE, None, "stream"), error),
            verdict("s1-v3", Conclusion(Status.TAMPERED, HOSTILE, 0, "", "exit", False, 2, 3), *lies),
            run(),
        ],
    )
