"""Whether a command can be run under the shim, seen on real files: scripts, static ones, those of other machines."""

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from exitpin.wrappers.program import Program, look_at, read_elf


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `dynamic` and `static`, fresh from the compiler."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "empty.c").write_text("int main(void) { return 0; }\n")
    for name, options in (("dynamic", []), ("static", ["-static"]), ("static-pie", ["-static-pie"])):
        subprocess.run(["cc", *options, "-o", folder / name, folder / "empty.c"], check=True, timeout=60)
    return folder


def script(folder: Path, name: str, first_line: str) -> str:
    path = folder / name
    path.write_text(f"{first_line}\necho x\n")
    path.chmod(0o755)
    return str(path)


def test_a_dynamic_program_can_be_run(built: Path) -> None:
    program = look_at("dynamic", str(built))
    assert (program.path, program.obstacle) == (str(built / "dynamic"), "")


@pytest.mark.parametrize("name", ["static", "static-pie"])
def test_a_static_program_cannot_hold_the_shim(built: Path, name: str) -> None:
    program = look_at(name, str(built))
    assert program.unhooked.startswith("it is static") and not program.obstacle


def test_a_program_of_another_machine_is_foreign(built: Path) -> None:
    data = bytearray((built / "dynamic").read_bytes())
    struct.pack_into("<H", data, 18, 0xFFFF)
    other = built / "foreign"
    other.write_bytes(data)
    other.chmod(0o755)
    assert "another machine" in look_at(str(other), "").obstacle


def test_a_program_of_another_libc_is_foreign(built: Path) -> None:
    own = read_elf(str(built / "dynamic"))
    assert own is not None
    data = (
        (built / "dynamic")
        .read_bytes()
        .replace(own.loader.encode(), b"/lib/ld-musl.so.1".ljust(len(own.loader), b"\0"))
    )
    other = built / "musl"
    other.write_bytes(data)
    other.chmod(0o755)
    assert look_at(str(other), "").unhooked == "it is built for another C library (/lib/ld-musl.so.1)"


def test_a_go_program_is_known_by_its_note(tmp_path: Path) -> None:
    note = struct.pack("<III4s", 4, 0, 4, b"Go\0\0")
    own = read_elf(sys.executable)
    assert own is not None
    header = own.ident.ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 2, own.machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(note), len(note), 4)
    path = tmp_path / "gopher"
    path.write_bytes(header + segment + note)
    path.chmod(0o755)
    assert look_at(str(path), "").unhooked.startswith("it is a Go program")


@pytest.mark.parametrize(("bits", "word"), [(0o4755, "setuid"), (0o2755, "setgid")])
def test_a_privileged_program_is_refused(built: Path, bits: int, word: str) -> None:
    path = built / word
    shutil.copy(built / "dynamic", path)
    path.chmod(bits)
    assert look_at(str(path), "").obstacle.startswith(f"it is {word}")


def test_a_script_is_what_interprets_it(built: Path) -> None:
    through_env = script(built, "one", "#!/usr/bin/env dynamic")
    assert look_at(through_env, f"{built}:{os.defpath}").interpreters == (str(built / "dynamic"),)
    static = script(built, "two", f"#! {built}/static")
    assert look_at(static, "").unhooked.startswith(f"its interpreter {built}/static: it is static")
    absent = script(built, "three", "#!/no/such -x")
    assert look_at(absent, "").obstacle == "its interpreter is not there: /no/such -x"
    nested = script(built, "four", f"#!{through_env}")
    assert look_at(nested, f"{built}:{os.defpath}").interpreters == (through_env, str(built / "dynamic"))
    loop = script(built, "five", f"#!{built}/five")
    assert "scripts of scripts" in look_at(loop, "").obstacle


def test_a_loader_that_is_named_far_from_the_headers_is_found(built: Path) -> None:
    """As patchelf leaves it, behind all else."""
    data = bytearray((built / "dynamic").read_bytes())
    table, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    (at,) = (at for at in range(table, table + 56 * count, 56) if struct.unpack_from("<I", data, at)[0] == 3)
    offset, length = struct.unpack_from("<Q", data, at + 8)[0], struct.unpack_from("<Q", data, at + 32)[0]
    loader = data[offset : offset + length]
    struct.pack_into("<Q", data, at + 8, 1 << 20)
    far = built / "far"
    far.write_bytes(bytes(data).ljust(1 << 20, b"\0") + loader)
    far.chmod(0o755)
    assert look_at(str(far), "") == Program(str(far))
    far.write_bytes(bytes(data).ljust(1 << 20, b"\0") + loader[:-1])
    assert look_at(str(far), "").obstacle != "", "the launcher would refuse it"


@pytest.mark.parametrize(("name", "part"), [("dig", "+tcp"), ("curl", "--http3"), ("node", "dns.resolve")])
def test_well_known_tools_come_with_a_remark(built: Path, name: str, part: str) -> None:
    shutil.copy(built / "dynamic", built / name)
    program = look_at(name, str(built))
    assert program.obstacle == ""
    assert part in program.remark


def test_a_remark_on_the_interpreter_holds_for_its_scripts(built: Path) -> None:
    shutil.copy(built / "dynamic", built / "nodejs")
    assert "dns.resolve" in look_at(script(built, "app", f"#!{built}/nodejs"), "").remark


@pytest.mark.parametrize(("name", "part"), [("ping", "raw packets"), ("mosh", "TCP only"), ("docker", "daemon")])
def test_what_tor_cannot_carry_is_said(built: Path, name: str, part: str) -> None:
    shutil.copy(built / "dynamic", built / name)
    assert part in look_at(name, str(built)).obstacle


def test_what_is_not_there_or_cannot_be_executed_is_told_apart(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("x")
    assert look_at("no-such", os.defpath).obstacle == "no such command in PATH"
    assert look_at("./no-such", os.defpath).obstacle == "no such file"
    assert look_at(str(plain), "").obstacle.startswith("it is not executable")
    assert look_at(str(tmp_path), "").obstacle == "it is a directory"
    plain.chmod(0o755)
    assert look_at(str(plain), "").obstacle.startswith("it is neither")


@pytest.mark.parametrize("size", [0, 4, 20, 63, 64, 100, 400])
def test_a_truncated_elf_file_is_never_a_crash(built: Path, size: int) -> None:
    path = built / "cut"
    path.write_bytes((built / "dynamic").read_bytes()[:size])
    path.chmod(0o755)
    assert look_at(str(path), "").obstacle != ""
