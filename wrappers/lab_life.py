"""The life of a lab whose network changes, once it is ready: pid 1 of the lab keeps its daemons and takes changes.

A change comes as one JSON line to a Unix socket in the lab's folder, from the same user; the answer is a line, too:
{"changed": [...]} or {"error", "hint", "status"}. The state file follows whatever comes and goes.
"""

import asyncio
import json
import os
import signal
import socket
import struct
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, NoReturn

from ..orchestrator.errors import EXIT_USAGE, OperatorError
from ..orchestrator.lab import state as lab_state
from ..orchestrator.lab.change import decode
from .lab_boot import CLIENT, Boot, relay_state
from .lab_changing import carry_out
from .lab_grounds import Grounds
from .lab_keeper import Keeper
from .lab_publishing import keep_published, look
from .lab_tors import Identities

LINE_MOST = 1 << 16
LINE_S = 10.0


@dataclass
class Life:
    """The running lab: its grounds, and what the state file says of them."""

    grounds: Grounds
    state: lab_state.LabState

    async def live(self, on_ready: Callable[[], None]) -> None:
        """For good; `on_ready` is called when changes can be asked for. SIGTERM and SIGINT end the lab."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self.grounds.keeper.reap)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, os._exit, 0)
        self.grounds.keeper.on_change = self.save
        path = self.state.change_socket
        await asyncio.start_unix_server(self._serve, path=path, limit=LINE_MOST)
        self.grounds.keeper.reap()
        for relay in self.grounds.boot.network.exits:
            if relay.conduct.enforce:  # it has declared, and may now do as it will
                self.grounds.declaring.add(relay.nickname)
                self.grounds.unpublished[relay.nickname] = time.monotonic()
        async with self.grounds.lock:
            await look(self.grounds)
        self.save()
        on_ready()
        await keep_published(self.grounds)

    def save(self) -> None:
        """Write the state, as it is now."""
        grounds = self.grounds
        network = grounds.boot.network
        relays = tuple(
            relay_state(
                relay, grounds.fingerprint(relay.nickname), grounds.keeper.plant.pids.get(relay.nickname, 0),
                not grounds.lives(relay), grounds.revisions.get(relay.nickname, 0),
            )
            for relay in network.relays
        )  # fmt: skip
        pid = grounds.keeper.plant.pids.get(CLIENT, 0)
        found = replace(self.state, relays=relays, exits=len(network.exits), client_pid=pid)
        if found != self.state:
            self.state = found
            lab_state.save(found)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await self._answer(reader, writer.get_extra_info("socket"))
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except OSError:
            pass  # who asked is gone; what was begun has been made all the same
        finally:
            with suppress(OSError):
                writer.close()

    async def _answer(self, reader: asyncio.StreamReader, peer: socket.socket) -> Mapping[str, Any]:
        try:
            refuse_others(peer)
            async with asyncio.timeout(LINE_S):
                line = await reader.readline()
            change = decode(json.loads(line))
        except OperatorError as error:
            return _failure(error)
        except (ValueError, KeyError, TypeError, TimeoutError) as error:
            return _failure(OperatorError(f"This is no change of a lab: {error!r}.", exit_status=EXIT_USAGE))
        async with self.grounds.lock:
            try:
                return {"changed": [asdict(one) for one in await carry_out(self.grounds, change)]}
            except OperatorError as error:
                return _failure(error)
            except Exception as error:
                traceback.print_exc()
                return _failure(OperatorError(f"The lab failed at that: {error!r}.", "Its logs tell more."))
            finally:
                self.save()


def refuse_others(peer: socket.socket) -> None:
    """OperatorError unless who is at the other end of a Unix socket is of our user."""
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid != os.geteuid():
        raise OperatorError("Another user's lab can't be changed.", exit_status=EXIT_USAGE)


def _failure(error: OperatorError) -> Mapping[str, Any]:
    return {"error": error.message, "hint": error.hint, "status": error.exit_status}


def live(
    one: Boot,
    who: Identities,
    environment: Mapping[str, str],
    state: lab_state.LabState,
    on_ready: Callable[[], None],
) -> NoReturn:
    """The rest of pid 1's life."""
    asyncio.run(Life(Grounds(one, who, environment, Keeper(one.plant)), state).live(on_ready))
    raise AssertionError("BUG: a lab that lives has ended its life")
