"""The names that modules import, and the commands that they run; a module loaded with them."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.wrappers.exitmap.imports import Outline
from exitpin.wrappers.exitmap.loading import NAMES
from exitpin.wrappers.exitmap.names import command, error, torsocks, util
from exitpin.wrappers.exitmap.names.stats import Statistics
from exitpin.wrappers.exitmap.scan_files import ScanFiles, Spec

FP = "AB" * 20


def test_each_name_is_found_under_its_own_and_hides_one_in_the_folder_of_the_module(tmp_path: Path) -> None:
    for name in ("modules/util.py", "helper_of_src.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("theirs = True\n")
    module = tmp_path / "modules" / "tried.py"
    names = "\n".join(f"import {name}" for name in sorted(NAMES))
    module.write_text(f"{names}\nimport socks, helper_of_src\nfrom util import exiturl, dump_to_file\n"
                      "from modules import util as theirs\nassert theirs.theirs and theirs is not util\n"
                      "try:\n    command.util\nexcept AttributeError:\n    pass\nassert torsocks.error is error\n"
                      "assert __name__ == 'modules.tried'\n")  # fmt: skip
    code = f"from exitpin.wrappers.exitmap import loading as l; from pathlib import Path; l.provide_names(); " \
           f"l.load(p := Path({str(module)!r}), p.read_bytes())"  # fmt: skip
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_command_s_output_is_whole_and_its_stderr_in_it() -> None:
    run = command.Command()
    assert run.execute(["sh", "-c", "echo out; echo err >&2; exit 3"]) == (b"out\nerr\n", None)
    assert (run.stdout, run.stderr, run.process and run.process.returncode) == (b"out\nerr\n", None, 3)


def test_lines_go_to_the_callback_until_it_returns_something_false() -> None:
    lines: list[str] = []

    def until_two(line: str, kill: command.Kill) -> bool:
        lines.append(line)
        return line != "2"

    out, _ = command.new().execute(["printf", " 1\n2\n3\n4"], output_callback=until_two)
    assert (lines, out) == (["1", "2"], b"3\n4")
    lines.clear()
    out, _ = command.new().execute(["printf", "1\n\xe9"], output_callback=lambda line, kill: not lines.append(line))
    assert (lines, out) == (["1", "é"], b"")


def test_a_callback_may_kill_the_command() -> None:
    began = time.monotonic()

    def kill_at_once(line: str, kill: command.Kill) -> bool:
        kill()
        return True

    run = command.Command()
    run.execute(["sh", "-c", "echo begun; sleep 60"], timeout=30, output_callback=kill_at_once)
    assert run.process is not None and run.process.returncode == -9
    assert time.monotonic() - began < 20


def test_a_callback_that_raises_ends_the_command() -> None:
    run, began = command.Command(), time.monotonic()

    def fail(line: str, kill: command.Kill) -> bool:
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        run.execute(["sh", "-c", "echo begun; sleep 60"], timeout=30, output_callback=fail)
    assert run.process is not None and run.process.returncode == -9
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "script",
    ["sleep 60 & sleep 60", "sleep 60 & exit 0", "yes", "exec >&- 2>&-; sleep 60", "setsid sleep 10 & sleep 60"],
)
@pytest.mark.parametrize("has_callback", [False, True])
def test_a_command_that_does_not_end_is_killed_with_all_that_it_started(script: str, has_callback: bool) -> None:
    began = time.monotonic()
    callback = (lambda line, kill: True) if has_callback else None
    command.Command().execute(["sh", "-c", f"echo begun; {script}"], timeout=0.3, output_callback=callback)
    assert time.monotonic() - began < 9


def test_what_goes_wrong_with_a_connection_goes_no_further(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run = command.run_python_over_tor()

    def fail(why: Exception) -> None:
        raise why

    for why in (ConnectionResetError("reset"), TimeoutError("late"), error.SOCKSv5Error("SOCKS Server error 4")):
        assert run(fail, why) is None  # type: ignore[func-returns-value]
    assert [record.message for record in caplog.records][-1] == "SOCKSv5Error: SOCKS Server error 4"
    with pytest.raises(ValueError, match="its own"):
        run(fail, ValueError("its own"))


def test_a_name_that_no_exit_finds_is_a_socks_error(monkeypatch: pytest.MonkeyPatch) -> None:
    sock = torsocks.torsocket()
    assert isinstance(sock, torsocks._Torsocket)
    with pytest.raises(error.SOCKSv5Error, match=r"^SOCKS Server error 4$"):
        sock.resolve("no such name")
    assert sock.fileno() == -1
    mapped = torsocks.torsocket()
    assert isinstance(mapped, torsocks._Torsocket)
    with pytest.raises(RuntimeError, match="--resolve exit"):
        mapped.resolve("198.18.0.7")


def test_what_is_dumped_is_among_the_evidence_and_in_the_analysis_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence, analysis = tmp_path / "evidence", tmp_path / "not" / "there"
    evidence.mkdir()
    monkeypatch.setenv("EXITPIN_EVIDENCE", str(evidence))
    for folder, expected in ((analysis, 1), (evidence, 2)):
        monkeypatch.setattr(util, "analysis_dir", str(folder))
        path = util.dump_to_file("what was seen", FP)
        assert path is not None and Path(path).parent == folder and Path(path).name.startswith(f"{FP}_")
        assert [file.read_text() for file in evidence.iterdir()] == ["what was seen"] * expected


def test_the_functions_of_util_do_as_exitmap_s() -> None:
    assert util.exiturl(FP) == f"<https://metrics.torproject.org/rs.html#details/{FP}>"
    assert util.get_source_port("STREAM 1 NEW 0 a:80 SOURCE_ADDR=127.0.0.1:4711 PURPOSE=USER") == 4711
    assert util.extract_pattern("port 80 open", "port ([0-9]+)") == "80" and util.extract_pattern("none", "(x)") is None
    request = util.new_request("http://web.test/", b"data")
    assert request.data == b"data" and "Firefox" in str(request.get_header("User-agent"))
    told = {"started": 0, "probes": 4, "failed": {FP: "lost"}}
    stats = Statistics.of(told)
    assert (stats.total_circuits, stats.failed_circuits, stats.successful_circuits) == (4, 1, 3)
    assert list(stats.get_failed_circuit_relays()) == [FP] and "1/4 circuits failed (25.00%)" in str(stats)


def test_where_a_scan_can_not_write_it_says_so(tmp_path: Path) -> None:
    files = ScanFiles(tmp_path / "gone" / "scan")
    for write in (lambda: files.begin(Spec("m.py"), ""), lambda: files.tell_exit(FP, "", None)):
        with pytest.raises(OperatorError, match=r"gone/scan.* can't be written: No such file"):
            write()


def test_what_a_module_left_is_read_as_a_stranger_s(tmp_path: Path) -> None:
    files = ScanFiles(tmp_path / "scan")
    files.begin(Spec("m.py", "digest", ("a.test", 80)), "r x")
    assert files.spec() == Spec("m.py", "digest", ("a.test", 80)) and files.prepared() is None
    files.tell_prepared([("a.test", 80)], {"lock": "why"})
    prepared = files.prepared()
    assert prepared is not None and (prepared.destinations, prepared.missing) == ((("a.test", 80),), {"lock": "why"})
    for wrong in (
        "",
        "[" * 100_000,
        "[]",
        "{}",
        '{"destinations": 3, "missing": {}}',
        '{"destinations": [["a"]], "missing": {}}',
        '{"destinations": [["a", Infinity]], "missing": {}}',
        '{"destinations": [["a", 0]], "missing": {}}',
        '{"destinations": [["a", 65536]], "missing": {}}',
        '{"destinations": [["a", -1]], "missing": {}}',
        '{"destinations": [["", 80]], "missing": {}}',
        '{"destinations": [["a b", 80]], "missing": {}}',
        '{"destinations": [["a\\u001b[2J", 80]], "missing": {}}',
        '{"destinations": null, "missing": []}',
        "\xff",
    ):
        (files.path / "prepared.json").write_text(wrong)
        with pytest.raises(ValueError):
            files.prepared()
    (files.path / "prepared.json").unlink()
    os.mkfifo(files.path / "prepared.json")
    with pytest.raises(ValueError):
        files.prepared()


def test_a_source_is_looked_at_without_being_carried_out(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("import os.path\nfrom torsocks import torsocket as t\nfrom other import teardown\n"
                    "def f():\n    import dns.resolver\nclass probe: pass\n"
                    "setup = lambda: None\nraise SystemExit\n")  # fmt: skip
    outline = Outline.of(path)
    assert outline.imports == {"os", "torsocks", "other", "dns"}
    assert outline.names >= {"f", "probe", "setup", "teardown"}
