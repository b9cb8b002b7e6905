"""Where a circuit broke tells who may be blamed."""

import pytest

from exitpin.orchestrator.build_failures import broken_at, hops_in_common, refused
from exitpin.orchestrator.model import Hop

from .values import EXIT, GUARD, OTHER_EXIT, fingerprint

MIDDLE = fingerprint(0xBB)
TWO, THREE = (GUARD, EXIT), (GUARD, MIDDLE, EXIT)


@pytest.mark.parametrize(
    ("path", "reached", "suspects", "blame"),
    [
        (TWO, 0, (GUARD,), "first-hop"),
        (TWO, 1, (GUARD, EXIT), "unknown"),
        (TWO, 2, (GUARD, EXIT), "unknown"),
        (THREE, 0, (GUARD,), "first-hop"),
        (THREE, 1, (GUARD, MIDDLE), "first-hop"),
        (THREE, 2, (MIDDLE, EXIT), "unknown"),
    ],
)
def test_what_broke_before_the_exit_is_never_the_exits(
    path: tuple[str, ...], reached: int, suspects: tuple[str, ...], blame: str
) -> None:
    broken = broken_at(path, reached)  # type: ignore[arg-type]
    assert (broken.suspects, broken.blame) == (suspects, blame)


@pytest.mark.parametrize(
    ("reply", "suspects", "blame"),
    [
        (f'552 No such router "${GUARD}"', (GUARD,), "first-hop"),
        (f'552 No such router "{EXIT.lower()}"', (EXIT,), "unknown"),
        (f'552 No such router "{OTHER_EXIT}"', (), "unknown"),
        ("551 Couldn't start circuit", (GUARD,), "first-hop"),
        ("510 Something else", (), "unknown"),
    ],
)
def test_a_refusal_is_the_relays_that_it_names(reply: str, suspects: tuple[str, ...], blame: str) -> None:
    broken = refused(TWO, reply)
    assert (broken.suspects, broken.blame) == (suspects, blame)


def test_only_hops_of_our_own_path_have_answered() -> None:
    assert hops_in_common(THREE, [Hop(GUARD), Hop(MIDDLE)]) == 2
    assert hops_in_common(THREE, [Hop(MIDDLE), Hop(GUARD)]) == 0
    assert hops_in_common(THREE, []) == 0
