"""Which sockets of others are found, and which are left to a run; and that it is known when there may be more."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from exitpin.wrappers import daemons
from exitpin.wrappers.daemons import Sockets, sockets_of_others
from exitpin.wrappers.unix_given import GivenSockets

from .apart import apart

NOBODY = 65534


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("s")
    with closing(socket.socket(socket.AF_UNIX)) as one, closing(socket.socket(socket.AF_UNIX)) as other:
        (folder / "ours").mkdir()
        one.bind(str(folder / "daemon"))
        other.bind(str(folder / "ours" / "report"))
        one.listen()
        yield folder


@pytest.fixture
def nothing(tmp_path: Path) -> Path:
    """A /proc of a network without sockets."""
    return proc(tmp_path, "")


def proc(folder: Path, lines: str) -> Path:
    (folder / "net").mkdir()
    (folder / "net" / "unix").write_text(f"Num       RefCount Protocol Flags    Type St Inode Path\n{lines}")
    return folder


def line(name: Path | str, flags: str = "00010000", of: socket.socket | None = None) -> str:
    number = 20461 if of is None else os.fstat(of.fileno()).st_ino
    return f"0000000000000000: 00000002 00000000 {flags} 0001 01 {number} {name}\n"


def listening(path: Path | str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.listen()
    return made


def test_what_listens_elsewhere_is_found_and_ours_is_not(place: Path) -> None:
    found = sockets_of_others(str(place / "ours"), ()).paths
    assert str(place / "daemon") in found
    assert str(place / "ours" / "report") not in found
    assert len(found) == len(set(found))


def test_what_the_run_may_have_stays_by_whatever_name(place: Path) -> None:
    (place / "link").symlink_to(place / "daemon")
    given = GivenSockets([str(place / "link")]).places
    assert str(place / "daemon") not in sockets_of_others("/x", given).paths


def test_what_it_may_have_is_hidden_no_less_when_its_name_leads_to_another(place: Path, tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as other, closing(socket.socket(socket.AF_UNIX)) as late:
        other.bind(str(place / "other"))
        other.listen()
        given = GivenSockets([str(place / "daemon"), str(place / "late")]).places
        (place / "daemon").rename(place / "moved")
        (place / "daemon").symlink_to(place / "other")
        late.bind(str(place / "late"))
        late.listen()
        found = sockets_of_others("/x", given).paths
    assert str(place / "moved") not in found
    assert {str(place / "other"), str(place / "late")} <= set(found)


def test_a_socket_in_its_place_is_found_whichever_network_it_is_of(place: Path, nothing: Path) -> None:
    code = "import socket, sys\ns = socket.socket(1); s.bind(sys.argv[1]); s.listen(); print(flush=True); input()"
    command = ["unshare", "-Urn", sys.executable, "-c", code, str(place / "far")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdin and daemon.stdout
        if not daemon.stdout.readline():
            pytest.skip("no namespaces here")
        found = sockets_of_others(str(place / "ours"), (), nothing, {str(place): 1})
        daemon.stdin.close()
    assert sorted(found.paths) == [str(place / "daemon"), str(place / "far")]
    assert found.is_whole


def test_a_socket_that_got_another_name_is_found_as_sshs_masters_are(place: Path) -> None:
    with closing(listening(place / "cm.tmp")):
        (place / "cm").hardlink_to(place / "cm.tmp")
        (place / "cm.tmp").unlink()
        assert str(place / "cm") in sockets_of_others("/x", (), places={}).paths


def test_a_socket_with_a_name_that_is_not_found_may_be_reached(place: Path, nothing: Path) -> None:
    (place / "elsewhere").mkdir()
    (place / "elsewhere" / "second").hardlink_to(place / "daemon")
    assert not sockets_of_others("/x", (), nothing, {str(place): 1}).is_whole
    assert sockets_of_others("/x", (), nothing, {str(place): 2}).is_whole


def test_a_name_within_a_working_directory_is_found(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "spool" / "private").mkdir(parents=True)
    monkeypatch.chdir(place / "spool")
    name = str(place / "spool" / "private" / "relative-name")
    with closing(listening("private/relative-name")):
        assert name in sockets_of_others("/x", (), places={}).paths
        monkeypatch.chdir("/")
        found = sockets_of_others("/x", (), places={})
        assert name not in found.paths
        assert not found.is_whole, "it is there, and nobody knows where"


@pytest.mark.parametrize(
    ("lines", "is_whole"),
    [
        (line("@abstract"), True),
        (line("/nonexistent/that/is/gone"), False),
        (line("/nonexistent/that/is/gone", flags="00000000"), True),
        (line("private/of-whom"), False),
        (line("private/of-whom", flags="00000000"), True),
        (line("/with\na-break"), False),
    ],
)
def test_what_the_kernels_list_leaves_in_the_dark_is_said(tmp_path: Path, lines: str, is_whole: bool) -> None:
    assert sockets_of_others("/x", (), proc(tmp_path, lines), {}) == Sockets([], is_whole)


def test_without_the_kernels_list_there_may_be_more(tmp_path: Path) -> None:
    assert sockets_of_others("/x", (), tmp_path / "none", {}) == Sockets([], is_whole=False)


def test_what_nobody_listens_on_any_more_is_not_counted(place: Path, nothing: Path) -> None:
    for number in range(5):
        listening(place / f"stale{number}").close()
    deep = place / ("d" * 100)
    deep.mkdir()
    listening(place / "long").close()
    (place / "long").rename(deep / "long")
    found = sockets_of_others("/x", (), nothing, {str(place): 2}, most=2)
    assert set(found.paths) == {str(place / "daemon"), str(place / "ours" / "report")}
    assert found.is_whole


def test_a_look_disturbs_no_daemon(place: Path, nothing: Path) -> None:
    with (
        closing(listening(place / "stream")) as stream,
        closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as log,
    ):
        log.bind(str(place / "log"))
        assert len(sockets_of_others("/x", (), nothing, {str(place): 1}).paths) == 3
        for daemon in (stream, log):
            daemon.setblocking(False)
        with pytest.raises(BlockingIOError):
            stream.accept()
        with pytest.raises(BlockingIOError):
            log.recv(1)


def test_more_than_the_launcher_takes_is_cut_and_said_and_the_oldest_are_kept(place: Path, nothing: Path) -> None:
    places = {str(place): 1}
    with closing(listening(place / "a-newer-one")):
        os.utime(place / "a-newer-one", (0, 0))
        assert sockets_of_others("/x", (), nothing, places, most=1) == Sockets([str(place / "daemon")], is_whole=False)
        assert sockets_of_others("/x", (), nothing, places, most=2).is_whole


def test_names_that_would_fill_the_command_line_are_cut_and_said(
    place: Path, nothing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exitpin.wrappers.daemons.BYTES_MAX", len(str(place / "daemon")))
    assert sockets_of_others("/x", (), nothing, {str(place): 1}) == Sockets([], is_whole=False)


def test_a_folder_without_end_is_left_and_said(place: Path, nothing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exitpin.wrappers.daemons.ENTRIES_MAX", 10)
    assert sockets_of_others("/x", (), nothing, {str(place): 1}).is_whole
    for number in range(20):
        (place / f"file{number}").touch()
    assert not sockets_of_others("/x", (), nothing, {str(place): 1}).is_whole


@pytest.mark.parametrize(
    ("mode", "is_ours", "is_whole"),
    [(0o711, False, False), (0o700, False, True), (0o111, True, False), (0, True, False)],
)
def test_a_folder_that_is_not_read_is_closed_if_nobody_of_the_run_can_enter_it(
    mode: int, is_ours: bool, is_whole: bool
) -> None:
    """Who knows a name in it needs no list, and who owns it can open it."""
    is_root = os.geteuid() == 0
    if not is_ours and not is_root:
        pytest.skip("only root makes folders of others")

    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        os.chmod(place, 0o755)
        folder, empty = Path(place, "folder"), proc(Path(place), "")
        folder.mkdir()
        with closing(listening(folder / "known")):
            os.chown(folder, NOBODY if is_ours and is_root else -1, -1)
            folder.chmod(mode)

            async def script() -> None:
                if is_root:
                    os.setuid(NOBODY)
                assert sockets_of_others("/x", (), empty, {place: 2}) == Sockets([], is_whole)

            apart(script)
            folder.chmod(0o700)


def test_names_times_working_directories_are_tried_so_many_times_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are of a tool's making: a look before another run would take as long as it likes."""
    proc(tmp_path, "".join(line(f"d{number}/s") for number in range(50)))
    for number in range(40):
        (tmp_path / f"w{number}" / "d0").mkdir(parents=True)
        (tmp_path / f"{number + 10}").mkdir()
        (tmp_path / f"{number + 10}" / "cwd").symlink_to(tmp_path / f"w{number}")

    def calls_of_a_look() -> int:
        calls = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += 1

        sys.setprofile(count)
        try:
            assert sockets_of_others("/x", (), tmp_path, {}) == Sockets([], is_whole=False)
        finally:
            sys.setprofile(None)
        return calls

    all_of_them = calls_of_a_look()
    monkeypatch.setattr(daemons, "TRIES_MAX", 100)
    assert calls_of_a_look() < all_of_them / 5
