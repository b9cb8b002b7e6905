"""A man in the middle of SSH: host keys of its own towards the client, a log-in of its own at the target.

It presents the target's own version and serves what the target answers to the same user and command, so that the host
keys alone give it away. Each exit has one set of keys for as long as it lives. Needs asyncssh (extra `lab`).
"""

import asyncio
import socket
from functools import cache

import asyncssh

from .lab_meddling import Meeting, Open, Streams, splice, streams_of

KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256")
UNTOLD_USER = "nobody"


async def ssh_mitm(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """Be the server to the client, and the client to the server."""
    target = await open_target()
    ours, theirs = _wire()
    to_target = asyncio.ensure_future(splice(await streams_of(ours), target))
    near, far = _wire()
    try:
        async with asyncssh.connect(
            sock=theirs,
            known_hosts=None,
            username=UNTOLD_USER,
            config=None,
            client_keys=None,
            agent_path=None,
            gss_host=None,  # else our host's name is looked up, and the loop waits for it
        ) as server:
            await _serve(meeting, exit_side, server, near, far)
    except asyncssh.Error as error:
        raise ConnectionAbortedError(str(error)) from error
    finally:
        far.close()
        to_target.cancel()


async def _serve(
    meeting: Meeting,
    exit_side: Streams,
    server: asyncssh.SSHClientConnection,
    near: socket.socket,
    far: socket.socket,
) -> None:
    async def pass_on(process: "asyncssh.SSHServerProcess[str]") -> None:
        done = await server.run(process.command, stdin=asyncssh.DEVNULL)
        process.stdout.write(str(done.stdout or ""))
        process.stderr.write(str(done.stderr or ""))
        process.exit(done.exit_status or 0)

    to_exit = asyncio.ensure_future(splice(exit_side, await streams_of(near)))
    version = str(server.get_extra_info("server_version", "")).removeprefix("SSH-2.0-")
    try:
        client = await asyncssh.run_server(
            far,
            server_host_keys=list(host_keys(meeting.exit)),
            server_factory=_OpenDoor,
            server_version=version or (),
            process_factory=pass_on,
            config=None,
            gss_host=None,
        )
        await client.wait_closed()
    finally:
        await to_exit


def _wire() -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection to ourselves: asyncssh wants a peer with an address and a port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    one.setblocking(False)
    other.setblocking(False)
    return one, other


class _OpenDoor(asyncssh.SSHServer):
    """Everybody may come in: only the next one's account counts."""

    def begin_auth(self, username: str) -> bool:
        return False


@cache
def host_keys(exit_: str) -> tuple[asyncssh.SSHKey, ...]:
    """The keys of one exit's man in the middle."""
    return tuple(asyncssh.generate_private_key(kind) for kind in KEY_TYPES)
