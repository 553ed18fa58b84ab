"""`make screenshots`: the README's pictures, taken from the running program."""

import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.demo.demo_process import DemoProcess, run_demo
from tests.support import ROOT
from tests.web.browser import Visitor, launch_chromium

FOLDER = ROOT / "sample_data" / "screenshots"

SIZE = (1280, 1000)


def main() -> None:
    """Play some rounds, visit the pages, and take the pictures."""
    with tempfile.TemporaryDirectory() as folder, run_demo(Path(folder), "--seed", 11, "--rounds", 8) as demo:
        demo.wait_until_ready()
        with launch_chromium() as chromium:
            visitor = Visitor(chromium)
            _save_screenshot(_play_rounds(visitor.open(SIZE), demo), "demo")
            backoffice = _sign_in(visitor.open(SIZE), demo)
            _save_screenshot(_open_page(backoffice, demo, "/admin"), "overview")
            _save_screenshot(_open_page(backoffice, demo, "/admin/players/default/alice"), "player")
            visitor.close()


def _play_rounds(page: Page, demo: DemoProcess) -> Page:
    """Play some rounds. The last one fails in transit."""
    page.goto(demo.page_url)
    expect(page.locator(".live .on")).to_be_visible()
    for button in ("#spin", "#spin", "#spin", "#trick-lost-reply"):
        with page.expect_response("**/demo/play") as answered:
            page.locator(button).click()
        answered.value.finished()
        expect(page.locator("#cabinet")).not_to_have_attribute("aria-busy", "true")
    entry_link = page.locator("#story a[href^='#entry-']").last.get_attribute("href")
    expect(page.locator(f"{entry_link}")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")
    return page


def _sign_in(page: Page, demo: DemoProcess) -> Page:
    page.goto(demo.cli("admin", "link")["url"])
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    return page


def _open_page(page: Page, demo: DemoProcess, path: str) -> Page:
    page.goto(demo.page_url.removesuffix("/demo") + path)
    expect(page.locator("canvas").first).to_be_visible()
    return page


def _save_screenshot(page: Page, name: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    page.screenshot(path=FOLDER / f"{name}.png")
    print(f"sample_data/screenshots/{name}.png")


if __name__ == "__main__":
    main()
