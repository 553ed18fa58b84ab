"""Tables of the ledger grow by themselves, and keep still for whoever reads them."""

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.support import Server
from tests.web.backoffice.clerk import deposit, enter, make_player, open_session
from tests.web.browser import Visitor, assert_accessible

MINUS = "\N{MINUS SIGN}"


class Watched:
    """A player, and a page that shows what happens to the player's money."""

    def __init__(self, server: Server, page: Page) -> None:
        self.server = server
        self.page = page
        self.name = make_player(server)
        self.token = open_session(server, self.name)
        self.number = 0
        enter(page, server)

    def watch(self, path: str) -> None:
        self.page.goto(f"{self.server.url}{path.format(self.name)}")
        expect(self.page.locator("[data-feed=on]")).to_be_attached()

    def bet(self, cents: int) -> None:
        """Money moves."""
        self.number += 1
        number = int(self.name.removeprefix("visitor")) * 10_000 + self.number
        assert self.server.wallet_v2(type="bet", bet=cents, id=number, game=1012, code=self.token)["result"] == 1

    @property
    def changes(self) -> list[str]:
        """The column of changes, as far as there are rows."""
        return self.page.locator("tbody td.sum").all_inner_texts()

    @property
    def rows(self) -> Locator:
        return self.page.locator("[data-feed-box] tbody tr")

    @property
    def waiting(self) -> Locator:
        return self.page.locator("[data-feed-show]")


@pytest.fixture
def watched(server: Server, page: Page) -> Watched:
    """Somebody who watches a player."""
    return Watched(server, page)


@pytest.mark.parametrize(
    "path", ["/admin/players/default/{}", "/admin/transactions?player={}&kind=bet", "/admin/transactions"]
)
def test_a_bet_is_seen_within_a_second(watched: Watched, path: str) -> None:
    """On every page that shows the ledger, whatever it filters by."""
    watched.watch(path)
    watched.bet(1_23)
    expect(watched.rows.first).to_contain_text(f"{MINUS}1.23", timeout=1000)
    expect(watched.page.locator("[data-feed-status]")).to_have_text("1 new entry")
    assert_accessible(watched.page)


def test_a_deposit_in_one_page_is_seen_in_another(watched: Watched, visitor: Visitor) -> None:
    """With what the player then holds."""
    watched.watch("/admin/players/default/{}")
    other = visitor.open()
    enter(other, watched.server)
    other.goto(f"{watched.server.url}/admin/players/default/{watched.name}")
    other.get_by_label("Amount").fill("25.00")
    other.get_by_role("button", name="Deposit", exact=True).click()
    expect(watched.rows.first).to_contain_text("+25.00", timeout=1000)
    expect(watched.page.locator(".tile").first).to_contain_text("125.00", timeout=1000)
    expect(other.locator(".flash")).to_contain_text("Deposited 25.00 USD of cash")


def test_what_another_filter_wants_does_not_come(watched: Watched) -> None:
    """Only what the page asks for."""
    watched.watch("/admin/transactions?player={}&kind=deposit")
    watched.bet(1_00)
    deposit(watched.server, watched.name, 2_00)
    expect(watched.rows.first).to_contain_text("+2.00")
    expect(watched.rows).to_have_count(2)


def test_a_paused_table_keeps_still(watched: Watched) -> None:
    """What comes meanwhile waits behind a button, and is shown in order when it is wanted."""
    watched.watch("/admin/transactions?player={}")
    pause = watched.page.get_by_role("button", name="Pause")
    pause.click()
    expect(pause).to_have_attribute("aria-pressed", "true")
    watched.bet(1_00)
    expect(watched.waiting).to_have_text("Show 1 new")
    watched.bet(2_00)
    expect(watched.waiting).to_have_text("Show 2 new")
    expect(watched.rows).to_have_count(1)
    watched.waiting.click()
    expect(watched.waiting).to_be_hidden()
    assert watched.changes == [f"{MINUS}2.00 USD", f"{MINUS}1.00 USD", "+100.00 USD"]
    watched.bet(3_00)
    expect(watched.waiting).to_have_text("Show 1 new")
    pause.click()
    expect(watched.rows).to_have_count(4)
    assert_accessible(watched.page)


def test_a_row_does_not_move_away_from_under_a_pointer(watched: Watched) -> None:
    """Nor from whoever has the keyboard in it."""
    watched.watch("/admin/transactions?player={}")
    watched.rows.first.hover()
    watched.bet(1_00)
    expect(watched.waiting).to_have_text("Show 1 new")
    watched.page.mouse.move(0, 0)
    expect(watched.rows).to_have_count(2)
    watched.rows.first.get_by_role("link").first.focus()
    watched.bet(2_00)
    expect(watched.waiting).to_have_text("Show 1 new")
    watched.page.get_by_role("button", name="Pause").focus()
    expect(watched.rows).to_have_count(3)


def test_older_entries_stay(watched: Watched) -> None:
    """Whoever has looked for older rows keeps them; what is new waits."""
    for cents in range(40):
        watched.bet(cents)
    watched.watch("/admin/players/default/{}")
    expect(watched.rows).to_have_count(25)
    watched.page.get_by_role("link", name="Older").click()
    expect(watched.rows).to_have_count(41)
    expect(watched.page.get_by_role("link", name="Older")).to_be_hidden()
    watched.bet(1_11)
    expect(watched.waiting).to_have_text("Show 1 new")
    expect(watched.rows).to_have_count(41)
    watched.waiting.click()
    expect(watched.rows).to_have_count(25)
    expect(watched.rows.first).to_contain_text(f"{MINUS}1.11")


def test_what_happened_while_nobody_looked_is_caught_up(watched: Watched) -> None:
    """A page that was loaded goes on from its own newest row, however late its stream begins."""
    stalled: list[Route] = []
    watched.page.route("**/admin/feed?*", lambda route: stalled.append(route))  # noqa: PLW0108 it marks what it is given
    watched.page.goto(f"{watched.server.url}/admin/transactions?player={watched.name}")
    expect(watched.rows).to_have_count(1)
    watched.bet(1_00)
    for route in stalled:
        route.continue_()
    expect(watched.rows).to_have_count(2)
