"""exitpin with another launcher: python -m leaks.weakened LAUNCHER ARGUMENT...

One that was built without one of its defences shows that it is needed. No such switch is in the product.
"""

import os
import subprocess
import sys
from pathlib import Path

from exitpin.orchestrator.cli.main import main
from exitpin.shim import bindings

SHIM = Path(bindings.LAUNCHER).parent
SHARED = ("landlock.c", "namespaces.c", "program.c", "rules.c", "text.c")


def built_without(defence: str, target: Path) -> Path:
    """A launcher that lacks it."""
    sources = [*(SHIM / "launch").glob("*.c"), *(SHIM / name for name in SHARED)]
    flags = ["-std=c11", "-D_GNU_SOURCE", "-O1", f'-DEXITPIN_WITHOUT="{defence}"']
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run([*compiler, *flags, "-o", str(target), *map(str, sources)], check=True, timeout=100)
    return target


if __name__ == "__main__":
    bindings.LAUNCHER = Path(sys.argv[1])  # type: ignore[misc]
    sys.exit(main(sys.argv[2:]))
