"""The environment of a tool: its caller's, or its setup's, without proxies, with the variables of its run.

Called by `launch.py`, and by whoever tells a caller what a run will not see.
"""

import os
import sys
from collections.abc import Mapping

from ..orchestrator.model import Run
from .daemon_socket import NAMED
from .torsocks import passthrough_dir
from .workspace import workspace_environment

PROXY_VARIABLES = frozenset({"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy", "socks_proxy"})


def tool_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What every tool's environment is made of: the caller's, without proxies."""
    kept = {name: value for name, value in environment.items() if name.lower() not in PROXY_VARIABLES}
    kept.pop(NAMED, None)
    return {**kept, "PATH": _tool_path(kept.get("PATH", os.defpath))}


def _tool_path(path: str) -> str:
    return os.pathsep.join((str(passthrough_dir()), path))


def run_environment(environment: Mapping[str, str], run: Run) -> dict[str, str]:
    """A tool's environment with the variables of its run: the caller's; with a setup, of that only where commands
    are found, and not even that if the setup says it."""
    if run.setup is not None:
        given = workspace_environment(run.setup)
        path = _tool_path(given["PATH"]) if "PATH" in given else environment["PATH"]
        environment = {**given, "PATH": path}
    return {
        **environment,
        "EXITPIN": "1",
        "EXITPIN_RUN_ID": run.run_id,
        "EXITPIN_EXIT_FP": run.exit.fingerprint,
        "EXITPIN_EXIT_NICK": run.exit.nickname,
        "EXITPIN_EXIT_IP": run.exit.address,
        "EXITPIN_PYTHON": sys.executable,
    }


def dropped_proxies(environment: Mapping[str, str]) -> list[str]:
    """The proxy variables that a run will not see."""
    return sorted(name for name in environment if name.lower() in PROXY_VARIABLES)
