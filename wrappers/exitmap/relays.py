"""What a module is given of relays: its exit's server descriptor, the destinations that it allows, the consensus.

stem is slow to import (75 ms of CPU time), and most modules look at a fingerprint and an address alone: it is imported
when something else of it is looked at.
"""

import base64
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any


class ExitDescriptor:
    """Stands for stem's server descriptor of an exit, whose class it says it has, and becomes it as soon as more than
    these is asked for. `text`: as the relay published it, empty where it is not known; nickname and address are the
    consensus' then, and always."""

    def __init__(self, fingerprint: str, text: str, nickname: str, address: str) -> None:
        self.fingerprint, self.nickname, self.address = fingerprint, nickname, address
        self._text = text

    @cached_property
    def _whole(self) -> Any:
        from stem.descriptor.server_descriptor import RelayDescriptor

        return RelayDescriptor(self._text.encode("utf-8", "surrogateescape"), validate=False)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        from stem.descriptor.server_descriptor import RelayDescriptor

        return RelayDescriptor

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._whole, name)

    def __str__(self) -> str:
        return self._text


class AnyDestination:
    """What a module gets that names no destinations: every one is in it, and they can't be told one by one."""

    def __contains__(self, destination: object) -> bool:
        return True

    def __len__(self) -> int:
        return sys.maxsize


class Consensus(Mapping[str, Any]):
    """Router status entries by fingerprint, parsed by stem when they are looked at. `path`: the consensus, or its
    entries (dir-spec 3.4.1)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parsed: dict[str, Any] = {}

    @cached_property
    def _entries(self) -> dict[str, str]:
        text = self._path.read_text("utf-8", "surrogateescape").partition("\ndirectory-footer")[0]
        entries = re.split(r"(?m)^(?=r )", text)
        return {_fingerprint(entry): entry for entry in entries if entry.startswith("r ")}

    def __getitem__(self, fingerprint: str) -> Any:
        if fingerprint not in self._parsed:
            from stem.descriptor.router_status_entry import RouterStatusEntryV3

            content = self._entries[fingerprint].encode("utf-8", "surrogateescape")
            self._parsed[fingerprint] = RouterStatusEntryV3(content, validate=False)
        return self._parsed[fingerprint]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _fingerprint(entry: str) -> str:
    identity = entry.split(" ", 3)[2]
    return base64.b64decode(identity + "=" * (-len(identity) % 4)).hex().upper()
