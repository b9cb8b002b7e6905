"""Where a declared tool works: its folders and file, its environment, what it may use up, and how much it left.

All of it comes from the run's `Setup`; nothing of the caller's is passed on but where commands are found. Called by
`launch`, before the start and after the end.
"""

import math
import os
from collections.abc import Mapping

from ..orchestrator.model import Setup

ENTRIES_MAX = 1000


def make_workspace(setup: Setup) -> None:
    """The run's folder, which may exist, and in it `home`, `artifacts`, `evidence` and an empty `facts`, which must
    not: 0700 and 0600. Raises OSError."""
    os.makedirs(setup.directory, 0o700, exist_ok=True)
    for folder in (home(setup), artifacts(setup), evidence(setup)):
        os.mkdir(folder, 0o700)
    os.close(os.open(facts(setup), os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def home(setup: Setup) -> str:
    """HOME, and where the tool starts."""
    return os.path.join(setup.directory, "home")


def artifacts(setup: Setup) -> str:
    """EXITPIN_ARTIFACTS."""
    return os.path.join(setup.directory, "artifacts")


def evidence(setup: Setup) -> str:
    """EXITPIN_EVIDENCE: what `exitpin evidence` keeps."""
    return os.path.join(setup.directory, "evidence")


def facts(setup: Setup) -> str:
    """EXITPIN_FACTS."""
    return os.path.join(setup.directory, "facts")


def places_of(setup: Setup) -> list[str]:
    """What is the tool's own, to write to."""
    return [home(setup), artifacts(setup), evidence(setup), facts(setup)]


def workspace_environment(setup: Setup) -> Mapping[str, str]:
    """What the setup gives, and the names of its places."""
    return {
        **dict(setup.environment),
        "HOME": home(setup),
        "EXITPIN_ARTIFACTS": artifacts(setup),
        "EXITPIN_EVIDENCE": evidence(setup),
        "EXITPIN_FACTS": facts(setup),
    }


def launcher_options(setup: Setup) -> list[str]:
    """The launcher's arguments for where the tool starts and what it may use up. The kernel knows whole seconds of
    CPU: a part of one is rounded up."""
    limits = {
        "core": 0,
        "file": setup.artifacts_max,
        "cpu": None if setup.cpu_s is None else math.ceil(setup.cpu_s),
        "memory": setup.memory_max,
        "processes": setup.procs_max,
    }
    options = ["--directory", setup.cwd or home(setup)]
    for name, value in limits.items():
        if value is not None:
            options += ["--limit", f"{name}={value}"]
    return options


def artifacts_size(setup: Setup) -> int:
    """Bytes in the folders of artifacts and evidence, links not followed. Counting stops above `artifacts_max`; too
    many files to count, or a folder that can't be read, is one byte above it."""
    too_much = setup.artifacts_max + 1
    size = entries = 0
    folders = [artifacts(setup), evidence(setup)]
    while folders:
        try:
            with os.scandir(folders.pop()) as found:
                for entry in found:
                    entries += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        size += entry.stat(follow_symlinks=False).st_size
                    if size > setup.artifacts_max:
                        return size
                    if entries > ENTRIES_MAX:
                        return too_much
        except OSError:
            return too_much
    return size
