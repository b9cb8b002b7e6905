"""A client of the test's own, and the daemon that it finds."""

from collections.abc import Iterator

import pytest

from .daemon_played import Daemon, Place, daemon_at, placed


@pytest.fixture
def place() -> Iterator[Place]:
    with placed() as one:
        yield one


@pytest.fixture
def daemon(place: Place) -> Iterator[Daemon]:
    with daemon_at(place.socket) as one:
        yield one
