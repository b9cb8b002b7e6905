"""What hostile exits, and some firewalls, do to mail: they hide that the server could begin TLS (STARTTLS).

With `style` "remove" the offer is taken out of the answer, with "overwrite" X's stand in its place, as middleboxes do
that must keep a packet's length. Whoever asks for TLS all the same is understood by nobody: the command goes on to the
server as X's too, so that its refusal comes in its turn. Whether this is SMTP or IMAP, the server's greeting tells.
"""

import asyncio
import re
from collections.abc import Callable

from .lab_mail import HANDSHAKE, LINE_MAX_BYTES
from .lab_meddling import CHUNK_BYTES, Meeting, Open, Streams, splice, together

OVERWRITTEN_OFFER = b"XXXXXXXA"
OVERWRITTEN_COMMAND = b"XXXXXXXX"

_SMTP_OFFER = re.compile(rb"(?i)(250[- ])STARTTLS\s*$")
_SMTP_COMMAND = re.compile(rb"(?i)^\s*STARTTLS\b")
_IMAP_OFFERS = re.compile(rb"(?i)^\* CAPABILITY |\[CAPABILITY ")
_IMAP_COMMAND = re.compile(rb"(?i)^(\S+ )STARTTLS\b")
_OFFER = re.compile(rb"(?i) STARTTLS(?=[\s\]])")

Rewrite = Callable[[bytes], bytes]
"""A line for a line; an empty one where nothing is to be sent."""


async def strip_starttls(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """Hide STARTTLS of an SMTP or IMAP server; what speaks otherwise passes."""
    target = await open_target()
    greeting = await target[0].readuntil(b"\n")
    is_removed = meeting.options.get("style", "remove") == "remove"
    if greeting.startswith(b"220"):
        offers = SmtpOffers(is_removed)
        ways = _lines(exit_side[0], target[1], _hide_smtp_command), _lines(target[0], exit_side[1], offers.rewrite)
    elif greeting.startswith(b"* "):
        hide: Rewrite = _remove_imap_offer if is_removed else _overwrite_imap_offer
        greeting = hide(greeting)
        ways = _lines(exit_side[0], target[1], _hide_imap_command), _lines(target[0], exit_side[1], hide)
    else:
        exit_side[1].write(greeting)
        await splice(exit_side, target)
        return
    exit_side[1].write(greeting)
    await together(*ways)


class SmtpOffers:
    """Takes STARTTLS out of EHLO's answer. A line that has others behind it waits for the next one: it may become
    the last, which is written otherwise (RFC 5321, 4.2.1)."""

    def __init__(self, is_removed: bool) -> None:
        self.is_removed = is_removed
        self.held = b""

    def rewrite(self, line: bytes) -> bytes:
        offer = _SMTP_OFFER.match(line)
        if offer and not self.is_removed:
            line = offer[1] + OVERWRITTEN_OFFER + b"\r\n"
        elif offer and line[3:4] == b"-":
            return b""
        elif offer:
            line, self.held = self.held[:3] + b" " + self.held[4:], b""
        ready, self.held = (self.held, line) if line[3:4] == b"-" else (self.held + line, b"")
        return ready


def _hide_smtp_command(line: bytes) -> bytes:
    return _SMTP_COMMAND.sub(OVERWRITTEN_COMMAND, line)


def _hide_imap_command(line: bytes) -> bytes:
    return _IMAP_COMMAND.sub(rb"\1" + OVERWRITTEN_COMMAND, line)


def _remove_imap_offer(line: bytes) -> bytes:
    return _OFFER.sub(b"", line) if _IMAP_OFFERS.search(line) else line


def _overwrite_imap_offer(line: bytes) -> bytes:
    return _OFFER.sub(b" " + OVERWRITTEN_OFFER, line) if _IMAP_OFFERS.search(line) else line


async def _lines(source: asyncio.StreamReader, sink: asyncio.StreamWriter, rewrite: Rewrite) -> None:
    """Pass on lines one way to their end, and the end. A handshake that comes uninvited is no line, and passes."""
    rest = b""
    while piece := await source.read(CHUNK_BYTES):
        *lines, rest = (rest + piece).split(b"\n")
        ready = b"".join(rewrite(line + b"\n") for line in lines)
        if rest.startswith(HANDSHAKE) or len(rest) > LINE_MAX_BYTES:
            ready, rest = ready + rest, b""
        sink.write(ready)
        await sink.drain()
    sink.write(rest)
    sink.write_eof()
