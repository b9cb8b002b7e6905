"""STREAM lines as the thread reads them: what it takes is what the attacher's own parser makes of it."""

from random import Random

import pytest

from exitpin.orchestrator.control_lines import ControlLineError, StreamEvent, parse_stream
from exitpin.orchestrator.model import Endpoint
from exitpin.shim._bindings import ffi, lib

TAIL = (
    ' SOCKS_USERNAME="s-1.1.ab" SOCKS_PASSWORD="exitpin" CLIENT_PROTOCOL=SOCKS5 NYM_EPOCH=0 SESSION_GROUP=-4'
    " ISO_FIELDS=SOCKS_USERNAME,SOCKS_PASSWORD,CLIENTADDR"
)
LINES = [
    f"STREAM 12 NEW 0 example.com:80 SOURCE_ADDR=127.64.0.1:42005 PURPOSE=USER{TAIL}",
    f"STREAM 12 NEW 0 [2001:db8::1]:80 SOURCE_ADDR=127.64.0.1:42005 PURPOSE=USER{TAIL}",
    "STREAM 3 NEW 0 198.51.100.7.$00.exit:9001 PURPOSE=DIR_FETCH",
    f"STREAM 12 SENTCONNECT 7 example.com:80{TAIL}",
    f"STREAM 12 REMAP 7 198.51.100.7:80 SOURCE=EXIT{TAIL}",
    f"STREAM 12 REMAP 7 198.51.100.7:80 SOURCE=CACHE{TAIL}",
    f"STREAM 12 SUCCEEDED 7 198.51.100.7:80{TAIL}",
    f"STREAM 12 CLOSED 7 198.51.100.7:80 REASON=END REMOTE_REASON=DONE{TAIL}",
    f"STREAM 12 DETACHED 7 example.com:80 REASON=TIMEOUT{TAIL}",
    f"STREAM 12 CONTROLLER_WAIT 0 example.com:80{TAIL}",
    f"STREAM 12 XOFF_RECV 7 example.com:80{TAIL}",
]
STATUSES = {
    **dict.fromkeys(["XOFF_SENT", "XOFF_RECV", "XON_SENT", "XON_RECV"], lib.STREAM_FLOWS),
    "NEW": lib.STREAM_NEW, "CONTROLLER_WAIT": lib.STREAM_WAITS, "SENTCONNECT": lib.STREAM_SENT,
    "REMAP": lib.STREAM_REMAPPED, "SUCCEEDED": lib.STREAM_SUCCEEDED,
}  # fmt: skip


def read(text: str) -> tuple[int, int, int, Endpoint | None, str | None] | None:
    """Stream, status, circuit, source and user as the thread reads them; None: it does not."""
    raw = ffi.from_buffer("char[]", text.encode("latin-1"))
    line = ffi.new("struct stream_line *")
    if not lib.exitpin_stream_line_parse(raw, len(raw), line):
        return None
    address = ".".join(map(str, line.source.address[0:4]))
    source = Endpoint(address, line.source.port) if line.source.family else None
    user = None if line.user == ffi.NULL else ffi.unpack(line.user, line.user_size).decode("latin-1")
    return line.stream, line.status, line.circuit, source, user


def status_of(event: StreamEvent) -> int:
    if event.status == "NEW" and event.purpose != "USER":
        return int(lib.STREAM_OTHER)
    if event.status == "REMAP" and event.source == "CACHE":
        return int(lib.STREAM_OTHER)
    return int(STATUSES.get(event.status, lib.STREAM_OTHER))


def agrees(text: str) -> bool:
    """Whether both read it; then, alike. What the attacher's own can't read is the end of trust."""
    found = read(text)
    if found is None:
        return False
    try:
        event = parse_stream(text)
    except ControlLineError:
        return False
    stream, status, circuit, source, user = found
    assert (stream, status, circuit) == (event.stream_id, status_of(event), event.circuit_id), text
    assert user == event.socks_username, text
    assert source is None or source == event.source_addr, text
    return True


@pytest.mark.parametrize("text", LINES)
def test_a_line_of_tors_is_read_as_the_attacher_reads_it(text: str) -> None:
    assert agrees(text)


def test_a_line_that_was_damaged_is_read_as_the_attacher_reads_it_or_not_at_all() -> None:
    rng = Random(20261130)
    pieces = [
        " ",
        '"',
        "=",
        "\\",
        "0",
        "9",
        "NEW",
        "SOCKS_USERNAME=x",
        'SOCKS_USERNAME="y"',
        "SOURCE_ADDR=",
        ":",
        "\x00",
    ]
    read_alike = 0
    for _ in range(60_000):
        text = list(rng.choice(LINES))
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(text))
            match rng.randrange(3):
                case 0:
                    del text[at : at + rng.randint(1, 8)]
                case 1:
                    text.insert(at, rng.choice(pieces))
                case _:
                    text[at : at + 1] = rng.choice(pieces)
            text = text or ["S"]
        read_alike += agrees("".join(text))
    assert read_alike > 10_000


@pytest.mark.parametrize(
    "text",
    [
        "STREAM 0 NEW 0 a:1 PURPOSE=USER",
        "STREAM 18446744073709551616 NEW 0 a:1",
        "STREAM 1 NEW 4294967296 a:1",
        'STREAM 1 NEW 0 a:1 SOCKS_USERNAME="a\\"b"',
        'STREAM 1 NEW 0 a:1 SOCKS_USERNAME="a',
        "STREAM 1 NEW 0",
        "STREAM",
        "",
    ],
)
def test_what_the_thread_can_not_be_sure_of_it_does_not_read(text: str) -> None:
    assert read(text) is None
