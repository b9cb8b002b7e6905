"""Signals, and what nobody caught, while runs are made."""

import asyncio
import os
import signal

import pytest

from exitpin.orchestrator.cli.guarding import SIGNALS, guarding

DEADLINE_S = 30


@pytest.mark.parametrize("signo", SIGNALS)
def test_a_signal_is_answered_and_ends_nobody(signo: signal.Signals) -> None:
    async def go() -> int:
        came: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        with guarding(came.set_result, pytest.fail):
            os.kill(os.getpid(), signo)
            return await asyncio.wait_for(came, DEADLINE_S)

    before = signal.getsignal(signo)
    assert asyncio.run(go()) == signo
    assert signal.getsignal(signo) in (before, signal.SIG_DFL, signal.default_int_handler)


def test_after_an_exception_that_nobody_caught_nothing_is_trusted(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise ValueError("this should not be")

    async def go() -> str:
        why: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        with guarding(pytest.fail, why.set_result):
            asyncio.get_running_loop().call_soon(broken)
            return await asyncio.wait_for(why, DEADLINE_S)

    assert asyncio.run(go()) == "internal error: this should not be"
    assert "this should not be" in caplog.text
