"""A man in the middle of SSH, as ssh-keyscan and ssh meet him."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

asyncssh = pytest.importorskip("asyncssh")
from exitpin.wrappers.lab_meddle_ssh import host_keys, ssh_mitm  # noqa: E402
from exitpin.wrappers.lab_meddling import Meeting, Streams, attend  # noqa: E402
from exitpin.wrappers.lab_targets import SSH_KINDS, make_ssh  # noqa: E402

from .lab_clients import run  # noqa: E402


def beheld(visit: Callable[[int], str], exit_: str = "exit01") -> tuple[str, int]:
    """What a visitor brings home from an SSH target behind a man in the middle, and how often the target was met."""

    async def both() -> tuple[str, int]:
        serve, count, tasks = make_ssh([asyncssh.generate_private_key(kind) for kind in SSH_KINDS]), 0, set()

        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)

        async def accept() -> None:
            nonlocal count
            while True:
                accepted, peer = await asyncio.get_running_loop().sock_accept(listener)
                count += 1
                tasks.add(asyncio.ensure_future(serve(accepted, listener.getsockname(), peer)))

        async def open_target() -> Streams:
            return await asyncio.open_connection(*listener.getsockname())

        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await attend(ssh_mitm, Meeting(exit_, "127.0.0.1", ("127.0.0.1", 22)), (reader, writer), open_target)

        accepting = asyncio.ensure_future(accept())
        before = await asyncio.start_server(meet, "127.0.0.1", 0)
        async with before:
            brought = await asyncio.to_thread(visit, before.sockets[0].getsockname()[1])
        accepting.cancel()
        listener.close()
        return brought, count

    return asyncio.run(both())


def public(exit_: str) -> set[str]:
    return {key.export_public_key().decode().strip() for key in host_keys(exit_)}


def keys_seen(text: str) -> set[str]:
    return {" ".join(line.split()[1:3]) for line in text.splitlines() if line and not line.startswith("#")}


def test_ssh_keyscan_sees_other_keys_of_the_same_kinds() -> None:
    text, count = beheld(
        lambda port: run("ssh-keyscan", "-T", "10", "-t", "ed25519,ecdsa", "-p", str(port), "127.0.0.1")
    )
    assert keys_seen(text) == public("exit01")
    assert count >= 2


def test_each_exit_has_keys_of_its_own() -> None:
    assert not public("exit01") & public("exit02")


def test_a_log_in_gets_the_targets_answer(tmp_path: Path) -> None:
    known = tmp_path / "known"
    words = ["-F", "none", "-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={known}"]
    text, count = beheld(lambda port: run("ssh", *words, "-p", str(port), "me@127.0.0.1"))
    assert "you come from 127.0.0.1" in text
    assert keys_seen(known.read_text()) <= public("exit01") and count == 1


def test_a_dead_target_is_dead_through_the_man_in_the_middle() -> None:
    async def refuse() -> Streams:
        raise ConnectionRefusedError

    async def both() -> str:
        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await attend(ssh_mitm, Meeting("exit01", "127.0.0.1", ("127.0.0.1", 22)), (reader, writer), refuse)

        async with await asyncio.start_server(meet, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await asyncio.to_thread(run, "ssh-keyscan", "-T", "5", "-p", str(port), "127.0.0.1")

    assert not keys_seen(asyncio.run(both()))
