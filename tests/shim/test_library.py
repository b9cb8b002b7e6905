"""What the native files need and give."""

import os
import subprocess
import sys
from pathlib import Path

from exitpin.shim import bindings

ROOT = Path(__file__).parents[2]
IMPORTS = {
    "calloc", "dlsym", "environ", "__environ", "__errno_location", "free", "getenv", "__h_errno_location", "memchr",
    "memcmp", "memcpy", "memmove", "memset", "setenv", "strchr", "strchrnul", "strcmp", "strcspn", "strdup", "strlen",
    "strncmp", "strnlen", "malloc", "strrchr",
}  # fmt: skip


def symbols(*flags):
    done = subprocess.run(["nm", "-D", *flags, bindings.PRELOAD], capture_output=True, text=True, check=True)
    return {line.split()[-1].partition("@")[0] for line in done.stdout.splitlines() if " w " not in line}


def test_the_library_exports_what_its_map_says_and_no_more():
    text = (ROOT / "shim" / "preload" / "exports.map").read_text()
    declared = set(text.partition("global:")[2].partition("local:")[0].replace(";", " ").split())
    assert symbols("--defined-only") == declared


def test_the_library_imports_little():
    assert symbols("--undefined-only") <= IMPORTS


def test_no_source_has_more_than_300_lines():
    for source in (ROOT / "shim").rglob("*.[ch]"):
        if source.name != "_bindings.c":
            assert len(source.read_text().splitlines()) <= 300, source


CLOCK = """
import dataclasses, enum, socket, time
began = time.process_time()
import exitpin.shim.bindings
print(time.process_time() - began)
"""


def test_the_bindings_are_cheap_to_import(tmp_path):
    """With bytecode, as installed. Once is enough: on a busy machine any of them may be dear."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", CLOCK]
    assert any(float(subprocess.check_output(command, env=environment)) < 0.015 for _ in range(10))
