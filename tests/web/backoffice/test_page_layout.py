"""Every page in a browser: without errors, small, accessible in light and dark mode, and no wider than a phone."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.protocol_package import add_secret, write_protocol_package
from tests.support import Server, running_server
from tests.web.backoffice.admin_client import create_login_link, sign_in
from tests.web.browser import PHONE, Visitor, assert_accessible, assert_fits, measure_first_paint_bytes

LONG_PLAYER_ID = "a.very-long_name@of.a-player_with.no-gap"

PAGES = (
    "/admin",
    "/admin/players",
    "/admin/players?q=nobody",
    "/admin/players/new",
    f"/admin/players/default/{LONG_PLAYER_ID}",
    "/admin/transactions",
    f"/admin/transactions?player={LONG_PLAYER_ID}&kind=bet",
    "/admin/transactions/1",
    "/admin/transactions/3",
    "/admin/rounds",
    "/admin/calls",
    f"/admin/rounds?round={2**64 - 1}",
    "/admin/reconciliation",
    "/admin/agents",
    "/admin/add-agent",
    "/admin/agents/default",
    "/admin/access",
    "/admin/access/audit-log",
    "/admin/settings",
)

MAX_PAGE_BYTES = 100_000


@pytest.fixture(scope="module")
def long_values_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server with long names, long numbers, and more rows than a page has."""
    path, packages = tmp_path_factory.mktemp("busy") / "wallet.db", tmp_path_factory.mktemp("packages")
    settings = {"MINWALLET_CALLBACK_KEY": "k3y", "PYTHONPATH": str(write_protocol_package(packages))}
    with running_server(path, **settings) as server:
        server.cli("agent", "set", "default", "--game-url", f"https://games.example/{'long/' * 40}")
        keys = [server.cli("agent", "callback-key", "add", "default")["callback_key"] for _ in range(2)]
        server.cli("agent", "callback-key", "revoke", "default", keys[0])
        secrets = [add_secret(server.cli, packages, f"the-secret-{number}") for number in range(2)]
        server.cli("agent", "secret", "revoke", "default", "signed", secrets[0])
        server.cli("player", "add", LONG_PLAYER_ID, "--currency", "USDTTRC200", "--balance", "92233720368547758.07")
        server.cli("player", "add", LONG_PLAYER_ID, "--currency", "USD", "--bonus", "5")
        token = server.cli.open_session(LONG_PLAYER_ID, "--currency", "USDTTRC200")
        game = "a-game-with-a-name-of-sixty-four-symbols-and-no-gap-to-break-it-"
        server.wallet_v2("/k3y/wallet", type="bet", bet=2**62, id=2**64 - 1, game=game, code=token)
        for number in range(60):
            server.wallet_v2("/k3y/wallet", type="bet", bet=number, id=2**63 + number, game=game, code=token)
        for kind, per, amount in (
            ("deposit", "day", "92233720368547758.07"),
            ("loss", "month", "92233720368547758.06"),
        ):
            for then in (amount, "none"):
                server.cli("limit", "set", LONG_PLAYER_ID, kind, per, then, "--currency", "USDTTRC200")
        for until in ("180d", "7d"):
            server.cli("player", "exclude", LONG_PLAYER_ID, "--until", until)
        yield server


def test_every_page_is_accessible_and_fits_a_phone(long_values_server: Server, visitor: Visitor) -> None:
    """On a phone there is no horizontal scrolling, and neither the browser nor axe finds a problem."""
    page = visitor.open(PHONE)
    for path in ("/admin/sign-in", create_login_link(long_values_server).removeprefix(long_values_server.url)):
        page.goto(long_values_server.url + path)
        assert_fits(page)
        assert_accessible(page)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{long_values_server.url}/admin")
    for path in PAGES:
        page.goto(long_values_server.url + path)
        expect(page.locator("h1")).to_be_visible()
        assert_fits(page)
        assert_accessible(page)


def test_every_page_loads_less_than_the_byte_limit(long_values_server: Server, page: Page) -> None:
    """With an empty cache a desktop page loads less than 100 KB, and has no horizontal scrolling."""
    for path in ("/admin/sign-in", create_login_link(long_values_server).removeprefix(long_values_server.url)):
        page.goto(long_values_server.url + path)
        assert_fits(page)
    sign_in(page, long_values_server)
    session = page.context.new_cdp_session(page)
    for path in PAGES:
        page.goto("about:blank")
        session.send("Network.clearBrowserCache")
        assert 10_000 < measure_first_paint_bytes(page, long_values_server.url + path) < MAX_PAGE_BYTES, path
        expect(page.locator("h1")).to_be_visible()
        assert_fits(page)


def test_confirmation_and_refused_form_fit_a_phone(long_values_server: Server, visitor: Visitor) -> None:
    """This holds for a confirmation and for a rejected form."""
    page = visitor.open(PHONE)
    visitor.allow("status of 422")
    sign_in(page, long_values_server)
    page.goto(f"{long_values_server.url}/admin/players/default/{LONG_PLAYER_ID}")
    page.get_by_label("Amount").fill("0.01")
    page.get_by_label("Currency").first.select_option("USD")
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Withdraw from")
    assert_fits(page)
    assert_accessible(page)
    page.go_back()
    page.get_by_label("Amount").fill("1,5")
    page.get_by_role("button", name="Deposit").click()
    expect(page.get_by_label("Amount")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Amount")).to_have_value("1,5")
    assert_fits(page)
    assert_accessible(page)
    page.get_by_label("Currency").last.select_option("USD")
    page.get_by_role("button", name="Open session").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Session opened")
    assert_fits(page)
    assert_accessible(page)
