"""A real browser for the tests of pages: Chromium, through Playwright's synchronous interface.

A test fails if one of its pages reports a console error, a script exception, a violation of the content policy, or a
request to another origin.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it comes without types
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, WebError, sync_playwright

from tests.support import TIMEOUT_S

BROWSER_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

BROWSER_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

DESKTOP, PHONE = (1280, 800), (390, 844)

REPORT_CSP_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`content policy: ${event.violatedDirective} forbids ${event.blockedURI} (${event.sourceFile})`));
"""


def find_chromium() -> str:
    """Return the path of Chromium: `CHROMIUM`, or one of `BROWSER_NAMES` on the path. Skip the test if there is
    none, or fail it if `BROWSER_REQUIRED` is set."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSER_NAMES)), None)
    if found is None:
        reason = f"no browser: install Chromium ({', '.join(BROWSER_NAMES)} on the path), or name it in CHROMIUM"
        if os.environ.get("BROWSER_REQUIRED"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def launch_chromium() -> Iterator[Browser]:
    """Run a browser until the end of the block. Meanwhile this thread has a running event loop, which is
    Playwright's."""
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=BROWSER_ARGUMENTS)
        yield browser
        browser.close()


class Visitor:
    """A user with one set of cookies who opens pages and collects their errors."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._allowed_errors: list[str] = []
        self.page_errors: list[str] = []

    def open(self, size: tuple[int, int] = DESKTOP, *, scripts: bool = True) -> Page:
        """Open an empty page in a new browser context, with its own cookies."""
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="light",
            java_script_enabled=scripts,
            reduced_motion="reduce",
        )
        context.set_default_timeout(TIMEOUT_S * 1000)
        context.add_init_script(REPORT_CSP_VIOLATIONS)
        self._contexts.append(context)
        page_origins: set[str] = set()

        def check_request(request: Request) -> None:
            origin = "{0.scheme}://{0.netloc}".format(urlsplit(request.url))
            page_origins.add(origin) if not page_origins else None
            if origin not in page_origins and not request.url.startswith(("blob:", "data:")):
                self.page_errors.append(f"a request to another origin: {request.url}")

        def record_message(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"}:
                self.page_errors.append(f"{message.text} ({message.location.get('url', '')})")

        def record_error(error: WebError) -> None:
            self.page_errors.append(str(error.error))

        context.on("request", check_request)
        context.on("console", record_message)
        context.on("weberror", record_error)
        return context.new_page()

    def allow(self, pattern: str) -> None:
        """Ignore errors that match the pattern, such as `status of 422` of a rejected form."""
        self._allowed_errors.append(pattern)

    def close(self) -> None:
        """Close all pages, and check that there were no errors."""
        for context in self._contexts:
            context.close()
        unexpected = [
            each for each in self.page_errors if not any(re.search(pattern, each) for pattern in self._allowed_errors)
        ]
        assert unexpected == [], unexpected


AXE_OPTIONS = {"resultTypes": ["violations"], "preload": False}
"""Without preloading, which requests style sheets again, some of them at the wrong URL."""

AXE_CONTEXT = {"exclude": [["tbody > tr:nth-child(n + 13)"], ["#ledger > li:nth-child(n + 13)"]]}
"""The first dozen items of a long list: the contrast of every row takes seconds to check, and all rows are alike."""


def assert_accessible(page: Page) -> None:
    """Check with axe that the page has no serious or critical violation in light mode, and no weak contrast in dark
    mode."""
    found = Axe().run(page, AXE_CONTEXT, AXE_OPTIONS).response["violations"]
    page.emulate_media(color_scheme="dark")
    contrasts = {**AXE_OPTIONS, "runOnly": ["color-contrast"]}
    dark_mode = page.evaluate("([context, options]) => axe.run(context, options)", [AXE_CONTEXT, contrasts])
    page.emulate_media(color_scheme="light")
    found += dark_mode["violations"]
    serious = [
        f"{each['id']}: {each['help']}: {[node['html'][:160] for node in each['nodes']][:5]}"
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]
    assert serious == [], serious


def assert_fits(page: Page) -> None:
    """Check that the page needs no horizontal scrolling."""
    excess = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert excess <= 0, f"{excess} pixels too wide"


def measure_first_paint_bytes(page: Page, url: str) -> int:
    """Return the number of bytes on the wire until the page and all it loads is complete. `page` is a new one."""
    session = page.context.new_cdp_session(page)
    total = 0

    def add(event: dict[str, Any]) -> None:
        nonlocal total
        total += int(event["encodedDataLength"])

    session.on("Network.loadingFinished", add)
    session.send("Network.enable")
    page.goto(url, wait_until="load")
    session.detach()
    return total
