"""A headless Chromium for tests: Debian's, by its own driver, with an empty profile and no errands of its own."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

DEADLINE_S, POLL_S = 60, 0.05
PICTURE_TRIES = 4
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--no-default-browser-check", "--lang=en", "--no-pings",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # nothing leaves the machine, were it asked to
)  # fmt: skip
DESKTOP, PHONE = (1280, 900), (390, 844)


def missing() -> str:
    """Why no browser can be had; empty: it can."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    packages = "Debian's packages chromium and chromium-driver"
    return f"{' and '.join(absent)} not found ({packages}; Ubuntu's is a snap)" if absent else ""


class Browser:
    """One window. `driver`: selenium's."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, page: Path, size: tuple[int, int] = DESKTOP, dark: bool = False) -> None:
        """Load a file, and wait until it is loaded."""
        self.look(size, dark)
        self._get("about:blank")
        self.told()
        self.asked()
        self._get(page.as_uri())

    def _get(self, address: str) -> None:
        """`get` comes back while a busy machine still reads the page, whatever it says."""
        self.driver.get(address)
        self.until("return location.href === arguments[0] && document.readyState === 'complete'", address)

    def until(self, question: str, *arguments: Any) -> None:
        """Wait for what a key or an address has begun: a browser follows it when it comes to it."""
        wait = WebDriverWait(self.driver, DEADLINE_S, poll_frequency=POLL_S)
        wait.until(lambda _: self.script(question, *arguments))

    def look(self, size: tuple[int, int], dark: bool = False, media: str = "") -> None:
        """The size of the window, which scheme it prefers, and for which medium."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        told = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in told.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def told(self) -> list[str]:
        """What the console said since it was asked last."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def asked(self) -> list[str]:
        """The addresses that a request was made for since it was asked last."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def script(self, source: str, *arguments: Any) -> Any:
        return self.driver.execute_script(source, *arguments)

    def picture(self, path: Path, whole: bool = False) -> Path:
        """What is seen, as a PNG; `whole`: all of the page."""
        if whole:
            height = int(self.script("return document.documentElement.scrollHeight"))
            width = int(self.script("return document.documentElement.clientWidth"))
            self.look((width, min(height, 12000)))
        for tries_left in reversed(range(PICTURE_TRIES)):
            try:
                self.driver.save_screenshot(str(path))
                break
            except TimeoutException:  # its driver waits ten seconds for a page to be drawn, on a busy machine in vain
                if not tries_left:
                    raise
        return path


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser whose profile is the given folder, empty at the beginning."""
    options = Options()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
    try:
        driver.set_page_load_timeout(DEADLINE_S)
        driver.set_script_timeout(DEADLINE_S)
        yield Browser(driver)
    finally:
        driver.quit()
