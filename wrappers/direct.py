"""A tool run once without Tor, for a control that no exit has a hand in. The connections are this machine's own, in the
clear: only where the user allowed it.

As a run through an exit it has folders of its own, a bare environment, a time limit and capped output, and it ends
with this process, however that ends (but for children of its own). Called in a thread, by `orchestrator/assessing.py`.
"""

import math
from dataclasses import dataclass
from typing import Final

from ..orchestrator.model import Run
from .environment import run_environment
from .filters import run_capped
from .workspace import home, make_workspace

MEMORY_DEFAULT: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Direct:
    """What came of it. `problem`: why there is nothing to compare with; None: the tool ended by itself."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    problem: str | None = None


def run_directly(run: Run, path: str, guests: set[int] | None = None) -> Direct:
    """Run the tool in the clear. `path`: where programs are found; `guests`: see `filters.py`. Raises nothing."""
    setup = run.setup
    assert setup is not None
    limits = [f"--as={setup.memory_max or MEMORY_DEFAULT}", f"--fsize={setup.artifacts_max}", "--core=0"]
    if setup.cpu_s is not None:
        limits.append(f"--cpu={math.ceil(setup.cpu_s)}")
    try:
        make_workspace(setup)
        ran = run_capped(
            ["setpriv", "--pdeathsig", "KILL", "--", "prlimit", *limits, "--", *run.argv],
            setup.stdin,
            run_environment({"PATH": path}, run),
            set() if guests is None else guests,
            run.timeout_s,
            stdout_max=setup.stdout_max,
            stderr_max=setup.stderr_max,
            directory=setup.cwd or home(setup),
        )
    except (OSError, TimeoutError, OverflowError) as error:
        return Direct(None, b"", b"", str(error))
    return Direct(ran.code, ran.stdout, ran.stderr)
