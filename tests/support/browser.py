"""A real browser without a window, driven as a user would: Debian's Chromium and its driver.

Where there is none, the tests that need it are skipped; in CI that is an error. `scripts/test-packages` installs them.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--no-first-run", "--hide-scrollbars", "--lang=en", "--force-color-profile=srgb",
)  # fmt: skip
_PATIENT_S = 60.0  # other work may keep the machine from us
_Got = TypeVar("_Got")


class Page:
    """A page in a browser.

    Attributes:
        driver: the browser, for what is not here.
    """

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver, self.url = driver, url

    def open(self, view: str = "") -> None:
        """Load the dashboard anew, and wait until it is connected, or asks for a key."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/dashboard{view}")
        self.until(lambda: self.one("#status").get_attribute("data-state") in ("live", "key"))

    def one(self, selector: str) -> WebElement:
        """The first element."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        """All elements."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """What is in an element, seen or not."""
        return str(self.one(selector).get_property("textContent"))

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: Callable[[], _Got]) -> _Got:
        """Wait for a truth, and give it."""
        return WebDriverWait(self.driver, _PATIENT_S, 0.02).until(lambda _: condition())

    def emulate(self, **features: str) -> None:
        """What the system prefers, such as prefers_color_scheme="dark"."""
        told = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": told})

    def size(self, width: int, height: int, scale: float = 1.0) -> None:
        """The window, in CSS pixels."""
        told = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", told)

    def complaints(self) -> list[str]:
        """What went wrong since it was asked last, such as scripts that were blocked; not what the network says."""
        entries: list[dict[str, Any]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        wrong = [entry for entry in entries if entry["level"] == "SEVERE" and entry["source"] != "network"]
        return [str(entry["message"]) for entry in wrong]


@contextmanager
def browsing() -> Iterator[Chrome]:
    """A browser; skips the test that asks where there is none."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        missing = "no Chromium with its driver here; scripts/test-packages installs them"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    options = Options()
    options.binary_location = chromium
    for option in _OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options=options, service=Service(driver))
    try:
        yield chrome
    finally:
        chrome.quit()
