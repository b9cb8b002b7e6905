"""What exits of the lab do to any connection, whatever is spoken on it: reset, cut short, delay, go another way."""

import asyncio

from .lab_meddling import CHUNK_BYTES, Meeting, Open, Streams, abort, connect_from, pass_through, pump, splice

pass_on = pass_through


async def reset(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """End with a RST once so many bytes of the answer have passed; 0: before anything is exchanged."""
    if await _pass_answer(exit_side, open_target, meeting.options["after_bytes"]):
        abort(exit_side[1])


async def truncate(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """End in good order once so many bytes of the answer have passed."""
    await _pass_answer(exit_side, open_target, meeting.options["after_bytes"])


async def _pass_answer(exit_side: Streams, open_target: Open, most: int) -> bool:
    """Pass on all that is asked and `most` bytes of the answer; whether there would have been that many."""
    if most == 0:
        return True
    reader, writer = await open_target()
    asking = asyncio.ensure_future(pump(exit_side[0], writer))
    try:
        while most and (piece := await reader.read(min(most, CHUNK_BYTES))):
            exit_side[1].write(piece)
            await exit_side[1].drain()
            most -= len(piece)
    finally:
        asking.cancel()
    return most == 0


async def slow(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """Let the target have everything at once, and its answer through only after so many seconds."""
    target = await open_target()
    asking = asyncio.ensure_future(pump(exit_side[0], target[1]))
    try:
        await asyncio.sleep(meeting.options["seconds"])
        await asyncio.gather(asking, pump(target[0], exit_side[1]))
    finally:
        asking.cancel()


async def prefer_ipv6(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """Honest: go to the target's IPv6 address, from the exit's own, when the target has one."""
    if meeting.sibling:
        target = await connect_from(meeting, meeting.sibling, meeting.destination[1])
    else:
        target = await open_target()
    try:
        await splice(exit_side, target)
    finally:
        target[1].close()
