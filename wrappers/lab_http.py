"""The lab's web server: what a path answers, and the protocol around it (HTTP/1.0 and 1.1, no request bodies)."""

import asyncio
import mimetypes
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .lab_sites import BINARY, BODY_MAX_BYTES, Response, Visit, site_response

HEAD_MAX_BYTES = 32 * 1024
DELAY_MAX_S = 600.0
REPOSITORY_PREFIX = "/repo.git/"
INDEX = b"<!doctype html><title>exitpin lab</title><p>This is a target of the exitpin lab.</p>\n"
ANYBODY = Visit()


def respond(path: str, peer: str, repository: Path | None, visit: Visit = ANYBODY) -> Response:
    """The answer to a path; `peer` is the client's address, `repository` a bare git repository or None."""
    path = unquote(urlsplit(path).path)
    if (own := site_response(path, visit)) is not None:
        return own
    word, _, value = path.strip("/").partition("/")
    if path == "/":
        return Response(HTTPStatus.OK, INDEX, "text/html")
    if path == "/ip":
        return Response(HTTPStatus.OK, peer.encode() + b"\n")
    if path == "/redirect":
        return Response(HTTPStatus.FOUND, location="/")
    if path.startswith(REPOSITORY_PREFIX) and repository is not None:
        return _file(repository, path.removeprefix(REPOSITORY_PREFIX))
    if word in ("bytes", "status") and value.isascii() and value.isdecimal():
        return _bytes(int(value)) if word == "bytes" else _status(int(value))
    if word == "delay":
        return _delay(value)
    return Response(HTTPStatus.NOT_FOUND, b"not found\n")


def _bytes(count: int) -> Response:
    if count > BODY_MAX_BYTES:
        return Response(HTTPStatus.BAD_REQUEST, f"at most {BODY_MAX_BYTES}\n".encode())
    return Response(HTTPStatus.OK, (b"0123456789abcde\n" * (count // 16 + 1))[:count], BINARY)


def _status(number: int) -> Response:
    known = {int(status): status for status in HTTPStatus if int(status) >= 200}
    return Response(known.get(number, HTTPStatus.BAD_REQUEST), b"" if number in (204, 304) else b"as you wish\n")


def _delay(value: str) -> Response:
    try:
        seconds = float(value)
    except ValueError:
        return Response(HTTPStatus.BAD_REQUEST, b"not a number\n")
    if not 0 <= seconds <= DELAY_MAX_S:
        return Response(HTTPStatus.BAD_REQUEST, b"too long\n")
    return Response(HTTPStatus.OK, b"at last\n", delay_s=seconds)


def _file(root: Path, name: str) -> Response:
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        return Response(HTTPStatus.NOT_FOUND, b"not found\n")
    return Response(HTTPStatus.OK, path.read_bytes(), mimetypes.guess_type(name)[0] or BINARY)


class HttpProtocol(asyncio.Protocol):
    """One connection: requests one after the other, each answered whole. `kinds`: the kind of a target by its name."""

    def __init__(
        self, peer: str, repository: Path | None, kinds: Mapping[str, str] | None = None, *, is_tls: bool = False
    ) -> None:
        self.peer = peer
        self.repository = repository
        self.kinds = kinds or {}
        self.is_tls = is_tls
        self.buffer = b""
        self.transport: asyncio.Transport | None = None
        self.is_answering = False
        self.is_full = False
        self.endless = Response(HTTPStatus.OK)
        self.next_piece: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self._next()

    def _next(self) -> None:
        if self.transport is None or self.is_answering:
            return
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            if len(self.buffer) > HEAD_MAX_BYTES:
                self.transport.close()
            return
        self.buffer = rest
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or words[0] not in ("GET", "HEAD"):
            self._send(Response(HTTPStatus.NOT_IMPLEMENTED), is_head=False, is_last=True)
            return
        headers = {
            name.strip().lower(): value.strip().lower()
            for name, _, value in (line.partition(":") for line in lines[1:])
        }
        wish = headers.get("connection", "")
        is_last = wish == "close" or (words[2] == "HTTP/1.0" and wish != "keep-alive")
        response = respond(words[1], self.peer, self.repository, self._visit(headers.get("host", "")))
        self.is_answering = True
        if response.delay_s:
            asyncio.get_running_loop().call_later(response.delay_s, self._send, response, words[0] == "HEAD", is_last)
        else:
            self._send(response, words[0] == "HEAD", is_last)

    def _visit(self, host: str) -> Visit:
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        return Visit(name, self.kinds.get(name.rstrip("."), ""), self.is_tls)

    def _send(self, response: Response, is_head: bool, is_last: bool) -> None:
        self.is_answering = False
        if self.transport is None:
            return
        is_last = is_last or bool(response.endless)
        lines = [f"HTTP/1.1 {response.status.value} {response.status.phrase}", "Server: exitpin-lab"]
        lines += [f"Date: {formatdate(usegmt=True)}"] if response.headers else []
        lines += [f"Content-Type: {response.kind}"]
        lines += [] if response.endless else [f"Content-Length: {len(response.body)}"]
        lines += [f"Location: {response.location}"] if response.location else []
        lines += [f"{name}: {value}" for name, value in response.headers]
        lines += ["Connection: close" if is_last else "Connection: keep-alive", "", ""]
        self.transport.write("\r\n".join(lines).encode("latin-1") + (b"" if is_head else response.body))
        if response.endless and not is_head:
            self.is_answering = True
            self.endless = response
            self._go_on()
        elif is_last:
            self.transport.close()
        else:
            self._next()

    def _go_on(self) -> None:
        """Send the next piece of what has no end; the transport says when the client can't take more."""
        if self.next_piece is not None:
            self.next_piece.cancel()
        if self.transport is None or self.is_full or self.transport.is_closing():
            return
        self.next_piece = asyncio.get_running_loop().call_later(self.endless.pace_s, self._go_on)
        self.transport.write(self.endless.endless)

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        if self.endless.endless:
            self._go_on()
