"""What the kernel is asked: on a /proc of our own making, and once for real."""

import errno
from pathlib import Path

import pytest

from exitpin.orchestrator.cli import doctor
from exitpin.orchestrator.containment import contain
from exitpin.wrappers import machine

from ..shim.refusing import (
    SYS_CLONE,
    SYS_LANDLOCK_RESTRICT_SELF,
    SYS_PIDFD_GETFD,
    SYS_PROCESS_VM_READV,
    SYS_SECCOMP,
    refuse,
    supervise_ourselves,
)
from .apart import apart


def test_sysctls_that_forbid_namespaces_are_named_with_the_wanted_value(tmp_path: Path) -> None:
    for name, value in (("kernel/apparmor_restrict_unprivileged_userns", "1"), ("user/max_user_namespaces", "100")):
        path = tmp_path / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    assert machine.restricting_sysctls(tmp_path) == ["kernel.apparmor_restrict_unprivileged_userns=0"]


@pytest.mark.parametrize(("text", "scope"), [("1\n", 1), ("3\n", 3), ("", None)])
def test_yama_is_read_if_it_is_there(tmp_path: Path, text: str, scope: int | None) -> None:
    path = tmp_path / "sys/kernel/yama/ptrace_scope"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert machine.yama_scope(tmp_path) == scope
    assert machine.yama_scope(tmp_path / "none") is None


@pytest.mark.skipif(bool(machine.abilities().notify_problem), reason=machine.abilities().notify_problem)
@pytest.mark.parametrize("number", [SYS_PIDFD_GETFD, SYS_PROCESS_VM_READV])
def test_where_a_container_refuses_what_the_kernel_has_there_is_no_supervisor(number: int) -> None:
    async def script() -> None:
        refuse(number, errno.EPERM)
        assert "process_vm_readv(2) is refused here (Operation not permitted)" in machine.why_no_notify()
        assert contain(None, machine.abilities(), wanted={"notify": "it is static"}).level != "notify"

    apart(script)


@pytest.mark.skipif(bool(machine.abilities().guard_problem), reason=machine.abilities().guard_problem)
@pytest.mark.parametrize("number", [SYS_SECCOMP, SYS_LANDLOCK_RESTRICT_SELF])
def test_where_a_container_refuses_what_the_guard_is_made_of_there_is_none(number: int) -> None:
    async def script() -> None:
        refuse(number, errno.EPERM)
        able = machine.abilities()
        assert able.landlock_abi >= 4
        assert able.guard_problem == (
            "seccomp(2) or Landlock is refused here (Operation not permitted), as by the profile of a container"
        )
        (check,) = [one for one in doctor.check_containment(able) if one.name == "containment"]
        assert contain(None, able).level == check.found.partition(";")[0] != "guard"

    apart(script)


@pytest.mark.skipif(bool(machine.abilities().guard_problem), reason=machine.abilities().guard_problem)
def test_what_cannot_be_tried_for_now_is_the_launchers_to_refuse() -> None:
    """Nobody gets less than the guard because no process could be made for a moment."""

    async def script() -> None:
        refuse(SYS_CLONE, errno.EAGAIN)
        assert machine.abilities().guard_problem == ""

    apart(script)


@pytest.mark.skipif(bool(machine.abilities().notify_problem), reason=machine.abilities().notify_problem)
def test_where_somebody_else_supervises_us_there_is_no_second_supervisor() -> None:
    async def script() -> None:
        supervise_ourselves()
        assert "(Device or resource busy)" in machine.why_no_notify()

    apart(script)


def test_notification_is_one_word_of_the_list(tmp_path: Path) -> None:
    path = tmp_path / "sys/kernel/seccomp/actions_avail"
    path.parent.mkdir(parents=True)
    path.write_text("kill_process trap errno user_notif trace log allow\n")
    assert machine.has_seccomp_notify(tmp_path)
    path.write_text("kill_process trap errno\n")
    assert not machine.has_seccomp_notify(tmp_path)


MOUNTS = {
    "by key": "61 28 0:54 / /net rw,relatime shared:9 - autofs -hosts rw,fd=7,pgrp=9,timeout=300,indirect",
    "by user": "62 28 0:55 / /a\\040b rw shared:8 master:1 - autofs /etc/auto.home rw,fd=13,indirect,pipe_ino=9",
    "systemd's": "34 24 0:31 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw,fd=29,maxproto=5,direct,pipe_ino=1",
    "of a name": "63 28 8:1 / /indirect rw - ext4 /dev/indirect rw,indirect",
    "cut off": "64 28 8:1 / /cut",
}


@pytest.mark.parametrize(
    ("kinds", "places"),
    [
        (["by key"], ["/net"]), (["systemd's", "by user", "by key"], ["/a\\040b", "/net"]), (["systemd's"], []),
        (["of a name", "cut off"], []), ([], []),
    ],
)  # fmt: skip
def test_an_automounter_that_is_asked_by_key_is_found(tmp_path: Path, kinds: list[str], places: list[str]) -> None:
    path = tmp_path / "self/mountinfo"
    path.parent.mkdir()
    path.write_text("".join(f"{MOUNTS[kind]}\n" for kind in kinds))
    assert machine.automounts(tmp_path) == places
    assert machine.automounts(tmp_path / "none") == []


def test_what_mounts_there_are_is_one_of_the_abilities(monkeypatch: pytest.MonkeyPatch) -> None:
    for places in (["/net"], []):
        monkeypatch.setattr(machine, "automounts", lambda places=places: places)
        assert machine.abilities().has_automounter == bool(places)


def test_the_real_kernel_answers() -> None:
    assert machine.abilities().landlock_abi >= 0
    assert isinstance(machine.why_no_namespaces(), str)
