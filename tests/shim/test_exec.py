"""Programs started by a tool: the shim comes along, or they are refused."""

import os
import shutil
import subprocess
import sys

import pytest

from exitpin.shim.bindings import NoticeKind, Op, Reason, encode_answer

REPLACES = [
    "execve",
    "execve_null",
    "execve_other",
    "execv",
    "execl",
    "execle",
    "execvp",
    "execlp",
    "execvpe",
    "fexecve",
    "fexecve_path",
    "execveat",
]
STARTS = {"vfork": "vfork=0", "spawn": "spawn=OK", "spawnp": "spawnp=OK", "system": "system=0", "popen": "popen=0"}


@pytest.mark.parametrize("how", [*REPLACES, *STARTS])
def test_the_shim_survives_a_cleared_environment(shim, how):
    script = shutil.which("true")
    run = shim.probe("execs", how, script)
    assert run.lines == ([STARTS[how]] if how in STARTS else [])
    processes = {report.pid for report in shim.stand_in.of(Op.HELLO)}
    assert len(shim.stand_in.of(Op.HELLO)) >= 2
    assert len(processes) == 1 if how in REPLACES else len(processes) >= 2


def test_a_thread_with_the_least_stack_can_start_programs(shim):
    assert shim.probe("execs", "little", "true").lines == ["stack=OK", "little=0"]


@pytest.mark.parametrize("how", ["pidfd_spawn", "pidfd_spawnp"])
def test_who_spawns_by_descriptor_takes_the_shim_along_whatever_the_c_library(shim, how):
    """Its own libc may have no such call: then it is made of posix_spawn and pidfd_open."""
    assert shim.probe("execs", how, shutil.which("true")).lines == [f"{how}=OK", "cloexec=1"]
    assert len({report.pid for report in shim.stand_in.of(Op.HELLO)}) == 2


@pytest.mark.parametrize("how", ["pidfd_spawn", "pidfd_spawnp"])
def test_who_spawns_a_static_program_by_descriptor_is_refused(shim, programs, how):
    if "static" not in programs:
        pytest.skip("no static libc here")
    assert shim.probe("execs", how, programs["static"]).lines == [f"{how}=EACCES", "cloexec=-1"]
    assert shim.stand_in.of(Op.DENIED)[0].reason is Reason.STATIC


@pytest.mark.parametrize("how", [*REPLACES, "spawn", "spawnp", "vfork"])
def test_a_static_program_is_refused(shim, programs, how):
    if "static" not in programs:
        pytest.skip("no static libc here")
    run = shim.probe("execs", how, programs["static"])
    assert run.lines == (["vfork=111"] if how == "vfork" else [f"{how}=EACCES"])
    (denied,) = shim.stand_in.of(Op.DENIED)
    assert denied.reason is Reason.STATIC
    assert denied.name in (programs["static"], None)


AT_THE_LIMIT = """
import errno, os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
try:
    while True:
        os.open(os.devnull, os.O_RDONLY)
except OSError:
    pass
try:
    os.execv(sys.argv[1], sys.argv[1:])
except OSError as error:
    print(errno.errorcode[error.errno])
"""


def test_a_program_that_can_not_be_looked_at_is_refused(shim, programs):
    if "static" not in programs:
        pytest.skip("no static libc here")
    assert shim.run(sys.executable, "-c", AT_THE_LIMIT, programs["static"]).lines == ["EACCES"]


@pytest.mark.parametrize("shim", ["shim"], indirect=True)  # at guard nothing can be mounted
def test_a_descriptor_that_can_not_be_opened_anew_is_refused(shim, programs):
    """fexecve where no /proc is mounted: the file can't be read through it."""
    if "static" not in programs:
        pytest.skip("no static libc here")
    hide = "import ctypes, os, sys; ctypes.CDLL(None).mount(b'none', b'/proc', b'tmpfs', 0, None)"
    hide += "; os.path.exists('/proc/self') or os.execv(sys.argv[1], sys.argv[1:])"
    command = [programs["execs"], "fexecve", programs["static"]]
    run = shim.run("unshare", "-rm", sys.executable, "-c", hide, *command)
    assert run.lines == ["fexecve=EACCES"]


def test_another_library_in_front_stays_behind_ours(shim):
    script = "import os; os.execve('/usr/bin/env', ['env'], {'LD_PRELOAD': 'libm.so.6', 'A': '1'})"
    run = shim.run(sys.executable, "-c", script)
    assert f"LD_PRELOAD={shim.preload}:libm.so.6" in run.lines
    assert "A=1" in run.lines


def test_our_entries_stand_once_and_last_in_an_untouched_environment(shim):
    run = shim.run("sh", "-c", "env", env={**os.environ, "LD_PRELOAD": "libm.so.6"})
    assert [line for line in run.lines if line.startswith("LD_PRELOAD=")] == [f"LD_PRELOAD={shim.preload}:libm.so.6"]
    assert len([line for line in run.lines if line.startswith("EXITPIN_SHIM=")]) == 1


def test_env_i_keeps_the_shim(shim):
    shim.run("env", "-i", shutil.which("env"), "-u", "LD_PRELOAD", shutil.which("true"))
    assert len(shim.stand_in.of(Op.HELLO)) == 3


def test_a_script_without_a_first_line_is_run_by_the_shell(shim, tmp_path):
    script = tmp_path / "script"
    script.write_text("echo ran $1\n")
    script.chmod(0o755)
    assert shim.run(str(script), "one").lines == ["ran one"]
    assert shim.run("env", str(script), "two").lines == ["ran two"]


def test_execvp_finds_the_errors_of_the_kernel(shim, tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("no\n")
    script = f"""
import os
for path in ("/nonexistent", "nonesuch", {str(plain)!r}, "/"):
    try:
        os.execvp(path, ["x"])
    except OSError as error:
        print(type(error).__name__)
"""
    assert shim.run(sys.executable, "-c", script).lines == ["FileNotFoundError"] * 2 + ["PermissionError"] * 2


def test_a_program_that_says_no_hello_ends_before_main(shim):
    shim.stand_in.on[Op.HELLO] = lambda report, passed: b"odd"
    run = shim.run("echo", "ran")
    assert run.lines == []
    assert os.waitstatus_to_exitcode(run.of(NoticeKind.EXITED).status) == 127
    assert "does not answer" in run.stderr


def test_a_refused_hello_ends_before_main(shim):
    shim.stand_in.on[Op.HELLO] = lambda report, passed: encode_answer(1)
    run = shim.run("echo", "ran")
    assert (run.lines, os.waitstatus_to_exitcode(run.of(NoticeKind.EXITED).status)) == ([], 127)


@pytest.mark.parametrize("config", [None, "", "1:00:127.0.0.1:/x", "2:" + "0" * 32 + ":127.0.0.1:/x"])
def test_the_library_without_a_configuration_runs_nothing(shim, config):
    environment = {**os.environ, "LD_PRELOAD": str(shim.preload)}
    if config is not None:
        environment["EXITPIN_SHIM"] = config
    done = subprocess.run(["/bin/echo", "ran"], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (127, "")


def test_a_host_program_with_our_names_still_works(shim, tmp_path):
    source = tmp_path / "host.c"
    source.write_text(
        "#include <stdio.h>\n#include <unistd.h>\n"
        "int fail(int a) { return a; }\nint execute(void) { return 1; }\nint spawn(void) { return 2; }\n"
        'int execvp(const char *f, char *const a[]) { (void)f; (void)a; puts("own"); return -1; }\n'
        'int main(void) { char *a[] = {"true", 0}; execvp("true", a); execlp("echo", "echo", "real", (char *)0); }\n'
    )
    program = str(tmp_path / "host")
    subprocess.run(["cc", "-rdynamic", "-o", program, str(source)], check=True)
    assert shim.run("stdbuf", "-o0", program).lines == ["own", "real"]
