"""A leg of a scan, from what it writes down first to its last word: the store is real, whoever would ask is not."""

import argparse
import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.audit.recalling import Recollection
from exitpin.orchestrator.audit.scan_plan import ScanPlan
from exitpin.orchestrator.cli import audit_leg
from exitpin.orchestrator.cli.audit_account import Account
from exitpin.orchestrator.cli.audit_leg import Leg
from exitpin.orchestrator.model import Snapshot
from exitpin.orchestrator.results.store import Store

from ..orchestrator.audit.test_scanning import an_audit
from ..orchestrator.recorded import reader, scan_record
from ..orchestrator.values import relay


class Asked:
    """Stands for the scan: what it was told, and nobody is asked."""

    trust_lost: str | None = None
    under_way = 0

    def __init__(self, *given: object) -> None:
        self.guests: set[int] = set()
        self.told: list[str] = []

    def drain(self) -> None:
        self.told.append("drain")

    def interrupt(self, why: str) -> None:
        self.told.append(why)

    async def run(self) -> None:
        assert self.told, "nobody has told it to end"


class Network:
    snapshot = Snapshot("2026-01-01 00:00:00", {})


class Work:
    scan_id = "s1"
    environment = os.environ


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
def test_whoever_is_impatient_while_it_is_written_down_hears_how_to_go_on(
    signo: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit_leg, "Scan", Asked)
    path = tmp_path / "results.sqlite"
    audit = an_audit()
    account = Account(ScanPlan((audit,), ((audit, relay(1)),), (), 1), path, "s1", again="exitpin audit --resume s1")
    args = argparse.Namespace(json=False, runs=False, on=["tampered"], fail_on="none", command=[], alert_timeout=60.0)

    def write_down() -> dict[str, Any]:
        os.kill(os.getpid(), signo)
        return scan_record(state="running", legs=[{"started": 1000.0, "state": "running"}])

    async def go() -> int:
        leg = Leg(args, account, Network(), Store(path))  # type: ignore[arg-type]
        return await leg.run(Work(), Recollection(), write_down)  # type: ignore[arg-type]

    assert asyncio.run(go()) == 128 + signo
    assert "to go on: exitpin audit --resume s1" in capsys.readouterr().err
    with reader(path) as store:
        assert (store.scan("s1") or {})["state"] == "interrupted"
