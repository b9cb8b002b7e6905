"""A run that may only read: what it may write to nevertheless, and what it may not."""

import errno
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from exitpin.shim import bindings
from exitpin.shim.bindings import NoticeKind, Reason

from .conftest import Shim

AT_GUARD = pytest.mark.parametrize("shim", ["guard"], indirect=True)
EXIT_MISUSED = 100

CHANGES: Mapping[str, str] = {
    "write": "open({path!r}, 'r+').write('x')",
    "append": "open({path!r}, 'a').write('x')",
    "truncate": "__import__('os').truncate({path!r}, 0)",
    "make": "open({path!r} + '.new', 'x')",
    "folder": "__import__('os').mkdir({path!r} + '.d')",
    "pipe": "__import__('os').mkfifo({path!r} + '.p')",
    "socket": "__import__('socket').socket(1).bind({path!r} + '.s')",
    "symbolic link": "__import__('os').symlink('/', {path!r} + '.l')",
    "link": "__import__('os').link({path!r}, {path!r} + '.h')",
    "rename": "__import__('os').rename({path!r}, {path!r} + '.r')",
    "remove": "__import__('os').unlink({path!r})",
}

MOVES = """
import os, sys
for pair in [sys.argv[1:], sys.argv[:0:-1]]:
    for how in (os.rename, os.link):
        try: how(*pair); print("done")
        except OSError: print("no")
"""


def come_of(
    shim: Shim, changes: Iterable[str], path: Path, *flags: str, launcher: str = bindings.LAUNCHER
) -> list[str]:
    """What came of each change of a file: `done`, or why not."""
    tries = "\n".join(
        f"try: {CHANGES[name].format(path=str(path))}; print('done')\nexcept OSError as e: print(e.strerror)"
        for name in changes
    )
    return shim.run(sys.executable, "-I", "-c", tries, flags=flags, launcher=str(launcher)).lines


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A file that is to stay as it is."""
    path = tmp_path / "kept" / "file"
    path.parent.mkdir()
    path.write_text("as it was")
    return path


@AT_GUARD
def test_nothing_is_changed_in_any_way(shim: Shim, kept: Path) -> None:
    found = come_of(shim, CHANGES, kept, "--read-only")
    assert found == ["Permission denied"] * len(CHANGES)
    assert (os.listdir(kept.parent), kept.read_text()) == (["file"], "as it was")


@AT_GUARD
def test_what_is_named_may_be_changed_and_what_lies_below(shim: Shim, kept: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "below").mkdir(parents=True)
    (own / "below" / "file").touch()
    order = [name for name in CHANGES if name not in ("rename", "remove")]
    flags = ("--read-only", "--write", str(own))
    assert come_of(shim, [*order, "rename"], own / "below" / "file", *flags) == ["done"] * (len(order) + 1)
    assert come_of(shim, ["write", "truncate", "remove"], kept, "--read-only", "--write", str(kept)) == [
        "done", "done", "Permission denied",
    ]  # fmt: skip


@AT_GUARD
def test_nothing_is_carried_from_one_to_the_other(shim: Shim, kept: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine").touch()
    run = shim.run(
        sys.executable, "-I", "-c", MOVES, str(own / "mine"), str(kept), flags=("--read-only", "--write", str(own))
    )
    assert run.lines == ["no"] * 4
    assert kept.read_text() == "as it was"


@AT_GUARD
def test_devices_that_keep_nothing_and_the_output_are_as_ever(shim: Shim, tmp_path: Path) -> None:
    run = shim.run("sh", "-c", "echo x >/dev/null; echo pipe >/dev/stdout; cat <<E\nhere\nE", flags=("--read-only",))
    assert run.lines == ["pipe", "here"]
    leads = f'exec >{tmp_path / "out"}; exec "$@"'
    run = shim.run(
        "sh", "-c", "echo file >/dev/stdout", flags=("--read-only", "--keep-files"), under=("sh", "-c", leads, "sh")
    )
    assert (tmp_path / "out").read_text() == "file\n"


@AT_GUARD
def test_a_file_to_read_from_is_not_there_to_be_written_to(shim: Shim, kept: Path) -> None:
    with kept.open() as source:
        run = shim.run("sh", "-c", "echo x >/dev/stdin || echo no", flags=("--read-only",), stdin=source)
    assert (run.lines, kept.read_text()) == (["no"], "as it was")


@AT_GUARD
@pytest.mark.parametrize("is_held", [True, False], ids=["as it is", "without that defence"])
def test_of_what_is_inherited_no_file_is_open_for_writing(
    shim: Shim, kept: Path, without: Callable[[str], str], is_held: bool
) -> None:
    os.mkfifo(pipe := kept.with_name("pipe"))
    writing = [os.open(kept, flags) for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND)]
    writing += [os.open(kept.parent, os.O_TMPFILE | os.O_RDWR), os.open(pipe, os.O_RDWR), os.open(pipe, os.O_WRONLY)]
    staying = [os.open(kept, os.O_RDONLY), os.open(pipe, os.O_RDONLY), os.open(os.devnull, os.O_RDWR), *os.pipe()]
    master, terminal = os.openpty()
    staying.append(terminal)
    launcher = str(bindings.LAUNCHER) if is_held else without("read-only")
    flags = ("--read-only", "--keep-files")
    run = shim.probe("tree", "state", flags=flags, launcher=launcher, pass_fds=(*writing, *staying))
    for descriptor in (*writing, *staying, master):
        os.close(descriptor)
    found = {int(line.removeprefix("fd=")) for line in run.lines[1:]}
    assert found == set(staying if is_held else writing + staying)


@AT_GUARD
def test_what_a_shell_has_to_tell_its_command_is_read_and_its_log_is_not_written_to(shim: Shim, kept: Path) -> None:
    tells = f'exec 5>>{kept}; exec "$@" /dev/fd/63 63< <(echo told)'
    run = shim.run(
        "sh", "-c", 'cat "$1"; echo x >&5 || echo no', "sh",
        flags=("--read-only", "--keep-files"), under=("bash", "-c", tells, "bash"),
    )  # fmt: skip
    assert (run.lines, kept.read_text()) == (["told", "no"], "as it was")


@AT_GUARD
def test_where_the_callers_own_redirections_lead_is_written_to(shim: Shim, kept: Path) -> None:
    with kept.open("r+") as both:
        shim.run("sh", "-c", "echo x >&0", flags=("--read-only", "--keep-files"), stdin=both)
    assert kept.read_text() == "x\n it was"


@pytest.mark.parametrize("shim", ["shim"], indirect=True)
def test_without_a_level_that_can_hold_it_nothing_is_started(shim: Shim) -> None:
    run = shim.run("true", flags=("--read-only",))
    assert run.process.returncode == EXIT_MISUSED


@AT_GUARD
def test_nothing_is_started_where_a_place_to_write_to_is_gone(shim: Shim, tmp_path: Path) -> None:
    refused = shim.run("true", flags=("--read-only", "--write", str(tmp_path / "gone"))).of(NoticeKind.REFUSED)
    assert refused.reason is Reason.CONTAINMENT


@AT_GUARD
@pytest.mark.parametrize("swap", ["rmdir a/b; ln -s ../../kept a/b", "rm -r a; ln -s ../outer a"], ids=["it", "up"])
@pytest.mark.parametrize("is_held", [True, False], ids=["as it is", "without that defence"])
def test_a_link_that_a_run_has_laid_opens_nothing_to_the_next(
    shim: Shim, kept: Path, tmp_path: Path, without: Callable[[str], str], swap: str, is_held: bool
) -> None:
    (inner := tmp_path / "own" / "a" / "b").mkdir(parents=True)
    (tmp_path / "outer").mkdir()
    (tmp_path / "outer" / "b").symlink_to(kept.parent)
    launcher = str(bindings.LAUNCHER) if is_held else without("links")
    flags = ("--read-only", "--write", str(tmp_path / "own"), "--write", str(inner))
    assert shim.run("sh", "-ec", swap, cwd=tmp_path / "own", flags=flags).of(NoticeKind.EXITED).status == 0
    run = shim.run("sh", "-c", f"echo changed >{kept}", flags=flags, launcher=launcher)
    if is_held:
        refused = run.of(NoticeKind.REFUSED)
        assert (refused.reason, refused.error) == (Reason.CONTAINMENT, errno.ELOOP)
    assert kept.read_text() == ("as it was" if is_held else "changed\n")


@AT_GUARD
def test_a_place_that_a_run_has_made_anew_is_one_that_it_may_write_to(shim: Shim, tmp_path: Path) -> None:
    (inner := tmp_path / "own" / "pages").mkdir(parents=True)
    flags = ("--read-only", "--write", str(inner.parent), "--write", str(inner))
    anew = f"rm -rf {inner}; mkdir {inner} && echo mine >{inner}/file && cat {inner}/file"
    assert [shim.run("sh", "-c", anew, flags=flags).lines for _ in range(2)] == [["mine"]] * 2


@AT_GUARD
def test_without_it_the_file_is_changed(shim: Shim, kept: Path, without: Callable[[str], str]) -> None:
    assert come_of(shim, ["write"], kept, "--read-only", launcher=without("read-only")) == ["done"]
