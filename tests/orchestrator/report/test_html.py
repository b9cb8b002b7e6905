"""The page of a hostile scan: one file, no address, and whatever an exit wrote stands in it as text."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from exitpin.orchestrator.report.html import SIZE_MAX, page, policy, shown
from exitpin.orchestrator.results.blobs import blobs_directory
from exitpin.orchestrator.results.public import public_id

from ..recorded import reader, write
from . import hostile

EVENT = re.compile(r"on[a-z]+")
FETCHES = {"src", "srcset", "action", "formaction", "data", "poster", "background", "ping", "manifest"}
ELEMENTS_THAT_FETCH = {"img", "iframe", "object", "embed", "audio", "video", "source", "base", "track", "area"}


class Page(HTMLParser):
    """The elements of a page, and the text in them."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "results.sqlite"
    hostile.fill(path)
    return path


@pytest.fixture(scope="module")
def content(store: Path) -> str:
    with reader(store) as found:
        return page(found, hostile.SCAN)


def test_nothing_in_the_page_leads_anywhere(content: str) -> None:
    found = Page(content)
    assert not {tag for tag, _ in found.elements} & ELEMENTS_THAT_FETCH
    for tag, attributes in found.elements:
        assert not FETCHES & attributes.keys(), (tag, attributes)
    assert all(str(link["href"]).startswith("#") for link in found.all("a"))
    assert [str(link["href"])[:20] for link in found.all("link")] == ["data:image/svg+xml,%"]


def test_no_element_has_a_handler_or_a_style_of_its_own(content: str) -> None:
    for tag, attributes in Page(content).elements:
        assert not [name for name in attributes if EVENT.fullmatch(name) or name == "style"], (tag, attributes)


def test_the_only_script_and_style_are_ours_and_their_hashes_are_the_policy(content: str) -> None:
    assert len(re.findall(r"<script\b", content)) == len(re.findall(r"<style\b", content)) == 1
    (script,), (style,) = (
        re.findall(r"<script>(.*?)</script>", content, re.S),
        re.findall(r"<style>(.*?)</style>", content, re.S),
    )
    told = next(meta["content"] for meta in Page(content).all("meta") if meta.get("http-equiv"))
    assert told == policy(style, script)
    for name, source in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in str(told)
    assert str(told).startswith("default-src 'none';") and "unsafe" not in str(told)


def test_what_an_exit_wrote_is_there_as_text(content: str) -> None:
    texts = "".join(Page(content).texts)
    assert f"<script>{hostile.RUNS}</script>" in texts
    assert "\\u202egnp.exe\\u2066" in texts and "\\x1b]0;" in texts and "{{7*7}}" in texts


def test_no_character_of_the_page_is_obeyed_by_a_browser_or_a_terminal(content: str) -> None:
    odd = {char for char in content if not char.isprintable() and char not in "\n\t"}
    assert odd == set()


def test_the_address_of_the_machine_that_looked_is_not_in_it(content: str) -> None:
    assert hostile.SECRET_ADDRESS not in content


def test_every_id_is_there_once_and_every_link_has_its_place(content: str) -> None:
    found = Page(content)
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(link["href"])[1:] for link in found.all("a")} <= set(ids)


def test_a_table_has_heads_with_scope_and_every_figure_words(content: str) -> None:
    found = Page(content)
    assert all(head.get("scope") in ("row", "col") for head in found.all("th"))
    assert all(figure.get("role") == "img" and figure.get("aria-label") for figure in found.all("svg"))
    assert [tag for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)][:2] == ["h1", "h2"]


@pytest.mark.parametrize(
    "words",
    [
        "tampered", "3 of 3 lied", "CN=secure.test", "an honest page", "192.0.2.66", "all three witnesses",
        "consistent among three witnesses, not proven", "exitpin results verify --scan", "Earlier verdicts",
        "complete, 27 of 27 verdicts",
        "valid after 2026-01-02 03:00:00", "5 controls", "in doubt:",
    ],
)  # fmt: skip
def test_the_page_tells(content: str, words: str) -> None:
    assert words in "".join(Page(content).texts)


def test_a_scan_that_was_interrupted_says_so_at_the_top(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    hostile.fill(path, exits=3, state="interrupted", planned=30)
    with reader(path) as found:
        told = "".join(Page(page(found, hostile.SCAN)).texts)
    assert "Interrupted: 9 of 30 verdicts" in told


def test_one_tool_alone_has_a_page_that_says_so(store: Path) -> None:
    with reader(store) as found:
        told = Page(page(found, hostile.SCAN, tool="dns-exit", title=hostile.TEXT))
    assert "Only dns-exit:" in "".join(told.texts)
    assert "body" not in "".join(told.texts).split("Exits in detail")[1].split("Made by")[0].split()


@pytest.mark.parametrize("size_max", [150_000, 90_000, 60_000])
def test_what_does_not_fit_is_left_out_and_that_is_said(store: Path, size_max: int) -> None:
    with reader(store) as found:
        content = page(found, hostile.SCAN, size_max=size_max)
    assert len(content.encode()) <= max(size_max, 62_000)
    assert "Not all of it is here" in content
    found_page = Page(content)
    ids = {attributes.get("id") for _, attributes in found_page.elements}
    assert {str(link["href"])[1:] for link in found_page.all("a")} <= ids
    assert len(re.findall(r"<tr><td", content)) >= 9


def test_the_gravest_is_told_in_full_when_little_fits(store: Path) -> None:
    with reader(store) as found:
        content = page(found, hostile.SCAN, size_max=120_000)
    first = content.index('<details class="verdict')
    assert content.index('id="x0"') < first
    assert "tampered" in content[first : first + 300]


def test_evidence_that_is_missing_or_damaged_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    hostile.fill(path, exits=1)
    for place in blobs_directory(path).glob("??/*.gz"):
        place.write_bytes(place.read_bytes()[:-9])
    with reader(path) as found:
        assert "can&#39;t be read" in page(found, hostile.SCAN)
    for place in blobs_directory(path).glob("??/*.gz"):
        place.unlink()
    with reader(path) as found:
        assert "is missing" in page(found, hostile.SCAN)


def test_an_address_that_a_tool_bound_itself_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    hostile.fill(path, exits=1)
    run = f"{hostile.SCAN}-0001tls-cert0"
    record = hostile.run_record(run, "tls-cert", 1, "probe", True)
    record["streams"][0]["source_address"] = hostile.SECRET_ADDRESS
    write(path, [record])
    with reader(path) as found:
        content = page(found, hostile.SCAN)
    assert hostile.SECRET_ADDRESS not in content
    assert "port 4000 of an address that the tool chose" in content and "127.64.0.1:4000" in content


def test_huge_facts_outputs_and_bodies_do_not_fill_the_page(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    hostile.fill(path, exits=2)
    many = {f"fact{n}": [TEXT * 400 for TEXT in (f"{m}" for m in range(100))] for n in range(200)}
    run = f"{hostile.SCAN}-0001tls-cert0"
    record = hostile.run_record(run, "tls-cert", 1, "probe", True, facts=many, evidence=[])
    record["process"]["stdout"] = "x" * (1 << 20) + "\n" * 5000
    record["streams"] *= 500
    record["circuits"] *= 300
    record["denied"] *= 300
    write(path, [record])
    with reader(path) as found:
        content = page(found, hostile.SCAN)
    assert len(content.encode()) < SIZE_MAX
    assert len(content.encode()) < 400_000


def test_what_is_to_be_copied_tells_no_folder_of_ours_and_hands_on_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    again = "exitpin audit /home/me/tls-cert.toml -e E1 -p 'token=(secret)'"
    write(path, [hostile.scan_record(3), hostile.verdict_record("tls-cert", 1, "tampered", [], reproduce=again)])
    with reader(path) as found:
        content = page(found, hostile.SCAN)
    assert "<code>exitpin audit ./tls-cert.toml -e E1 -p token=...</code>" in content
    assert "with the tool's file, <code>tls-cert.toml</code>, where this is typed" in content
    assert "/home/me" not in content


def test_markup_is_the_template_s_own_and_text_is_nobody_s() -> None:
    assert shown("plain") == "plain"
    assert shown("a\u202eb\x00\n\ud800") == "a\\u202eb\\x00\\n\\ud800"
    assert shown(7) == 7


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_verdict_that_a_secret_went_into_is_not_named_by_its_key(tmp_path: Path, is_whole: bool) -> None:
    path = tmp_path / "results.sqlite"
    tool = {**hostile.tool_table("tls-cert"), "params": {"password": "(secret)"}}
    status = "tampered" if is_whole else "ok"
    numbers = range(1, 3 if is_whole else 200)
    verdicts = [{**hostile.verdict_record("tls-cert", n, status, []), "tool": tool} for n in numbers]
    write(path, [hostile.scan_record(3), *verdicts])
    with reader(path) as found:
        content = page(found, hostile.SCAN)
    assert not [one["verdict_id"] for one in verdicts if one["verdict_id"] in content]
    if is_whole:
        assert f"exitpin results list --scan {hostile.SCAN} --tool tls-cert -e {hostile.fingerprint(1)}" in content
        assert public_id(verdicts[0]) in content
