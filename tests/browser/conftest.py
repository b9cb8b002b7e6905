"""One headless Chromium for all tests here, and the page of the hostile scan in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.report.html import page

from ..orchestrator.recorded import reader
from ..orchestrator.report import hostile
from .chromium import Browser, browser, missing


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if why := missing():
        pytest.skip(why)
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a hostile scan, as `exitpin report html` makes it."""
    folder = tmp_path_factory.mktemp("report")
    hostile.fill(folder / "results.sqlite")
    with reader(folder / "results.sqlite") as store:
        (folder / "page.html").write_text(page(store, hostile.SCAN), "utf-8")
    return folder / "page.html"
