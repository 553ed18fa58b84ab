"""What providers said, and what was said to them, in every engine."""

from minwallet.ledger.commands import Bet, BetWin, Cancel, Deposit, MoneyCommand, Settle, Win
from minwallet.ledger.outcomes import Applied, Outcome
from minwallet.ledger.reconciliation import ReportedTicket, ReportRow, Ticket
from minwallet.storage.base import Agent, GameList, Letters, Order, ReportMark, ReportSheet, Store
from tests.storage.shelf import NOW, VELA, Run, opening, operator, order, players

LOST = ReportRow("1", "7", "fish", "ann", 200, 0, status="done", reported_at="2026-01-02 03:04:05")


def sheet(after: str, key: str, *rows: ReportRow, ended_at_ms: int | None = None, anew: bool = False) -> ReportSheet:
    return ReportSheet(after, key, rows, ended_at_ms, anew)


def test_an_agent_s_settings_are_changed_one_by_one(store: Store, run: Run) -> None:
    """What is not named stays; what another agent has is refused, and then nothing changes."""
    other = run(store.add_agent("other", "t2", "h2", NOW))
    assert other
    changed = run(store.change_agent(1, {"service_url": "https://p.example", "host_id": "h1"}))
    assert changed == Agent(1, "default", "default", "h1", "https://p.example")
    assert run(store.change_agent(1, {"service_url": None, "report_unit": "units"})) == Agent(
        1, "default", "default", "h1", None, None, "units"
    )
    assert run(store.change_agent(2, {"wallet_token": "default", "game_url": "https://g.example"})) is None
    assert run(store.change_agent(2, {"host_id": "h1"})) is None
    assert run(store.change_agent(2, {"host_id": "h2"})) == other
    assert run(store.list_agents())[1] == other


def test_a_bearer_has_the_agent_s_new_wallet_token(store: Store, run: Run) -> None:
    """Whoever asks anew."""
    run(players(store, opening("ann", token="t1")))
    run(store.change_agent(1, {"wallet_token": "changed"}))
    run(store.add_agent("default2", "default", None, NOW))
    (found,) = [agent for agent in run(store.list_agents()) if agent.name == "default"]
    assert found.wallet_token == "changed"


def test_the_last_game_list_is_kept(store: Store, run: Run) -> None:
    """One an agent."""
    run(store.add_agent("other", "other", None, NOW))
    assert run(store.find_games(1)) is None
    run(store.keep_games(1, GameList(NOW, "[1]")))
    run(store.keep_games(1, GameList(NOW + 1, "[2]")))
    assert run(store.find_games(1)) == GameList(NOW + 1, "[2]")
    assert run(store.find_games(2)) is None


def test_a_sheet_and_its_key_are_kept_together(store: Store, run: Run) -> None:
    """A sheet that does not follow the last one changes nothing."""
    run(store.add_agent("other", "other", None, NOW))
    assert run(store.find_report_mark(1)) == ReportMark("", None)
    assert run(store.keep_report(1, sheet("", "1", LOST)))
    assert run(store.find_report_mark(1)) == ReportMark("1", None)
    assert not run(store.keep_report(1, sheet("", "2", LOST._replace(id="2", ticket="8"))))
    assert run(store.find_report_mark(1)) == ReportMark("1", None)
    assert run(store.keep_report(1, sheet("1", "1", ended_at_ms=NOW)))
    assert run(store.find_report_mark(1)) == ReportMark("1", NOW)
    assert run(store.keep_report(1, sheet("1", "2", LOST._replace(id="2", ticket="8"))))
    assert run(store.find_report_mark(1)) == ReportMark("2", NOW)
    assert [each.ticket for each in run(store.read_reported(1, "", 10))] == ["7", "8"]
    assert run(store.read_reported(2, "", 10)) == []
    assert run(store.find_report_mark(2)) == ReportMark()


def test_a_row_that_comes_again_is_the_same_row(store: Store, run: Run) -> None:
    """The provider's newest word on it counts."""
    run(store.keep_report(1, sheet("", "1", LOST)))
    run(store.keep_report(1, sheet("1", "2", LOST._replace(payout=90))))
    (found,) = run(store.read_reported(1, "", 10))
    assert (found.stake, found.payout) == (200, 90)


def test_a_report_may_be_begun_anew(store: Store, run: Run) -> None:
    """All that was kept goes with the first new sheet, another agent's stays."""
    run(store.add_agent("other", "other", None, NOW))
    run(store.keep_report(1, sheet("", "1", LOST, LOST._replace(id="2", ticket="8"))))
    run(store.keep_report(1, sheet("1", "1", ended_at_ms=NOW)))
    run(store.keep_report(2, sheet("", "1", LOST)))
    assert run(store.keep_report(1, sheet("", "1", LOST, anew=True)))
    assert run(store.find_report_mark(1)) == ReportMark("1", None)
    assert [each.ticket for each in run(store.read_reported(1, "", 10))] == ["7"]
    assert len(run(store.read_reported(2, "", 10))) == 1


def test_reported_tickets_are_read_in_order_and_whole(store: Store, run: Run) -> None:
    """A ticket's rows are one ticket wherever a page ends; its currency is known where the player has only one."""
    run(players(store, opening("ann"), opening("bob"), opening("bob", currency="EUR")))
    rows = [
        LOST._replace(id="3", ticket="10"),
        LOST,
        LOST._replace(id="2", stake=50, cancelled=20, payout=5),
        LOST._replace(id="4", ticket="9", player_id="bob"),
        LOST._replace(id="5", ticket="8", player_id="nobody"),
    ]
    run(store.keep_report(1, sheet("", "5", *rows)))
    first = run(store.read_reported(1, "", 2))
    assert [each.ticket for each in first] == ["10", "7"]
    assert first[1] == ReportedTicket("7", "fish", "ann", "USD", 230, 5, "2026-01-02 03:04:05")
    rest = run(store.read_reported(1, "7", 2))
    assert [(each.ticket, each.currency) for each in rest] == [("8", ""), ("9", "")]
    assert run(store.read_reported(1, "9", 2)) == []


def test_tickets_of_the_ledger(store: Store, run: Run) -> None:
    """What became of each, in order of their text; another protocol's and another agent's are not among them."""
    run(store.add_agent("other", "other", None, NOW))
    run(players(store, opening("ann", 1000), opening("bob", 1000, agent="other")))
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
        run(store.apply([order(move, 1, VELA)], NOW + number))
    run(store.apply([order(Bet("1", 100, "1", "fish"), 1)], NOW))
    run(store.apply([order(Bet("1", 100, "1", "fish"), 2, VELA)], NOW))

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
    assert run(store.read_tickets(1, VELA, "", 100)) == expected
    assert run(store.read_tickets(1, VELA, "10", 2)) == expected[2:4]
    assert run(store.read_tickets(1, "unheard of", "", 100)) == []
    assert [each.player_id for each in run(store.read_tickets(2, VELA, "", 100))] == ["bob"]


def test_orphans_are_wins_of_rounds_without_a_bet(store: Store, run: Run) -> None:
    """Once the bet arrives, or another of its round, the win is no orphan any more; if all are called off it is."""
    run(store.add_agent("other", "other", None, NOW))
    run(players(store, opening("ann", 1000), opening("bob", 1000, agent="other")))
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
        run(store.apply([order(move, 1)], NOW + number))
    run(store.apply([order(Win("1", 5, "91"), 2)], NOW))
    orphan = Ticket("1", "1012", "ann", "USD", 0, 5, True, False, False, NOW, NOW)
    assert run(store.read_orphans(1))[0] == orphan
    assert [each.ticket for each in run(store.read_orphans(1))] == ["1", "5"]
    assert [each.player_id for each in run(store.read_orphans(2))] == ["bob"]


def journal(outcome: Outcome) -> Letters:
    return Letters("asked", type(outcome).__name__)


def journalled(an_order: Order) -> Order:
    return an_order._replace(journal=journal)


def test_letters_are_kept_beside_the_row_they_made(store: Store, run: Run) -> None:
    """A retry, which makes no row, leaves none; a refusal that lasts does."""
    run(players(store, opening("ann", 100)))
    bet = journalled(order(Bet("1", 10, "1"), 1))
    for each in [bet, bet, journalled(order(Bet("2", 10**6, "2"), 1)), operator(Deposit("r", 1), 1)]:
        run(store.apply([each], NOW))
    found = [run(store.find_recorded(seq)) for seq in range(6)]
    assert [recorded and recorded.letters for recorded in found] == [
        None,
        None,
        Letters("asked", "Applied"),
        Letters("asked", "Refused"),
        None,
        None,
    ]
    assert found[0] is found[5] is None
    assert found[2]
    assert (found[2].entry.id, *found[2].owner) == ("1", "default", "ann", "USD")


def test_old_letters_are_forgotten_the_rows_never(store: Store, run: Run) -> None:
    """The oldest first, a slice at a time, and none that is young."""
    run(players(store, opening("ann", 100)))
    for number in range(5):
        outcomes = run(store.apply([journalled(order(Bet(str(number), 1, str(number)), 1))], NOW + number))
        assert isinstance(outcomes[0], Applied)
    assert run(store.prune_journal(NOW + 3, 2)) == 2
    assert run(store.prune_journal(NOW + 3, 2)) == 1
    assert run(store.prune_journal(NOW + 3, 2)) == 0
    found = [run(store.find_recorded(seq)) for seq in range(2, 7)]
    assert [bool(recorded and recorded.letters) for recorded in found] == [False, False, False, True, True]
    assert run(store.count_entries()) == 6
