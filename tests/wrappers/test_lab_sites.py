"""What the lab's named web sites answer, and how curl gets it."""

import re
from pathlib import Path

import pytest

from exitpin.orchestrator.lab import network
from exitpin.wrappers.lab_http import HttpProtocol, respond
from exitpin.wrappers.lab_sites import Response, Visit

from .lab_clients import run, visited

KINDS = {target.name: target.kind for target in network.BUILT_IN_TARGETS}


def ask(host: str, path: str, *, is_tls: bool = False) -> Response:
    return respond(path, "192.0.2.9", None, Visit(host, KINDS[host], is_tls))


def curl(host: str, path: str, *words: str) -> str:
    """What curl prints of a path of a host, from a server on loopback."""
    return visited(
        lambda: HttpProtocol("192.0.2.9", None, KINDS),
        lambda port: run(
            "curl", "-qsS", *words, "--connect-to", f"{host}:80:127.0.0.1:{port}", f"http://{host.upper()}{path}"
        ),
    )


def test_a_page_leads_on_to_a_safe_site() -> None:
    body = ask("web.test", "/page").body
    assert 2000 < len(body) < 10000
    assert body.count(b'href="https://secure.test/') > 10
    assert body.count(b"<form") == 2 and body.count(b"<script") == 1 and body.endswith(b"</body>\n</html>\n")
    assert body == ask("web.test", "/page").body


def test_usual_headers_and_a_cookie_that_varies() -> None:
    one, two = (curl("web.test", "/headers", "-i") for _ in range(2))
    names = [[line.split(":")[0] for line in text.splitlines() if ": " in line] for text in (one, two)]
    assert names[0] == names[1] and {"Date", "Server", "ETag", "Content-Security-Policy"} <= set(names[0])
    cookies = [re.findall("session=([0-9a-f]{32})", text) for text in (one, two)]
    assert len(cookies[0]) == len(cookies[1]) == 1 and cookies[0] != cookies[1]


def test_the_safe_site_sends_one_to_https_and_stays_there() -> None:
    answer = ask("secure.test", "/a b%0d%0aX: y")
    assert (answer.status, answer.location) == (301, "https://secure.test/a%20b%0D%0AX%3A%20y")
    safe = ask("secure.test", "/", is_tls=True)
    assert safe.status == 200 and dict(safe.headers)["Strict-Transport-Security"].startswith("max-age=")
    assert "https://secure.test/x" in curl("secure.test", "/x", "-o", "/dev/null", "-w", "%{redirect_url}")


@pytest.mark.parametrize(("path", "size"), [("/tool.bin", 200_000), ("/big.html", 500_000)])
def test_a_file_is_always_the_same(path: str, size: int) -> None:
    assert len(ask("files.test", path).body) == size
    assert ask("files.test", path) == ask("files.test", path)
    assert ask("web.test", path).status == 404


def test_a_changing_site_is_never_the_same() -> None:
    for path, changes_scripts in (("/", False), ("/ads", True)):
        answers = [ask("changing.test", path) for _ in range(3)]
        assert len({answer.body for answer in answers}) == 3
        assert len({answer.headers for answer in answers}) == (3 if changes_scripts else 1)
        assert all((b"<script src=" in answer.body) is changes_scripts for answer in answers)


@pytest.mark.parametrize(
    ("path", "holds"),
    [
        ("/random/5000", lambda answer: len(answer.body) == 5000),
        ("/random/999999999999", lambda answer: answer.status == 404),
        ("/random/-1", lambda answer: answer.status == 404),
        ("/headers/100000", lambda answer: len(answer.headers) == 100_000),
        ("/headers/100001", lambda answer: answer.status == 404),
        ("/regex", lambda answer: b"a" * 34 + b"!" in answer.body and b"x" * 30000 in answer.body),
        ("/escapes", lambda answer: {0, 7, 8, 0x1B, 0x9B, 0xFF} <= set(answer.body)),
        ("/", lambda answer: answer.status == 200),
    ],
)
def test_the_evil_site_tries_what_reads_it(path: str, holds: object) -> None:
    assert callable(holds) and holds(ask("evil.test", path))


@pytest.mark.slow
def test_what_never_ends_is_sent_until_the_reader_has_had_enough() -> None:
    limits = ("--max-time", "10", "--limit-rate", "1M")  # whatever else this machine does meanwhile
    text = curl("evil.test", "/endless", *limits, "-o", "/dev/null", "-w", "%{size_download}")
    assert "timed out" in text and int(text.split()[-1]) > 1_000_000


@pytest.mark.slow
def test_what_is_slow_comes_a_byte_a_second() -> None:
    text = curl("evil.test", "/slow", "--max-time", "6", "-o", "/dev/null", "-w", "%{size_download}")
    assert "timed out" in text and 1 <= int(text.split()[-1]) <= 7


def test_many_headers_reach_a_reader_that_takes_them(tmp_path: Path) -> None:
    text = curl("evil.test", "/headers/2000", "-o", "/dev/null", "-D", "-")
    assert text.count("\nX-") == 2000
