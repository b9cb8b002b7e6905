"""A bundle that was changed in one place is never consistent, and never more than a few sentences to whoever asks."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from exitpin.orchestrator.results.stored import Reader

from ..recorded import reader
from .bundled import Members, bundled, members, problems
from .mutations import any_change, claims
from .proven import finding, keep, scan

COUNT = 100


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    path = tmp_path_factory.mktemp("store") / "results.sqlite"
    records, blobs = finding()
    keep(path, [scan(), *records], blobs)
    with reader(path) as found:
        yield found


@pytest.fixture(scope="module")
def told(store: Reader) -> Members:
    return members(bundled(store))


def test_what_is_claimed_of_whom_can_not_be_changed_alone(told: Members, tmp_path: Path) -> None:
    found = [name for name, bundle in claims(told, Random(1), COUNT) if not problems(tmp_path, bundle)]
    assert found == []


def test_whatever_is_changed_the_answer_is_a_sentence(told: Members, tmp_path: Path) -> None:
    answers = [problems(tmp_path, bundle) for _, bundle in any_change(told, Random(1), COUNT)]
    assert sum(map(bool, answers)) > COUNT // 2
