"""`exitpin doctor`: its lines, its JSON, its status."""

import argparse
import json
from pathlib import Path

import pytest

from exitpin.orchestrator.cli import doctor
from exitpin.orchestrator.cli.doctor import Check
from exitpin.orchestrator.containment import Abilities


def call(*words: str) -> int:
    whole = argparse.ArgumentParser()
    doctor.register(whole.add_subparsers(required=True))
    args = whole.parse_args(["doctor", *words])
    status: int = args.execute(args)
    return status


@pytest.fixture(autouse=True)
def no_settings_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_each_line_has_a_state_and_the_status_follows_them(capsys: pytest.CaptureFixture[str]) -> None:
    status = call()
    lines = capsys.readouterr().out.splitlines()
    states = [line.split()[0] for line in lines]
    assert set(states) <= {"ok", "warn", "fail"}
    assert status == (1 if "fail" in states else 0)
    assert "\033" not in "".join(lines)


def test_json_holds_the_same_checks(capsys: pytest.CaptureFixture[str]) -> None:
    status = call("--json", "sh")
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is (status == 0)
    assert [check["name"] for check in told["checks"]][-1] == "sh"
    assert all(check["advice"] for check in told["checks"] if check["state"] == "warn")


def test_a_command_that_cannot_be_run_fails_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("no-such-command") == 1
    assert capsys.readouterr().out.splitlines()[-1] == "fail  no-such-command no such command in PATH"


def test_an_empty_shim_folder_fails_and_says_how_to_build(tmp_path: Path) -> None:
    launcher, preload, _ = doctor.check_shim(tmp_path)
    assert (launcher.state, preload.state) == ("fail", "fail")
    assert "make setup" in launcher.advice


def test_a_preload_library_may_lie_at_a_path_that_ld_so_would_not_take(tmp_path: Path) -> None:
    folder = tmp_path / "a b:c"
    folder.mkdir()
    (folder / "exitpin-preload.so").write_bytes(Path("/bin/true").read_bytes() + b"\0connect\0")
    checks = {check.name: check for check in doctor.check_shim(folder)}
    assert checks["preload"].state == "ok"


@pytest.mark.parametrize(
    ("abilities", "said"),
    [
        (Abilities(6, has_namespaces=True), ["ok containment guard; notify by itself for static", "ok daemons hidden"]),
        (
            Abilities(6),
            ["ok containment guard; notify", "warn daemons their Unix sockets are not", "warn udp no answers"],
        ),
        (Abilities(6, "Yama"), ["ok containment guard; no notify: Yama", "warn daemons their Unix sockets are not"]),
        (Abilities(0), ["ok containment notify; no guard: the kernel has no Landlock", "warn udp no answers for dig"]),
        (
            Abilities(6, "no", guard_refusal="seccomp(2) is refused"),
            ["warn containment shim; no guard: seccomp(2) is r"],
        ),
    ],
)
def test_what_a_run_would_have_is_told_and_what_it_would_lack(abilities: Abilities, said: list[str]) -> None:
    checks = [f"{check.state} {check.name} {check.found}" for check in doctor.check_containment(abilities)]
    assert [check[: len(wanted)] for check, wanted in zip(checks, said, strict=True)] == said


def test_whether_files_can_be_kept_from_a_tool_is_told() -> None:
    assert doctor.check_files(Abilities(3)).state == "ok"
    assert doctor.check_files(Abilities(2)).found.startswith("no --read-only: Landlock has ABI 2, and")


def test_an_automounter_is_a_warning_with_its_places() -> None:
    check = doctor.check_automounts(["/net", "/home"])
    assert (check.state, check.found.partition(":")[0]) == ("warn", "/net, /home")
    assert "umount" in check.advice
    assert doctor.check_automounts([]).state == "ok"


def test_bad_settings_are_a_failure_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXITPIN_JOBS", "none")
    assert doctor.check_settings().state == "fail"


def test_the_service_is_a_warning_with_the_command_that_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.tors, "foreign_tors", lambda: [doctor.tors.ForeignTor(7, is_service=True)])
    check = doctor.check_foreign_tor()
    assert (check.state, "systemctl mask" in check.advice) == ("warn", True)


def test_colours_are_for_terminals_and_never_come_from_names() -> None:
    check = Check("x", "fail", "\033[2Jevil\n", "do")
    assert doctor.line(check, coloured=False) == "fail  x            \\x1b[2Jevil\\n: do"
    assert doctor.line(check, coloured=True).startswith("\033[31mfail \033[0m")
