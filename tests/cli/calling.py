"""`exitpin results` as a user calls it: its exit status, and what it said."""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from exitpin.orchestrator.cli import results


class Said(NamedTuple):
    """What came of a call."""

    status: int
    out: str
    err: str

    def cells(self) -> list[list[str]]:
        """Of each line."""
        return [line.split("\t") for line in self.out.splitlines()]


Call = Callable[..., Said]


def parse(*words: str) -> Any:
    whole = argparse.ArgumentParser()
    results.register(whole.add_subparsers(required=True))
    return whole.parse_args(["results", *words])


def calling(capsys: "pytest.CaptureFixture[str]", *always: str) -> Call:
    """Call a verb with these options after its own."""

    def call(*words: str) -> Said:
        args = parse(*words, *always)
        status = args.execute(args)
        said = capsys.readouterr()
        return Said(status, said.out, said.err)

    return call
