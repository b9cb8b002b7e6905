"""The programs: compiled anew each time (a second), and what could not be, with the reason."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = HERE / "programs"
FLAGS = ("-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror")
VECTORS = (
    *("vector", "streams", "descriptors", "concurrency", "datagrams", "families", "syscalls", "name_sockets", "uring"),
    *("loader", "execs", "binaries", "names", "resolvers", "inherited", "unixes", "handed", "intruders", "races"),
)
LIBRARIES = ("-ldl", "-lresolv", "-lpthread", "-lanl")


def build(directory: Path) -> dict[str, str]:
    """Compile all programs; returns those that are missing, with what it takes.

    CalledProcessError for those that every machine with gcc can build.
    """
    directory.mkdir(parents=True, exist_ok=True)
    missing: dict[str, str] = {}
    _compile(directory / "vectors", [*(f"{name}.c" for name in VECTORS)], after=LIBRARIES)
    for name in ("plain", "holder"):
        _compile(directory / name, [f"{name}.c"])
    _compile(directory / "plugin.so", ["plugin.c"], "-fPIC", "-shared")
    _compile(directory / "preinit", ["plain.c"], "-DPREINIT")
    _try(directory, "plain-static", "a static glibc (libc6-dev)", missing, "-static")
    _try(directory, "plain-32", "gcc -m32 (gcc-multilib)", missing, "-m32")
    _try(directory, "plain-musl", "musl-gcc (musl-tools)", missing, compiler="musl-gcc")
    _try(directory, "plain-musl-static", "musl-gcc (musl-tools)", missing, "-static", compiler="musl-gcc")
    _try(directory, "plain-jemalloc", "libjemalloc.so.2 (libjemalloc2)", missing, "-l:libjemalloc.so.2")
    _build_go(directory, missing)
    _build_capable(directory, missing)
    return missing


def _compile(
    program: Path, sources: Sequence[str], *flags: str, compiler: str = "gcc", after: Sequence[str] = ()
) -> None:
    files = [str(SOURCES / source) for source in sources]
    libraries = [flag for flag in flags if flag.startswith("-l")]
    before = [flag for flag in flags if flag not in libraries]
    subprocess.run([compiler, *FLAGS, *before, "-o", str(program), *files, *libraries, *after], check=True)


def _try(directory: Path, name: str, needs: str, missing: dict[str, str], *flags: str, compiler: str = "gcc") -> None:
    """The plain program in another build; what it takes is told if that fails."""
    (directory / name).unlink(missing_ok=True)
    source = str(SOURCES / "plain.c")
    libraries = [flag for flag in flags if flag.startswith("-l")]
    before = [flag for flag in flags if flag not in libraries]
    argv = [compiler, *FLAGS, *before, "-o", str(directory / name), source, "-Wl,--no-as-needed", *libraries]
    if shutil.which(compiler) is None or subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        missing[name] = needs


def _build_go(directory: Path, missing: dict[str, str]) -> None:
    program = directory / "plain-go"
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "CGO_ENABLED": "0",
        "GOCACHE": str(directory / "go-cache"),
        "GOFLAGS": "",
    }
    argv = ["go", "build", "-o", str(program), str(SOURCES / "plain.go")]
    if shutil.which("go") is None:
        program.unlink(missing_ok=True)
    elif not program.exists() or program.stat().st_mtime < (SOURCES / "plain.go").stat().st_mtime:
        subprocess.run(argv, env=environment, capture_output=True, check=False)
    if not program.exists():
        missing["plain-go"] = "go (golang-go)"


def _build_capable(directory: Path, missing: dict[str, str]) -> None:
    """A program with capabilities of its own: only real root can give it some."""
    program = directory / "plain-caps"
    shutil.copy(directory / "plain", program)
    setcap = shutil.which("setcap", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    argv = [setcap or "setcap", "cap_net_raw+ep", str(program)]
    if setcap is None or subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        program.unlink()
        missing["plain-caps"] = "setcap (libcap2-bin), and root"
