"""What setup.cfg can't say: the cffi module, three native files that are no Python extensions, and the manual.

The preload library goes into foreign programs, the launcher starts them, and the client is the command `exitpin`, which
leaves to Python what no daemon does; each has its own compiler line, since a plain Extension would inherit the
interpreter's flags, RUNPATH and ABI suffix.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from setuptools import setup  # first: it brings its own distutils
from setuptools.command.build_ext import build_ext

from distutils.command.build_scripts import build_scripts  # isort: skip - setuptools brings it
from distutils.command.install_data import install_data  # isort: skip

SHIM = Path("shim")
SHARED = ("address.c", "hosts.c", "kind.c", "program.c", "record.c", "steer.c", "text.c")
WARNINGS = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden")


def compiler() -> list[str]:
    return shlex.split(os.environ.get("CC", "cc"))


def extra_flags() -> list[str]:
    return shlex.split(os.environ.get("CFLAGS", ""))


def sources(folder: str, shared: tuple[str, ...]) -> list[str]:
    return sorted(map(str, (SHIM / folder).glob("*.c"))) + [str(SHIM / name) for name in shared]


def run(command: list[str]) -> None:
    print(shlex.join(command), flush=True)
    subprocess.run(command, check=True)


def can_link(command: list[str]) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "empty.c")
        source.write_text("int main(void) { return 0; }\n", encoding="ascii")
        line = [*command, "-o", str(Path(folder, "empty")), str(source)]
        return bool(shutil.which(command[0])) and subprocess.run(line, capture_output=True, check=False).returncode == 0


def static_compiler() -> list[str]:
    """Each run starts launcher and client, so their own start counts: static with musl 0.1 ms, with glibc 0.7."""
    choices = ([] if "CC" in os.environ else [["musl-gcc", "-static"]]) + [[*compiler(), "-static"]]
    return next((choice for choice in choices if can_link(choice)), compiler())


def build_preload(target: Path) -> None:
    """The library: no fortified calls (their symbols would be extra imports), every import bound at load."""
    hardening = ["-U_FORTIFY_SOURCE", "-fno-stack-protector", "-fPIC", "-shared"]
    linking = [
        f"-Wl,--version-script={SHIM / 'preload' / 'exports.map'}",
        "-Wl,-z,now",
        "-Wl,-z,defs",
        "-Wl,-Bsymbolic-functions",
        "-ldl",
    ]
    files = sources("preload", SHARED)
    run([*compiler(), *extra_flags(), *WARNINGS, *hardening, "-o", str(target), *files, *linking])


def build_launcher(target: Path) -> None:
    files = sources("launch", ("landlock.c", "namespaces.c", "program.c", "rules.c", "text.c"))
    run([*static_compiler(), *extra_flags(), *WARNINGS, "-o", str(target), *files])


def build_client(target: Path) -> None:
    files = [*sources("client", ()), *(str(SHIM / "launch" / name) for name in ("terminal.c", "tree.c"))]
    run([*static_compiler(), *extra_flags(), *WARNINGS, "-o", str(target), *files])


NATIVE = {"exitpin-preload.so": build_preload, "exitpin-launch": build_launcher}


class BuildExt(build_ext):
    """Also builds the native files, next to the cffi module."""

    def run(self) -> None:
        super().run()
        for name, build in NATIVE.items():
            built = Path(self.build_lib, "exitpin", "shim", name)
            built.parent.mkdir(parents=True, exist_ok=True)
            fresh = built.with_name(name + ".new")
            build(fresh)
            fresh.replace(built)
            if self.inplace:
                placed = SHIM / (name + ".new")
                shutil.copy2(built, placed)
                placed.replace(SHIM / name)

    def get_outputs(self) -> list[str]:
        if self.inplace:
            return list(self.get_output_mapping())
        return super().get_outputs() + [str(Path(self.build_lib, "exitpin", "shim", name)) for name in NATIVE]

    def get_output_mapping(self) -> dict[str, str]:
        mapping = dict(super().get_output_mapping())
        if self.inplace:
            for name in NATIVE:
                mapping[str(Path(self.build_lib, "exitpin", "shim", name))] = str(SHIM / name)
        return mapping


class InstallData(install_data):
    """Also makes the manual, of the parsers that are being installed: they import nothing that is not here yet."""

    def run(self) -> None:
        built = Path(self.get_finalized_command("build").build_lib)
        folder = built.parent / "man1"
        path = os.pathsep.join(filter(None, (str(built.absolute()), os.environ.get("PYTHONPATH"))))
        subprocess.run(
            [sys.executable, "-m", "exitpin.orchestrator.cli.manual", str(folder)],
            env={**os.environ, "PYTHONPATH": path}, check=True,
        )  # fmt: skip
        self.data_files = [("share/man/man1", sorted(map(str, folder.glob("*.1"))))]
        super().run()


class BuildScripts(build_scripts):
    """The command `exitpin`, which is no script."""

    def run(self) -> None:
        target = Path(self.build_dir, "exitpin")
        target.parent.mkdir(parents=True, exist_ok=True)
        build_client(target)

    def get_outputs(self) -> list[str]:
        return [str(Path(self.build_dir, "exitpin"))]


setup(
    cffi_modules=["shim/build.py:ffibuilder"],
    data_files=[("share/man/man1", [])],
    scripts=["shim/client/main.c"],
    cmdclass={"build_ext": BuildExt, "build_scripts": BuildScripts, "install_data": InstallData},
)
