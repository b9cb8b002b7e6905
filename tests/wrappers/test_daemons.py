"""Which sockets of others are found, and which are left to a run."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from exitpin.wrappers.daemons import sockets_of_others


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("s")
    with closing(socket.socket(socket.AF_UNIX)) as one, closing(socket.socket(socket.AF_UNIX)) as other:
        (folder / "ours").mkdir()
        one.bind(str(folder / "daemon"))
        other.bind(str(folder / "ours" / "report"))
        one.listen()
        yield folder


def test_what_listens_elsewhere_is_found_and_ours_is_not(place: Path) -> None:
    found = sockets_of_others(str(place / "ours"), ())
    assert str(place / "daemon") in found
    assert str(place / "ours" / "report") not in found
    assert len(found) == len(set(found))


def test_what_the_run_may_have_stays_by_whatever_name(place: Path) -> None:
    (place / "link").symlink_to(place / "daemon")
    assert str(place / "daemon") not in sockets_of_others(str(place / "ours"), [str(place / "link")])


def test_a_socket_in_its_place_is_found_whichever_network_it_is_of(place: Path) -> None:
    nothing = place / "no-proc"
    assert str(place / "daemon") in sockets_of_others(str(place / "ours"), (), nothing, {str(place): 1})
