"""Every page of the ledger in a browser: quiet, readable by everybody, and no wider than a phone."""

import pytest
from playwright.sync_api import expect

from tests.support import Server
from tests.web.backoffice.clerk import enter
from tests.web.browser import DESKTOP, PHONE, Visitor, assert_accessible, assert_fits, first_paint_bytes

LONG = "a.very-long_name@of.a-player_with.no-gap"

PAGES = (
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
)

MOST_BYTES = 100_000


@pytest.fixture(scope="module")
def played(server: Server) -> None:
    """Long names, long numbers, and more rows than a page has."""
    server.cli("player", "add", LONG, "--currency", "USDTTRC200", "--balance", "92233720368547758.07")
    server.cli("player", "add", LONG, "--currency", "USD", "--bonus", "5")
    token = server.cli.session(LONG, "--currency", "USDTTRC200")
    game = "a-game-with-a-name-of-sixty-four-symbols-and-no-gap-to-break-it-"
    server.wallet_v2(type="bet", bet=2**62, id=2**64 - 1, game=game, code=token)
    for number in range(60):
        server.wallet_v2(type="bet", bet=number, id=2**63 + number, game=game, code=token)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["day", "night"])
def test_a_page_can_be_read(server: Server, played: None, visitor: Visitor, size: tuple[int, int], dark: bool) -> None:
    """By eye, by ear and by keyboard; nothing is wrong on the console either."""
    page = visitor.open(size, dark=dark)
    enter(page, server)
    for path in PAGES:
        page.goto(server.url + path)
        assert_fits(page)
        assert_accessible(page)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_light(server: Server, played: None, visitor: Visitor, path: str) -> None:
    """Less than 100 KB come over the wire until it is there, for somebody who has nothing of it yet."""
    page = visitor.open()
    enter(page, server)
    session = page.context.new_cdp_session(page)
    session.send("Network.clearBrowserCache")
    session.detach()
    assert first_paint_bytes(page, server.url + path) < MOST_BYTES


def test_a_question_about_money_can_be_read(server: Server, played: None, visitor: Visitor) -> None:
    """On a phone, too; and so can a form that was refused."""
    page = visitor.open(PHONE)
    visitor.allow("status of 422")
    enter(page, server)
    page.goto(f"{server.url}/admin/players/default/{LONG}")
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
