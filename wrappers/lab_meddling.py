"""What an exit of the lab may do to the connections that leave from it: the shared types, and the list by name.

A meddler is told whom it has met and holds the streams towards the exit; whether, when and how it opens the connection
to the target is its own affair. It returns when it is done; whoever called it then closes what is open. A meddler that
finds something it does not understand should `splice`. Called by `lab_mitm.py`; `orchestrator/lab/profile.py` checks a
profile's words against the list. Modules of meddlers are imported when one of theirs is first asked for.

A new one costs a coroutine function in a `lab_meddle_*` module and an entry here.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from .lab_truth import GroundTruth

MARK = 0x77
"""SO_MARK of a meddler's own connections: the rules that lead an exit's connections to it let these pass."""

CHUNK_BYTES = 65536
STREAM_LIMIT_BYTES = 1 << 20

HTTP_PORTS = (80, 8080)
TLS_PORTS = (443,)
SSH_PORTS = (22,)
SMTP_PORTS = (25, 587)
IMAP_PORTS = (143,)
DNS_PORTS = (53,)
ALL_PORTS: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Meeting:
    """A connection that an exit has opened. `address` and `address6` are the exit's own, one for each family;
    `destination` is where it was to go, an address, `sibling` the same target's IPv6 address (or empty); `directory`
    is the lab's, `truth` its log (None: nobody keeps one)."""

    exit: str
    address: str
    destination: tuple[str, int]
    options: Mapping[str, Any] = field(default_factory=dict)
    address6: str = ""
    sibling: str = ""
    directory: Path = Path()
    truth: GroundTruth | None = None


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Open = Callable[[], Awaitable[Streams]]
"""Opens the connection to the target, as the exit's own; OSError when that fails."""
Meddler = Callable[[Meeting, Streams, Open], Awaitable[None]]
"""(whom it met, the streams towards the exit, what opens the connection to the target)."""


@dataclass(frozen=True, slots=True)
class Option:
    """A setting of a meddler: its type, its default, the valid texts (empty: any), the least number."""

    type: type
    default: Any
    choices: tuple[str, ...] = ()
    least: float = 0.0

    @property
    def valid(self) -> str:
        """What is valid, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        words = {
            str: "a text",
            bool: "true or false",
            int: "a whole number",
            list: "a list of tables",
            dict: "a table of addresses by name",
        }
        return words.get(self.type, "a number") + (f" from {self.least:g}" if self.type in (int, float) else "")


@dataclass(frozen=True, slots=True)
class Entry:
    """A meddler by name: where its coroutine function is (`module:function`), the ports that it wants unless it is
    told others (none: all), its options."""

    place: str
    ports: tuple[int, ...]
    options: Mapping[str, Option] = field(default_factory=dict)


INSIDE = Option(list, ())
"""Meddlers that a decrypted connection goes through, as in a profile's `meddle`."""

NAMES = Option(dict, {})
"""What is told about which name; the truth about all others."""

MEDDLERS: Mapping[str, Entry] = {
    "tls-mitm": Entry(
        "lab_meddle_tls:tls_mitm",
        TLS_PORTS,
        {"ca": Option(str, "self-signed", ("self-signed", "trusted", "unknown")), "inside": INSIDE},
    ),
    "tls-downgrade": Entry("lab_meddle_tls:tls_downgrade", TLS_PORTS, {"below": Option(str, "1.3", ("1.2", "1.3"))}),
    "sslstrip": Entry("lab_meddle_http:sslstrip", HTTP_PORTS),
    "inject-html": Entry(
        "lab_meddle_http:inject_html",
        HTTP_PORTS,
        {"html": Option(str, '<script src="http://ads.evil.test/a.js"></script>')},
    ),
    "inject-header": Entry(
        "lab_meddle_http:inject_header",
        HTTP_PORTS,
        {
            "name": Option(str, "X-Injected"),
            "value": Option(str, "by-the-exit"),
            "where": Option(str, "response", ("request", "response")),
        },
    ),
    "redirect-hijack": Entry(
        "lab_meddle_http:redirect_hijack",
        HTTP_PORTS,
        {"to": Option(str, "http://evil.test/"), "of": Option(str, "all", ("all", "redirects"))},
    ),
    "block-page": Entry(
        "lab_meddle_http:block_page",
        HTTP_PORTS,
        {
            "status": Option(int, 403, least=200),
            "html": Option(str, "<!doctype html><title>Blocked</title><h1>This page is blocked</h1>\n"),
        },
    ),
    "patch-binary": Entry("lab_meddle_http:patch_binary", HTTP_PORTS, {"bytes": Option(int, 16, least=1)}),
    "reset": Entry("lab_meddle_tcp:reset", ALL_PORTS, {"after_bytes": Option(int, 1)}),
    "truncate": Entry("lab_meddle_tcp:truncate", HTTP_PORTS, {"after_bytes": Option(int, 16384)}),
    "slow": Entry("lab_meddle_tcp:slow", ALL_PORTS, {"seconds": Option(float, 30.0)}),
    "prefer-ipv6": Entry("lab_meddle_tcp:prefer_ipv6", ALL_PORTS),
    "pass": Entry("lab_meddle_tcp:pass_on", ALL_PORTS),
    "dns-lie-tcp": Entry("lab_meddle_dns:dns_lie_tcp", DNS_PORTS, {"address": Option(str, "192.0.2.66")}),
    "dns-hijack-tcp": Entry("lab_meddle_dns:dns_hijack_tcp", DNS_PORTS, {"address": Option(str, "192.0.2.66")}),
    "ssh-mitm": Entry("lab_meddle_ssh:ssh_mitm", SSH_PORTS),
    "strip-starttls": Entry(
        "lab_meddle_mail:strip_starttls",
        SMTP_PORTS + IMAP_PORTS,
        {"style": Option(str, "remove", ("remove", "overwrite"))},
    ),
}

RESOLVERS: Mapping[str, Mapping[str, Option]] = {
    "lie": {"address": Option(str, "192.0.2.66"), "names": NAMES},
    "nxdomain-hijack": {"address": Option(str, "192.0.2.66"), "names": NAMES},
    "rebind": {"address": Option(str, "127.0.0.1"), "names": NAMES},
    "refuse": {},
    "dead": {},
}
"""What the name server of an exit may do, with its options: `lab_meddle_dns.open_resolvers`, but for `dead`."""


def meddler(name: str) -> Meddler:
    """The meddler of that name; KeyError if there is none."""
    module, _, function = MEDDLERS[name].place.partition(":")
    found: Meddler = getattr(import_module(f"{__package__}.{module}"), function)
    return found


def default_ports(name: str) -> tuple[int, ...]:
    """The ports that a meddler wants unless it is told others; none means all. KeyError if there is no such meddler."""
    return MEDDLERS[name].ports


def options_of(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a meddler with its defaults."""
    return {**{key: option.default for key, option in MEDDLERS[name].options.items()}, **given}


async def connect_from(meeting: Meeting, host: str, port: int) -> Streams:
    """A connection of the exit's own to somewhere, past the rules that lead its other connections to us.

    It leaves from the exit's address of the family of `host`; a name is looked up as IPv4. OSError when it fails.
    """
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    own = meeting.address6 if family == socket.AF_INET6 else meeting.address
    wire = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
        wire.bind((own, 0))
        if meeting.truth is not None:
            meeting.truth.write("onward", (str(found[0][4][0]), port), wire.getsockname()[:2])
        await loop.sock_connect(wire, found[0][4])
    except BaseException:
        wire.close()
        raise
    return await streams_of(wire)


async def streams_of(wire: socket.socket) -> Streams:
    """Streams over a connected socket, which becomes theirs."""
    return await asyncio.open_connection(sock=wire, limit=STREAM_LIMIT_BYTES)


async def pair() -> tuple[Streams, Streams]:
    """Two ends of a wire inside this process: so one meddler is the target of another."""
    one, other = socket.socketpair()
    return await streams_of(one), await streams_of(other)


def chain(meddlers: list[tuple[Meddler, Mapping[str, Any]]]) -> Meddler:
    """Several meddlers one behind the other, the first next to the exit; none passes everything on."""
    if not meddlers:
        return pass_through
    if len(meddlers) == 1:
        (first, options), rest = meddlers[0], None
    else:
        (first, options), rest = meddlers[0], chain(meddlers[1:])

    async def run(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
        own = replace(meeting, options=options)
        if rest is None:
            await first(own, exit_side, open_target)
            return
        behind: list[asyncio.Task[None]] = []

        async def open_behind() -> Streams:
            near, far = await pair()
            behind.append(asyncio.ensure_future(attend(rest, meeting, far, open_target)))
            return near

        try:
            await first(own, exit_side, open_behind)
        finally:
            await asyncio.gather(*behind, return_exceptions=True)

    return run


async def attend(what: Meddler, meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """Let a meddler have a connection; when it is done, or fails as connections do, all of its streams are closed."""
    opened: list[Streams] = []

    async def open_noted() -> Streams:
        opened.append(await open_target())
        return opened[-1]

    try:
        await what(meeting, exit_side, open_noted)
    except (OSError, EOFError, asyncio.LimitOverrunError):
        abort(exit_side[1])
    finally:
        for _, writer in (exit_side, *opened):
            writer.close()


async def pass_through(_: Meeting, exit_side: Streams, open_target: Open) -> None:
    """What an honest exit does."""
    await splice(exit_side, await open_target())


async def splice(one: Streams, other: Streams) -> None:
    """Pass on all bytes both ways until both sides have ended; half-closing is passed on too, and so is a reset."""
    try:
        await together(pump(one[0], other[1]), pump(other[0], one[1]))
    except OSError:
        abort(one[1])
        abort(other[1])


async def together(*ways: Coroutine[Any, Any, None]) -> None:
    """Let the ways of a connection run to their ends; when one fails the others are cancelled, and so is all of it."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass on bytes one way to their end, and the end."""
    while piece := await source.read(CHUNK_BYTES):
        sink.write(piece)
        await sink.drain()
    if sink.can_write_eof():
        with suppress(OSError):
            sink.write_eof()
    else:
        sink.close()


def abort(writer: asyncio.StreamWriter) -> None:
    """End a connection with a RST: what is still to be sent is lost (SO_LINGER 0, socket(7))."""
    wire = writer.get_extra_info("socket")
    if wire is not None:
        with suppress(OSError):
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
