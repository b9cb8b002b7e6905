"""Tor's words: every form that control-spec has and Tor 0.4.9 was seen to send, and nothing else."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitpin.orchestrator.control_lines import (
    CircEvent,
    ControlLineError,
    StreamEvent,
    parse_circ,
    parse_endpoint,
    parse_path,
    parse_stream,
    unquote,
)
from exitpin.orchestrator.model import Endpoint, Hop

from .values import EXIT, GUARD

TAIL = (
    ' SOCKS_USERNAME="tag" SOCKS_PASSWORD="exitpin" CLIENT_PROTOCOL=SOCKS5 NYM_EPOCH=0 SESSION_GROUP=-4'
    " ISO_FIELDS=SOCKS_USERNAME,SOCKS_PASSWORD,CLIENTADDR,SESSION_GROUP,NYM_EPOCH"
)
STREAMS = {
    f"STREAM 12 NEW 0 example.com:80 SOURCE_ADDR=127.64.0.1:42005 PURPOSE=USER{TAIL}": StreamEvent(
        12, "NEW", 0, "example.com:80", None, None, None, Endpoint("127.64.0.1", 42005), "USER", "tag"
    ),
    f"STREAM 12 NEWRESOLVE 0 example.com:0 SOURCE_ADDR=[::1]:42005 PURPOSE=DNS_REQUEST{TAIL}": StreamEvent(
        12, "NEWRESOLVE", 0, "example.com:0", None, None, None, Endpoint("::1", 42005), "DNS_REQUEST", "tag"
    ),
    "STREAM 12 NEW 0 x:80 SOURCE_ADDR=/run/tor/socks:0 PURPOSE=USER": StreamEvent(12, "NEW", 0, "x:80", purpose="USER"),
    f"STREAM 3 NEW 0 198.51.100.7.${GUARD}.exit:9001 PURPOSE=DIR_FETCH": StreamEvent(
        3, "NEW", 0, f"198.51.100.7.${GUARD}.exit:9001", purpose="DIR_FETCH"
    ),
    f"STREAM 12 CONTROLLER_WAIT 0 example.com:80{TAIL}": StreamEvent(
        12, "CONTROLLER_WAIT", 0, "example.com:80", socks_username="tag"
    ),
    "STREAM 12 REMAP 7 [2001:db8::9]:80 SOURCE=EXIT": StreamEvent(12, "REMAP", 7, "[2001:db8::9]:80", source="EXIT"),
    "STREAM 12 REMAP 7 203.0.113.9:80 SOURCE=CACHE": StreamEvent(12, "REMAP", 7, "203.0.113.9:80", source="CACHE"),
    "STREAM 12 DETACHED 7 example.com:80 REASON=END REMOTE_REASON=MISC": StreamEvent(
        12, "DETACHED", 7, "example.com:80", "END", "MISC"
    ),
    "STREAM 12 CLOSED 7 example.com:80 REASON=DONE": StreamEvent(12, "CLOSED", 7, "example.com:80", "DONE"),
    "STREAM 12 FAILED 0 x:80 REASON=UNKNOWN_99": StreamEvent(12, "FAILED", 0, "x:80", "UNKNOWN_99"),
    "STREAM 12 XOFF_RECV 7 x:80": StreamEvent(12, "XOFF_RECV", 7, "x:80"),
    "STREAM 18446744073709551615 NEW 4294967295 x:80": StreamEvent(2**64 - 1, "NEW", 2**32 - 1, "x:80"),
    'STREAM 1 NEW 0 x:80 SOCKS_USERNAME=""': StreamEvent(1, "NEW", 0, "x:80", socks_username=""),
    'STREAM 1 NEW 0 x:80 SOCKS_USERNAME="a\\"b\\\\c d\\303\\251"': StreamEvent(
        1, "NEW", 0, "x:80", socks_username='a"b\\c d\xc3\xa9'
    ),
    'STREAM 1 NEW 0 x:80 SOCKS_PASSWORD=" REASON=DONE "': StreamEvent(1, "NEW", 0, "x:80"),
    "STREAM 1 NEW 0 x:80 SOME_FUTURE_WORD=1,2 EMPTY= ": StreamEvent(1, "NEW", 0, "x:80"),
}
PATH = (Hop(GUARD, "guard"), Hop(EXIT, "exit1"))
CIRCS = {
    "CIRC 7 LAUNCHED PURPOSE=GENERAL TIME_CREATED=2026-01-02T03:04:05.000006": CircEvent(7, "LAUNCHED", (), "GENERAL"),
    f"CIRC 7 EXTENDED ${GUARD}~guard PURPOSE=GENERAL": CircEvent(7, "EXTENDED", PATH[:1], "GENERAL"),
    f"CIRC 7 BUILT ${GUARD}~guard,${EXIT}~exit1 PURPOSE=GENERAL": CircEvent(7, "BUILT", PATH, "GENERAL"),
    f"CIRC 7 BUILT ${GUARD}=guard,${EXIT}=exit1": CircEvent(7, "BUILT", PATH),
    f"CIRC 7 BUILT ${GUARD},${EXIT} BUILD_FLAGS=NEED_CAPACITY,IS_INTERNAL": CircEvent(
        7, "BUILT", (Hop(GUARD), Hop(EXIT))
    ),
    f"CIRC 7 CLOSED ${GUARD}~guard,${EXIT}~exit1 PURPOSE=GENERAL REASON=DESTROYED REMOTE_REASON=CHANNEL_CLOSED": (
        CircEvent(7, "CLOSED", PATH, "GENERAL", "DESTROYED", "CHANNEL_CLOSED")
    ),
    "CIRC 7 FAILED REASON=CHANNEL_CLOSED": CircEvent(7, "FAILED", (), None, "CHANNEL_CLOSED"),
    f"CIRC 7 BUILT ${GUARD}~guard PURPOSE=CONFLUX_LINKED": CircEvent(
        7, "BUILT", PATH[:1], "CONFLUX_LINKED", conflux=True
    ),
    f"CIRC 7 BUILT ${GUARD}~guard PURPOSE=GENERAL CONFLUX_ID=00ff CONFLUX_RTT=1": CircEvent(
        7, "BUILT", PATH[:1], "GENERAL", conflux=True
    ),
    "CIRC 7 BUILT": CircEvent(7, "BUILT", ()),
}


@pytest.mark.parametrize("line", STREAMS)
def test_a_stream_line_is_read(line: str) -> None:
    assert parse_stream(line) == STREAMS[line]


@pytest.mark.parametrize("line", CIRCS)
def test_a_circ_line_is_read(line: str) -> None:
    assert parse_circ(line) == CIRCS[line]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "STREAM",
        "STREAM 1 NEW 0",
        "STREAM x NEW 0 x:80",
        "STREAM -1 NEW 0 x:80",
        "STREAM 1 new 0 x:80",
        "STREAM 1 NEW x x:80",
        "STREAM \u0661 NEW 0 x:80",
        "STREAM 1 NEW \u0661 x:80",
        "STREAM  1 NEW 0 x:80",
        f"STREAM {'1' * 5000} NEW 0 x:80",
        "STREAM 1 NEW 0 x:80 STRAY",
        "STREAM 1 NEW 0 x:80 REASON=A REASON=B",
        'STREAM 1 NEW 0 x:80 SOCKS_USERNAME="open',
        'STREAM 1 NEW 0 x:80 SOCKS_USERNAME="a"b',
        'STREAM 1 NEW 0 x:80 SOCKS_USERNAME=a"b"',
        "STREAM 1 NEW 0 x:80 lower=1",
        "STREAM 1 NEW 0 x:80\nSTREAM 2 NEW 0 x:80",
        "STREAM_BW 1 2 3",
        "CIRC 1 BUILT",
    ],
)
def test_what_is_no_stream_line_is_refused(line: str) -> None:
    with pytest.raises(ControlLineError):
        parse_stream(line)


@pytest.mark.parametrize(
    "line",
    [
        "CIRC",
        "CIRC 7",
        "CIRC x BUILT",
        "CIRC \u0667 BUILT",
        f"CIRC 7 BUILT ${GUARD}~",
        f"CIRC 7 BUILT ${GUARD[:-1]}",
        f"CIRC 7 BUILT ${GUARD.lower().replace('aa', 'ab')}x",
        f"CIRC 7 BUILT ${GUARD}~guard,",
        f"CIRC 7 BUILT ${GUARD}~guard,{EXIT}",
        f"CIRC 7 BUILT ${GUARD}~{'n' * 20}",
        f"CIRC 7 BUILT ${GUARD}~guard STRAY",
        f"CIRC 7 BUILT nickname,${EXIT}",
        "CIRC_MINOR 7 PURPOSE_CHANGED",
    ],
)
def test_what_is_no_circ_line_is_refused(line: str) -> None:
    with pytest.raises(ControlLineError):
        parse_circ(line)


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.64.0.1:80", Endpoint("127.64.0.1", 80)),
        ("[::1]:80", Endpoint("::1", 80)),
        ("127.0.0.1:65535", Endpoint("127.0.0.1", 65535)),
        ("/run/tor/socks:0", None),
        (":80", None),
        ("127.0.0.1", None),
        ("127.0.0.1:", None),
        ("127.0.0.1:-1", None),
        ("127.0.0.1:65536", None),
        ("127.0.0.1:\u00b2", None),
        ("127.0.0.1:\u0661", None),
        (f"127.0.0.1:{'1' * 5000}", None),
        ("", None),
    ],
)
def test_an_endpoint_is_read_or_is_none(text: str, endpoint: Endpoint | None) -> None:
    assert parse_endpoint(text) == endpoint


@pytest.mark.parametrize("text", ["", "$", ",", f"${GUARD},", GUARD, f"${GUARD}~a b"])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ControlLineError):
        parse_path(text)


def quoted(text: str) -> str:
    """As Tor's esc_for_log writes bytes: named escapes, octal for what can't be printed."""
    named = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(named.get(c) or (c if " " <= c <= "~" else f"\\{ord(c):03o}") for c in text) + '"'


ANY_BYTES = st.text(st.characters(max_codepoint=255), max_size=40)
PLAIN = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"'), max_size=12)
WORD = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True)


@given(ANY_BYTES)
def test_a_quoted_string_comes_back_as_it_was(text: str) -> None:
    assert unquote(quoted(text)) == text


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    ANY_BYTES,
    st.integers(1, 65535),
    st.dictionaries(WORD, st.one_of(PLAIN, ANY_BYTES.map(quoted)), max_size=4),
)
def test_a_stream_line_comes_back_as_it_was(
    stream_id: int, circuit_id: int, tag: str, port: int, more: dict[str, str]
) -> None:
    words = {**more, "SOURCE_ADDR": f"127.64.0.1:{port}", "PURPOSE": "USER", "SOCKS_USERNAME": quoted(tag)}
    for known in ("REASON", "REMOTE_REASON", "SOURCE"):
        words.pop(known, None)
    line = f"STREAM {stream_id} NEW {circuit_id} example.com:80" + "".join(f" {k}={v}" for k, v in words.items())
    source = Endpoint("127.64.0.1", port)
    assert parse_stream(line) == StreamEvent(
        stream_id, "NEW", circuit_id, "example.com:80", source_addr=source, purpose="USER", socks_username=tag
    )


@given(st.text(max_size=60))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    for parse in (parse_stream, parse_circ):
        for line in (text, f"STREAM 1 NEW 0 {text}", f"CIRC 1 BUILT {text}"):
            with contextlib.suppress(ControlLineError):
                parse(line)
