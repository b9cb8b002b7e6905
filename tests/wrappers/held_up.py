"""Two runs at a time, one of which makes us wait: whether the other one goes on."""

import itertools
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.containment import contain
from exitpin.shim import bindings
from exitpin.wrappers.launch import ToolLauncher
from exitpin.wrappers.machine import abilities
from exitpin.wrappers.stand_in import Port, StandIn

from .apart import DEADLINE_S, apart
from .test_stand_in import carried_out, plan_for


def the_other_goes_on(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, argv: tuple[str, ...], level: str
) -> None:
    """Both runs call `name` of `owner`; whichever is the first waits there until the other one has called."""
    real, count, other = getattr(owner, name), itertools.count(), threading.Event()

    def waits(*args: Any, **kwargs: Any) -> object:
        if next(count) == 0:
            assert other.wait(DEADLINE_S / 2), "the other run was held up"
            return real(*args, **kwargs)
        try:
            return real(*args, **kwargs)
        finally:
            other.set()

    async def script() -> None:
        with tempfile.TemporaryDirectory(prefix="exitpin-", dir="/tmp") as directory:
            tor = StandIn(Port.GARBAGE, seed=3)
            held = contain(level, abilities())
            launcher = ToolLauncher(Path(directory), bindings.PRELOAD, await tor.open(), {}, containment=held)
            ended = await carried_out(tor, launcher, plan_for(argv, exits=2), jobs=2)
            assert [life.failure for life, _ in ended.values()] == [None, None]
            assert other.is_set()
            await launcher.household.settle()
            tor.close()

    monkeypatch.setattr(owner, name, waits)
    apart(script)
