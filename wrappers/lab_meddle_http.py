"""What exits of the lab do to plain HTTP: add, replace, redirect, strip. `lab_exchanges.py` reads and sends it."""

from dataclasses import replace
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from .lab_exchanges import Exchanges, Message, Work, read_response
from .lab_meddle_tls import client_tls
from .lab_meddling import Meeting, Open, Streams, connect_from

REDIRECTS_MAX = 5
REDIRECTIONS = (301, 302, 303, 307, 308)
HTML = "text/html"
BINARY = "application/octet-stream"


def page(status: int, html: str, **fields: str) -> Message:
    """A page of our own."""
    known = {int(one): one.phrase for one in HTTPStatus}
    named = tuple((name.replace("_", "-"), value) for name, value in fields.items())
    start = f"HTTP/1.1 {status} {known.get(status, 'Unknown')}"
    return Message(start, (("Content-Type", HTML), *named)).carrying(html.encode())


async def inject_html(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """Put a piece of HTML before the end of every page."""
    piece = meeting.options["html"].encode()

    async def inject(_: Message, response: Message) -> Message:
        if response.kind != HTML:
            return response
        before, end, after = response.body.rpartition(b"</body>")
        return response.carrying(before + piece + end + after if end else response.body + piece)

    await Exchanges(exit_side, open_target, Work(response=inject)).run()


async def inject_header(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """Add a field to every response (Set-Cookie, for one), or to every request."""
    name, value = meeting.options["name"], meeting.options["value"]

    async def inject(_: Message, response: Message) -> Message:
        return response.adding(name, value)

    if meeting.options["where"] == "request":
        work = Work(request=lambda request: request.adding(name, value))
    else:
        work = Work(response=inject)
    await Exchanges(exit_side, open_target, work).run()


async def block_page(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """Answer everything with a page of the exit's own; the target is never asked."""
    answer = page(meeting.options["status"], meeting.options["html"])
    await Exchanges(exit_side, open_target, Work(answer=lambda request: answer)).run()


async def redirect_hijack(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """Send everybody elsewhere, or only those whom the target redirects."""
    to = meeting.options["to"]

    async def divert(_: Message, response: Message) -> Message:
        return response.setting("Location", to) if response.status in REDIRECTIONS else response

    if meeting.options["of"] == "redirects":
        work = Work(response=divert)
    else:
        work = Work(answer=lambda request: page(302, "", Location=to))
    await Exchanges(exit_side, open_target, work).run()


async def patch_binary(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """Change bytes in the middle of every program; its length stays."""

    async def patch(_: Message, response: Message) -> Message:
        if response.kind != BINARY:
            return response
        middle = len(response.body) // 2
        end = min(middle + meeting.options["bytes"], len(response.body))
        changed = bytes(byte ^ 0xFF for byte in response.body[middle:end])
        return replace(response, body=response.body[:middle] + changed + response.body[end:])

    await Exchanges(exit_side, open_target, Work(response=patch)).run()


async def sslstrip(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """Keep the client on http: follow redirects to https in its place, and take the s out of every link."""

    async def strip(request: Message, response: Message) -> Message:
        host = request.get("host") or meeting.destination[0]
        base = f"http://{host}{request.start.split(' ')[1]}"
        for _ in range(REDIRECTS_MAX):
            location = urljoin(base, response.get("location"))
            if response.status not in REDIRECTIONS or not location.startswith("https://"):
                break
            response, base = await _fetch(meeting, location, request), location
        plain = tuple((name, _unsafe(name, value)) for name, value in response.fields)
        response = replace(response, fields=plain).without("strict-transport-security")
        return response.carrying(response.body.replace(b"https://", b"http://")) if response.kind == HTML else response

    await Exchanges(exit_side, open_target, Work(response=strip)).run()


def _unsafe(name: str, value: str) -> str:
    if name.lower() == "location":
        return value.replace("https://", "http://")
    if name.lower() == "set-cookie":
        return "; ".join(part for part in value.split("; ") if part.lower() != "secure")
    return value


async def _fetch(meeting: Meeting, url: str, like: Message) -> Message:
    """What a page on https answers to a request like that one. OSError when it can't be had."""
    parts = urlsplit(url)
    host = parts.hostname or meeting.destination[0]
    wire = await connect_from(meeting, host, parts.port or 443)
    try:
        async with client_tls(wire, host) as safe:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            start = f"{like.start.split(' ')[0]} {path} HTTP/1.1"
            request = replace(like, start=start).setting("Host", parts.netloc).setting("Connection", "close")
            safe[1].write(request.wire())
            response = await read_response(safe, request)
    finally:
        wire[1].close()
    if not isinstance(response, Message):
        raise ConnectionError("a response of a form that is not understood")
    return response.setting("Connection", "keep-alive")
