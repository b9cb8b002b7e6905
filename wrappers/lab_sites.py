"""What the lab's named sites answer, beyond what every web server of the lab does: by the kind of the target.

Pure but for the content that is random on purpose. Called by `lab_http.respond`. The sites of `evil` are hostile to
whoever reads their answers: they try the limits, the patterns and the terminal of an audit's output.
"""

import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from urllib.parse import quote

BODY_MAX_BYTES = 64 * 1024 * 1024
HEADERS_MAX = 100_000
BINARY_BYTES = 200_000
BIG_PAGE_BYTES = 500_000
HTML = "text/html; charset=utf-8"
BINARY = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Response:
    """What to send, and after how long.

    With `endless` it is sent again and again behind the body, each `pace_s` seconds, until the client hangs up.
    """

    status: HTTPStatus
    body: bytes = b""
    kind: str = "text/plain"
    location: str = ""
    delay_s: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()
    endless: bytes = b""
    pace_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Visit:
    """Whom a client asks: the host as it wrote it, the kind of target that this is, and how it came."""

    host: str = ""
    kind: str = ""
    is_tls: bool = False


def site_response(path: str, visit: Visit) -> Response | None:
    """The site's own answer to a path; None when it has none of its own."""
    if path == "/page":
        return Response(HTTPStatus.OK, _page(), HTML)
    if path == "/headers":
        return _headers()
    if path == "/own.js":
        return Response(HTTPStatus.OK, b"document.title += ' (own script)';\n", "text/javascript")
    site = _SITES.get(visit.kind)
    return None if site is None else site(path, visit)


@cache
def _page() -> bytes:
    items = "".join(
        f'<li><a href="https://secure.test/article/{n}">Article {n}</a>, also <a href="/article/{n}">here</a></li>\n'
        for n in range(1, 33)
    )
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>A page of the exitpin lab</title>\n'
        '<link rel="canonical" href="https://secure.test/page">\n<script src="/own.js"></script>\n</head>\n<body>\n'
        '<h1>A page</h1>\n<p>With <a href="https://secure.test/">a safe way on</a>.</p>\n'
        '<form action="https://secure.test/login" method="post">\n<input name="user"> '
        '<input name="password" type="password">\n<button>Log in</button>\n</form>\n'
        f'<form action="/search"><input name="q"><button>Search</button></form>\n<ul>\n{items}</ul>\n</body>\n</html>\n'
    )
    return text.encode()


def _headers() -> Response:
    more = (
        ("Cache-Control", "public, max-age=3600"),
        ("ETag", '"5f3e-lab"'),
        ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("Vary", "Accept-Encoding"),
        ("Accept-Ranges", "none"),
        ("Content-Language", "en"),
        ("Content-Security-Policy", "default-src 'self'"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
        ("Permissions-Policy", "camera=(), microphone=()"),
        ("Set-Cookie", f"session={secrets.token_hex(16)}; Path=/; HttpOnly; SameSite=Lax"),
    )
    page = b"<!doctype html><title>headers</title><p>Look at the headers.</p>\n"
    return Response(HTTPStatus.OK, page, HTML, headers=more)


def _secure(path: str, visit: Visit) -> Response | None:
    if not visit.is_tls:
        return Response(HTTPStatus.MOVED_PERMANENTLY, location=f"https://{visit.host}{quote(path)}")
    body = b'<!doctype html><title>secure</title><p>You came safely.</p><a href="/">again</a>\n'
    policy = (("Strict-Transport-Security", "max-age=31536000; includeSubDomains; preload"),)
    return Response(HTTPStatus.OK, body, HTML, headers=policy)


def _files(path: str, _: Visit) -> Response | None:
    if path == "/tool.bin":
        return Response(HTTPStatus.OK, _binary(), BINARY)
    if path == "/big.html":
        return Response(HTTPStatus.OK, _big_page(), HTML)
    return None


@cache
def _binary() -> bytes:
    """Bytes that look like a program and are the same in every lab."""
    blocks = (hashlib.sha256(n.to_bytes(4, "big")).digest() for n in range(BINARY_BYTES // 32 + 1))
    return (b"\x7fELF\x02\x01\x01" + b"".join(blocks))[:BINARY_BYTES]


@cache
def _big_page() -> bytes:
    begin, end = b"<!doctype html><title>big</title><body>\n", b"</body></html>\n"
    line = b"<p>" + b"This paragraph is one of many. " * 3 + b"</p>\n"
    room = BIG_PAGE_BYTES - len(begin) - len(end)
    return begin + (line * (room // len(line))).ljust(room, b"\n") + end


def _changing(path: str, _: Visit) -> Response | None:
    text = f"<p>Today's number is {secrets.token_hex(8)}, asked for just now.</p>\n"
    if path == "/":
        return Response(HTTPStatus.OK, f"<!doctype html><title>changing</title>{text}".encode(), HTML)
    if path == "/ads":
        script = f'<script src="http://cdn{secrets.randbelow(900)}.test/{secrets.token_hex(8)}.js"></script>'
        more = ((f"X-Ad-{secrets.token_hex(3)}", secrets.token_hex(8)), ("X-Request-Id", secrets.token_hex(8)))
        body = f"<!doctype html><title>changing</title>{script}{text}"
        return Response(HTTPStatus.OK, body.encode(), HTML, headers=more)
    return None


def _evil(path: str, _: Visit) -> Response | None:
    word, _slash, value = path.strip("/").partition("/")
    count = int(value) if value.isascii() and value.isdecimal() and len(value) < 12 else -1
    if word == "random" and 0 <= count <= BODY_MAX_BYTES:
        return Response(HTTPStatus.OK, os.urandom(count), BINARY)
    if word == "headers" and 0 <= count <= HEADERS_MAX:
        return Response(HTTPStatus.OK, b"so many\n", headers=tuple((f"X-{n}", str(n)) for n in range(count)))
    if path == "/regex":
        return Response(HTTPStatus.OK, _EXPLOSIVE, HTML)
    if path == "/escapes":
        return Response(HTTPStatus.OK, _ESCAPES, headers=(("X-Note", "\x1b]0;owned\x07\x9b2J"),))
    if path == "/endless":
        return Response(HTTPStatus.OK, endless=b"and on and on and on\n" * 512)
    if path == "/slow":
        return Response(HTTPStatus.OK, endless=b".", pace_s=1.0)
    return None


_EXPLOSIVE = b"\n".join(
    (
        b"a" * 34 + b"!",  # (a+)+$
        b"<script src=" * 4000,  # <script[^>]+src="([^"]+)"
        b"x" * 30000,  # (x+x+)+y
        b"<a " + b"href=" * 6000,
        b" " * 50000 + b"!",  # \s+$
        b"1." * 20000,  # ([0-9]+\.)+z
        b"-----BEGIN CERTIFICATE-----" * 2000,
        b'"' + b'\\"' * 20000,
        b"[" * 50000,  # for readers that recurse
        b"",
    )
)

_ESCAPES = b"\n".join(
    (
        b"\x1b[2J\x1b[H\x1b[31mthe screen is cleared and red",
        b"\x1b]0;owned\x07\x1b]2;owned\x1b\\the title is changed",
        b"\x1b]52;c;cm0gLXJmIH4K\x07the clipboard is set",
        b"\x1b]8;;http://evil.test/\x1b\\click\x1b]8;;\x1b\\ a link",
        b'\x1bP$q"p\x1b\\\x1b[6n\x1b[c\x05the terminal is asked to type',
        b"\x9b31m\x9d0;owned\x9c the same with C1",
        b"ok\r\x1b[Ktampered: overwritten\x08\x08\x08\x7f",
        b"\x1b[?1049h\x1b[?25l\x0e\x1bc another screen, no cursor, another alphabet, a reset",
        "\u202eesrever\u202c \u2066bidi\u2069 \u200bzero\ufeff width, \x85\u2028\u2029 line ends".encode(),
        b"\x00\xff\xfe\xc3\x28\xed\xa0\x80 not UTF-8",
        b"<script>alert(1)</script>\"'><img src=x onerror=alert(1)>=cmd|' /C calc'!A0{{run.id}}%s%n",
        b"",
    )
)

_SITES: Mapping[str, Callable[[str, Visit], Response | None]] = {
    "secure": _secure,
    "files": _files,
    "changing": _changing,
    "evil": _evil,
}
