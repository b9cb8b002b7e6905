"""What the launcher allows a tool to use up: each limit by what a tool that goes over it gets."""

import errno
import os
import resource
import signal
import subprocess
import sys

import pytest

from exitpin.shim.bindings import NoticeKind, Reason

MIB = 1 << 20
FORKS = 'f() { [ "$1" -eq 0 ] || { f $(($1 - 1)) & f $(($1 - 1)) & wait; }; }; f 12'


def ending(run):
    return os.waitstatus_to_exitcode(run.of(NoticeKind.EXITED).status)


def limit(text):
    return ("--limit", text)


def test_a_tool_over_its_memory_gets_enomem(shim):
    script = "try: bytearray(1 << 30)\nexcept MemoryError: print('ENOMEM')"
    assert shim.run(sys.executable, "-c", script, flags=limit(f"memory={256 * MIB}")).lines == ["ENOMEM"]


@pytest.mark.slow
def test_a_tool_over_its_cpu_is_told_so_and_dies_of_it(shim):
    assert ending(shim.run("sh", "-c", "while :; do :; done", flags=limit("cpu=1"))) == -signal.SIGXCPU


@pytest.mark.slow
def test_a_tool_that_will_not_hear_of_its_cpu_is_killed(shim):
    run = shim.run("sh", "-c", "trap '' XCPU; while :; do :; done", flags=limit("cpu=1"))
    assert ending(run) == -signal.SIGKILL


def test_a_file_is_cut_at_its_limit_and_its_writer_is_signalled(shim, tmp_path):
    big = tmp_path / "big"
    run = shim.run("dd", "if=/dev/zero", f"of={big}", "bs=4096", "count=100", flags=limit("file=8192"))
    assert ending(run) == -signal.SIGXFSZ
    assert big.stat().st_size == 8192


def test_who_ignores_that_signal_gets_efbig(shim, tmp_path):
    script = (
        "import os, sys\nfile = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)\nos.write(file, bytes(10))\n"
        "try: os.write(file, bytes(10))\nexcept OSError as error: print(error.errno)"
    )
    run = shim.run(sys.executable, "-c", script, str(tmp_path / "big"), flags=limit("file=10"))
    assert run.lines == [str(errno.EFBIG)]


def test_open_files_are_limited_as_by_a_shell_and_may_be_raised_again(shim):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    script = "ulimit -Sn; ulimit -Sn $(ulimit -Hn); ulimit -Sn"
    assert shim.run("sh", "-c", script, flags=limit("open-files=64")).lines == ["64", str(hard)]


def test_no_core_is_dumped(shim):
    assert shim.run("sh", "-c", "ulimit -c; ulimit -Hc", flags=limit("core=0")).lines == ["0", "0"]


def test_what_the_caller_was_denied_stays_denied(shim):
    def deny():
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, 1024))

    run = shim.run("sh", "-c", "ulimit -f; ulimit -Hf", flags=limit("file=1048576"), preexec_fn=deny)
    assert run.lines == ["2", "2"]


@pytest.mark.parametrize(
    "text", ["cpu", "cpu=", "cpu=-1", "cpu=1s", "cp=1", "cpus=1", "=1", "file=9223372036854775808"]
)
def test_what_is_no_limit_is_misuse(shim, text):
    run = shim.run("echo", "ran", flags=limit(text))
    assert (run.process.returncode, run.stdout, run.notices) == (100, "", [])


def test_a_tool_may_have_as_many_processes_as_allowed(shim):
    run = shim.run("sh", "-c", "sleep 0.3 & sleep 0.3 & wait", flags=limit("processes=3"))
    assert ending(run) == 0
    assert NoticeKind.CROWDED not in [notice.kind for notice in run.notices]


def test_more_processes_than_allowed_end_the_tree_at_once(shim):
    run = shim.run("sh", "-c", FORKS, flags=limit("processes=8"))
    assert run.of(NoticeKind.CROWDED)
    assert ending(run) == -signal.SIGKILL
    assert [notice.kind for notice in run.notices][-1] is NoticeKind.ENDED


def test_a_tool_starts_in_its_directory_and_is_found_from_there(shim, tmp_path):
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\npwd\n")
    tool.chmod(0o755)
    assert shim.run("./tool", flags=("--directory", str(tmp_path))).lines == [str(tmp_path)]


def test_a_directory_that_is_not_there_is_refused(shim, tmp_path):
    run = shim.run("pwd", flags=("--directory", str(tmp_path / "none")))
    (notice,) = run.notices
    assert (notice.reason, notice.error, run.stdout) == (Reason.NOT_EXECUTABLE, errno.ENOENT, "")


def test_what_a_tool_left_behind_counts_too(shim):
    run = shim.run(
        "sh",
        "-c",
        "for n in 1 2 3 4 5; do (while read -r line; do :; done </dev/zero) & done",
        flags=limit("processes=4"),
    )
    assert run.of(NoticeKind.CROWDED)


def test_a_thousand_children_of_one_process_are_more_than_nine_hundred(shim):
    run = shim.probe("tree", "crowd", flags=limit("processes=900"))
    assert run.of(NoticeKind.CROWDED)


@pytest.mark.parametrize(
    ("children", "most", "counted"), [(0, 9, 0), (3000, 5000, 3000), (3000, 2000, 2000), (33_000, 60_000, 60_000)]
)
def test_as_many_children_are_counted_as_there_are_or_as_matter_and_too_many_are_as_many_as_matter(
    programs, children, most, counted
):
    command = [programs["counts"], str(children), str(most)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    assert done.stdout == f"{counted}\n"
