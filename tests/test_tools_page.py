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


CHANGING = [answer(f'<html>{n}<script src="/own.js"></script></html>').facts for n in range(20)]
ACTIVE = [
    "<script>evil()</script>",
    "<script type='text/javascript'><!--\nevil()\n//--></script>",
    '<script>evil("<script ")</script>',
    '<script a="<">evil()</script>',
    "<script>\n<!-- no end",
    '<script data-a="<" src="//evil/x.js"></script>',
    '<script data-a=">" src="//evil/x.js"></script>',
    '<script a=b="c src=//evil/x.js></script>',
    '<script < src=" //evil/x.js"></script>',
    "<script\n async\n src = '//evil/x.js'></script>",
    '<a title="<script x=\'"><script src=//evil/x.js></script><b title=\'>">',
    "<svg><script xlink:href=//evil/x.js /></svg>",
    "<img src=x onerror=evil()>",
    '<img src="x"onerror=evil()>',
    "<svg/onload=evil()>",
    "<p oncontentvisibilityautostatechange=evil()>",
    '<a href="javascript:evil()">',
    '<a href=" java\nscript:evil()">',
    "<form action=javascript:evil()>",
    "<link rel=stylesheet href=//evil/x.css>",
    '<link href="//evil/x.css?>" rel="preload stylesheet">',
    '<meta http-equiv="refresh" content="0;url=//evil">',
    '<meta content="0;url=//evil?>" http-equiv=refresh>',
    '<meta charset="utf-8"><meta content="0;url=//evil" HTTP-EQUIV = "Refresh">',
    "<base href=//evil>",
    "<iframe src=//evil>",
]


@pytest.mark.parametrize("injected", ACTIVE)
def test_active_content_is_found_in_a_page_that_is_another_for_everybody(injected: str) -> None:
    seen = answer(f'<html>99<script src="/own.js"></script>{injected}</html>')
    assert judged(seen, CHANGING) is Status.TAMPERED


@pytest.mark.parametrize(
    "harmless",
    [
        '<a href="/javascript:">javascript: as a word</a>',
        "<script></script>",
        '<link rel="canonical" href="/99"><p>rel stylesheet</p>',
        '<meta charset="utf-8"><meta http-equiv="content-type" content="99">',
        "<p>on = 99, once=99</p>",
    ],
)
def test_what_is_not_active_accuses_nobody(harmless: str) -> None:
    assert judged(answer(f'<html>99<script src="/own.js"></script>{harmless}</html>'), CHANGING) is Status.OK


NASTY = [
    "<script ", "<script", "<script/", "<script>", '<script a="', "<script/a=", """<script a="<script b=' """,
    "<script a = ", "<script></script>", "<script>x</scrip", "<meta ", "<meta h", "<link ", "<link r", ' rel="', "<",
    "a", '"', " onclick=", ' href=" j a v a', " on", "\n     ",
]  # fmt: skip
ONCE = ["", "<script ", '<script a="', "<script>", "<meta ", "<link ", '<link rel="', " onclick", " href=j"]


@pytest.mark.parametrize("again", NASTY)
def test_no_page_is_too_much_for_the_patterns(again: str) -> None:
    """A quarter of what a page may have takes less than the half second after which nobody would know what is in it:
    room for a machine that is busy, and none for what grows with the square."""
    for once in ONCE:
        seen = answer((once + again * (1 << 18))[: 1 << 18])
        assert seen.failure == "", (once, seen.problems)
