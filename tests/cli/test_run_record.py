"""The evidence of runs, where it can't be written: nothing begins, or nothing is proven."""

from pathlib import Path

import pytest

from exitpin.orchestrator.cli.run_record import close_evidence, open_evidence
from exitpin.orchestrator.errors import OperatorError


def test_evidence_that_can_not_be_opened_is_told_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"can't be written: Is a directory\. Nothing was started\."):
        open_evidence(tmp_path, {})


def test_evidence_that_can_not_be_written_to_its_end_proves_nothing() -> None:
    evidence = open_evidence(Path("/dev/full"), {})
    with pytest.raises(OperatorError, match=r"/dev/full could not be written to its end: No space left .* no proof"):
        close_evidence(evidence)
