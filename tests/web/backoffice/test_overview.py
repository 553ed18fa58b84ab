"""The overview: its figures equal the ledger, and it refreshes by itself."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support import InProcessCli, Server, running_server
from tests.web.backoffice.admin_client import AdminClient, sign_in
from tests.web.browser import Visitor


def read_tiles(page: str) -> dict[str, str]:
    """Return the figures at the top, by their labels."""
    found = re.findall(r'class="label">(.*?)</span>\s*<span class="figure">(.*?)</span>\s*<span', page, re.DOTALL)
    return {strip_markup(label): strip_markup(figure) for label, figure in found}


def read_game_rows(page: str) -> dict[str, list[str]]:
    """Return the rows of the table of games: today, 7 days, 30 days, bets."""
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', page, re.DOTALL)
    return {game: [strip_markup(cell) for cell in re.findall(r"<td.*?</td>", rest, re.DOTALL)] for game, rest in rows}


def strip_markup(markup: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", markup).split())


@pytest.fixture
def wallet_with_rounds(db: Path) -> Path:
    """Return a file with 3 bets in USD, of which one has won and one is open, and a lost bet in EUR."""
    with running_server(db) as server:
        ann, ben = server.cli.add_player(balance="100", bonus="5"), server.cli.add_player("EUR", "20")
        dollars, euros = server.cli.open_session(ann), server.cli.open_session(ben)
        server.wallet_v2(type="bet", bet=1_000, id=1, game=1012, code=dollars)
        server.wallet_v2(type="win", win=250, id=2, round_id=1, game=1012, code=dollars)
        server.wallet_v2(type="bet", bet=300, id=3, game=1014, code=dollars)
        server.wallet_v2(type="cancel", id=3, code=dollars)
        server.vela("bet", access_token=dollars, ticket_id=7, total_bet=40, game_code="fish")
        server.vela("bet", access_token=euros, ticket_id=8, total_bet=500, game_code="fish")
        server.vela("result", access_token=euros, ticket_id=8, total_win=0, game_code="fish")
    return db


def test_the_figures_equal_the_ledger(wallet_with_rounds: Path) -> None:
    """Balances, results of games and open bets are listed by currency, and never added up."""
    with running_server(wallet_with_rounds) as server:
        admin_client = AdminClient(server)
        page = admin_client.get_page("/admin")
        shown = read_tiles(page)
        assert shown["Player cash USD"] == "92.10"
        assert shown["Player cash EUR"] == "15.00"
        assert shown["Ledger check"] == "ok"
        assert shown["Bets in the last hour"] == "4"
        assert shown["Open rounds"] == "1"
        assert shown["Wins without a bet"] == "0"
        assert shown["Server"] == "ready"
        assert "5.00 bonus, 1 account" in page
        assert "Revenue by game, USD" in page
        assert read_game_rows(page) == {
            "1012": ["7.50", "7.50", "7.50", "1"],
            "1014": ["0.00", "0.00", "0.00", "1"],
            "fish": ["0.40", "0.40", "0.40", "1"],
        }
        in_euros = admin_client.get_page("/admin?currency=EUR")
        assert read_game_rows(in_euros) == {"fish": ["5.00", "5.00", "5.00", "1"]}
        assert "Revenue by game, USD" in admin_client.get_page("/admin?currency=nonsense")
        admin_client.http.close()


def test_wins_without_a_bet_are_shown_and_listed(wallet_with_rounds: Path) -> None:
    """The tile has their number and sums, and links to the list of exactly these wins."""
    with running_server(wallet_with_rounds) as server:
        for currency, amount in (("USD", 123), ("USD", 2), ("EUR", 4)):
            token = server.cli.open_session(server.cli.add_player(currency))
            won = server.wallet_v2(type="win", win=amount, id=90 + amount, round_id=80, game=1012, code=token)
            assert won["result"] == 1
        admin_client = AdminClient(server)
        page = admin_client.get_page("/admin")
        assert read_tiles(page)["Wins without a bet"] == "3"
        assert "0.04 EUR, 1.25 USD in 30 days" in page
        assert 'href="/admin/transactions?state=orphan"' in page
        listed = admin_client.get_page("/admin/transactions?state=orphan")
        assert [f">{90 + amount}<" in listed for amount in (123, 2, 4)] == [True] * 3
        assert ">2<" not in listed
        admin_client.http.close()


def test_an_empty_wallet_has_an_overview(db: Path) -> None:
    """The page says that there is no data yet."""
    with running_server(db) as server:
        admin_client = AdminClient(server)
        page = admin_client.get_page("/admin")
        assert "no accounts yet" in page
        assert "No bets in 30 days" in page
        assert "No open rounds" in page
        assert "No transactions yet" in page
        admin_client.http.close()


def test_unexplained_balances_are_reported(wallet_with_rounds: Path) -> None:
    """If balances do not equal the sums of entries, the badge shows it, and the page says what to do."""
    with running_server(wallet_with_rounds) as server:
        with closing(sqlite3.connect(wallet_with_rounds, isolation_level=None)) as file:
            file.execute("UPDATE accounts SET cash = cash + 1 WHERE currency = 'EUR'")
        admin_client = AdminClient(server)
        page = admin_client.get_page("/admin")
        assert read_tiles(page)["Ledger check"] == "failed"
        assert "In EUR the balances sum to 15.01, but the ledger entries sum to 15.00." in strip_markup(page)
        admin_client.http.close()


def test_it_updates_by_itself(page: Page, wallet_with_rounds: Path) -> None:
    """Changes by other programs appear without a reload; open sections and the focus stay."""
    with running_server(wallet_with_rounds) as server:
        sign_in(page, server)
        page.goto(f"{server.url}/admin")
        page.locator("summary", has_text="Show the numbers").first.click()
        expect(page.locator("[data-feed=on]")).to_be_attached()
        page.locator("a.tile", has_text="Server").focus()
        InProcessCli(wallet_with_rounds)("player", "add", "cat", "--currency", "EUR", "--balance", "7.25")
        expect(page.locator("tbody tr").filter(has_text="cat")).to_contain_text("+7.25")
        expect(page.locator(".tile").filter(has_text="EUR")).to_contain_text("22.25", timeout=15_000)
        expect(page.locator("details[open]")).to_have_count(1)
        expect(page.locator("a.tile", has_text="Server")).to_be_focused()
        expect(page.locator(".uplot")).to_have_count(2)
        page.goto("about:blank")


def test_an_ended_session_redirects_the_open_page(visitor: Visitor, page: Page, server: Server) -> None:
    """A page that refreshes itself redirects to the sign-in form."""
    visitor.allow("status of 401")
    sign_in(page, server)
    page.goto(f"{server.url}/admin")
    page.context.clear_cookies()
    page.wait_for_url("**/admin/sign-in", timeout=15_000)
