"""Tests of pages of the ledger and of totals, with every engine."""

import asyncio
from collections.abc import Sequence

import pytest

from minwallet.ledger.commands import Adjust, Bet, BetWin, Cancel, Deposit, MoneyCommand, Settle, Win, Withdraw
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.time_units import MINUTE_MS
from minwallet.storage.models import AccountCommand
from minwallet.storage.queries import CurrencyBalance, DailyTotalKey, EntryPage, Filter, MinuteCount, OrphanWins, Total
from minwallet.storage.sqlite import ledger_pages
from minwallet.storage.store import Store
from tests.storage.store_helpers import (
    NOW,
    VELA,
    WALLET_V2,
    Run,
    create_players,
    make_command,
    make_new_account,
    make_operator_command,
)

DAY = NOW // (24 * 3600 * 1000)


def apply(store: Store, run: Run, *moves: tuple[int, str, MoneyCommand], now_ms: int = NOW) -> None:
    """Apply commands, given as (account_id, protocol, command), one after another."""
    for account_id, protocol, command in moves:
        made = (
            make_operator_command(command, account_id)
            if protocol == "operator"
            else make_command(command, account_id, protocol)
        )
        run(store.apply([made], now_ms))


def aggregate_all(store: Store, run: Run) -> None:
    while run(store.totals.aggregate_totals(3)):
        continue


def seqs(page: EntryPage) -> list[int]:
    return [row.entry.seq for row in page.rows]


def test_a_page_goes_on_where_the_last_one_ended(store: Store, run: Run) -> None:
    """For every filter, all matching entries come once, newest first."""
    run(create_players(store, make_new_account("ann"), make_new_account("bob")))
    for number in range(1, 8):
        apply(store, run, (1 + number % 2, WALLET_V2, Bet(str(number), 0, str(number), "1012")))
    for wanted, expected in {
        Filter(): [7, 6, 5, 4, 3, 2, 1],
        Filter(game="1012", agent="default"): [7, 6, 5, 4, 3, 2, 1],
        Filter(agent="default", player_id="bob"): [7, 5, 3, 1],
        Filter(agent="default", player_id="ann", currency="EUR"): [],
        Filter(player_id="ann"): [6, 4, 2],
        Filter(id="3"): [3],
        Filter(round="4"): [4],
        Filter(kind="win"): [],
    }.items():
        found: list[int] = []
        before = None
        while True:
            page = run(store.ledger.read_page(wanted, before, 2))
            found += seqs(page)
            before = page.next_seq
            if before is None:
                break
        assert found == expected, wanted


def test_a_page_far_beyond_the_end_is_the_newest(store: Store, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page far beyond the end starts at the newest entry, for the ledger and for open bets."""
    monkeypatch.setattr("minwallet.storage.sqlite.ledger_pages.MAX_SCANNED_ROWS", 5)
    monkeypatch.setattr("minwallet.storage.sqlite.ledger_pages.MAX_SCANNED_OPEN_ROWS", 5)
    run(create_players(store, make_new_account("ann")))
    for number in range(1, 4):
        apply(store, run, (1, WALLET_V2, Bet(str(number), 0, str(number), "1012")))
    for read in (store.ledger.read_page(Filter(), 2**63 - 1, 10), store.ledger.read_open_bets(None, 2**63 - 1, 10)):
        page = run(read)
        assert (seqs(page), page.next_seq) == ([3, 2, 1], None)


def test_a_time_is_found_whatever_the_clock_did(store: Store, run: Run) -> None:
    """Rows are in the order of writing, and a clock may be set back. No row is missed, aggregated or not."""
    run(create_players(store, make_new_account("ann")))
    times = [NOW, NOW + 10 * MINUTE_MS, NOW + 5 * MINUTE_MS, NOW + 20 * MINUTE_MS, NOW + 6 * MINUTE_MS]
    for number, now_ms in enumerate(times, 1):
        apply(store, run, (1, WALLET_V2, Bet(str(number), 0, str(number))), now_ms=now_ms)
        assert run(store.totals.aggregate_totals(2)) <= 2
    for _ in range(2):
        for since, until in [(0, 60), (5, 7), (6, 20), (10, 10), (20, 21), (21, 60)]:
            wanted = Filter(since_ms=NOW + since * MINUTE_MS, until_ms=NOW + until * MINUTE_MS)
            expected = [number for number, at in enumerate(times, 1) if since <= (at - NOW) / MINUTE_MS < until]
            assert seqs(run(store.ledger.read_page(wanted, None, 9))) == expected[::-1]
        apply(store, run, (1, WALLET_V2, Bet("late", 0, "late")), now_ms=NOW - MINUTE_MS)


def test_a_rare_match_is_found_page_by_page(store: Store, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page searches a bounded number of rows and returns where the next one begins."""
    monkeypatch.setattr(ledger_pages, "MAX_SCANNED_ROWS", 3)
    run(create_players(store, make_new_account("ann"), make_new_account("bob")))
    for number in range(1, 9):
        apply(store, run, (1, WALLET_V2, Bet(str(number), 0, str(number), "rare" if number == 2 else "1012")))
    for wanted in (Filter(game="rare"), Filter(agent="default", player_id="ann", game="rare")):
        found: list[int] = []
        page = run(store.ledger.read_page(wanted, None, 5))
        while True:
            found += seqs(page)
            if page.next_seq is None:
                break
            page = run(store.ledger.read_page(wanted, page.next_seq, 5))
        assert found == [2]
    after, found = 0, []
    while after < 8:
        page = run(store.ledger.read_entries_after(Filter(game="rare"), after, 5))
        assert page.next_seq is not None
        assert page.next_seq > after
        found, after = found + seqs(page), page.next_seq
    assert found == [2]


def test_entries_after_come_once_and_in_order(store: Store, run: Run) -> None:
    """A reader that continues at `next_seq` misses nothing."""
    run(create_players(store, make_new_account("ann"), make_new_account("bob")))
    assert run(store.ledger.read_entries_after(Filter(), 0, 9)) == EntryPage([], 0)
    for number in range(1, 6):
        apply(store, run, (1 + number % 2, WALLET_V2, Bet(str(number), 0, str(number))))
    page = run(store.ledger.read_entries_after(Filter(), 2, 2))
    assert (seqs(page), page.next_seq) == ([3, 4], 4)
    page = run(store.ledger.read_entries_after(Filter(player_id="ann"), 2, 9))
    assert (seqs(page), page.next_seq) == ([4], 5)
    assert run(store.ledger.read_entries_after(Filter(), 5, 9)) == EntryPage([], 5)


def test_an_open_bet_is_one_that_nothing_has_ended(store: Store, run: Run) -> None:
    """An open bet is not refused, not cancelled, and no win of its round follows it. A bet after that win is open."""
    run(store.accounts.add_agent("two", "two", None, NOW))
    run(create_players(store, make_new_account("ann", 500), make_new_account("bob", 500, agent="two")))
    apply(
        store,
        run,
        (1, WALLET_V2, Bet("1", 1, "1")),
        (1, WALLET_V2, Bet("2", 1, "1")),
        (1, WALLET_V2, Win("3", 1, "1")),
        (1, WALLET_V2, Bet("4", 1, "1")),
        (1, WALLET_V2, Bet("5", 1, "5")),
        (1, WALLET_V2, Cancel("5")),
        (1, WALLET_V2, Bet("6", 999, "6")),
        (1, VELA, Bet("7", 1, "7")),
        (1, VELA, Settle("7", 0)),
        (1, VELA, Bet("8", 1, "8")),
        (1, VELA, BetWin("9", 1, 0)),
        (2, WALLET_V2, Bet("1", 1, "1")),
        (2, WALLET_V2, Win("3", 0, "other")),
    )
    page = run(store.ledger.read_open_bets(None, None, 9))
    assert [(row.owner.player_id, row.entry.id) for row in page.rows] == [("bob", "1"), ("ann", "8"), ("ann", "4")]
    page = run(store.ledger.read_open_bets("default", None, 1))
    assert [row.entry.id for row in page.rows] == ["8"]
    assert [row.entry.id for row in run(store.ledger.read_open_bets("default", page.next_seq, 9)).rows] == ["4"]
    assert run(store.ledger.count_open_rounds(100)) == 3


def test_an_open_round_is_counted_once(store: Store, run: Run) -> None:
    """A round counts once, whatever the number of its open bets, if one is among the newest rows."""
    run(create_players(store, make_new_account("ann", 500)))
    apply(store, run, *((1, WALLET_V2, Bet(id_, 1, of)) for id_, of in (("1", "1"), ("2", "2"), ("3", "2"))))
    assert [run(store.ledger.count_open_rounds(among)) for among in (1, 2, 3, 100)] == [1, 1, 2, 2]


def test_totals_are_of_a_day_an_agent_a_currency_and_a_game(store: Store, run: Run) -> None:
    """The gross gaming revenue is stakes less payouts and refunds. Refused bets do not count. Adjustments are apart."""
    run(create_players(store, make_new_account("ann", 1000, 50)))
    apply(
        store,
        run,
        (1, WALLET_V2, Bet("1", 300, "1", "1012")),
        (1, WALLET_V2, Win("2", 100, "1", "1012")),
        (1, WALLET_V2, Win("3", 7, "unheard of", "1012")),
        (1, WALLET_V2, Bet("4", 40, "4", "1012")),
        (1, WALLET_V2, Cancel("4")),
        (1, WALLET_V2, Cancel("5")),
        (1, WALLET_V2, Bet("6", 9999, "6", "1012")),
        (1, VELA, BetWin("7", 10, 30, "slot")),
        (1, VELA, Cancel("7")),
        (1, "operator", Deposit("a", 5, 6)),
        (1, "operator", Withdraw("b", 2)),
        (1, "operator", Adjust("c", 8, 9)),
        (1, "operator", Adjust("d", -20)),
    )
    apply(store, run, (1, VELA, BetWin("8", 10, 0, "slot")), now_ms=NOW + 24 * 3600 * 1000)
    aggregate_all(store, run)
    v2 = Total(bets=2, staked=340, wins=2, paid=107, refunds=1, refunded=40, moved=-193, orphan_wins=1, orphan_paid=7)
    today = [
        (DailyTotalKey(DAY, "default", "USD", "opening", ""), Total(deposited=1050, moved=1050)),
        (DailyTotalKey(DAY, "default", "USD", "operator", ""), Total(deposited=11, withdrawn=2, adjusted=-3, moved=6)),
        (DailyTotalKey(DAY, "default", "USD", VELA, "slot"), Total(1, 10, 1, 30, 1, -20)),
        (DailyTotalKey(DAY, "default", "USD", WALLET_V2, ""), Total()),
        (DailyTotalKey(DAY, "default", "USD", WALLET_V2, "1012"), v2),
    ]
    assert run(store.totals.read_totals(DAY, DAY + 1, None)) == today
    assert v2.ggr == 193
    assert [key.day for key, _ in run(store.totals.read_totals(DAY + 1, DAY + 9, "default"))] == [DAY + 1]
    assert run(store.totals.read_totals(DAY, DAY + 9, "nobody")) == []


def test_a_result_counts_for_the_game_of_its_bet(store: Store, run: Run) -> None:
    """A result counts for its bet's game, also if it names no game."""
    run(create_players(store, make_new_account("ann", 1000)))
    apply(store, run, (1, VELA, Bet("7", 100, "7", "fish")), (1, VELA, Settle("7", 30)), (1, VELA, Bet("8", 1, "8")))
    aggregate_all(store, run)
    games = {key.game: total.ggr for key, total in run(store.totals.read_totals(DAY, DAY + 1, None))}
    assert games == {"": 1, "fish": 70}


def test_sums_are_right_however_much_is_added_up(store: Store, run: Run) -> None:
    """Sums are correct beyond 63 bits, of two players' balances and of one player's turnover."""
    run(
        create_players(
            store,
            make_new_account("ann", MAX_CENTS),
            make_new_account("bob", MAX_CENTS),
            make_new_account("carl", 0, 5, currency="EUR"),
        )
    )
    assert run(store.totals.read_currency_balances()) == [
        CurrencyBalance("EUR", 1, 0, 5, 5),
        CurrencyBalance("USD", 2, 2 * MAX_CENTS, 0, 2 * MAX_CENTS),
    ]
    for number in range(3):
        moves: Sequence[tuple[int, str, MoneyCommand]] = [
            (1, VELA, BetWin(f"{number}", MAX_CENTS, MAX_CENTS, "slot")),
            (2, WALLET_V2, Bet(f"{number}", MAX_CENTS, f"{number}", "slot")),
            (2, WALLET_V2, Cancel(f"{number}")),
        ]
        apply(store, run, *moves)
        aggregate_all(store, run)
    totals = {key.protocol: total for key, total in run(store.totals.read_totals(DAY, DAY + 1, None))}
    assert totals[VELA] == Total(3, 3 * MAX_CENTS, 3, 3 * MAX_CENTS)
    assert totals[WALLET_V2] == Total(bets=3, staked=3 * MAX_CENTS, refunds=3, refunded=3 * MAX_CENTS)
    assert totals["opening"] == Total(deposited=2 * MAX_CENTS, moved=2 * MAX_CENTS)
    assert all(holding.is_consistent for holding in run(store.totals.read_currency_balances()))


def test_wins_without_a_bet_are_counted(store: Store, run: Run) -> None:
    """They are counted by currency, aggregated or not, and no other win is. The sum has no limit."""
    run(
        create_players(
            store,
            make_new_account("ann", 10),
            make_new_account("bob", currency="EUR"),
            make_new_account("cat", currency="GBP"),
        )
    )
    assert run(store.totals.read_orphan_wins()) == []
    for number in range(3):
        apply(
            store,
            run,
            (1, WALLET_V2, Win(f"w{number}", 4, "unknown")),
            (1, WALLET_V2, Bet(f"b{number}", 1, f"b{number}")),
            (1, WALLET_V2, Win(f"v{number}", 1, f"b{number}")),
            (2, WALLET_V2, Win(f"e{number}", MAX_CENTS - 5, "unknown")),
            (2, WALLET_V2, Bet(f"f{number}", MAX_CENTS - 5, f"f{number}")),
            (3, WALLET_V2, Win(f"g{number}", 5)),
        )
        counted = [OrphanWins("EUR", number + 1, (number + 1) * (MAX_CENTS - 5))]
        counted += [OrphanWins("USD", number + 1, 4 * (number + 1))]
        assert run(store.totals.read_orphan_wins()) == counted
        run(store.totals.aggregate_totals(4))
        assert run(store.totals.read_orphan_wins()) == counted


def test_minutes_count_bets_that_took_money(store: Store, run: Run) -> None:
    """Minutes are returned from a given time on."""
    run(create_players(store, make_new_account("ann", 100)))
    minute = NOW // MINUTE_MS * MINUTE_MS
    for later in (0, 59_999, MINUTE_MS, 3 * MINUTE_MS):
        apply(store, run, (1, VELA, BetWin(f"{later}", 1, 0)), now_ms=minute + later)
        aggregate_all(store, run)
    apply(store, run, (1, VELA, BetWin("9", 1000, 0)), now_ms=minute + 3 * MINUTE_MS)
    aggregate_all(store, run)
    counted = [MinuteCount(minute, 2), MinuteCount(minute + MINUTE_MS, 1), MinuteCount(minute + 3 * MINUTE_MS, 1)]
    assert run(store.totals.read_minute_counts(minute)) == counted
    assert run(store.totals.read_minute_counts(minute + 2 * MINUTE_MS)) == counted[2:]


def test_rows_are_added_up_once_whoever_asks(store: Store, run: Run) -> None:
    """Two concurrent aggregations add each row once."""
    run(create_players(store, make_new_account("ann", 100)))
    for number in range(9):
        apply(store, run, (1, WALLET_V2, Bet(str(number), 1, str(number))))

    async def at_once() -> None:
        while any(await asyncio.gather(*(store.totals.aggregate_totals(2) for _ in range(3)))):
            continue

    run(at_once())
    assert sum(total.bets for _, total in run(store.totals.read_totals(DAY, DAY + 1, None))) == 9
    assert sum(minute.bets for minute in run(store.totals.read_minute_counts(0))) == 9
    assert all(holding.is_consistent for holding in run(store.totals.read_currency_balances()))


def test_a_batch_that_comes_between_is_added_up_next(store: Store, run: Run) -> None:
    """An aggregation ends with the ledger's newest row, and the next one continues there."""
    run(create_players(store, make_new_account("ann", 100)))
    first = [
        AccountCommand(Bet(str(number), 1, str(number)), WALLET_V2, 1, None, ids_per_currency=True) for number in (1, 2)
    ]
    for made in first:
        run(store.apply([made], NOW))
    aggregate_all(store, run)
    apply(store, run, (1, WALLET_V2, Bet("3", 1, "3")))
    aggregate_all(store, run)
    aggregate_all(store, run)
    ((_, opened), (_, bets)) = run(store.totals.read_totals(DAY, DAY + 1, None))
    assert (opened.moved, bets.bets, bets.staked) == (100, 3, 3)


def test_the_sources_of_entries_are_listed(store: Store, run: Run) -> None:
    """They are the protocols that entries have, of one agent or of all."""
    run(store.accounts.add_agent("two", "two", None, NOW))
    run(create_players(store, make_new_account("ann", 100), make_new_account("bob", 100, agent="two")))
    apply(store, run, (1, WALLET_V2, Bet("1", 1, "1")), (2, VELA, Bet("1", 1, "1")), (2, "operator", Deposit("d", 1)))
    assert run(store.ledger.list_sources()) == ["opening", "operator", "vela", "wallet-v2"]
    assert run(store.ledger.list_sources("two")) == ["opening", "operator", "vela"]
    assert run(store.ledger.list_sources("three")) == []
