"""The components of pages in a real browser: they work, fit, are accessible, and cause no errors."""

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page, Route, expect

from minwallet.ledger.entries import Kind, State
from minwallet.web import templating
from tests.web.browser import DESKTOP, PHONE, Visitor, assert_accessible, assert_fits, measure_first_paint_bytes
from tests.web.component_gallery import ComponentGallery, make_row, serve_gallery

MAX_PAGE_BYTES = 100_000


@pytest.fixture(scope="module")
def gallery() -> Iterator[tuple[ComponentGallery, str]]:
    with serve_gallery() as shown:
        yield shown


@pytest.fixture
def address(gallery: tuple[ComponentGallery, str]) -> str:
    return gallery[1]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_fits_and_is_accessible(visitor: Visitor, address: str, size: tuple[int, int]) -> None:
    """On a desktop and a phone, in light and dark mode, axe finds no serious violation, and there is no horizontal
    scrolling."""
    page = visitor.open(size)
    page.goto(f"{address}/admin")
    expect(page.locator(".uplot")).to_have_count(2)
    assert_fits(page)
    assert_accessible(page)


def test_the_first_paint_is_below_the_byte_limit(page: Page, address: str) -> None:
    """A page with charts, feed and all other components loads less than 100 KB."""
    assert 20_000 < measure_first_paint_bytes(page, f"{address}/admin") < MAX_PAGE_BYTES


def test_feed_rows_are_inserted(page: Page, gallery: tuple[ComponentGallery, str]) -> None:
    """A row of the feed is inserted at the top of the table, once."""
    shown, address = gallery
    page.goto(f"{address}/admin")
    expect(page.locator(".live .on")).to_be_visible()
    row = make_row(9, Kind.BET, -700, State.APPLIED, 9_950)
    macros: Any = templating._environment.get_template("macros.html").module
    shown.send_message(str(macros.entry_row(row, fresh=True)))
    expect(page.locator("tbody tr.fresh")).to_contain_text("\N{MINUS SIGN}7.00")
    expect(page.locator("table.rows tbody tr")).to_have_count(9)
    expect(page.locator("table.rows tbody tr").first).to_have_id("entry-9")


def test_the_feed_connects_after_a_slow_script(page: Page, address: str) -> None:
    """The feed connects even if its script loads late."""

    def wait(route: Route) -> None:
        page.wait_for_timeout(400)
        route.continue_()

    page.route("**/hx-sse.min.js*", wait)
    page.goto(f"{address}/admin")
    expect(page.locator(".live .on")).to_be_visible()


def test_leaving_a_live_page_causes_no_error(page: Page, address: str) -> None:
    """A feed ends without an error when its page is left, and the next page has its own feed."""
    page.goto(f"{address}/admin")
    expect(page.locator(".live .on")).to_be_visible()
    page.get_by_role("link", name="Newest").click()
    expect(page.locator(".live .on")).to_be_visible()
    page.go_back()
    expect(page.locator(".live .on")).to_be_visible()


WAIT_FOR_REDRAW = """async before => {
    const now = () => document.querySelector(".uplot canvas").toDataURL();
    for (let frames = 0; frames < 600 && now() === before; frames++) await new Promise(requestAnimationFrame);
    return now() !== before;
}"""


def test_a_chart_follows_the_color_scheme(page: Page, address: str) -> None:
    """A chart is drawn again, once, when the color scheme or the width of the window changes."""
    page.goto(f"{address}/admin")
    canvas = page.locator(".uplot canvas").first
    by_day = canvas.evaluate("canvas => canvas.toDataURL()")
    page.emulate_media(color_scheme="dark")
    expect(page.locator(".uplot")).to_have_count(2)
    assert page.evaluate(WAIT_FOR_REDRAW, by_day)
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    expect(page.locator(".uplot").first).to_have_css("width", re.compile(r"^(2|3)\d\d(\.\d+)?px$"))
    assert_fits(page)


def test_the_numbers_of_a_chart_can_be_read(page: Page, address: str) -> None:
    """The numbers of a chart are also in a table."""
    page.goto(f"{address}/admin")
    chart = page.locator("figure.chart").nth(1)
    expect(chart.get_by_role("img")).to_have_accessible_name(re.compile("Gross gaming revenue by day: two weeks"))
    chart.get_by_text("Show the numbers").click()
    expect(chart.get_by_role("region").get_by_role("row")).to_have_count(15)


def test_a_confirmation_can_be_cancelled(page: Page, address: str) -> None:
    """An irreversible action needs a confirmation, which Escape cancels; the keyboard is sufficient."""
    page.goto(f"{address}/admin")
    page.get_by_role("button", name="Block…").focus()
    page.keyboard.press("Enter")
    question = page.get_by_role("dialog", name="Block alice?")
    expect(question).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(page.get_by_role("button", name="Block…")).to_be_focused()


def test_the_first_tab_skips_the_navigation(page: Page, address: str) -> None:
    """The content can be reached with two keys."""
    page.goto(f"{address}/admin")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_phone_has_a_menu(visitor: Visitor, address: str) -> None:
    """On a small screen the navigation is a menu that shows the current page."""
    page = visitor.open(PHONE)
    page.goto(f"{address}/admin")
    players = page.get_by_role("link", name="Players")
    expect(players).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(players).to_have_attribute("aria-current", "page")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert_fits(page)
    assert_accessible(page)


def test_a_failed_request_is_shown(visitor: Visitor, address: str) -> None:
    """If a part of a page cannot be loaded, the page stays and shows an error."""
    visitor.allow("status of 503")
    page = visitor.open()
    page.goto(f"{address}/admin")
    page.get_by_role("button", name="Ask in vain").click()
    expect(page.locator("#toasts")).to_contain_text("503")
    expect(page.get_by_role("button", name="Ask in vain")).to_be_visible()


def test_copyable_text_is_copied(visitor: Visitor, address: str) -> None:
    """A button copies the text beside it, and confirms that."""
    page = visitor.open()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{address}/admin")
    page.get_by_role("button", name="Copy the wallet URL").click()
    expect(page.locator("#toasts")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "https://wallet.example.com/KEY/wallet"


@pytest.mark.parametrize(("path", "status"), [("/admin/nothing", 404), ("/admin/done", 405), ("/admin/broken", 503)])
def test_an_error_is_a_page_too(visitor: Visitor, address: str, path: str, status: int) -> None:
    """An error page has the same layout, and a link back."""
    visitor.allow(f"status of {status}")
    page = visitor.open(PHONE)
    answer = page.goto(f"{address}{path}")
    assert answer is not None
    assert answer.status == status
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="Go to the overview")).to_be_visible()
    assert_accessible(page)


def test_pages_are_not_cached_and_assets_are(address: str) -> None:
    """Pages are never stored. Static files with their current hash are stored permanently, and with another hash
    they are revalidated."""
    with httpx2.Client(base_url=address, trust_env=False) as http:
        page = http.get("/admin")
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["content-encoding"] == "gzip"
        policy = page.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        for name in templating.load_assets():
            current = http.get(templating.asset_url(name))
            assert "immutable" in current.headers["cache-control"]
            assert current.content == templating.load_assets()[name].body
            assert http.get(f"/admin/static/{name}?v=old").headers["cache-control"] == "no-cache"
            assert http.get(f"/admin/static/{name}", headers={"accept-encoding": ""}).content == current.content
        assert http.get("/admin/static/VENDORED.toml").status_code == 404
