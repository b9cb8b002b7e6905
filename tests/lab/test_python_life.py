"""Tors of programs' own, and how they end: with a block, a program, a daemon. Nothing is left."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import exitpin

from .conftest import Lab, eventually, is_alive
from .daemons import without_waiting
from .test_python_commands import ORPHAN, URL, _assert, assert_gone

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

PROGRAM = Path(__file__).with_name("python_killed.py")
LEFT = ("command", "call", "foreground")


@contextmanager
def busy(lab: Lab, folder: Path) -> Iterator[tuple["subprocess.Popen[str]", int, Path]]:
    argv = [sys.executable, str(PROGRAM), lab.state.name, str(folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        pid, directory = program.stdout.readline().split()
        eventually(lambda: _assert(all((folder / n).exists() and (folder / n).read_text() for n in LEFT)), 30)
        try:
            yield program, int(pid), Path(directory)
        finally:
            program.kill()


def assert_nothing_is_left(folder: Path, daemon: int) -> None:
    eventually(lambda: _assert(not is_alive(daemon)), 20)
    for name in LEFT:
        eventually(lambda: assert_gone(folder / name))  # noqa: B023 - called at once


@pytest.mark.parametrize("signo", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_with_the_program_end_its_daemon_and_its_tools(lab: Lab, tmp_path: Path, signo: signal.Signals) -> None:
    with busy(lab, tmp_path) as (program, daemon, directory):
        program.send_signal(signo)
        program.wait(30)
        assert_nothing_is_left(tmp_path, daemon)
        assert signo != signal.SIGINT or not directory.exists()


def test_with_the_daemon_end_its_tools_and_the_program_is_told(lab: Lab, tmp_path: Path) -> None:
    with busy(lab, tmp_path) as (program, daemon, _):
        os.kill(daemon, signal.SIGKILL)
        assert program.stderr is not None
        said = program.stderr.read()
        assert "ErrorReturnCode_125" in said and "the daemon has gone" in said
        assert_nothing_is_left(tmp_path, daemon)


def test_in_the_foreground_it_is_pinned_too_and_has_our_descriptors(lab: Lab) -> None:
    script = (
        f"import exitpin\nwith exitpin.open(lab=True, name={lab.state.name!r}) as tor:\n"
        f"    assert tor.exit('exit01').sh('-c', 'cat; curl -sS {URL}', _fg=True) is None\n"
    )
    done = subprocess.run([sys.executable, "-c", script], input="typed\n", capture_output=True, text=True, check=False)
    assert (done.stdout, without_waiting(done.stderr)) == (f"typed\n{lab.state.relay('exit01').address}\n", "")


def test_when_its_block_has_ended_nothing_runs_and_nothing_begins(lab: Lab, tmp_path: Path) -> None:
    with exitpin.open(lab=True, name=lab.state.name) as tor:
        one = tor.exit("exit01")
        running = one.sh("-c", ORPHAN, str(tmp_path / "pid"), _bg=True)
        eventually(lambda: _assert((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    assert_gone(tmp_path / "pid")
    assert not running.is_alive()
    with pytest.raises(exitpin.OperatorError, match="closed"):
        one.true()
    tor.close()


def test_functions_and_classes_of_a_script_are_taken_along(lab: Lab, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import exitpin\n"
        "class Mine(Exception):\n    pass\n"
        "class Value:\n    def __init__(self, x): self.x = x\n"
        "def double(value):\n    return Value(value.x * 2)\n"
        "def fail():\n    raise Mine('mine')\n"
        f"with exitpin.open(lab=True, name={lab.state.name!r}) as tor:\n"
        "    one = tor.exit('exit01')\n"
        "    two = one.python(double, Value(21))\n"
        "    print(two.x, isinstance(two, Value))\n"
        "    try:\n        one.python(fail)\n"
        "    except Mine as error:\n        print(error)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, without_waiting(done.stderr)) == ("42 True\nmine\n", "")


def test_a_process_that_was_forked_within_the_block_takes_nothing_along(lab: Lab) -> None:
    script = (
        "import exitpin, os, sys\n"
        f"with exitpin.open(lab=True, name={lab.state.name!r}) as tor:\n"
        "    if (child := os.fork()) == 0:\n        sys.exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    print(tor.exit('exit01').echo('still there'), end='')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, without_waiting(done.stderr)) == ("still there\n", "")


def test_its_pace_is_that_of_its_clients(lab: Lab) -> None:
    """Who had other settings would borrow its tor for each command."""
    with exitpin.open(lab=True, name=lab.state.name, build_delay="50ms", build_jitter="10ms") as tor:
        for _ in range(3):
            tor.exit("exit01").true()
        assert '"served": 3' in tor._daemon.told("daemon", "status", "--json")
    with pytest.raises(exitpin.OperatorError, match="'nonsense' is not a time"):
        exitpin.open(lab=True, name=lab.state.name, build_delay="nonsense").__enter__()


def test_processes_that_were_forked_within_the_block_have_records_of_their_own(lab: Lab) -> None:
    script = (
        "import exitpin, multiprocessing\n"
        "def seen(name):\n"
        f"    page = tor.exit(name).curl('-sS', '{URL}')\n"
        "    return page.record['exit']['nickname'], page.strip() == page.record['exit']['addresses'][0]\n"
        f"with exitpin.open(lab=True, name={lab.state.name!r}) as tor:\n"
        "    names = ['exit01', 'exit02', 'exit03', 'exit04'] * 4\n"
        "    with multiprocessing.get_context('fork').Pool(4) as pool:\n"
        "        print(pool.map(seen, names, chunksize=1) == [(name, True) for name in names])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, without_waiting(done.stderr)) == ("True\n", "")


def test_what_all_runs_may_do_is_chosen_where_the_tor_is_opened(lab: Lab) -> None:
    def managed() -> dict[str, int]:
        import multiprocessing

        with multiprocessing.Manager() as manager:
            return dict(manager.dict(a=1))

    with exitpin.open(lab=True, name=lab.state.name, allow=["listen"]) as tor:
        assert tor.exit("exit01").python(managed) == {"a": 1}


def test_a_command_that_ended_within_the_block_has_its_record_after_it(lab: Lab) -> None:
    with exitpin.open(lab=True, name=lab.state.name) as tor:
        ended, under_way = (tor.exit("exit01").sleep(time, _bg=True) for time in ("0", "60"))
        eventually(lambda: _assert(not ended.is_alive() and "1 running" in tor._daemon.told("daemon", "status")))
        with pytest.raises(exitpin.OperatorError, match="has this tor open already"):
            exitpin.open(lab=True, name=lab.state.name).__enter__()
    assert ended.wait().record["status"] == "ok"
    assert under_way.record["failure"]["kind"] == "interrupted"
