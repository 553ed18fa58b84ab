"""Reconciliation: the provider's report is fetched and compared with the ledger."""

import csv
import io
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from minwallet.ledger.reconciliation import MatchStatus, ReportRow
from minwallet.protocols.operator_service import Game, ReportPage, ServiceError
from minwallet.web.backoffice.comparison import STATUS_MEANINGS
from tests.provider.stub_provider import SERVICE, StubProvider, run_stub_provider
from tests.support import TIMEOUT_S, Server
from tests.web.backoffice.admin_client import AdminClient, read_flash, read_table_rows, sign_in

PATH = "/admin/reconciliation"

OPTIONS = {"agent": "default", "open_after": "24 hours", "grace": "none"}


def build_report_rows(player: str, *stakes: int) -> list[ReportRow]:
    """Return a report of tickets 101, 102 … with these stakes."""
    return [
        ReportRow(str(number), str(100 + number), "fish", player, stake, 0, reported_at="2026-01-02 03:04:05")
        for number, stake in enumerate(stakes, 1)
    ]


def submit_and_read_flash(admin_client: AdminClient, path: str, **fields: str) -> str:
    """Send the form, and return the page's message after the job has ended."""
    page, deadline = (
        admin_client.get_page(admin_client.submit(path, **fields).headers["location"]),
        time.monotonic() + TIMEOUT_S,
    )
    while 'id="work" hx-get' in page:
        assert time.monotonic() < deadline
        page = admin_client.get_page(PATH)
    return read_flash(page)


@pytest.fixture
def provider(server: Server) -> Iterator[StubProvider]:
    """Return a provider that is connected to the agent."""
    with run_stub_provider() as running:
        server.cli("agent", "set", "default", "--host-id", "h1", "--service-url", running.url)
        yield running


@pytest.fixture(scope="module")
def name(server: Server) -> str:
    """Return a player who has lost 2.00 in each of the tickets 101 and 102."""
    name = server.cli.add_player()
    token = server.cli.open_session(name)
    for ticket in (101, 102):
        server.vela("betwin", access_token=token, ticket_id=ticket, total_bet=200, total_win=0, game_code="fish")
    return name


def test_missing_report_is_reported(admin_client: AdminClient, name: str) -> None:
    """The page names what is missing, also after a comparison."""
    assert "never completely" in admin_client.get_page(PATH)
    assert "was never fetched completely" in submit_and_read_flash(admin_client, f"{PATH}/compare", **OPTIONS)
    assert "has no service url" in submit_and_read_flash(admin_client, f"{PATH}/pull", agent="default")
    assert admin_client.http.get(f"{PATH}.csv?agent=default").status_code == 404
    assert name


def test_a_report_is_pulled_and_compared(admin_client: AdminClient, provider: StubProvider, name: str) -> None:
    """Differences are listed with their meaning, and can be exported."""
    provider.serve_report(build_report_rows(name, 200, 150, 500), page_size=2)
    assert (
        submit_and_read_flash(admin_client, f"{PATH}/pull", agent="default")
        == "Fetching the report: done, 3 new rows; the report is complete."
    )
    assert (
        submit_and_read_flash(admin_client, f"{PATH}/compare", **OPTIONS)
        == "Comparing report and ledger: done, 3 tickets."
    )
    page = admin_client.get_page(PATH)
    found = read_table_rows(page)
    assert ["amount differs", "1", STATUS_MEANINGS[MatchStatus.AMOUNT_DIFFERS]] in found
    assert ["missing here", "1", STATUS_MEANINGS[MatchStatus.MISSING_HERE]] in found
    assert ["matched", "1", STATUS_MEANINGS[MatchStatus.MATCHED]] in found
    assert ["amount differs", "102", name, "fish", "USD", "2.00", "0.00", "1.50", "0.00"] in found
    listed = list(csv.DictReader(io.StringIO(admin_client.http.get(f"{PATH}.csv?agent=default").text)))
    assert [(row["ticket"], row["finding"], row["ledger_stake"], row["report_stake"]) for row in listed] == [
        ("102", "amount differs", "2.00", "1.50"),
        ("103", "missing here", "", "5.00"),
    ]


def test_pull_fetches_new_rows_or_everything(admin_client: AdminClient, provider: StubProvider, name: str) -> None:
    """The two buttons do what the command does."""
    provider.serve_report(build_report_rows(name, 200, 200), page_size=9)
    submit_and_read_flash(admin_client, f"{PATH}/pull", agent="default", full="yes")
    assert (
        submit_and_read_flash(admin_client, f"{PATH}/pull", agent="default")
        == "Fetching the report: done, 0 new rows; the report is complete."
    )
    assert (
        submit_and_read_flash(admin_client, f"{PATH}/compare", **OPTIONS)
        == "Comparing report and ledger: done, 2 tickets."
    )
    assert 'badge ok">ok' in admin_client.get_page(PATH)


def test_differences_are_paginated(admin_client: AdminClient, provider: StubProvider, name: str) -> None:
    """A page has fifty differences."""
    provider.serve_report(build_report_rows(name, 200, 200, *[1] * 60), page_size=99)
    submit_and_read_flash(admin_client, f"{PATH}/pull", agent="default", full="yes")
    submit_and_read_flash(admin_client, f"{PATH}/compare", **OPTIONS)
    first, second = (admin_client.get_page(f"{PATH}?agent=default&page={number}") for number in (1, 2))
    tickets = [
        row[1] for page in (first, second) for row in read_table_rows(page) if row[0] == "missing here" and len(row) > 3
    ]
    assert tickets == [str(100 + number) for number in range(3, 63)]


def test_provider_errors_are_shown(admin_client: AdminClient, provider: StubProvider) -> None:
    """An error, an invalid answer and a closed port each give one line that says what to do."""
    provider.answer_always(SERVICE.render_error(ServiceError(7, "host is asleep")))
    assert "the provider refused the request: host is asleep (code 7)" in submit_and_read_flash(
        admin_client, f"{PATH}/games", agent="default"
    )
    provider.answer_always(b"<html>")
    assert "invalid response" in submit_and_read_flash(admin_client, f"{PATH}/pull", agent="default")
    assert 'role="alert"' in admin_client.get_page(PATH)


def test_games_are_fetched(admin_client: AdminClient, provider: StubProvider, name: str) -> None:
    """They are suggested when a game is launched."""
    games = [Game("7", {"en": "Seven"}, "https://g.example/7"), Game("8", {"de": "Acht"}, "https://g.example/8")]
    provider.answer_always(SERVICE.render_games(games))
    assert (
        submit_and_read_flash(admin_client, f"{PATH}/games", agent="default")
        == "Fetching the game list: done, 2 games."
    )
    assert re.search(r"2 games, fetched <time", admin_client.get_page(PATH))
    page = admin_client.get_page(f"/admin/players/default/{name}")
    assert '<option value="7">Seven</option><option value="8">Acht</option>' in page


def test_a_skipped_entry_is_shown(admin_client: AdminClient, provider: StubProvider) -> None:
    """The result of the job names it with its reason, and the job goes on."""
    provider.answer_always(b'{"data":{"status_code":0,"list":[{"game_code":"7","url":"https://g.example"},{}]}}')
    shown = submit_and_read_flash(admin_client, f"{PATH}/games", agent="default")
    assert shown.startswith("Fetching the game list: done, 1 games; skipped game 2: game_code must be")
    provider.answer = lambda _path, query: (
        200,
        b'{"data":{"status_code":0,"report":[%s],"key":"9"}}' % (b"" if query["key"] == "9" else b'{"ticket_id":5}'),
    )
    shown = submit_and_read_flash(admin_client, f"{PATH}/pull", agent="default", full="yes")
    assert "0 new rows; the report is complete; skipped row 1 (ticket 5): invalid bet_stake" in shown


def test_a_long_pull_runs_in_the_background(server: Server, provider: StubProvider, name: str, page: Page) -> None:
    """The page shows its progress and its end; no other job of this agent can start meanwhile."""
    provider.never_answer()
    sign_in(page, server)
    page.goto(server.url + PATH)
    page.get_by_role("button", name="Fetch new rows").click()
    status = page.locator("#work > .flash")
    expect(status).to_contain_text("Fetching the report …")
    page.get_by_role("button", name="Fetch game list").click()
    expect(page.locator(".flash").first).to_have_text("Another job of this agent is still running.")
    provider.answer_always(SERVICE.render_error(ServiceError(7, "enough")))
    provider.released.set()
    expect(status).to_contain_text("failed")
    expect(page.locator("#work")).not_to_have_attribute("hx-get", re.compile("."))


def test_a_pull_is_stopped(admin_client: AdminClient, provider: StubProvider, name: str) -> None:
    """A pull stops while it waits for the provider, and while pages arrive. Then another job can start."""
    provider.never_answer()
    page = admin_client.get_page(admin_client.submit(f"{PATH}/pull", agent="default", full="yes").headers["location"])
    assert f'action="{PATH}/stop"' in page
    assert submit_and_read_flash(admin_client, f"{PATH}/stop", agent="default") == "Fetching the report: stopped."
    assert f'action="{PATH}/stop"' not in admin_client.get_page(PATH)
    row = build_report_rows(name, 200)
    provider.answer = lambda _path, query: (
        200,
        SERVICE.render_report(ReportPage(row, str(int(query["key"]) + 1))),
    )
    asked = len(provider.requested_paths)
    admin_client.submit(f"{PATH}/pull", agent="default")
    deadline = time.monotonic() + TIMEOUT_S
    while len(provider.requested_paths) < asked + 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert re.match(
        r"Fetching the report: stopped, [0-9]+ rows so far\.",
        submit_and_read_flash(admin_client, f"{PATH}/stop", agent="default"),
    )
    provider.wait_for_sent_requests()
    asked = len(provider.requested_paths)
    provider.answer_always(SERVICE.render_games([]))
    assert submit_and_read_flash(admin_client, f"{PATH}/games", agent="default").endswith("done, 0 games.")
    assert len(provider.requested_paths) == asked + 1


def test_stopping_without_a_job_changes_nothing(admin_client: AdminClient, provider: StubProvider) -> None:
    """The job may have ended while the admin looked at the page."""
    before = read_flash(admin_client.get_page(PATH))
    assert submit_and_read_flash(admin_client, f"{PATH}/stop", agent="default") == before
    assert provider.requested_paths == []


def test_stopping_does_not_wait_for_the_provider(
    server: Server, admin_client: AdminClient, provider: StubProvider
) -> None:
    """This holds for each request to a provider that does not answer."""
    provider.never_answer()
    assert read_flash(
        admin_client.get_page(admin_client.submit(f"{PATH}/pull", agent="default").headers["location"])
    ).startswith("Fetching")
    assert server.stop() == 0
    assert "bug" not in server.log.read_text()
    server.cli.assert_ledger_valid()
