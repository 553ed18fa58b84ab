"""The provider's report is pulled and held against the ledger."""

import csv
import io
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from minwallet.ledger.reconciliation import MatchStatus, ReportRow
from minwallet.protocols.operator_service import Game, ServiceError
from minwallet.web.backoffice.findings import MEANINGS
from tests.provider.scripted import SERVICE, Scripted, scripted
from tests.support import PATIENCE_S, Server
from tests.web.backoffice.clerk import Clerk, cells, enter, flash

PATH = "/admin/reconciliation"

OPTIONS = {"agent": "default", "open_after": "24 hours", "grace": "none"}


def rows(player: str, *stakes: int) -> list[ReportRow]:
    """A report of tickets 101, 102 … with these stakes."""
    return [
        ReportRow(str(number), str(100 + number), "fish", player, stake, 0, reported_at="2026-01-02 03:04:05")
        for number, stake in enumerate(stakes, 1)
    ]


def carry_out(clerk: Clerk, path: str, **fields: str) -> str:
    """What the page tells when what was begun has ended."""
    page, deadline = clerk.read(clerk.send(path, **fields).headers["location"]), time.monotonic() + PATIENCE_S
    while 'id="work" hx-get' in page:
        assert time.monotonic() < deadline
        page = clerk.read(PATH)
    return flash(page)


@pytest.fixture
def provider(server: Server) -> Iterator[Scripted]:
    """A provider that the agent knows."""
    with scripted() as running:
        server.cli("agent", "set", "default", "--host-id", "h1", "--service-url", running.url)
        yield running


@pytest.fixture(scope="module")
def name(server: Server) -> str:
    """Somebody who has lost 2.00 in ticket 101, and as much in 102."""
    name = server.cli.player()
    token = server.cli.session(name)
    for ticket in (101, 102):
        server.vela("betwin", access_token=token, ticket_id=ticket, total_bet=200, total_win=0, game_code="fish")
    return name


def test_before_anything_was_pulled(clerk: Clerk, name: str) -> None:
    """The page says what is missing; comparing says so, too."""
    assert "never to its end" in clerk.read(PATH)
    assert "there is no whole report yet" in carry_out(clerk, f"{PATH}/compare", **OPTIONS)
    assert "has no service url" in carry_out(clerk, f"{PATH}/pull", agent="default")
    assert clerk.http.get(f"{PATH}.csv?agent=default").status_code == 404
    assert name


def test_a_report_is_pulled_and_compared(clerk: Clerk, provider: Scripted, name: str) -> None:
    """What differs is listed with what it means, and may be taken away as a file."""
    provider.report(rows(name, 200, 150, 500), page=2)
    assert (
        carry_out(clerk, f"{PATH}/pull", agent="default")
        == "Pulling the report: done, 3 new rows; the report is whole."
    )
    assert carry_out(clerk, f"{PATH}/compare", **OPTIONS) == "Comparing report and ledger: done, 3 tickets."
    page = clerk.read(PATH)
    found = cells(page)
    assert ["amount differs", "1", MEANINGS[MatchStatus.AMOUNT_DIFFERS]] in found
    assert ["missing here", "1", MEANINGS[MatchStatus.MISSING_HERE]] in found
    assert ["matched", "1", MEANINGS[MatchStatus.MATCHED]] in found
    assert ["amount differs", "102", name, "fish", "USD", "2.00", "0.00", "1.50", "0.00"] in found
    listed = list(csv.DictReader(io.StringIO(clerk.http.get(f"{PATH}.csv?agent=default").text)))
    assert [(row["ticket"], row["finding"], row["ledger_stake"], row["report_stake"]) for row in listed] == [
        ("102", "amount differs", "2.00", "1.50"),
        ("103", "missing here", "", "5.00"),
    ]


def test_only_what_is_new_is_pulled_or_all_of_it(clerk: Clerk, provider: Scripted, name: str) -> None:
    """As with the command."""
    provider.report(rows(name, 200, 200), page=9)
    carry_out(clerk, f"{PATH}/pull", agent="default", anew="yes")
    assert (
        carry_out(clerk, f"{PATH}/pull", agent="default")
        == "Pulling the report: done, 0 new rows; the report is whole."
    )
    assert carry_out(clerk, f"{PATH}/compare", **OPTIONS) == "Comparing report and ledger: done, 2 tickets."
    assert 'badge ok">ok' in clerk.read(PATH)


def test_many_differences_come_in_pages(clerk: Clerk, provider: Scripted, name: str) -> None:
    """Fifty at a time."""
    provider.report(rows(name, 200, 200, *[1] * 60), page=99)
    carry_out(clerk, f"{PATH}/pull", agent="default", anew="yes")
    carry_out(clerk, f"{PATH}/compare", **OPTIONS)
    first, second = (clerk.read(f"{PATH}?agent=default&page={number}") for number in (1, 2))
    tickets = [row[1] for page in (first, second) for row in cells(page) if row[0] == "missing here" and len(row) > 3]
    assert tickets == [str(100 + number) for number in range(3, 63)]


def test_what_the_provider_says_is_passed_on(clerk: Clerk, provider: Scripted) -> None:
    """A refusal, nonsense, or nobody there: one line that says what to do."""
    provider.say(SERVICE.render_error(ServiceError(7, "host is asleep")))
    assert "the provider says: host is asleep (code 7)" in carry_out(clerk, f"{PATH}/games", agent="default")
    provider.say(b"<html>")
    assert "cannot be understood" in carry_out(clerk, f"{PATH}/pull", agent="default")
    assert 'role="alert"' in clerk.read(PATH)


def test_games_are_fetched(clerk: Clerk, provider: Scripted, name: str) -> None:
    """And can be chosen when a game is launched."""
    games = [Game("7", {"en": "Seven"}, "https://g.example/7"), Game("8", {"de": "Acht"}, "https://g.example/8")]
    provider.say(SERVICE.render_games(games))
    assert carry_out(clerk, f"{PATH}/games", agent="default") == "Fetching the game list: done, 2 games."
    assert re.search(r"2 games, fetched <time", clerk.read(PATH))
    page = clerk.read(f"/admin/players/default/{name}")
    assert '<option value="7">Seven</option><option value="8">Acht</option>' in page


def test_a_long_pull_goes_on_in_the_background(server: Server, provider: Scripted, name: str, page: Page) -> None:
    """The page says how far it is and that it is done; meanwhile nothing else can begin for this agent."""
    provider.say_nothing()
    enter(page, server)
    page.goto(server.url + PATH)
    page.get_by_role("button", name="Pull what is new").click()
    told = page.locator("#work > .flash")
    expect(told).to_contain_text("Pulling the report …")
    page.get_by_role("button", name="Fetch the games").click()
    expect(page.locator(".flash").first).to_have_text("Something is going on for this agent already.")
    provider.say(SERVICE.render_error(ServiceError(7, "enough")))
    provider.released.set()
    expect(told).to_contain_text("failed")
    expect(page.locator("#work")).not_to_have_attribute("hx-get", re.compile("."))


def test_a_stopping_server_waits_for_no_provider(server: Server, clerk: Clerk, provider: Scripted) -> None:
    """Whatever is asked of a provider that does not answer."""
    provider.say_nothing()
    assert flash(clerk.read(clerk.send(f"{PATH}/pull", agent="default").headers["location"])).startswith("Pulling")
    assert server.stop() == 0
    assert "bug" not in server.log.read_text()
    server.cli.assert_clean()
