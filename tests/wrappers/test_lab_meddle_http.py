"""What meddlers do to plain HTTP, with curl before them and the lab's web server behind them; or anything else."""

import asyncio
import hashlib
from typing import Any

import pytest

from exitpin.wrappers import lab_meddle_http, lab_meddle_tcp, lab_sites
from exitpin.wrappers.lab_http import HttpProtocol
from exitpin.wrappers.lab_meddling import MEDDLERS, Meddler, chain, meddler, options_of

from .lab_clients import met, run

KINDS = {"127.0.0.1": "files"}


def site() -> asyncio.Protocol:
    return HttpProtocol("127.0.0.1", None, KINDS)


def fetched(what: Meddler, *words: str, **options: Any) -> str:
    """What curl prints; `{}` in a word stands for the URL's beginning."""
    return met(
        what,
        site,
        lambda port: run(
            "curl", "-sS", "--max-time", "10", *(word.format(f"http://127.0.0.1:{port}") for word in words)
        ),
        80,
        **options,
    )


class Script(asyncio.Protocol):
    """Says what it is given to say as soon as something, or (`greets`) nothing yet, has been said to it."""

    def __init__(self, wire: bytes, *, greets: bool = False, ends: bool = True) -> None:
        self.wire, self.greets, self.ends = wire, greets, ends

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.greets:
            self._say()

    def data_received(self, data: bytes) -> None:
        if not self.greets:
            self._say()

    def _say(self) -> None:
        self.transport.write(self.wire)
        if self.ends:
            self.transport.close()


def scripted(wire: bytes, *words: str, greets: bool = False) -> str:
    """What curl prints of such an answer, through a meddler that injects HTML."""
    return met(
        lab_meddle_http.inject_html,
        lambda: Script(wire, greets=greets),
        lambda port: run("curl", "-sS", "--max-time", "10", *words, f"http://127.0.0.1:{port}/"),
        80,
        html="<i>",
    )


def test_a_piece_of_html_goes_before_the_end_of_the_page_and_the_length_fits() -> None:
    page = lab_sites._page().decode()
    assert fetched(lab_meddle_http.inject_html, "{}/page", html="<i>") == page.replace("</body>", "<i></body>")


def test_a_connection_is_kept_alive() -> None:
    words = ("-w", "%{{num_connects}}", "-o", "/dev/null", "{}/page", "-o", "/dev/null", "{}/page")
    assert fetched(lab_meddle_http.inject_html, *words, html="<i>") == "10"


def test_a_head_is_answered_without_a_body() -> None:
    assert fetched(lab_meddle_http.inject_html, "-I", "{}/page", html="<i>").startswith("HTTP/1.1 200 OK")


def test_a_program_keeps_its_length_and_loses_its_bytes() -> None:
    words = ("-o", "/dev/null", "-w", "%{{size_download}}", "{}/tool.bin")
    assert fetched(lab_meddle_http.patch_binary, *words, bytes=4) == str(lab_sites.BINARY_BYTES)
    changed = met(
        lab_meddle_http.patch_binary,
        site,
        lambda port: run("sh", "-c", f"curl -sS http://127.0.0.1:{port}/tool.bin | sha256sum"),
        80,
        bytes=4,
    )
    assert changed.split()[0] != hashlib.sha256(lab_sites._binary()).hexdigest()


def test_a_page_that_ends_with_its_connection_is_meddled_with_too() -> None:
    wire = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<body></body>"
    assert scripted(wire) == "<body><i></body>"


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n<html>\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: x\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\n<html>",
    ],
    ids=["chunked", "compressed", "no HTML"],
)
def test_what_is_not_understood_passes_as_it_is(wire: bytes) -> None:
    assert scripted(wire) == "<html>"


@pytest.mark.slow
def test_another_protocol_passes_as_it_is() -> None:
    words = ("nc", "-w", "10", "127.0.0.1")
    told = met(
        lab_meddle_http.inject_html,
        lambda: Script(b"220 hello\r\n", greets=True),
        lambda port: run(*words, str(port)),
        80,
        html="<i>",
    )
    assert told == "220 hello\r\n"


def test_meddlers_stand_one_behind_the_other() -> None:
    both = chain(
        [
            (lab_meddle_http.inject_html, {"html": "<i>"}),
            (lab_meddle_http.inject_header, {"name": "X-A", "value": "b", "where": "response"}),
        ]
    )
    told = fetched(both, "-i", "{}/page")
    assert "X-A: b" in told and "<i></body>" in told


def test_a_cut_answer_has_its_full_length_promised() -> None:
    told = fetched(lab_meddle_tcp.truncate, "-o", "/dev/null", "{}/tool.bin", after_bytes=16384)
    assert "bytes remaining to read" in told


def test_a_short_answer_is_not_cut() -> None:
    assert fetched(lab_meddle_tcp.truncate, "{}/ip", after_bytes=16384) == "127.0.0.1\n"


@pytest.mark.parametrize("after_bytes", [1, 100])
def test_a_reset_is_a_reset(after_bytes: int) -> None:
    told = fetched(lab_meddle_tcp.reset, "{}/page", after_bytes=after_bytes)
    assert "Connection reset by peer" in told


def test_a_reset_before_anything_is_exchanged_is_never_an_answer() -> None:
    """It may come before curl has noticed that it is connected."""
    told = fetched(lab_meddle_tcp.reset, "{}/page", after_bytes=0)
    assert "Connection reset by peer" in told or "Failed to connect" in told


@pytest.mark.parametrize("name", MEDDLERS)
def test_every_name_has_a_meddler(name: str) -> None:
    assert asyncio.iscoroutinefunction(meddler(name))
    assert options_of(name, {}).keys() == MEDDLERS[name].options.keys()
