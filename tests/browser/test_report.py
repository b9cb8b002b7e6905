"""The page of a hostile scan in a real browser: nothing of it runs, nothing leaves, and it does what it offers."""

import re
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from ..orchestrator.report import hostile
from .chromium import DESKTOP, PHONE, Browser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CONTRAST_MIN = 4.5  # of text, WCAG 2.2 AA
TARGET_MIN = 24  # px of what is tapped, WCAG 2.2 AA


@pytest.fixture
def opened(chromium: Browser, report: Path) -> Browser:
    chromium.open(report)
    return chromium


def one(browser: Browser, css: str) -> WebElement:
    return browser.driver.find_element(By.CSS_SELECTOR, css)


def rows(browser: Browser) -> list[str]:
    """The names of the exits that are shown, in order."""
    names = browser.script(
        "return [...document.querySelectorAll('#matrix tbody tr')].filter(r => r.checkVisibility())"
        ".map(r => r.cells[1].textContent.slice(0, 6))"
    )
    return list(names)


def told(browser: Browser) -> str:
    return one(browser, "#shown").text


def unfold(browser: Browser) -> None:
    browser.script("for (const each of document.querySelectorAll('details')) each.open = true")


# What an exit wrote


def test_no_request_leaves_and_the_console_has_nothing_to_say(chromium: Browser, report: Path) -> None:
    chromium.open(report)
    unfold(chromium)
    one(chromium, "#search").send_keys("exit")
    assert chromium.asked() == [report.as_uri()]
    assert chromium.told() == []


def test_nothing_that_an_exit_wrote_ran(opened: Browser) -> None:
    unfold(opened)
    assert opened.driver.title == f"Scan {hostile.SCAN} - exitpin"
    counts = opened.script(
        "return ['script', 'style', 'img', 'iframe', 'form', '[onerror], [onclick], [onload], [style]']"
        ".map(css => document.querySelectorAll(css).length)"
    )
    assert counts == [1, 1, 0, 0, 1, 0]


def test_what_an_exit_wrote_is_seen_as_text_and_turns_nothing_round(opened: Browser) -> None:
    unfold(opened)
    seen = one(opened, "body").text
    assert f"<script>{hostile.RUNS}</script>" in seen
    assert "</script>" in seen and "<!--" in seen and "\\u202egnp.exe\\u2066" in seen
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", seen)


@pytest.mark.parametrize("has_policy", [True, False], ids=["with the policy", "without it"])
def test_a_script_that_got_in_all_the_same_is_stopped_by_the_policy_and_by_nothing_else(
    chromium: Browser, report: Path, tmp_path: Path, has_policy: bool
) -> None:
    """Also shows that these tests would see it."""
    content = report.read_text("utf-8").replace("<h1>", f"<script>{hostile.RUNS}</script><h1>")
    if not has_policy:
        content = content.replace("Content-Security-Policy", "X-Nothing")
    broken = tmp_path / "broken.html"
    broken.write_text(content, "utf-8")
    chromium.open(broken)
    has_run = chromium.driver.title == hostile.OWNED
    has_left = any("evil.test" in address for address in chromium.asked())
    assert (has_run, has_left) == (not has_policy, not has_policy)
    assert any("Content Security Policy" in line for line in chromium.told()) == has_policy


def test_text_can_t_be_made_into_markup_by_any_script(opened: Browser) -> None:
    assert opened.script(
        "try { document.body.innerHTML = '<b>x</b>'; return '' } catch (error) { return error.name }"
    ) == ("TypeError")


# What it offers


def test_a_click_on_a_status_shows_who_has_it_and_another_one_all(opened: Browser) -> None:
    assert told(opened) == "9 of 9 exits shown"
    button = one(opened, "#tiles .t button")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert rows(opened) == ["exit01", "exit04", "exit08", "exit09"]
    assert told(opened) == "4 of 9 exits shown"
    one(opened, "#tiles .b button").click()
    assert rows(opened) == ["exit01", "exit04", "exit08", "exit09", "exit02", "exit06"]
    button.click()
    one(opened, "#tiles .b button").click()
    assert len(rows(opened)) == 9


def test_with_a_tool_only_its_verdicts_count(opened: Browser) -> None:
    Select(one(opened, "#tool")).select_by_visible_text("http-body")
    one(opened, "#tiles .t button").click()
    assert rows(opened) == ["exit01", "exit04"]
    one(opened, "#reset").click()
    assert len(rows(opened)) == 9


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("exit04", ["exit04"]),
        (hostile.fingerprint(7)[:10].lower(), ["exit06", "exit07"]),  # the one, and who says to be of its family
        ("operator5", ["exit05"]),
        ("192.0.2.66 exit09", ["exit09"]),
        ("\\u202egnp exit02", ["exit02"]),
        ("</script> operator6", ["exit06"]),
        ("nobody at all", []),
    ],
)
def test_the_search_finds_what_stands_anywhere_about_an_exit(opened: Browser, words: str, found: list[str]) -> None:
    one(opened, "#search").send_keys(words)
    assert rows(opened) == found
    assert told(opened) == f"{len(found)} of 9 exits shown"
    assert one(opened, "#none").is_displayed() == (not found)


def test_a_column_is_sorted_by_a_click_and_turned_by_another(opened: Browser) -> None:
    head = one(opened, "#matrix thead th.exit")
    head.find_element(By.TAG_NAME, "button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert rows(opened) == [f"exit0{n}" for n in range(1, 10)]
    head.find_element(By.TAG_NAME, "button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert rows(opened) == [f"exit0{n}" for n in range(9, 0, -1)]


def test_a_tool_s_column_has_the_gravest_first(opened: Browser) -> None:
    opened.driver.find_elements(By.CSS_SELECTOR, "#matrix thead th.tool button")[1].click()
    letters = opened.script("return [...document.querySelectorAll('#matrix tbody tr')].map(r => r.cells[3].className)")
    assert letters == sorted(letters, key=["t", "s", "b", "e", "x", ""].index)
    assert len(opened.driver.find_elements(By.CSS_SELECTOR, "#matrix [aria-sort]")) == 1


def test_a_verdict_leads_to_its_details_and_opens_them(opened: Browser) -> None:
    link = one(opened, "#matrix tbody td.t a")
    place = str(link.get_attribute("href")).split("#")[1]
    assert not one(opened, f"#{place} .body").is_displayed()
    link.click()
    opened.until("return document.activeElement.parentElement.id === arguments[0]", place)
    assert one(opened, f"#{place} .body").is_displayed()


def test_differences_are_marked_and_stand_side_by_side(opened: Browser) -> None:
    unfold(opened)
    certificate = next(
        each for each in opened.driver.find_elements(By.CSS_SELECTOR, "table.sides") if "issuer" in each.text
    )
    head, *fields = certificate.find_elements(By.TAG_NAME, "tr")
    assert "this exit" in head.text and "controls" in head.text
    assert "≠" in next(field for field in fields if field.text.startswith("issuer")).text
    assert f"<script>{hostile.RUNS}</script>" in one(opened, ".diff ins").text


# By keyboard, without scripts, on paper, on a phone, at night


def test_all_of_it_can_be_done_with_the_keyboard(opened: Browser) -> None:
    body = one(opened, "body")
    body.send_keys(Keys.TAB)
    assert opened.driver.switch_to.active_element.get_attribute("class") == "skip"
    opened.driver.switch_to.active_element.send_keys(Keys.ENTER)
    opened.until("return location.hash === '#verdicts'")
    opened.driver.switch_to.active_element.send_keys(Keys.TAB)
    opened.driver.switch_to.active_element.send_keys(Keys.SPACE)
    assert len(rows(opened)) == 4
    opened.driver.switch_to.active_element.send_keys("/")
    search = opened.driver.switch_to.active_element
    assert search.get_attribute("id") == "search"
    search.send_keys("exit01", Keys.ENTER)
    assert rows(opened) == ["exit01"]
    for _ in range(20):
        opened.driver.switch_to.active_element.send_keys(Keys.TAB)
        if str(opened.driver.switch_to.active_element.get_attribute("href")).endswith("#x0"):
            break
    opened.driver.switch_to.active_element.send_keys(Keys.ENTER)
    opened.until("return document.activeElement.tagName === 'SUMMARY'")
    search.send_keys(Keys.ESCAPE)
    assert len(rows(opened)) == 9


def test_without_scripts_it_is_a_page_that_can_be_read(chromium: Browser, report: Path) -> None:
    chromium.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        chromium.open(report)
        assert len(chromium.driver.find_elements(By.CSS_SELECTOR, "#matrix tbody tr")) == 9
        assert not one(chromium, "#tools").is_displayed()
        assert chromium.driver.find_elements(By.CSS_SELECTOR, "#matrix thead button, #tiles button") == []
        one(chromium, "details.finding > summary").click()
        assert one(chromium, "details.finding .body").is_displayed()
    finally:
        chromium.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_on_paper_the_details_of_findings_are_open(opened: Browser, tmp_path: Path) -> None:
    opened.look(DESKTOP, media="print")
    closed = opened.script(
        "return [...document.querySelectorAll('details.finding > .body')]"
        ".filter(body => body.getBoundingClientRect().height < 20).length"
    )
    assert closed == 0
    assert opened.script("return getComputedStyle(document.querySelector('.tools')).display") == "none"


@pytest.mark.parametrize(("size", "name"), [(DESKTOP, "desktop"), (PHONE, "phone")])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_and_can_be_read(
    chromium: Browser, report: Path, tmp_path: Path, size: tuple[int, int], name: str, dark: bool
) -> None:
    chromium.open(report, size, dark)
    chromium.picture(tmp_path / f"{name}{'-dark' if dark else ''}.png")
    unfold(chromium)
    chromium.picture(tmp_path / f"{name}{'-dark' if dark else ''}-details.png")
    assert chromium.script("return document.documentElement.scrollWidth") <= size[0]
    assert chromium.script(CONTRASTS, CONTRAST_MIN) == []
    small = chromium.script(
        "return [...document.querySelectorAll('button, select, input, summary')].filter(e => e.checkVisibility()"
        " && e.getBoundingClientRect().height < arguments[0]).map(e => e.textContent.slice(0, 40))",
        TARGET_MIN,
    )
    assert small == []


CONTRASTS = """
const light = (colour) => {
  const [r, g, b] = colour.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const parts = (text) => text.match(/[\\d.]+/g).map(Number);
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const style = getComputedStyle(element), colour = parts(style.backgroundColor);
    if (style.backgroundImage !== "none") return parts(style.backgroundImage.match(/rgb\\([^)]*\\)/)[0]);
    if (colour.length === 3 || colour[3] > 0) return colour.slice(0, 3);
  }
  return [255, 255, 255];
};
const poor = [];
for (const element of document.body.querySelectorAll("*")) {
  if (element.closest("svg, script") || !element.checkVisibility()) continue;
  if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
  const text = getComputedStyle(element).color, ground = behind(element);
  const [high, low] = [light(parts(text).slice(0, 3)), light(ground)].sort((a, b) => b - a);
  const ratio = (high + 0.05) / (low + 0.05);
  if (ratio < arguments[0]) poor.push(`${element.tagName}.${element.className} ${text} on ${ground}: ${ratio}`);
}
return poor;
"""
