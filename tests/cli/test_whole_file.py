"""A file that is there whole, or not at all."""

import os
import stat
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
        with whole_file(path, mode) as place:
            place.write_bytes(b"whole")
            assert path.read_text().startswith("an older one")
    finally:
        os.umask(before)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"whole", mode)
    assert list(tmp_path.iterdir()) == [path]


def test_meanwhile_nobody_else_reads_it(tmp_path: Path) -> None:
    with whole_file(tmp_path / "x", 0o644) as place:
        assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_when_it_is_not_written_to_its_end_nothing_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("an older one")
    with pytest.raises(ZeroDivisionError), whole_file(path, 0o600) as place:
        place.write_bytes(b"half")
        raise ZeroDivisionError
    assert path.read_text() == "an older one" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["file/x", "none/x", "folder", ".", "n" * 255])
def test_where_none_can_be_a_sentence_says_so(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    sentence = r"can't be written: .*\. Nothing was changed\."
    with pytest.raises(OperatorError, match=sentence) as caught, whole_file(Path(name), 0o600) as place:
        place.write_bytes(b"x")
    assert caught.value.exit_status == EXIT_FAILED
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder"]


def test_a_name_that_a_terminal_would_obey_is_not(tmp_path: Path) -> None:
    with pytest.raises(OperatorError) as caught, whole_file(tmp_path / "\x1b[31m" / "x", 0o600):
        pass
    assert str(caught.value).isprintable()
