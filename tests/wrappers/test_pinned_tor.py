"""What is closed in a tor that we take, and leave."""

import asyncio

from exitpin.wrappers.pinned_tor import close_circuits

from .scripted_tor import Peer, played


def test_what_a_controller_began_is_closed_however_far_it_is_built_and_what_tor_began_is_not() -> None:
    status = [
        "250+circuit-status=",
        f"3 BUILT ${'A' * 40}~a BUILD_FLAGS=ONEHOP_TUNNEL,IS_INTERNAL,NEED_CAPACITY PURPOSE=GENERAL",
        f"4 BUILT ${'A' * 40}~a,${'B' * 40}~b PURPOSE=GENERAL",
        f"5 EXTENDED ${'A' * 40}~a PURPOSE=GENERAL",
        "6 LAUNCHED PURPOSE=GENERAL",
        f"7 BUILT ${'A' * 40}~a,${'B' * 40}~b PURPOSE=HS_CLIENT_INTRO",
        ".",
        "250 OK",
    ]

    async def script(peer: Peer) -> None:
        closing = asyncio.create_task(close_circuits(peer.channel))
        assert await peer.reads() == "GETINFO circuit-status\r\n"
        await peer.says(*status)
        assert await closing == 3
        assert await peer.reads() == "CLOSECIRCUIT 4\r\nCLOSECIRCUIT 5\r\nCLOSECIRCUIT 6\r\n"

    played(script)
