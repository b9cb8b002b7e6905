"""A run's hold on the world: what becomes of a socket whose call came to nothing."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from exitpin.orchestrator.containment import Containment
from exitpin.orchestrator.events import CallLost, ConnectReported
from exitpin.orchestrator.model import Claim, Destination, Fingerprint, Relay, Run
from exitpin.orchestrator.policy import parse_policy
from exitpin.shim import bindings
from exitpin.wrappers.hidden import containment_options
from exitpin.wrappers.launch import ToolLaunch, ToolLauncher

from .fake_hooks import NONCE, FakeTree, turns
from .test_household import apart
from .test_reports import bound, connect_report

SHIM = Containment("shim")

A_RUN = Run(
    "s-0001", 1,
    Relay(Fingerprint("A" * 40), "exit", "198.51.100.1", 9001, frozenset({"Exit"}), parse_policy("accept *:*"), 1),
    ("true",), "127.64.0.1", NONCE, 30.0,
)  # fmt: skip


def test_a_lost_call_takes_its_socket_back_from_tor(tmp_path: Path) -> None:
    """Another process may share it: it must not read Tor's reply, nor speak to Tor."""

    async def script() -> None:
        events: list[object] = []
        with socket.create_server(("127.0.0.1", 0)) as tor:
            launcher = ToolLauncher(tmp_path, bindings.PRELOAD, tor.getsockname(), {}, containment=SHIM)
            launch = launcher.prepare(A_RUN, events.append, lambda *_: None)
            assert isinstance(launch, ToolLaunch)
            launch._reports._tree = FakeTree()  # type: ignore[assignment]
            launch._reports.listener.open()
            tool = bound()
            hook = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            hook.connect(str(launch._reports.path))
            socket.send_fds(hook, [connect_report(tool)], [tool.fileno()])
            await turns()
            (reported,) = events
            assert isinstance(reported, ConnectReported)
            claim = Claim("s-0001", 1, reported.source, "tag", Destination("a.test", 80), 7, A_RUN.exit.fingerprint)
            launch.open_stream(reported.call, claim)
            accepted, _ = tor.accept()
            assert tool.getpeername() == tor.getsockname()
            hook.close()
            await turns()
            assert events[1:] == [CallLost(reported.call)]
            with pytest.raises(OSError):
                tool.getpeername()
            accepted.close()
            launch.close()

    apart(script)


def test_a_run_that_cannot_open_its_socket_says_so_and_leaves_nothing_open(tmp_path: Path) -> None:
    async def script() -> None:
        launcher = ToolLauncher(tmp_path, bindings.PRELOAD, ("127.0.0.1", 1), {}, containment=SHIM)
        launch = launcher.prepare(A_RUN, lambda event: None, lambda *_: None)
        (tmp_path / "1.s").write_text("in the way")
        problem = launch.start()
        assert problem is not None and "Address already in use" in problem
        launch.close()
        await asyncio.sleep(0)

    apart(script)


def test_what_a_run_was_given_may_be_its_input_at_each_level(tmp_path: Path) -> None:
    assert containment_options(replace(SHIM, unix=frozenset({"/run/two", "@one"}))) == [
        *("--given", "/run/two"),
        *("--given", "@one"),
    ]
