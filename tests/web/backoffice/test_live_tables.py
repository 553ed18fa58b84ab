"""Live tables of the ledger: they grow by themselves, and do not move while they are read."""

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.support import Server
from tests.web.backoffice.admin_client import create_player, deposit, open_session, sign_in
from tests.web.browser import Visitor, assert_accessible

MINUS = "\N{MINUS SIGN}"


class LivePage:
    """A player, and a page that shows the player's entries."""

    def __init__(self, server: Server, page: Page) -> None:
        self.server = server
        self.page = page
        self.name = create_player(server)
        self.token = open_session(server, self.name)
        self.bet_count = 0
        sign_in(page, server)

    def open_page(self, path: str) -> None:
        self.page.goto(f"{self.server.url}{path.format(self.name)}")
        expect(self.page.locator("[data-feed=on]")).to_be_attached()

    def bet(self, cents: int) -> None:
        """Place a bet."""
        self.bet_count += 1
        number = int(self.name.removeprefix("visitor")) * 10_000 + self.bet_count
        assert self.server.wallet_v2(type="bet", bet=cents, id=number, game=1012, code=self.token)["result"] == 1

    @property
    def changes(self) -> list[str]:
        """Return the column of changes, as far as there are rows."""
        return self.page.locator("tbody td.sum").all_inner_texts()

    @property
    def rows(self) -> Locator:
        return self.page.locator("[data-feed-box] tbody tr")

    @property
    def waiting(self) -> Locator:
        return self.page.locator("[data-feed-show]")


@pytest.fixture
def live_page(server: Server, page: Page) -> LivePage:
    """Return a live page of a player."""
    return LivePage(server, page)


@pytest.mark.parametrize(
    "path", ["/admin/players/default/{}", "/admin/transactions?player={}&kind=bet", "/admin/transactions"]
)
def test_a_bet_is_seen_within_a_second(live_page: LivePage, path: str) -> None:
    """This holds on every page with a ledger, whatever its filter."""
    live_page.open_page(path)
    live_page.bet(1_23)
    expect(live_page.rows.first).to_contain_text(f"{MINUS}1.23", timeout=1000)
    expect(live_page.page.locator("[data-feed-status]")).to_have_text("1 new entry")
    assert_accessible(live_page.page)


def test_a_deposit_in_one_page_is_seen_in_another(live_page: LivePage, visitor: Visitor) -> None:
    """The row has the new balance."""
    live_page.open_page("/admin/players/default/{}")
    other = visitor.open()
    sign_in(other, live_page.server)
    other.goto(f"{live_page.server.url}/admin/players/default/{live_page.name}")
    other.get_by_label("Amount").fill("25.00")
    other.get_by_role("button", name="Deposit", exact=True).click()
    expect(live_page.rows.first).to_contain_text("+25.00", timeout=1000)
    expect(live_page.page.locator(".tile").first).to_contain_text("125.00", timeout=1000)
    expect(other.locator(".flash")).to_contain_text("Deposited 25.00 USD of cash")


def test_rows_outside_the_filter_are_not_shown(live_page: LivePage) -> None:
    """The feed applies the filter of the page."""
    live_page.open_page("/admin/transactions?player={}&kind=deposit")
    live_page.bet(1_00)
    deposit(live_page.server, live_page.name, 2_00)
    expect(live_page.rows.first).to_contain_text("+2.00")
    expect(live_page.rows).to_have_count(2)


def test_a_paused_table_does_not_change(live_page: LivePage) -> None:
    """New rows wait behind a button, which inserts them in order."""
    live_page.open_page("/admin/transactions?player={}")
    pause = live_page.page.get_by_role("button", name="Pause")
    pause.click()
    expect(pause).to_have_attribute("aria-pressed", "true")
    live_page.bet(1_00)
    expect(live_page.waiting).to_have_text("Show 1 new")
    live_page.bet(2_00)
    expect(live_page.waiting).to_have_text("Show 2 new")
    expect(live_page.rows).to_have_count(1)
    live_page.waiting.click()
    expect(live_page.waiting).to_be_hidden()
    assert live_page.changes == [f"{MINUS}2.00 USD", f"{MINUS}1.00 USD", "+100.00 USD"]
    live_page.bet(3_00)
    expect(live_page.waiting).to_have_text("Show 1 new")
    pause.click()
    expect(live_page.rows).to_have_count(4)
    assert_accessible(live_page.page)


def test_a_row_does_not_move_away_from_under_a_pointer(live_page: LivePage) -> None:
    """It does not move while it has the keyboard focus either."""
    live_page.open_page("/admin/transactions?player={}")
    live_page.rows.first.hover()
    live_page.bet(1_00)
    expect(live_page.waiting).to_have_text("Show 1 new")
    live_page.page.mouse.move(0, 0)
    expect(live_page.rows).to_have_count(2)
    live_page.rows.first.get_by_role("link").first.focus()
    live_page.bet(2_00)
    expect(live_page.waiting).to_have_text("Show 1 new")
    live_page.page.get_by_role("button", name="Pause").focus()
    expect(live_page.rows).to_have_count(3)


def test_older_entries_stay(live_page: LivePage) -> None:
    """After loading older rows they stay, and new rows wait."""
    for cents in range(40):
        live_page.bet(cents)
    live_page.open_page("/admin/players/default/{}")
    expect(live_page.rows).to_have_count(25)
    live_page.page.get_by_role("link", name="Older").click()
    expect(live_page.rows).to_have_count(41)
    expect(live_page.page.get_by_role("link", name="Older")).to_be_hidden()
    live_page.bet(1_11)
    expect(live_page.waiting).to_have_text("Show 1 new")
    expect(live_page.rows).to_have_count(41)
    live_page.waiting.click()
    expect(live_page.rows).to_have_count(25)
    expect(live_page.rows.first).to_contain_text(f"{MINUS}1.11")


def test_entries_committed_before_the_stream_began_are_shown(live_page: LivePage) -> None:
    """A page continues after its own newest row, even if its stream starts late."""
    stalled: list[Route] = []
    live_page.page.route("**/admin/feed?*", lambda route: stalled.append(route))  # noqa: PLW0108 it marks what it is given
    live_page.page.goto(f"{live_page.server.url}/admin/transactions?player={live_page.name}")
    expect(live_page.rows).to_have_count(1)
    live_page.bet(1_00)
    for route in stalled:
        route.continue_()
    expect(live_page.rows).to_have_count(2)
