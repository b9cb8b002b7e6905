"""Thousands of bundles with one change each, packed again as a forger would: none that claims something else is
consistent, none ends in anything but sentences, none keeps anybody busy.

EXITPIN_TORTURE_SEED repeats one, EXITPIN_TORTURE_SCALE makes more or fewer.
"""

import os
import resource
import time
from pathlib import Path
from random import Random

import pytest

from ..orchestrator.recorded import reader
from ..orchestrator.results.bundled import Members, bundled, members, problems
from ..orchestrator.results.mutations import any_change, claims
from ..orchestrator.results.proven import finding, keep, scan

pytestmark = [pytest.mark.torture, pytest.mark.timeout(900)]

SCALE = float(os.environ.get("EXITPIN_TORTURE_SCALE", "1"))
SEED = int(os.environ.get("EXITPIN_TORTURE_SEED", "20261129"))
COUNT = max(100, int(10_000 * SCALE))
SECONDS_MAX = 10.0
GROWN_MAX_KIB = 500 << 10


@pytest.fixture
def told(tmp_path: Path) -> Members:
    records, blobs = finding()
    keep(tmp_path / "results.sqlite", [scan(), *records], blobs)
    with reader(tmp_path / "results.sqlite") as store:
        return members(bundled(store))


def test_no_claim_that_was_changed_alone_is_consistent(told: Members, tmp_path: Path) -> None:
    found = [name for name, bundle in claims(told, Random(SEED), COUNT) if not problems(tmp_path, bundle)]
    assert found == [], f"seed {SEED}"


def test_whatever_a_stranger_wrote_is_answered_soon(told: Members, tmp_path: Path) -> None:
    before, slowest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0.0
    for name, bundle in any_change(told, Random(SEED), COUNT):
        started = time.monotonic()
        try:
            problems(tmp_path, bundle)
        except Exception as error:
            raise AssertionError(f"{name} of seed {SEED}") from error
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < SECONDS_MAX
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWN_MAX_KIB
