"""Tests of game lists, reports, tickets and the journal, with every engine."""

from minwallet.ledger.commands import Bet, BetWin, Cancel, MoneyCommand, Settle, Win
from minwallet.ledger.reconciliation import ReportedTicket, ReportRow, Ticket
from minwallet.storage.models import Agent, GameList, ReportBatch, ReportCursor
from minwallet.storage.store import Store
from minwallet.wallet.sessions import build_new_session
from tests.storage.store_helpers import (
    NOW,
    VELA,
    Run,
    create_players,
    make_command,
    make_new_account,
)

LOST_ROW = ReportRow("1", "7", "fish", "ann", 200, 0, status="done", reported_at="2026-01-02 03:04:05")


def make_report_batch(
    after: str, key: str, *rows: ReportRow, ended_at_ms: int | None = None, restart: bool = False
) -> ReportBatch:
    return ReportBatch(after, key, rows, ended_at_ms, restart)


def test_an_agent_s_settings_are_changed_one_by_one(store: Store, run: Run) -> None:
    """Other settings stay. A value of another agent is refused, and nothing changes."""
    other = run(store.accounts.add_agent("other", "t2", "h2", NOW))
    assert other
    changed = run(store.accounts.change_agent(1, {"service_url": "https://p.example", "host_id": "h1"}))
    assert changed == Agent(1, "default", "default", "h1", "https://p.example")
    assert run(store.accounts.change_agent(1, {"service_url": None, "report_unit": "units"})) == Agent(
        1, "default", "default", "h1", None, None, "units"
    )
    assert run(store.accounts.change_agent(2, {"wallet_token": "default", "game_url": "https://g.example"})) is None
    assert run(store.accounts.change_agent(2, {"host_id": "h1"})) is None
    assert run(store.accounts.change_agent(2, {"host_id": "h2"})) == other
    assert run(store.accounts.list_agents())[1] == other


def test_a_session_holder_has_the_agents_new_wallet_token(store: Store, run: Run) -> None:
    """A session that is read again has the agent's new wallet token."""
    run(create_players(store, make_new_account("ann", token="t1")))
    run(store.accounts.change_agent(1, {"wallet_token": "changed"}))
    run(store.accounts.add_agent("default2", "default", None, NOW))
    (found,) = [agent for agent in run(store.accounts.list_agents()) if agent.name == "default"]
    assert found.wallet_token == "changed"


def test_the_last_game_list_is_kept(store: Store, run: Run) -> None:
    """Each agent has one game list."""
    run(store.accounts.add_agent("other", "other", None, NOW))
    assert run(store.reports.find_games(1)) is None
    run(store.reports.save_games(1, GameList(NOW, "[1]")))
    run(store.reports.save_games(1, GameList(NOW + 1, "[2]")))
    assert run(store.reports.find_games(1)) == GameList(NOW + 1, "[2]")
    assert run(store.reports.find_games(2)) is None


def test_a_report_batch_and_its_key_are_saved_together(store: Store, run: Run) -> None:
    """A batch that does not continue the last one changes nothing."""
    run(store.accounts.add_agent("other", "other", None, NOW))
    assert run(store.reports.find_report_cursor(1)) == ReportCursor("", None)
    assert run(store.reports.save_report(1, make_report_batch("", "1", LOST_ROW)))
    assert run(store.reports.find_report_cursor(1)) == ReportCursor("1", None)
    assert not run(store.reports.save_report(1, make_report_batch("", "2", LOST_ROW._replace(id="2", ticket="8"))))
    assert run(store.reports.find_report_cursor(1)) == ReportCursor("1", None)
    assert run(store.reports.save_report(1, make_report_batch("1", "1", ended_at_ms=NOW)))
    assert run(store.reports.find_report_cursor(1)) == ReportCursor("1", NOW)
    assert run(store.reports.save_report(1, make_report_batch("1", "2", LOST_ROW._replace(id="2", ticket="8"))))
    assert run(store.reports.find_report_cursor(1)) == ReportCursor("2", NOW)
    assert [each.ticket for each in run(store.reports.read_reported_tickets(1, "", 10))] == ["7", "8"]
    assert run(store.reports.read_reported_tickets(2, "", 10)) == []
    assert run(store.reports.find_report_cursor(2)) == ReportCursor()


def test_a_repeated_report_row_is_replaced(store: Store, run: Run) -> None:
    """A row with a known ticket and id replaces the stored one."""
    run(store.reports.save_report(1, make_report_batch("", "1", LOST_ROW)))
    run(store.reports.save_report(1, make_report_batch("1", "2", LOST_ROW._replace(payout=90))))
    (found,) = run(store.reports.read_reported_tickets(1, "", 10))
    assert (found.stake, found.payout) == (200, 90)


def test_a_report_can_be_restarted(store: Store, run: Run) -> None:
    """The first batch of a restart deletes the agent's rows, but not another agent's."""
    run(store.accounts.add_agent("other", "other", None, NOW))
    run(store.reports.save_report(1, make_report_batch("", "1", LOST_ROW, LOST_ROW._replace(id="2", ticket="8"))))
    run(store.reports.save_report(1, make_report_batch("1", "1", ended_at_ms=NOW)))
    run(store.reports.save_report(2, make_report_batch("", "1", LOST_ROW)))
    assert run(store.reports.save_report(1, make_report_batch("", "1", LOST_ROW, restart=True)))
    assert run(store.reports.find_report_cursor(1)) == ReportCursor("1", None)
    assert [each.ticket for each in run(store.reports.read_reported_tickets(1, "", 10))] == ["7"]
    assert len(run(store.reports.read_reported_tickets(2, "", 10))) == 1


def test_players_are_found_by_name_in_any_case(store: Store, run: Run) -> None:
    """Only players of the agent are found."""
    run(store.accounts.add_agent("other", "other", None, NOW))
    names = ["ann", "Ann", "bob", "x-1"]
    run(create_players(store, *map(make_new_account, names), make_new_account("cy", agent="other")))
    assert run(store.reports.find_players(1, ["ANN", "x-1", "cy", "o", "\u212a", "'"])) == ["Ann", "ann", "x-1"]
    assert run(store.reports.find_players(1, [])) == []


def test_a_reported_player_s_currency_is_found_in_any_case(store: Store, run: Run) -> None:
    """An equal name counts before one that differs in case."""
    run(
        create_players(
            store,
            make_new_account("ann"),
            make_new_account("Ann", currency="EUR"),
            make_new_account("bob", currency="MYR"),
        )
    )
    names = ["ann", "Ann", "ANN", "BOB"]
    rows = [LOST_ROW._replace(id=str(at), ticket=str(at), player_id=name) for at, name in enumerate(names)]
    run(store.reports.save_report(1, make_report_batch("", "5", *rows)))
    found = run(store.reports.read_reported_tickets(1, "", 9))
    assert [each.currency for each in found] == ["USD", "EUR", "", "MYR"]


def test_reported_tickets_are_read_in_order_and_whole(store: Store, run: Run) -> None:
    """The rows of a ticket are on one page. The currency is known if the player has only one."""
    run(
        create_players(store, make_new_account("ann"), make_new_account("bob"), make_new_account("bob", currency="EUR"))
    )
    rows = [
        LOST_ROW._replace(id="3", ticket="10"),
        LOST_ROW,
        LOST_ROW._replace(id="2", stake=50, cancelled=20, payout=5),
        LOST_ROW._replace(id="4", ticket="9", player_id="bob"),
        LOST_ROW._replace(id="5", ticket="8", player_id="nobody"),
    ]
    run(store.reports.save_report(1, make_report_batch("", "5", *rows)))
    first = run(store.reports.read_reported_tickets(1, "", 2))
    assert [each.ticket for each in first] == ["10", "7"]
    assert first[1] == ReportedTicket("7", "fish", "ann", "USD", 230, 5, "2026-01-02 03:04:05")
    rest = run(store.reports.read_reported_tickets(1, "7", 2))
    assert [(each.ticket, each.currency) for each in rest] == [("8", ""), ("9", "")]
    assert run(store.reports.read_reported_tickets(1, "9", 2)) == []


def test_tickets_of_the_ledger(store: Store, run: Run) -> None:
    """Tickets have their state and are in order of their text, without other protocols' and agents' tickets."""
    run(store.accounts.add_agent("other", "other", None, NOW))
    run(create_players(store, make_new_account("ann", 1000), make_new_account("bob", 1000, agent="other")))
    moves: list[MoneyCommand] = [
        Bet("1", 100, "1", "fish"),
        Settle("1", 30, "fish"),
        Bet("2", 100, "2", "fish"),
        Bet("3", 100, "3", "fish"),
        Cancel("3"),
        BetWin("4", 50, 70, "slot"),
        BetWin("5", 50, 10, "slot"),
        Cancel("5"),
        Bet("6", 10**6, "6", "fish"),
        Cancel("7"),
        Bet("10", 1, "10"),
        Settle("10", 0, "late"),
    ]
    for number, move in enumerate(moves):
        run(store.apply([make_command(move, 1, VELA)], NOW + number))
    run(store.apply([make_command(Bet("1", 100, "1", "fish"), 1)], NOW))
    run(store.apply([make_command(Bet("1", 100, "1", "fish"), 2, VELA)], NOW))

    def ticket(
        number: int, game: str, money: tuple[int, int], times: tuple[int, int], *, is_open: bool = False
    ) -> Ticket:
        stake, payout = money
        opened, moved = (NOW + time for time in times)
        return Ticket(str(number), game, "ann", "USD", stake, payout, True, is_open, False, opened, moved)

    expected = [
        ticket(1, "fish", (100, 30), (0, 1)),
        ticket(10, "late", (1, 0), (10, 11)),
        ticket(2, "fish", (100, 0), (2, 2))._replace(is_open=True),
        ticket(3, "fish", (100, 0), (3, 4))._replace(is_refunded=True),
        ticket(4, "slot", (50, 70), (5, 5)),
        ticket(5, "slot", (50, 10), (6, 7))._replace(is_refunded=True),
        ticket(6, "fish", (10**6, 0), (8, 8))._replace(has_taken_money=False),
        ticket(7, "", (0, 0), (9, 9))._replace(has_taken_money=False),
    ]
    assert run(store.reports.read_tickets(1, VELA, "", 100)) == expected
    assert run(store.reports.read_tickets(1, VELA, "10", 2)) == expected[2:4]
    assert run(store.reports.read_tickets(1, "unheard of", "", 100)) == []
    assert [each.player_id for each in run(store.reports.read_tickets(2, VELA, "", 100))] == ["bob"]


def test_orphans_are_wins_of_rounds_without_a_bet(store: Store, run: Run) -> None:
    """A win stops being an orphan when a bet of its round arrives, and is one again if all are cancelled."""
    run(store.accounts.add_agent("other", "other", None, NOW))
    run(create_players(store, make_new_account("ann", 1000), make_new_account("bob", 1000, agent="other")))
    moves: list[MoneyCommand] = [
        Win("1", 5, "91", "1012"),
        Win("2", 6, "92", "1012"),
        Bet("92", 10, "92"),
        Win("3", 7, "93"),
        Bet("4", 10, "93"),
        Win("5", 8, "95"),
        Bet("95", 10, "95"),
        Cancel("95"),
        Win("6", 9, None),
    ]
    for number, move in enumerate(moves):
        run(store.apply([make_command(move, 1)], NOW + number))
    run(store.apply([make_command(Win("1", 5, "91"), 2)], NOW))
    # A late win of an ended session is an orphan without a round too, and no bet can match it later.
    run(store.sessions.add_session(1, build_new_session("ended", NOW), NOW))
    late_win = make_command(Win("7", 9), 1, session_id=1)._replace(settle_ms=1)
    run(store.apply([late_win], NOW))
    orphan = Ticket("1", "1012", "ann", "USD", 0, 5, True, False, False, NOW, NOW)
    assert run(store.reports.read_orphans(1))[0] == orphan
    assert [each.ticket for each in run(store.reports.read_orphans(1))] == ["1", "5", "7"]
    assert [each.player_id for each in run(store.reports.read_orphans(2))] == ["bob"]
