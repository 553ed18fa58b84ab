"""The pages in a real browser, with and without a mouse, with and without scripts."""

from pathlib import Path

from playwright.sync_api import Page, Request, expect

from tests.support import Server, running_server
from tests.web.backoffice.admin_client import create_login_link, sign_in
from tests.web.browser import Visitor, assert_accessible


def test_no_request_leaks_the_link_token(page: Page, server: Server) -> None:
    """Neither requests of the page nor later ones have the link in their Referer header."""
    requests: list[Request] = []

    def record_request(request: Request) -> None:
        requests.append(request)

    page.on("request", record_request)
    url = create_login_link(server)
    page.goto(url)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{server.url}/admin")
    referers = [request.all_headers().get("referer", "") for request in requests]
    assert len(referers) > 5
    assert not any("token" in referer for referer in referers)
    assert any(referers)


def test_a_keyboard_is_enough_to_sign_in(page: Page, server: Server) -> None:
    """The button of a link and the first field of the form have the focus; Tab and Enter suffice."""
    page.goto(create_login_link(server))
    expect(page.get_by_role("button", name="Sign in")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(f"{server.url}/admin")
    page.goto(f"{server.url}/admin/access")
    page.get_by_label("New password", exact=True).focus()
    for key in ("correct horse battery", "Tab", "correct horse battery", "Tab", "Enter"):
        page.keyboard.press(key) if key in {"Tab", "Enter"} else page.keyboard.type(key)
    expect(page.get_by_text("Your password is set")).to_be_visible()
    page.context.clear_cookies()
    page.goto(f"{server.url}/admin/settings")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("admin")
    page.keyboard.press("Tab")
    page.keyboard.type("correct horse battery")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{server.url}/admin/settings")


def test_the_first_tab_offers_the_skip_link(page: Page, server: Server) -> None:
    """The first Tab focuses the link to the content, which works."""
    sign_in(page, server)
    page.goto(f"{server.url}/admin")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_key_is_created_and_revoked_after_confirmation(visitor: Visitor, page: Page, server: Server) -> None:
    """The key can be copied from the page that shows it once, and a revocation needs a confirmation."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(page, server)
    page.goto(f"{server.url}/admin/access")
    form = page.locator("#keys form.row")
    form.get_by_label("Name").fill("till")
    form.get_by_role("button", name="Create key").click()
    page.get_by_role("button", name="Copy the key").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith("mw_")
    page.get_by_role("button", name="Back to Access").click()
    row = page.locator("#keys tr", has_text="till")
    row.get_by_role("button", name="Revoke…").click()
    assert_accessible(page)
    page.get_by_role("dialog").get_by_role("button", name="Revoke", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="API key till revoked.")).to_be_visible()
    expect(page.locator("#keys tr", has_text="till").get_by_text("revoked")).to_be_visible()


def test_it_works_without_scripts(visitor: Visitor, server: Server) -> None:
    """Signing in, reading and changing need no script."""
    page = visitor.open(scripts=False)
    sign_in(page, server)
    page.goto(f"{server.url}/admin/agents/default")
    page.get_by_label("Host id").fill("H-1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Changed: host id.")).to_be_visible()


def test_a_stopped_server_is_reported_once(visitor: Visitor, tmp_path: Path) -> None:
    """A page that cannot refresh itself reports that once."""
    visitor.allow("Failed to (load|fetch)|network error")
    with running_server(tmp_path / "wallet.db") as server:
        page = visitor.open()
        sign_in(page, server)
        page.goto(f"{server.url}/admin")
        expect(page.locator("[data-feed=on]")).to_be_attached()
    toast = page.get_by_text("The server cannot be reached.")
    expect(toast).to_be_visible(timeout=15_000)
    expect(page.locator("[data-feed=off]")).to_be_attached(timeout=15_000)
    expect(toast).to_have_count(1)
