"""A file that is there whole, or not at all."""

import os
import stat
import threading
from pathlib import Path

import pytest

from exitpin.orchestrator.cli.whole_file import whole_file
from exitpin.orchestrator.errors import EXIT_FAILED, OperatorError


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_it_takes_the_place_of_an_older_one_with_just_its_mode(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("an older one, and a longer one")
    path.chmod(0o666)
    before = os.umask(0o077)
    try:
        with whole_file(path, mode) as file:
            file.write(b"whole")
            assert path.read_text().startswith("an older one")
    finally:
        os.umask(before)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"whole", mode)
    assert list(tmp_path.iterdir()) == [path]


def test_meanwhile_nobody_else_reads_it(tmp_path: Path) -> None:
    with whole_file(tmp_path / "x", 0o644) as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600


def test_when_it_is_not_written_to_its_end_nothing_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("an older one")
    with pytest.raises(ZeroDivisionError), whole_file(path, 0o600) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert path.read_text() == "an older one" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["file/x", "none/x", "folder", ".", "n" * 255])
def test_where_none_can_be_a_sentence_says_so(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    sentence = r"can't be written: .*\. Nothing was changed\."
    with pytest.raises(OperatorError, match=sentence) as caught, whole_file(Path(name), 0o600) as file:
        file.write(b"x")
    assert caught.value.exit_status == EXIT_FAILED
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder"]


def test_a_name_that_a_terminal_would_obey_is_not(tmp_path: Path) -> None:
    with pytest.raises(OperatorError) as caught, whole_file(tmp_path / "\x1b[31m" / "x", 0o600):
        pass
    assert str(caught.value).isprintable()


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link, link_to_none = tmp_path / "there" / "page.html", tmp_path / "link", tmp_path / "link-to-none"
    target.write_text("an older one")
    link.symlink_to("there/page.html")
    link_to_none.symlink_to("there/new.html")
    for one in (link, link_to_none):
        with whole_file(one, 0o600) as file:
            file.write(b"whole")
        assert one.is_symlink() and one.read_bytes() == b"whole"
    assert sorted(one.name for one in (tmp_path / "there").iterdir()) == ["new.html", "page.html"]


def test_a_link_that_leads_to_itself_is_no_place(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("link")
    with pytest.raises(OperatorError, match="can't be written"), whole_file(link, 0o600):
        pass
    assert link.is_symlink() and list(tmp_path.iterdir()) == [link]


def test_a_pipe_with_a_name_is_written_through(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    with whole_file(pipe, 0o600) as file:
        file.write(b"whole")
    reader.join(timeout=30)
    assert read == [b"whole"] and pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]


def test_a_device_that_is_full_is_a_failure_that_claims_nothing() -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        place = Path(f"/dev/fd/{full.fileno()}")
        with pytest.raises(OperatorError, match="No space left on device") as caught, whole_file(place, 0o600) as file:
            file.write(b"whole")
    assert "Nothing was changed" not in str(caught.value)


def test_a_descriptor_of_ours_is_gone_on_with(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"before ")
    with log.open("ab") as ours, whole_file(Path(f"/dev/fd/{ours.fileno()}"), 0o600) as file:
        file.write(b"after")
    assert log.read_bytes() == b"before after" and list(tmp_path.iterdir()) == [log]


def test_a_reader_of_a_pipe_who_has_gone_is_no_failure_of_the_file() -> None:
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(BrokenPipeError), whole_file(Path(f"/dev/fd/{write}"), 0o600) as file:
        file.write(b"x")
    os.close(write)


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_has_several_names(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with whole_file(Path(name), 0o600) as file:
        file.write(b"whole")
    assert capsys.readouterr().out == "whole"
