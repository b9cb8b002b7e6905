"""What http-body finds in a page, and what it lets pass: by answers that are made here, against controls that agree on
nothing but what is the same in all of them."""

import json
from collections.abc import Mapping, Sequence

import pytest

from exitpin.orchestrator.tool import Status, Value
from exitpin.wrappers.extraction import Extraction, Harvest, extract

from .test_tools_d import PATH, controls, said, tool


def answer(body: str, code: int = 200, location: str = "", redirect: str | None = None) -> Extraction:
    """What is read of it. `redirect`: where curl would be led by the location."""
    wrote = {"http_code": code, "redirect_url": redirect, "url_effective": "http://web.test/page"}
    head = f"HTTP/1.1 {code} X\r\n" + (f"Location: {location}\r\n" if location else "") + "\r\n"
    stdout = json.dumps(wrote, separators=(",", ":")).encode()
    artifacts = {"headers": head.encode(), "body": body.encode()}
    return extract(tool("http-body"), Harvest(stdout, b"", artifacts), path=PATH)


def judged(seen: Extraction, against: Sequence[Mapping[str, Value]]) -> Status:
    assert seen.failure == "", seen.problems
    return said(tool("http-body"), seen.facts, controls(*against)).status


PAGE = answer("<html><h1>hello</h1></html>").facts


@pytest.mark.parametrize(
    ("location", "redirect", "status"),
    [
        ("http://web.test/de/", "http://web.test/de/", Status.SUSPECT),
        ("/de/", "http://web.test/de/", Status.SUSPECT),
        ("http://WEB.test:8080/", "http://WEB.test:8080/", Status.SUSPECT),
        ("https://web.test/", "https://web.test/", Status.SUSPECT),
        ("https://login.test/", "https://login.test/", Status.SUSPECT),
        ("http://evil.test/", "http://evil.test/", Status.TAMPERED),
        ("//evil.test/", "http://evil.test/", Status.TAMPERED),
        ("http://web.test.evil.test/", "http://web.test.evil.test/", Status.TAMPERED),
        ("http://web.test@evil.test/", "http://web.test@evil.test/", Status.TAMPERED),
        ("http://web.test:80@evil.test/", "http://web.test:80@evil.test/", Status.TAMPERED),
        ("http://evil.test/", 'http://evil.test/","url_effective":"http://evil.test/', Status.TAMPERED),
    ],
)
def test_a_redirect_in_the_clear_to_another_host_is_tampering_and_any_other_suspect(
    location: str, redirect: str, status: Status
) -> None:
    body = f'<html>moved <a href="{redirect}">here</a></html>' if status is Status.SUSPECT else ""
    assert judged(answer(body, 302, location, redirect), [PAGE] * 4) is status


@pytest.mark.parametrize("code", [403, 429, 451])
def test_a_block_page_is_suspect_whatever_it_holds(code: int) -> None:
    blocked = answer('<meta http-equiv="refresh" content="9"><script>ask()</script><form action="/ask">', code)
    assert judged(blocked, [PAGE] * 4) is Status.SUSPECT
    assert judged(blocked, [answer("<h1>No</h1>", code).facts] * 4) is Status.TAMPERED
