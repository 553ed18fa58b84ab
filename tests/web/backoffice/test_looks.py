"""Every page in a browser: quiet, light, readable by everybody by day and by night, and no wider than a phone."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support import Server, serving
from tests.web.backoffice.clerk import enter, make_link
from tests.web.browser import PHONE, Visitor, assert_accessible, assert_fits, measure_first_paint_bytes

LONG = "a.very-long_name@of.a-player_with.no-gap"

PAGES = (
    "/admin",
    "/admin/players",
    "/admin/players?q=nobody",
    "/admin/players/new",
    f"/admin/players/default/{LONG}",
    "/admin/transactions",
    f"/admin/transactions?player={LONG}&kind=bet",
    "/admin/transactions/1",
    "/admin/transactions/3",
    "/admin/rounds",
    f"/admin/rounds?round={2**64 - 1}",
    "/admin/reconciliation",
    "/admin/agents",
    "/admin/add-agent",
    "/admin/agents/default",
    "/admin/access",
    "/admin/access/record",
    "/admin/settings",
)

MOST_BYTES = 100_000


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with long names, long numbers, and more rows than a page has."""
    with serving(tmp_path_factory.mktemp("busy") / "wallet.db", MINWALLET_CALLBACK_KEY="k3y") as server:
        server.cli("agent", "set", "default", "--game-url", f"https://games.example/{'long/' * 40}")
        server.cli("player", "add", LONG, "--currency", "USDTTRC200", "--balance", "92233720368547758.07")
        server.cli("player", "add", LONG, "--currency", "USD", "--bonus", "5")
        token = server.cli.session(LONG, "--currency", "USDTTRC200")
        game = "a-game-with-a-name-of-sixty-four-symbols-and-no-gap-to-break-it-"
        server.wallet_v2("/k3y/wallet", type="bet", bet=2**62, id=2**64 - 1, game=game, code=token)
        for number in range(60):
            server.wallet_v2("/k3y/wallet", type="bet", bet=number, id=2**63 + number, game=game, code=token)
        for kind, per, amount in (
            ("deposit", "day", "92233720368547758.07"),
            ("loss", "month", "92233720368547758.06"),
        ):
            for then in (amount, "none"):
                server.cli("limit", "set", LONG, kind, per, then, "--currency", "USDTTRC200")
        for until in ("180d", "7d"):
            server.cli("player", "exclude", LONG, "--until", until)
        yield server


def test_everybody_can_use_every_page(busy: Server, visitor: Visitor) -> None:
    """On a phone, which hides more: nobody scrolls sideways, and neither the browser nor axe complains of anything."""
    page = visitor.open(PHONE)
    for path in ("/admin/sign-in", make_link(busy).removeprefix(busy.url)):
        page.goto(busy.url + path)
        assert_fits(page)
        assert_accessible(page)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{busy.url}/admin")
    for path in PAGES:
        page.goto(busy.url + path)
        expect(page.locator("h1")).to_be_visible()
        assert_fits(page)
        assert_accessible(page)


def test_every_page_is_light(busy: Server, page: Page) -> None:
    """Less than 100 KB come over the wire until it is there, for somebody at a desk who has nothing of it yet. Nobody
    scrolls sideways there either.
    """
    for path in ("/admin/sign-in", make_link(busy).removeprefix(busy.url)):
        page.goto(busy.url + path)
        assert_fits(page)
    enter(page, busy)
    session = page.context.new_cdp_session(page)
    for path in PAGES:
        page.goto("about:blank")
        session.send("Network.clearBrowserCache")
        assert 10_000 < measure_first_paint_bytes(page, busy.url + path) < MOST_BYTES, path
        expect(page.locator("h1")).to_be_visible()
        assert_fits(page)


def test_a_question_about_money_can_be_read(busy: Server, visitor: Visitor) -> None:
    """On a phone, too; and so can a form that was refused."""
    page = visitor.open(PHONE)
    visitor.allow("status of 422")
    enter(page, busy)
    page.goto(f"{busy.url}/admin/players/default/{LONG}")
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
    page.get_by_role("button", name="Open a session").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The session is open")
    assert_fits(page)
    assert_accessible(page)
