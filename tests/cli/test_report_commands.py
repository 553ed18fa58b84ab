"""`report pull` and `reconcile`: from a provider's report to the differences."""

import csv
import io
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from minwallet.ledger.reconciliation import ReportRow
from minwallet.protocols.operator_service import ReportPage, ServiceError
from tests.cli.cli_assertions import assert_error_line, split_cells
from tests.forkserver import start_minwallet
from tests.provider.stub_provider import SERVICE, StubProvider, run_stub_provider
from tests.support import TIMEOUT_S, Cli, InProcessCli, Server, clean_environment, running_server

pytestmark = pytest.mark.long

ROWS = [
    ReportRow(str(number), str(100 + number), "fish", "ann", 200, 0, status="done", reported_at="2026-01-02 03:04:05")
    for number in range(1, 8)
]

COMPLETE: dict[str, object] = {"agent": "default", "complete": True, "skipped": 0, "skipped_lines": []}


@pytest.fixture
def provider(cli: InProcessCli) -> Iterator[StubProvider]:
    """Yield a provider that the default agent uses."""
    with run_stub_provider() as running:
        cli("agent", "set", "default", "--host-id", "h1", "--service-url", running.url)
        cli("player", "add", "ann", "--currency", "MYR", "--balance", "1000")
        yield running


@pytest.fixture
def cli(db: Path) -> InProcessCli:
    """Return the command line on an existing file."""
    found = InProcessCli(db)
    found("agent", "add", "first")
    return found


def pull_report(cli: InProcessCli) -> dict[str, int]:
    """Return the result of comparing the report with an empty ledger: every pulled ticket is missing here."""
    result = cli.run("reconcile", "--json")
    counts: dict[str, int] = result.json["counts"]
    return counts


def test_a_report_is_pulled_to_its_end(cli: InProcessCli, provider: StubProvider) -> None:
    """The first pull begins at the start, and the next one at the last key."""
    provider.serve_report(ROWS[:5], page_size=2)
    assert cli("report", "pull") == COMPLETE | {"rows": 5, "pages": 3, "key": "5"}
    assert [each.partition("key=")[2] for each in provider.requested_paths] == ["0", "2", "4", "5"]
    assert cli("report", "pull") == COMPLETE | {"rows": 0, "pages": 0, "key": "5"}
    provider.serve_report(ROWS, page_size=2)
    assert cli("report", "pull") == COMPLETE | {"rows": 2, "pages": 1, "key": "7"}
    assert all("host_id=h1" in each for each in provider.requested_paths)
    assert pull_report(cli) == {"missing here": 7}
    assert cli.run("report", "pull").out == "fetched 0 rows; the report is complete up to key 7\n"


def test_a_full_pull_replaces_the_report(cli: InProcessCli, provider: StubProvider) -> None:
    """Rows that the provider removed are removed here."""
    provider.serve_report(ROWS, page_size=3)
    cli("report", "pull")
    provider.serve_report(ROWS[:2] + ROWS[3:], page_size=3)
    assert cli("report", "pull")["rows"] == 0
    assert pull_report(cli) == {"missing here": 7}
    assert cli("report", "pull", "--full") == COMPLETE | {"rows": 6, "pages": 2, "key": "7"}
    assert pull_report(cli) == {"missing here": 6}
    provider.serve_report([], page_size=3)
    assert cli("report", "pull", "--full") == COMPLETE | {"rows": 0, "pages": 0, "key": ""}
    assert pull_report(cli) == {}


@pytest.mark.parametrize("is_served", [False, True], ids=["alone", "served"])
def test_a_pull_killed_at_any_page_loses_and_doubles_nothing(
    cli: InProcessCli, provider: StubProvider, is_served: bool
) -> None:
    """The next pull continues after the last stored page."""
    server = Server(cli.db) if is_served else None
    rows = ROWS[:4]
    for key in ["0", *(row.id for row in rows)]:
        running: list[Popen[str]] = []

        def kill(asked: str, key: str = key, running: list[Popen[str]] = running) -> None:
            while asked == key and not running:
                pass  # the process has not been named yet
            if asked == key:
                running[0].kill()

        provider.serve_report(rows, page_size=1, on_request=kill)
        running.append(start_minwallet(["--db", cli.db, "report", "pull"], env=clean_environment()))
        running[0].wait()
        assert provider.requested_paths[-1].endswith(f"key={key}")
    provider.serve_report(rows, page_size=1)
    asked_before = len(provider.requested_paths)
    assert cli("report", "pull")["rows"] == 0
    assert len(provider.requested_paths) == asked_before + 1
    assert pull_report(cli) == {"missing here": 4}
    if server:
        server.stop()


def test_concurrent_pulls_do_not_mix(cli: InProcessCli, provider: StubProvider) -> None:
    """The second store of a page is refused, and no row is doubled."""
    codes: list[int | None] = []

    def pull_too(key: str) -> None:
        if key == "2" and not codes:
            codes.append(None)  # the second pull does not start a third one
            codes.append(Cli(cli.db).run("report", "pull").code)

    provider.serve_report(ROWS, page_size=2, on_request=pull_too)
    assert_error_line(cli.run("report", "pull"), 1, "already being pulled")
    assert codes == [None, 0]
    assert pull_report(cli) == {"missing here": 7}


def test_a_row_that_cannot_be_read_is_skipped(cli: InProcessCli, provider: StubProvider) -> None:
    """It is named with its reason, the other rows are stored, and the next pull goes on behind it."""
    pages: dict[str, tuple[list[ReportRow], str]] = {
        "0": ([ROWS[0], ROWS[1]._replace(stake=-5), ROWS[2]], "3"),
        "3": ([ROWS[3]._replace(payout=-1)], "4"),
        "4": ([ROWS[4]._replace(payout=-1)], "5"),
        "5": ([ROWS[5]], "6"),
    }
    provider.answer = lambda _path, query: (200, SERVICE.render_report(ReportPage(*pages.get(query["key"], ([], "6")))))
    pulled = cli.run("report", "pull")
    assert (pulled.code, pulled.out) == (0, "fetched 3 rows; the report is complete up to key 6\n")
    rule = "must be an amount in cents, 0 or more"
    assert pulled.err.splitlines() == [
        f"minwallet: skipped row 2 (ticket {ROWS[1].ticket}): invalid bet_stake '-5': {rule} (page after key 0)",
        f"minwallet: skipped row 1 (ticket {ROWS[3].ticket}): invalid payout_amount '-1': {rule} (page after key 3)",
        f"minwallet: skipped row 1 (ticket {ROWS[4].ticket}): invalid payout_amount '-1': {rule} (page after key 4)",
        "minwallet: if the provider corrects these rows, fetch them with: minwallet report pull --full",
    ]
    assert [cli("report", "pull", *full)["skipped"] for full in ((), ("--full",))] == [0, 3]
    assert pull_report(cli) == {"missing here": 3}


def test_a_report_without_a_readable_row_is_a_problem(cli: InProcessCli, provider: StubProvider) -> None:
    """The setting of its unit may be wrong, so the exit code is 1. The first reasons are shown."""
    provider.serve_report([ROWS[0]._replace(id=str(number), stake=-1) for number in range(1, 31)], page_size=12)
    pulled = cli.run("report", "pull", "--json")
    assert (pulled.code, pulled.json["rows"], pulled.json["skipped"]) == (1, 0, 30)
    assert pulled.json["skipped_lines"][20:] == ["skipped 10 more rows"]


INVALID_REPLIES = [
    (SERVICE.render_report(ReportPage([ROWS[6]], "7")), 500, 3, "HTTP status 500"),
    (b'{"error":{"status_code":2,"message":"no\\u0007"}}', 200, 1, "no reason given (code 2)"),
    (b"<html>busy</html>", 200, 3, "the reply is not JSON; nothing was stored"),
    (b"<html>busy</html>", 502, 3, "HTTP status 502"),
    (b"", 200, 3, "not JSON"),
    (b"[]", 200, 3, "the reply is not an object"),
    (b'{"data":{"status_code":0}}', 200, 3, "has no report"),
    (SERVICE.render_error(ServiceError(2, "Invalid Host ID")), 200, 1, "Invalid Host ID (code 2)"),
    (SERVICE.render_error(ServiceError(2, "Invalid Host ID")), 400, 1, "Invalid Host ID (code 2)"),
    (SERVICE.render_error(ServiceError(2001, "Required field cannot be empty")), 200, 1, "(code 2001)"),
]


@pytest.mark.parametrize("answer", INVALID_REPLIES)
def test_a_provider_s_error_is_one_line_and_changes_nothing(
    cli: InProcessCli, provider: StubProvider, answer: tuple[bytes, int, int, str]
) -> None:
    """The key is unchanged, so the next pull continues from it."""
    body, status, code, words = answer
    provider.serve_report(ROWS[:2], page_size=2)
    cli("report", "pull")
    provider.answer_always(body, status)
    assert_error_line(cli.run("report", "pull"), code, words)
    assert_error_line(cli.run("report", "pull", "--full"), code, words)
    provider.serve_report(ROWS, page_size=9)
    assert cli("report", "pull") == COMPLETE | {"rows": 5, "pages": 1, "key": "7"}


def test_a_provider_that_does_not_answer(cli: InProcessCli, provider: StubProvider) -> None:
    """A timeout and a refused connection are each one line with advice."""
    provider.never_answer()
    assert_error_line(cli.run("report", "pull", "--timeout", "1s"), 3, "did not answer within 1 s", "--timeout")
    provider.released.set()
    cli("agent", "set", "default", "--service-url", "http://127.0.0.1:9")
    assert_error_line(cli.run("report", "pull"), 3, "cannot reach http://127.0.0.1:9", "refused")
    cli("agent", "set", "default", "--service-url", "http://nowhere.invalid")
    assert_error_line(cli.run("report", "pull"), 3, "cannot reach http://nowhere.invalid")


def test_a_repeated_key_ends_the_pull(cli: InProcessCli, provider: StubProvider) -> None:
    """Otherwise the pull would never end."""
    pages = {"0": "5", "5": "6", "6": "5"}
    provider.answer = lambda _path, query: (
        200,
        SERVICE.render_report(ReportPage([ROWS[0]._replace(id=query["key"])], pages[query["key"]])),
    )
    assert_error_line(cli.run("report", "pull"), 3, "repeated the report key '5'")


def test_a_report_goes_on_after_a_gap(cli: InProcessCli, provider: StubProvider) -> None:
    """One empty page with a new key is not the end, and a second one is."""
    pages = {
        "0": ReportPage([], "5"),
        "5": ReportPage([ROWS[5]], "6"),
        "6": ReportPage([], "7"),
        "7": ReportPage([], "8"),
    }
    provider.answer = lambda _path, query: (200, SERVICE.render_report(pages[query["key"]]))
    assert cli("report", "pull") == COMPLETE | {"rows": 1, "pages": 1, "key": "7"}
    assert [each.partition("key=")[2] for each in provider.requested_paths] == ["0", "5", "6", "7"]


def test_a_repeated_row_id_loses_no_ticket(cli: InProcessCli, provider: StubProvider) -> None:
    """Two tickets with the same row id are both stored."""
    rows = [ROWS[0], ROWS[0]._replace(ticket="555")]
    pages = {"0": ReportPage(rows, "1"), "1": ReportPage([], "1")}
    provider.answer = lambda _path, query: (200, SERVICE.render_report(pages[query["key"]]))
    cli("report", "pull")
    assert pull_report(cli) == {"missing here": 2}


def test_a_slow_page_times_out(cli: InProcessCli, provider: StubProvider) -> None:
    """The timeout limits the whole reply."""
    provider.answer_slowly()
    assert_error_line(cli.run("report", "pull", "--timeout", "1s"), 3, "did not answer within 1 s")


def test_many_tickets_are_compared_quickly(cli: InProcessCli, provider: StubProvider) -> None:
    """Each side is read once and in order."""
    many = [ROWS[0]._replace(id=str(number), ticket=str(10**6 + number)) for number in range(1, 20_001)]
    provider.serve_report(many, page_size=4_000)
    cli("report", "pull")
    started = time.monotonic()
    assert pull_report(cli) == {"missing here": 20_000}
    assert time.monotonic() - started < TIMEOUT_S


def test_missing_settings_are_named(cli: InProcessCli) -> None:
    """The error has the command that sets them."""
    assert_error_line(cli.run("report", "pull"), 1, "no service url", "minwallet agent set default --service-url")
    cli("agent", "set", "default", "--service-url", "https://p.example")
    assert_error_line(cli.run("report", "pull"), 1, "no host id", "minwallet agent set default --host-id")
    assert_error_line(cli.run("report", "pull", "--agent", "nobody"), 1, "unknown agent 'nobody'")
    assert_error_line(cli.run("report", "pull", "--timeout", "soon"), 2, "invalid --timeout 'soon'")
    assert_error_line(cli.run("reconcile"), 1, "never fetched completely", "minwallet report pull")
    assert_error_line(cli.run("reconcile", "--csv", "--json"), 2, "exclude each other")
    assert_error_line(cli.run("reconcile", "--open-after", "x"), 2, "invalid duration 'x'")


@pytest.fixture
def reconciled_wallet(cli: InProcessCli, provider: StubProvider) -> Iterator[InProcessCli]:
    """Return a wallet with a ticket of every kind, and a report that matches only the first two."""
    with running_server(cli.db) as server:
        token = cli.open_session("ann")
        cli("player", "add", "bob", "--currency", "MYR", "--balance", "5")
        for ticket, bet, win in [(101, 200, 50), (102, 300, 0), (103, 100, 900), (104, 100, 0)]:
            server.vela("bet", access_token=token, ticket_id=ticket, total_bet=bet, game_code="fish")
            server.vela("result", access_token=token, ticket_id=ticket, total_win=win, game_code="fish")
        server.vela("betwin", access_token=token, ticket_id=105, total_bet=40, total_win=70, game_code="slot")
        server.vela("bet", access_token=token, ticket_id=106, total_bet=100)
        server.vela("bet", access_token=token, ticket_id=107, total_bet=100, game_code="fish")
        server.vela("refund", access_token=token, ticket_id=107)
        server.vela("bet", access_token=token, ticket_id=108, total_bet=10**9)
        server.wallet_v2(code=token, type="win", win=70, id=1, round_id=99, game=1012)
        rows = [
            ROWS[0]._replace(id="1", ticket="101", stake=200, payout=50),
            ROWS[0]._replace(id="2", ticket="102", stake=300),
            ROWS[0]._replace(id="3", ticket="103", stake=100, payout=901),
            ROWS[0]._replace(id="4", ticket="105", game="slot", stake=40, payout=70),
            ROWS[0]._replace(id="5", ticket="107", stake=100),
            ROWS[0]._replace(id="6", ticket="108", stake=10**9, rejected=10**9),
            ROWS[0]._replace(id="7", ticket="999", stake=500, player_id="bob"),
        ]
        provider.serve_report(rows, page_size=3)
        cli("report", "pull")
        yield cli


def test_a_reconciliation_finds_each_difference(reconciled_wallet: InProcessCli) -> None:
    """Each difference has a name and both amounts. The totals cover both sides, and the exit code is 1."""
    result = reconciled_wallet.run("reconcile", "--json")
    assert (result.code, result.err) == (1, "")
    document = result.json
    assert document["ok"] is False
    assert document["counts"] == {
        "matched": 3,
        "amount differs": 1,
        "missing there": 1,
        "not due": 1,
        "refund unknown": 1,
        "no money": 1,
        "missing here": 1,
        "orphan win": 1,
    }
    found = {each["ticket"]: each for each in document["differences"]}
    assert {ticket: each["finding"] for ticket, each in found.items()} == {
        "103": "amount differs",
        "104": "missing there",
        "107": "refund unknown",
        "999": "missing here",
        "1": "orphan win",
    }
    amounts = ("ledger_stake", "ledger_payout", "report_stake", "report_payout")
    assert [found["103"][name] for name in amounts] == [100, 900, 100, 901]
    assert [found["104"][name] for name in amounts] == [100, 0, None, None]
    assert [found["999"][name] for name in amounts] == [None, None, 500, 0]
    assert (found["999"]["player_id"], found["999"]["currency"]) == ("bob", "MYR")
    totals = {(each["day"], each["game"]): each for each in document["totals"]}
    today = next(day for day, game in totals if game == "slot")
    slot = {"tickets": 1, "stake": 40, "payout": 70}
    assert totals[today, "slot"]["ledger"] == totals[today, "slot"]["report"] == slot
    assert totals[today, "fish"]["ledger"] == {"tickets": 4, "stake": 700, "payout": 950}
    assert totals[today, "fish"]["report"] == {"tickets": 4, "stake": 700, "payout": 951}
    assert totals["2026-01-02", "fish"]["report"] == {"tickets": 1, "stake": 500, "payout": 0}
    assert totals[today, "fish"]["currency"] == "MYR"


def test_a_bet_that_stays_open_is_found(reconciled_wallet: InProcessCli) -> None:
    """A bet is a difference when it is older than the limit. `--grace` excuses transactions shortly before the pull."""
    assert reconciled_wallet.run("reconcile", "--json", "--open-after", "0s").json["counts"]["open bet"] == 1
    counts = reconciled_wallet.run("reconcile", "--json", "--grace", "1h").json["counts"]
    assert counts["not due"] == 4
    assert counts["missing here"] == 1
    assert "missing there" not in counts


def test_a_reconciliation_for_people_and_for_spreadsheets(reconciled_wallet: InProcessCli) -> None:
    """People get tables and a result line, and spreadsheets get CSV."""
    result = reconciled_wallet.run("reconcile")
    assert result.code == 1
    lines = [split_cells(line) for line in result.out.splitlines()]
    assert ["amount differs", "103", "1.00", "9.00", "1.00", "9.01", "MYR", "ann", "fish"] in [
        line[:9] for line in lines
    ]
    assert result.out.splitlines()[-1].startswith("differs: 3 matched, ")
    as_csv = reconciled_wallet.run("reconcile", "--csv")
    assert as_csv.code == 1
    rows = list(csv.DictReader(io.StringIO(as_csv.out)))
    assert [row["ticket"] for row in rows] == ["103", "104", "107", "999", "1"]
    assert rows[0]["report_payout"] == "901"
    assert rows[1]["report_stake"] == ""


def test_another_player_s_bet_is_a_difference(cli: InProcessCli, provider: StubProvider) -> None:
    """The provider may decorate names, in any case, but a name of another player of this agent is not decoration."""
    reported = {"201": "12", "202": "op_12", "203": "OP_1", "204": "1", "205": "14"}
    cli("player", "add", "12", "--currency", "MYR")
    cli("agent", "add", "other")
    cli("player", "add", "14", "--currency", "MYR", "--agent", "other")
    with running_server(cli.db) as server:
        cli("player", "add", "1", "--currency", "MYR", "--balance", "50.00")
        token = cli.open_session("1")
        for ticket in reported:
            server.vela("betwin", access_token=token, ticket_id=ticket, total_bet=100, total_win=0, game_code="fish")
    rows = [ROWS[0]._replace(id=ticket, ticket=ticket, player_id=name, stake=100) for ticket, name in reported.items()]
    provider.serve_report(rows, page_size=9)
    cli("report", "pull")
    document = cli.run("reconcile", "--json").json
    assert [(each["ticket"], each["finding"]) for each in document["differences"]] == [
        ("201", "player differs"),
        ("202", "player differs"),
    ]
    assert document["counts"] == {"player differs": 2, "matched": 3}


def test_the_csv_of_a_reconciliation_has_no_formulas(cli: InProcessCli, provider: StubProvider) -> None:
    """The provider chooses players and games, and a spreadsheet may split cells at a semicolon."""
    rows = [
        ROWS[0]._replace(game="=1+1", player_id="ann;@SUM(1)", reported_at="-1+1"),
        ROWS[1]._replace(game="-5"),
    ]
    provider.serve_report(rows, page_size=2)
    cli("report", "pull")
    found = list(csv.DictReader(io.StringIO(cli.run("reconcile", "--csv").out)))
    assert [found[0][name] for name in ("game", "player_id", "at")] == ["'=1+1", "ann;'@SUM(1)", "'-1+1"]
    assert [found[1][name] for name in ("game", "player_id", "report_stake")] == ["-5", "ann", "200"]


def test_a_clean_reconciliation(cli: InProcessCli, provider: StubProvider) -> None:
    """The exit code is 0 and the line says ok. The report's amounts can be in whole units."""
    provider.serve_report([], page_size=2)
    cli("report", "pull")
    assert cli("reconcile")["ok"] is True
    assert cli.run("reconcile", "--csv").out.count("\n") == 1
    with running_server(cli.db) as server:
        token = cli.open_session("ann")
        server.vela("bet", access_token=token, ticket_id=101, total_bet=20000, game_code="fish")
        server.vela("result", access_token=token, ticket_id=101, total_win=150, game_code="fish")
    cli("agent", "set", "default", "--report-unit", "units")
    body = SERVICE.render_report(ReportPage([ROWS[0]._replace(ticket="101", stake=200, payout=15)], "1"))
    end = SERVICE.render_report(ReportPage([], "1"))
    provider.answer = lambda _path, query: (200, end if query["key"] == "1" else body.replace(b":15,", b":1.5,"))
    cli("report", "pull")
    result = cli.run("reconcile")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[-1].startswith("ok: 1 matched; last report pull ")
