"""Bundles, taken apart and put together again as somebody else would."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.results.bundle import RECORDS
from exitpin.orchestrator.results.bundling import write_bundle
from exitpin.orchestrator.results.check import Checked
from exitpin.orchestrator.results.stored import Reader
from exitpin.orchestrator.results.unbundling import check_bundle

Members = dict[str, bytes]


def bundled(store: Reader, *ids: str, is_public: bool = False) -> bytes:
    file = io.BytesIO()
    write_bundle(file, store, ids or ("s1-v000000000001",), is_public=is_public, exitpin="0.1.0")
    return file.getvalue()


def members(bundle: bytes) -> Members:
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        return {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]


def packed(told: Members, change: Callable[[tarfile.TarInfo], object] | None = None) -> bytes:
    """An archive of these members; `change`: what to do to each header."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in told.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if change is not None:
                change(info)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def checked(tmp_path: Path, bundle: bytes) -> Checked:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(bundle)
    total = Checked()
    for found in check_bundle(path):
        total.add(found)
    return total


def problems(tmp_path: Path, told: Members) -> tuple[str, ...]:
    """What is said of it, be it a refusal; nothing but that may be raised."""
    try:
        return checked(tmp_path, packed(told)).problems
    except OperatorError as error:
        return (str(error),)


def other(told: Members, name: str, content: bytes) -> Members:
    """The same with this member as the last one."""
    return {**told, name: content}


def without(told: Members, name: str) -> Members:
    return {n: content for n, content in told.items() if n != name}


def lines(told: Members) -> list[Any]:
    return [json.loads(line) for line in told[RECORDS].splitlines()]


def forged(told: Members, records: list[Any]) -> Members:
    return {**told, RECORDS: b"".join(json.dumps(record).encode() + b"\n" for record in records)}
