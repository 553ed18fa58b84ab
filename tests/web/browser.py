"""A real browser for the tests of pages: Chromium, through Playwright's synchronous interface.

A test's pages may not complain: an error on the console, an exception in a script, a breach of the content policy, or a
request to another origin fails the test that opened them.
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
    """Where Chromium is: `CHROMIUM`, or one of `BROWSER_NAMES` on the path. Without any the test is skipped, or
    fails where `BROWSER_REQUIRED` is set.
    """
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSER_NAMES)), None)
    if found is None:
        reason = f"no browser: install Chromium ({', '.join(BROWSER_NAMES)} on the path), or name it in CHROMIUM"
        if os.environ.get("BROWSER_REQUIRED"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def launch_chromium() -> Iterator[Browser]:
    """A browser that ends with the block. While it runs this thread has a running event loop, which is Playwright's."""
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=BROWSER_ARGUMENTS)
        yield browser
        browser.close()


class Visitor:
    """Opens pages as one person with one set of cookies, and keeps what they complain of."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._allowed_errors: list[str] = []
        self.page_errors: list[str] = []

    def open(self, size: tuple[int, int] = DESKTOP, *, scripts: bool = True) -> Page:
        """An empty page of a fresh browser, with cookies of its own."""
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
        """Let complaints that match stand; a refused form, say, is one: `status of 422`."""
        self._allowed_errors.append(pattern)

    def close(self) -> None:
        """Close everything, and see that nothing was amiss."""
        for context in self._contexts:
            context.close()
        unexpected = [
            each for each in self.page_errors if not any(re.search(pattern, each) for pattern in self._allowed_errors)
        ]
        assert unexpected == [], unexpected


AXE_OPTIONS = {"resultTypes": ["violations"], "preload": False}
"""Without its preloading, which asks for style sheets once more, and for some at the wrong address."""

AXE_CONTEXT = {"exclude": [["tbody > tr:nth-child(n + 13)"], ["#ledger > li:nth-child(n + 13)"]]}
"""Of a long list the first dozen is looked at: to weigh every row's contrasts takes seconds, and they are alike."""


def assert_accessible(page: Page) -> None:
    """axe finds nothing serious or critical on the page as it is now, by day, nor a contrast too weak at night."""
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
    """Nobody has to scroll sideways to see the page."""
    excess = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert excess <= 0, f"{excess} pixels too wide"


def measure_first_paint_bytes(page: Page, url: str) -> int:
    """How many bytes come over the wire until the page, with all it loads, is there; `page` is a fresh one."""
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
