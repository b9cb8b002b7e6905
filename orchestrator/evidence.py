"""The evidence of one session, as it happens: Tor's raw CIRC and STREAM lines, the shim's raw reports, our claims.

One JSON object a line (`exitpin.events/1`), gzip when the name ends in .gz. `verify.py` recomputes every
attribution from it.

  {"schema": "exitpin.events/1", "session", "tor", "started"}     first line
  {"t", "run", "begin": {"exit", "address", "nonce", "argv"}}    a run: where its connections come from (argv not of
                                                                 a declared tool: it may hold a secret)
  {"t", "run", "pid", "report"}                                  a report as the hook sent it, hex; pid by the kernel
  {"t", "run", "connection", "claim": {"source", "tag", "circuit", "exit", "destination"}}
  {"t", "tor"}                                                   an asynchronous line without its `650 `
"""

import gzip
import json
import os
import time
from collections.abc import Callable, Mapping
from io import BufferedIOBase
from pathlib import Path
from typing import IO, cast

SCHEMA = "exitpin.events/1"
FLUSH_LINES = 500

_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


class EvidenceLog:
    """Appends to `path` (None: nowhere). Lines are written in batches and synced at `close`. `listener` hears of each
    entry after the header, kept or not."""

    def __init__(
        self,
        path: Path | None,
        header: Mapping[str, object],
        listener: Callable[[Mapping[str, object]], None] | None = None,
    ) -> None:
        self.path = path
        self._listener: Callable[[Mapping[str, object]], None] | None = None
        self._lines: list[str] = []
        self._raw: IO[bytes] | None = None
        self._file: IO[bytes] | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._raw = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")
            packed = path.suffix == ".gz"
            self._file = (
                cast(IO[bytes], gzip.GzipFile(fileobj=self._raw, mode="wb", compresslevel=1)) if packed else self._raw
            )
        self.add({"schema": SCHEMA, **header})
        self._listener = listener

    def add(self, entry: Mapping[str, object]) -> None:
        """Append one entry."""
        if self._listener is not None:
            self._listener(entry)
        if self._file is None:
            return
        self._lines.append(_ENCODE(entry))
        if len(self._lines) >= FLUSH_LINES:
            self._write()

    def reports_of(self, run_id: str) -> Callable[[bytes, int], None]:
        """What appends a run's reports, each as its hook sent it, with the pid by the kernel."""

        def keep(packet: bytes, pid: int) -> None:
            self.add({"t": time.time(), "run": run_id, "pid": pid, "report": packet.hex()})

        return keep

    def _write(self) -> None:
        if self._file is not None and self._lines:
            self._file.write(("\n".join(self._lines) + "\n").encode())
            self._lines.clear()

    def close(self) -> None:
        """Write what is left and sync it."""
        if self._file is None or self._raw is None:
            return
        self._write()
        if isinstance(self._file, BufferedIOBase) and self._file is not self._raw:
            self._file.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.close()
        self._file = None
