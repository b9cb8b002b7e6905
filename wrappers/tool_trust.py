"""Whose file is it? A tool's file is code: what another user could have written is never used, and what came with a
cloned repository (`./tools.d`) only once its owner said so.

Trust is given to contents: the digest of the file is kept, and a file that changed is not trusted any more. Reads files
through one descriptor, so that what was checked is what is read. Called by `tool_files.py`.
"""

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..orchestrator.errors import EXIT_USAGE, OperatorError

SIZE_MAX = 1 << 20
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Refused(Exception):
    """The file is not used; the text says why, and what to type."""


def read_own(path: Path, *, is_ours: bool = False) -> bytes:
    """The bytes of a plain file that only root or this user can have written, at most 1 MiB.

    `is_ours`: it is part of exitpin itself, and as trusted as the code that reads it. Raises Refused, and OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Refused("it is no plain file")
        if not is_ours:
            _check_owner(found, path, path)
            for folder in {path.parent.absolute(), path.resolve().parent}:
                _check_owner(folder.stat(), folder, path)
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(SIZE_MAX + 1)
    finally:
        os.close(descriptor)
    if len(content) > SIZE_MAX:
        raise Refused(f"it is larger than {SIZE_MAX >> 20} MiB")
    return content


def _check_owner(found: os.stat_result, place: Path, path: Path) -> None:
    """In a sticky folder (/tmp) others can't replace what is not theirs, so there only the file's owner counts."""
    is_folder = stat.S_ISDIR(found.st_mode)
    which = "it" if place == path else f"its folder {place}"
    if is_folder and found.st_mode & stat.S_ISVTX:
        return
    if found.st_uid not in (0, os.geteuid()):
        raise Refused(f"{which} belongs to another user (uid {found.st_uid}); copy it to a folder of your own")
    if found.st_mode & _OTHERS_WRITE:
        raise Refused(f"{which} can be written by others; type: chmod go-w {place}")


def digest_of(content: bytes) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(content).hexdigest()


def trust_file(env: Mapping[str, str]) -> Path:
    """Where trust is kept. Raises OperatorError when neither XDG_STATE_HOME nor HOME is there."""
    base = env.get("XDG_STATE_HOME", "")
    if not base.startswith("/"):
        home = env.get("HOME", "")
        if not home.startswith("/"):
            raise OperatorError("Trust can't be kept: HOME is not set.", "Set XDG_STATE_HOME or HOME.", EXIT_USAGE)
        base = f"{home}/.local/state"
    return Path(base, "exitpin", "trusted.json")


class Trust:
    """The digests of files that the user trusts, by their real path. Read when first asked."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._known: dict[str, str] | None = None

    def covers(self, path: Path, content: bytes) -> bool:
        """Whether the file was trusted with just this content."""
        return self._load().get(str(path.resolve())) == digest_of(content)

    def was_given(self, path: Path) -> bool:
        """Whether the file was trusted once, maybe with other content."""
        return str(path.resolve()) in self._load()

    def give(self, contents: Iterable[tuple[Path, bytes]]) -> None:
        """Trust these files as they are now. The list is replaced in one step, and only its owner may read it."""
        path = trust_file(self._env)
        known = {**self._load(), **{str(file.resolve()): digest_of(content) for file, content in contents}}
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".trusted-")  # made with 0600
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(known, file, indent=1, sort_keys=True)
            os.replace(name, path)
        except OSError as error:
            raise OperatorError(f"{path} can't be written: {error.strerror}.", "", EXIT_USAGE) from error
        self._known = known

    def _load(self) -> dict[str, str]:
        """What is not there, or was written by somebody else, trusts nothing."""
        if self._known is None:
            self._known = {}
            try:
                known = json.loads(read_own(trust_file(self._env)))
            except (OSError, OperatorError):
                return self._known
            except (ValueError, Refused) as error:
                path = trust_file(self._env)
                raise OperatorError(f"{path}: {error}.", "Remove it, and trust your tools anew.", EXIT_USAGE) from error
            if isinstance(known, dict):
                self._known = {str(key): str(value) for key, value in known.items()}
        return self._known
