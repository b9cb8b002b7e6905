"""The launcher: what it refuses, what it passes on, and that nothing outlives it."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from exitpin.shim import bindings
from exitpin.shim.bindings import NoticeKind, Op, OrderKind, Reason


def eventually(holds, deadline_s=30.0):
    end = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.002)


def await_ready(run):
    assert run.process.stdout.readline() == "ready\n"


def tree_of(pid):
    return psutil.Process(pid).children(recursive=True)


def test_notices_come_in_order_with_costs(shim):
    run = shim.run("sh", "-c", "exit 3")
    assert [notice.kind for notice in run.notices] == [NoticeKind.STARTED, NoticeKind.EXITED, NoticeKind.ENDED]
    assert os.waitstatus_to_exitcode(run.of(NoticeKind.EXITED).status) == 3
    assert run.of(NoticeKind.EXITED).pid == run.of(NoticeKind.STARTED).pid
    assert run.of(NoticeKind.EXITED).maxrss_kib > 100
    assert run.process.returncode == 0


@pytest.mark.parametrize(("how", "code"), [("fails", 42), ("killed", -signal.SIGKILL)])
def test_the_way_a_tool_ends_is_kept(shim, how, code):
    assert os.waitstatus_to_exitcode(shim.probe("tree", how).of(NoticeKind.EXITED).status) == code


def test_a_tool_starts_as_from_a_shell(shim):
    ignored = [signal.SIGPIPE, signal.SIGINT, signal.SIGCHLD]

    def spoil():
        for signo in ignored:
            signal.signal(signo, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR2})

    run = shim.probe("tree", "state", preexec_fn=spoil)
    assert run.lines == ["blocked=0 ignored=0 leader=1 nnp=1"]


def test_a_command_that_is_not_there(refused):
    assert refused("nonesuch-command") == (Reason.NOT_FOUND, 127)
    assert refused("/nonexistent/file") == (Reason.NOT_FOUND, 127)


def test_a_command_that_cannot_be_executed(refused, tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("echo ran\n")
    assert refused(str(plain)) == (Reason.NOT_EXECUTABLE, 126)
    assert refused(str(tmp_path)) == (Reason.NOT_EXECUTABLE, 126)


def test_a_static_program(refused, programs):
    if "static" not in programs:
        pytest.skip("no static libc here")
    assert refused(programs["static"]) == (Reason.STATIC, 126)


def test_a_command_that_the_kernel_will_not_execute(shim, tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/nonexistent/interpreter\n")
    script.chmod(0o755)
    run = shim.run(str(script))
    assert [notice.kind for notice in run.notices] == [NoticeKind.STARTED, NoticeKind.REFUSED]
    assert (run.notices[1].error, run.process.returncode) == (errno.ENOENT, 126)


def test_a_script_for_a_static_interpreter(refused, programs, tmp_path):
    if "static" not in programs:
        pytest.skip("no static libc here")
    script = tmp_path / "script"
    script.write_text(f"#! {programs['static']} -x\n")
    script.chmod(0o755)
    assert refused(str(script)) == (Reason.STATIC, 126)


@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_a_setuid_or_setgid_program(refused, tmp_path, mode):
    program = tmp_path / "program"
    shutil.copy(shutil.which("true"), program)
    program.chmod(mode)
    assert refused(str(program)) == (Reason.SETUID, 126)


@pytest.mark.parametrize(
    ("offset", "patch"),
    [(4, b"\x01"), (5, b"\x02"), (18, b"\x03\x00")],
    ids=["32-bit", "big-endian", "i386"],
)
def test_a_program_for_another_machine(refused, tmp_path, offset, patch):
    program = tmp_path / "program"
    content = bytearray(Path(shutil.which("true")).read_bytes())
    content[offset : offset + len(patch)] = patch
    program.write_bytes(content)
    program.chmod(0o755)
    assert refused(str(program)) == (Reason.FOREIGN, 126)


def test_a_program_for_another_libc(refused, tmp_path):
    program = tmp_path / "program"
    content = Path(shutil.which("true")).read_bytes()
    linker = b"/lib64/ld-linux-x86-64.so.2"
    if linker not in content:
        pytest.skip("another architecture")
    program.write_bytes(content.replace(linker, b"/lib/ld-musl-x86_64.so.1\0\0\0"))
    program.chmod(0o755)
    assert refused(str(program)) == (Reason.LIBC, 126)


@pytest.mark.parametrize("how", ["a b", "a:b"])
def test_a_library_path_that_the_linker_would_split_is_refused(shim, tmp_path, how):
    folder = tmp_path / how
    folder.mkdir()
    (folder / "exitpin-preload.so").symlink_to(bindings.PRELOAD)
    shim.preload = folder / "exitpin-preload.so"
    run = shim.run("echo", "ran")
    assert (run.stdout, run.process.returncode) == ("", 100)
    assert [notice.kind for notice in run.notices] == [NoticeKind.REFUSED]


def test_a_symlink_without_blanks_leads_to_such_a_library(shim, tmp_path):
    (tmp_path / "a b").mkdir()
    shutil.copy(bindings.PRELOAD, tmp_path / "a b" / "exitpin-preload.so")
    (tmp_path / "exitpin-preload.so").symlink_to(tmp_path / "a b" / "exitpin-preload.so")
    shim.preload = tmp_path / "exitpin-preload.so"
    assert shim.run("echo", "ran").lines == ["ran"]
    assert len(shim.stand_in.of(Op.HELLO)) == 1


@pytest.mark.parametrize("arguments", [[], ["--control", "9"], ["--nonsense"], ["--control"]])
def test_misuse_is_told_apart(arguments):
    done = subprocess.run([bindings.LAUNCHER, *arguments], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (100, b"")
    assert b"usage" in done.stderr


@pytest.mark.parametrize(("how", "least"), [("daemonize", 1), ("orphans", 5), ("crowd", 1000)])
def test_what_a_tool_leaves_behind_is_ended(shim, how, least):
    run = shim.probe("tree", how)
    assert run.of(NoticeKind.EXITED).status == 0
    assert run.of(NoticeKind.ENDED).swept >= least
    assert not alive_in_session(shim)


def alive_in_session(shim):
    """Processes that still have this run's configuration, but for the launcher, which does not preload."""
    mark = str(shim.stand_in.path)
    found = []
    for process in psutil.process_iter(["status", "environ"]):
        environ = process.info["environ"] or {}
        is_of_the_run = mark in environ.get("EXITPIN_SHIM", "") and "LD_PRELOAD" in environ
        if is_of_the_run and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def test_who_has_the_pid_of_one_of_the_tree_that_ended_is_spared(programs):
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        command = [programs["strangers"], str(stranger.pid)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        assert done.stdout.splitlines() == ["stranger: 0", "child: 1", "killed: 1"]
        assert stranger.poll() is None
        stranger.kill()


def test_the_end_of_the_control_connection_kills_all(shim):
    run = shim.start(shim.programs["tree"], "stubborn")
    await_ready(run)
    assert len(alive_in_session(shim)) == 2
    run.control.close()
    run.process.wait(30)
    assert not alive_in_session(shim)


def test_a_killed_launcher_takes_the_first_process_along(shim):
    run = shim.start("sleep", "60")
    tool = run.next_notice().pid
    eventually(lambda: len(shim.stand_in.of(Op.HELLO)) == 1)
    launcher = psutil.Process(tool).parent()
    assert launcher is not None
    launcher.kill()
    eventually(lambda: not alive_in_session(shim))


@pytest.mark.parametrize(("grace_ms", "signo"), [(0, signal.SIGKILL), (50, signal.SIGKILL)])
def test_an_end_order_ends_what_ignores_term(shim, grace_ms, signo):
    run = shim.start(shim.programs["tree"], "stubborn")
    await_ready(run)
    began = time.monotonic()
    run.order(OrderKind.END, grace_ms=grace_ms)
    run.wait()
    assert time.monotonic() - began >= grace_ms / 1000
    assert os.waitstatus_to_exitcode(run.of(NoticeKind.EXITED).status) == -signo
    assert not alive_in_session(shim)


def test_an_end_order_ends_what_heeds_term_at_once(shim):
    run = shim.start("sleep", "60")
    run.next_notice()
    eventually(lambda: len(shim.stand_in.of(Op.HELLO)) == 1)
    run.order(OrderKind.END, grace_ms=60_000)
    assert os.waitstatus_to_exitcode(run.wait().of(NoticeKind.EXITED).status) == -signal.SIGTERM


def test_a_signal_order_reaches_the_tool(shim):
    run = shim.start(shim.programs["tree"], "handled")
    await_ready(run)
    run.order(OrderKind.SIGNAL, signal.SIGUSR1)
    run.wait()
    assert run.lines[-1:] == [f"signal {int(signal.SIGUSR1)}"]
    assert os.waitstatus_to_exitcode(run.of(NoticeKind.EXITED).status) == 7


def test_an_odd_order_is_passed_over(shim):
    run = shim.start(shim.programs["tree"], "handled")
    await_ready(run)
    for packet in (b"x", bytes(12), b"x" * 100):
        run.control.send(packet)
    run.order(OrderKind.SIGNAL, signal.SIGUSR1)
    assert run.wait().lines[-1:] == [f"signal {int(signal.SIGUSR1)}"]


def test_a_stopped_tree_is_ended_too(shim):
    run = shim.start("sh", "-c", "kill -STOP $$")
    tool = run.next_notice().pid
    eventually(lambda: psutil.Process(tool).status() == psutil.STATUS_STOPPED)
    run.order(OrderKind.END, grace_ms=60_000)
    assert os.waitstatus_to_exitcode(run.wait().of(NoticeKind.EXITED).status) == -signal.SIGTERM


def rob_of_descriptors(tool, limit):
    """What a hostile tool can do to its launcher, of the same user."""
    launcher = psutil.Process(tool).ppid()
    resource.prlimit(launcher, resource.RLIMIT_NOFILE, (limit, limit))


@pytest.mark.parametrize("limit", [0, 3, 4])
@pytest.mark.parametrize("how", ["exits", "is ended", "is hung up on"])
def test_a_launcher_that_can_open_nothing_still_ends_all_of_the_tree(shim, limit, how):
    script = "setsid sh -c 'setsid sleep 60 & trap : TERM; wait; wait' & echo ready; exec sleep 60"
    run = shim.start("sh", "-c", script)
    tool = run.next_notice().pid
    await_ready(run)
    eventually(lambda: len(tree_of(tool)) == 2 and len(alive_in_session(shim)) == 3)
    rob_of_descriptors(tool, limit)
    if how == "exits":
        os.kill(tool, signal.SIGKILL)
    elif how == "is ended":
        run.order(OrderKind.END, grace_ms=20)
    else:
        run.control.close()
    run.process.wait(30)
    assert not alive_in_session(shim)


def test_a_tool_that_robs_its_launcher_gets_no_more_processes_than_before(shim):
    script = "setsid sh -c 'sleep 60 & sleep 60 & sleep 60 & wait' & echo ready; exec sleep 60"
    run = shim.start("sh", "-c", script, flags=("--limit", "processes=6"))
    tool = run.next_notice().pid
    await_ready(run)
    rob_of_descriptors(tool, 0)
    assert NoticeKind.CROWDED in [notice.kind for notice in run.wait().notices], "who can't be counted is too many"
    assert not alive_in_session(shim)
