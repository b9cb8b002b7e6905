"""What listens is looked for where it stands, and not only where its name leads."""

import os
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from exitpin.wrappers import unix_list
from exitpin.wrappers.daemons import Sockets, sockets_of_others

from .apart import apart
from .test_daemons import NOBODY, line, listening, proc


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s")


@pytest.fixture
def is_told(tmp_path: Path) -> bool:
    """Whether the kernel says where a socket stands."""
    with closing(listening(tmp_path / "any")):
        return bool(unix_list.places())


def test_a_daemon_whose_folder_got_another_name_is_found_there_or_said_to_be_missing(
    place: Path, tmp_path: Path, is_told: bool
) -> None:
    (place / "d").mkdir()
    (place / "deep" / "er").mkdir(parents=True)
    with closing(listening(place / "d" / "sock")) as daemon:
        listed = proc(tmp_path, line(place / "d" / "sock", of=daemon))
        assert sockets_of_others("/x", (), listed, {}) == Sockets([str(place / "d" / "sock")], is_whole=True)
        (place / "d").rename(place / "deep" / "er" / "d")
        assert sockets_of_others("/x", (), listed, {str(place): 2}) == Sockets([], is_whole=False)
        found = sockets_of_others("/x", (), listed, {str(place): 4})
        assert found == Sockets([str(place / "deep" / "er" / "d" / "sock")], is_whole=is_told)


def test_another_socket_in_the_place_of_a_daemons_does_not_stand_for_it(
    place: Path, tmp_path: Path, is_told: bool
) -> None:
    with closing(listening(place / "sock")) as daemon:
        listed = proc(tmp_path, line(place / "sock", of=daemon))
        (place / "sock").rename(place / "elsewhere")
        with closing(listening(place / "sock")):
            assert sockets_of_others("/x", (), listed, {}).is_whole, "found beside it"
            (place / "deep").mkdir()
            (place / "elsewhere").rename(place / "deep" / "sock")
            assert sockets_of_others("/x", (), listed, {}).is_whole is not is_told
            (listed / "net" / "unix").write_text("\n" + line(place / "sock") + line(place / "sock", of=daemon))
            assert not sockets_of_others("/x", (), listed, {}).is_whole, "a name leads to one"


def test_what_listens_and_has_lost_its_file_may_stand_elsewhere_and_what_has_ended_does_not(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(listening(place / "sock")) as daemon:
        listed = proc(tmp_path, line(place / "sock", of=daemon))
        (place / "sock").unlink()
        assert not sockets_of_others("/x", (), listed, {}).is_whole
        places = unix_list.places

        def places_after_it_ended() -> dict[int, unix_list.Place]:
            (listed / "net" / "unix").write_text("")
            return places()

        monkeypatch.setattr(unix_list, "places", places_after_it_ended)
        assert sockets_of_others("/x", (), listed, {}).is_whole


def test_a_kernel_that_does_not_tell_where_sockets_stand_is_believed_by_name(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix_list, "places", dict)
    with closing(listening(place / "sock")) as daemon:
        listed = proc(tmp_path, line(place / "sock", of=daemon))
        assert sockets_of_others("/x", (), listed, {}).is_whole
        (place / "sock").unlink()
        (place / "sock").touch()
        assert not sockets_of_others("/x", (), listed, {}).is_whole, "no socket any more"


@pytest.mark.parametrize(("is_ours", "is_whole"), [(False, True), (True, False)])
def test_a_daemon_in_a_closed_folder_is_out_of_reach_unless_the_folder_could_be_put_there(
    is_ours: bool, is_whole: bool
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes folders of others")

    with tempfile.TemporaryDirectory(dir="/") as place:
        os.chmod(place, 0o755)
        folder = Path(place, "closed")
        folder.mkdir(mode=0o700)
        listed = proc(Path(place), line(folder / "sock"))
        os.chown(place, NOBODY if is_ours else 0, -1)

        async def script() -> None:
            os.setuid(NOBODY)
            assert sockets_of_others("/x", (), listed, {}) == Sockets([], is_whole)

        apart(script)
