"""Commands in the manner of `sh`, through an exit: each habit of `sh`, and each of its traps."""

import asyncio
import gc
import io
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sh

import exitpin
from exitpin import Pinned, Tor
from exitpin.wrappers.kept import KEPT_MAX

from .conftest import Lab, eventually
from .running import EXITPIN, Log

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

URL = "http://web.test/ip"
ORPHAN = 'setsid tail -f /dev/null & echo $! > "$0"; wait'


@pytest.fixture(scope="module")
def tor(lab: Lab) -> Iterator[Tor]:
    with exitpin.open(lab=True, name=lab.state.name) as opened:
        yield opened


@pytest.fixture(scope="module")
def one(tor: Tor) -> Pinned:
    return tor.exit("exit01")


def assert_gone(pid_file: Path) -> None:
    """What ORPHAN left ends, though nobody waits for it; it is seen from inside by another number."""
    inside = int(pid_file.read_text())
    assert not [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and _is_tail(entry, inside)]


def _is_tail(entry: Path, inside: int) -> bool:
    """Whether it is a tail(1) that has this number where it runs. A zombie has no command line."""
    try:
        lines = (entry / "status").read_text().splitlines()
        words = (entry / "cmdline").read_bytes()
    except OSError:
        return False
    return int(next(line for line in lines if line.startswith("NSpid:")).split()[-1]) == inside and b"tail" in words


def test_a_command_leaves_by_its_exit_and_has_its_record(lab: Lab, tor: Tor, one: Pinned, tmp_path: Path) -> None:
    log = Log.of(lab.state)
    printed = one.curl("-sS", URL)
    assert printed == f"{lab.state.relay('exit01').address}\n" == log.peers("http")[0] + "\n"
    record = printed.record
    assert (record["schema"], record["status"], len(record["streams"])) == ("exitpin.run/1", "ok", 1)
    assert (record["exit"]["nickname"], record["tool"]["argv"]) == ("exit01", ["curl", "-sS", URL])
    file = tmp_path / "record"
    file.write_text(json.dumps(record))
    verify = [*EXITPIN, "results", "verify", record["evidence"][0]["file"], str(file)]
    told = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert told.stdout.startswith("consistent: 1 of 1 streams in 1 records"), told
    assert (printed.stderr, printed.exit_code) == (b"", 0)


def test_exits_are_values_and_name_what_runs(tor: Tor) -> None:
    relays = tor.exits(to=[("web.test", 80), "web.test:443"], flags=["Exit"], sample=2, seed=1)
    assert relays == tor.exits(to=("web.test", 443), flags=["Exit"], sample=2, seed=1)
    assert tor.exit(relays[0]).printenv("EXITPIN_EXIT_FP").strip() == relays[0].fingerprint
    assert tor.exit(relays[0].fingerprint).relay == relays[0] == tor.exit(relays[0].nickname).relay
    assert repr(tor.exit(relays[0])) == f"<exit {relays[0].nickname} {relays[0].fingerprint}>"
    with pytest.raises(exitpin.OperatorError, match="'nosuch' is neither"):
        tor.exit("nosuch")


@pytest.mark.parametrize("status", [1, 7, 124, 255])
def test_an_exit_status_is_an_exception_of_its_own(one: Pinned, status: int) -> None:
    with pytest.raises(getattr(sh, f"ErrorReturnCode_{status}")) as raised:
        one.sh("-c", f"echo out; echo err >&2; exit {status}")
    assert (raised.value.stdout, raised.value.stderr) == (b"out\n", b"err\n")
    assert raised.value.record["process"]["rc"] == status
    assert one.sh("-c", f"exit {status}", _ok_code=[0, status]).exit_code == status


def test_a_signal_that_ended_the_tool_is_one_of_sh_and_a_status_like_it_is_none(one: Pinned) -> None:
    with pytest.raises(sh.SignalException_SIGTERM) as raised:
        one.sh("-c", "kill $$")
    assert raised.value.record["process"]["signal"] == 15
    with pytest.raises(sh.ErrorReturnCode_143):
        one.sh("-c", "exit 143")


def test_a_command_is_found_as_sh_finds_it(one: Pinned) -> None:
    assert one.ssh_keyscan("-V", _ok_code=[0, 1]).exit_code in (0, 1)
    assert one.command("/bin/echo")("a b") == "a b\n"
    with pytest.raises(sh.CommandNotFound):
        one.no_such_command()
    assert not hasattr(one, "_private")
    baked = one.echo.bake("-n").bake("x")
    assert baked("y") == one.echo.bake("-n")("x", "y") == "x y"
    assert one.printf("%s %s", "a;b", "$c") == "a;b $c"
    assert one.echo(long_name="v", s=True) == "--long-name=v -s\n"


def test_input_comes_as_sh_takes_it_and_is_empty_if_none_is_given(one: Pinned, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"of a file")
    assert one.cat() == ""
    assert one.cat(_in="a text") == "a text"
    assert one.cat(_in=["a ", "list"]) == "a list"
    with (tmp_path / "file").open("rb") as file:
        assert one.cat(_in=file) == "of a file"
    assert one.tr("a-z", "A-Z", _in=one.echo("nested")) == "NESTED\n"


def test_pipes_join_commands_of_different_exits_and_of_sh_itself(tor: Tor, one: Pinned) -> None:
    other = tor.exit("exit02")
    page = one.curl("-sS", URL, _piped=True)
    assert other.sh("-c", "cat; curl -sS " + URL, _in=page).split() == [one.relay.address, other.relay.address]
    assert page.record["exit"]["nickname"] == "exit01"
    assert sh.wc("-c", _in=one.head("-c", "300000", "/dev/zero", _piped=True)).strip() == "300000"
    assert one.head("-c", "4", _in=one.yes(_piped=True)) == "y\ny\n"


def test_lines_are_read_as_they_come_and_hold_the_tool_back(one: Pinned) -> None:
    lines = one.sh("-c", "echo a; echo b; printf c; exit 3", _iter=True)
    with pytest.raises(sh.ErrorReturnCode_3) as raised:
        for expected in ("a\n", "b\n", "c", ""):
            assert next(lines) == expected
    assert raised.value.record is lines.record
    assert list(one.seq("3", _iter=True)) == ["1\n", "2\n", "3\n"]
    assert list(one.sh("-c", "echo e >&2", _iter="err")) == ["e\n"]
    endless = one.yes(_iter=True)
    assert next(endless) == "y\n"
    assert endless.is_alive()
    endless.wait()
    assert endless.record["process"]["signal"] == 13


def test_one_command_feeds_another_without_a_pipe(tor: Tor, one: Pinned) -> None:
    other = tor.exit("exit02")
    assert other.tr("a-z", "A-Z", _in=one.echo("kept", _bg=True)) == "KEPT\n"
    assert other.wc("-l", _in=one.seq("100000", _iter=True)).strip() == "100000"
    with pytest.raises(sh.ErrorReturnCode_7):
        other.sh("-c", "cat; exec sleep 60", _in=one.sh("-c", "exit 7", _bg=True))


def test_what_is_left_in_an_event_loop_is_ended_and_under_way_no_more(tor: Tor, one: Pinned) -> None:
    gc.collect()
    before = {*tor._daemon._under_way}

    async def main() -> None:
        async for line in (lines := one.yes(_iter=True)):
            assert line == "y\n"
            break
        await asyncio.to_thread(lines.process.wait)

    asyncio.run(main())
    one.true(_bg=True).process.wait()
    gc.collect()
    assert {*tor._daemon._under_way} <= before


def test_output_goes_where_it_is_sent(one: Pinned, tmp_path: Path) -> None:
    heard: list[str] = []
    one.seq("3", _out=heard.append)
    assert heard == ["1\n", "2\n", "3\n"]
    one.echo("file", _out=str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "file\n"
    buffer = io.StringIO()
    assert one.echo("tee", _out=buffer, _tee=True) == "tee\n" == buffer.getvalue()
    assert one.sh("-c", "echo e >&2; echo o", _err_to_out=True) == "e\no\n"
    assert one.pwd(_cwd=str(tmp_path)) == f"{tmp_path}\n"
    assert "MARK=x" in one.env(_env={**os.environ, "MARK": "x"})
    assert "EXITPIN_DAEMON" not in one.env()


def test_a_terminal_is_there_only_if_it_is_asked_for(one: Pinned) -> None:
    script = "test -t 1 && echo terminal || echo none"
    assert one.sh("-c", script) == "none\n"
    assert one.sh("-c", script, _tty_out=True) == "terminal\n"
    assert one.sh("-c", "tty -s && echo in", _tty_in=True, _in="").strip() == "in"


def test_before_others_stands_a_command_with_others_in_it(one: Pinned) -> None:
    printed = one.env("MARK=x", "sh", "-c", f"echo $MARK; curl -sS {URL}")
    assert printed.split() == ["x", one.relay.address]


def test_many_in_the_background_take_few_threads_and_each_has_its_exit(lab: Lab, tor: Tor) -> None:
    before = threading.active_count()
    exits = [tor.exit(f"exit0{n}") for n in (1, 2, 3, 4)]
    running = [each.sh("-c", f"sleep 1; curl -sS {URL}", _bg=True) for each in exits * 4]
    assert threading.active_count() - before <= len(running) + 1
    assert running[0].record is None
    assert [str(each).strip() for each in running] == [each.relay.address for each in exits * 4]
    assert {each.record["status"] for each in running} == {"ok"}


def test_what_fails_in_the_background_is_told_when_it_is_waited_for(
    one: Pinned, capfd: pytest.CaptureFixture[str]
) -> None:
    failed = one.sh("-c", "exit 5", _bg=True)
    eventually(lambda: _assert(not failed.is_alive()))
    with pytest.raises(sh.ErrorReturnCode_5):
        failed.wait()
    assert capfd.readouterr().err == ""


def test_a_callback_hears_of_the_end(one: Pinned) -> None:
    ended: list[tuple[bool, int]] = []
    one.sh("-c", "exit 4", _bg=True, _ok_code=4, _done=lambda _, ok, code: ended.append((ok, code))).wait()
    assert ended == [(True, 4)]


def test_it_can_be_awaited(one: Pinned) -> None:
    async def main() -> list[str]:
        return list(await asyncio.gather(*(one.curl("-sS", URL, _async=True) for _ in range(3))))

    printed = asyncio.run(main())
    assert printed == [f"{one.relay.address}\n"] * 3
    assert printed[0].record["status"] == "ok"  # type: ignore[attr-defined]


def test_a_timeout_leaves_no_orphan_and_a_record(one: Pinned, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(sh.TimeoutException) as raised:
        one.sh("-c", ORPHAN, str(tmp_path / "pid"), _timeout=15)
    assert time.monotonic() - began < 60
    eventually(lambda: assert_gone(tmp_path / "pid"))
    assert raised.value.exit_code == 15
    assert raised.value.record["failure"]["kind"] == "interrupted"  # type: ignore[attr-defined]


def test_what_is_killed_leaves_no_orphan(one: Pinned, tmp_path: Path) -> None:
    running = one.sh("-c", ORPHAN, str(tmp_path / "pid"), _bg=True)
    eventually(lambda: _assert((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    running.kill()
    with pytest.raises(sh.SignalException_SIGKILL):
        running.wait()
    eventually(lambda: assert_gone(tmp_path / "pid"))


def test_who_writes_without_an_end_is_ended_and_memory_stays_bounded(one: Pinned) -> None:
    with pytest.raises(exitpin.TooMuchOutput) as raised:
        one.cat("/dev/zero", _timeout=60)
    assert raised.value.record is not None
    assert len(one.head("-c", str(KEPT_MAX), "/dev/zero")) == KEPT_MAX


def _assert(condition: object) -> None:
    assert condition
