"""What `exitpin audit` says of its plan before it starts anything: what stays of an earlier session, whom it asks, and
what load that is for others.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..audit.load import Load, load_of
from ..audit.recalling import Recollection
from ..audit.scan_plan import ScanPlan
from ..network import Vantage
from ..results.measured import measured
from ..results.stored import open_store
from ..settings import Settings
from . import audit_resume
from .alert_options import plan_sentence
from .allowing import allowance_of, load_sentence
from .audit_account import plan_sentences
from .audit_resume import Resumed
from .politeness import pace_of, spacing_of


@dataclass(frozen=True, slots=True)
class PlanTold:
    """Of the plans of one `exitpin audit`. `store`: by what it knows of the tools, bytes are estimated."""

    args: argparse.Namespace
    settings: Settings
    vantage: Vantage
    environment: Mapping[str, str]
    store: Path

    def sentences(self, plan: ScanPlan, known: Recollection, resumed: Resumed | None) -> list[str]:
        """All of it. Raises OperatorError when the store can't be read."""
        said = [] if resumed is None else [audit_resume.account_sentence(resumed, plan, known)]
        if self.args.on:
            said.append(plan_sentence(self.args))
        if plan.pairs or resumed is None:
            is_lab = self.vantage.is_lab
            said += plan_sentences(plan, self.settings, self._load(plan), is_lab=is_lab, is_rehearsal=self.args.dry_run)
            limits = load_sentence(plan, self.settings, self.vantage, self.environment)
            said += [limits] if limits is not None else []
        return said

    def _load(self, plan: ScanPlan) -> Load:
        reader = open_store(self.store)
        ids = dict.fromkeys(audit.tool.id for audit in plan.audits)
        known = {}
        if reader is not None:
            with reader:
                known = {name: found for name in ids if (found := measured(reader, name)) is not None}
        pace = pace_of(self.settings, self.vantage)
        spacing_s, jitter_s = spacing_of(self.settings, self.vantage)
        circuit_every_s, start_every_s = pace.build_delay_s + pace.build_jitter_s / 2, spacing_s + jitter_s / 2
        windows_of = allowance_of(self.settings, self.vantage).windows_of
        return load_of(plan, circuit_every_s, start_every_s, known, windows_of)
