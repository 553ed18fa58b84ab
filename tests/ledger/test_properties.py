"""Properties of every history: any commands in any order."""

import operator

from hypothesis import given
from hypothesis import strategies as st

from minwallet.ledger.audit import AccountRef, Audit
from minwallet.ledger.commands import (
    Adjust,
    Bet,
    BetWin,
    Cancel,
    Deposit,
    EndRound,
    GameCommand,
    MoneyCommand,
    Rollback,
    RollbackRound,
    Settle,
    Win,
    WinCategory,
    Withdraw,
)
from minwallet.ledger.decide import decide
from minwallet.ledger.entries import Kind, State
from minwallet.ledger.limits import EffectiveValue, Limit, LimitKind, LimitPeriod
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.outcomes import Applied, Outcome, Refused, Replayed
from minwallet.ledger.snapshot import Session
from minwallet.ledger.time_units import DAY_MS
from tests.ledger.builders import (
    EXPIRED,
    LIVE,
    ME,
    NO_HISTORY,
    NOW_MS,
    OTHER,
    REVOKED,
    WITHOUT_EXPIRY,
    snapshot,
    summarize,
    written_entry,
)
from tests.ledger.in_memory_ledger import UNCOUNTED, InMemoryLedger

ids = st.integers(1, 6).map(str)
amounts = st.one_of(st.integers(0, 1500), st.sampled_from([MAX_CENTS, MAX_CENTS - 1000]))
money = st.integers(0, MAX_CENTS // 2)

game_commands: st.SearchStrategy[GameCommand] = st.one_of(
    st.builds(Bet, ids, amounts, ids, checks_round=st.booleans()),
    st.builds(Win, ids, amounts, st.none() | ids, category=st.none() | st.sampled_from(WinCategory)),
    st.builds(Settle, ids, amounts, checks_round=st.booleans()),
    st.builds(BetWin, ids, amounts, amounts, checks_round=st.booleans()),
    st.builds(Cancel, ids, st.none() | ids),
    st.builds(Rollback, ids | ids.map("r{}".format), ids, st.none() | st.integers(0, 1500), st.booleans()),
    st.builds(RollbackRound, ids.map("r{}".format), ids, st.booleans()),
    st.builds(EndRound, ids.map("r{}".format), ids),
)
money_commands: st.SearchStrategy[MoneyCommand] = st.one_of(
    game_commands,
    game_commands,
    st.builds(Deposit, ids.map("d{}".format), amounts, amounts),
    st.builds(Withdraw, ids.map("w{}".format), amounts, amounts),
    st.builds(Adjust, ids.map("a{}".format), amounts | amounts.map(operator.neg), st.integers(-600, 600)),
)

LedgerStep = tuple[MoneyCommand, int, Session, bool]

steps: st.SearchStrategy[LedgerStep] = st.tuples(
    money_commands, st.sampled_from([ME, ME, OTHER]), st.sampled_from([LIVE, LIVE, EXPIRED, REVOKED]), st.booleans()
)
histories = st.lists(steps, min_size=1, max_size=25)


def execute_step(ledger: InMemoryLedger, step: LedgerStep) -> Outcome:
    command, account_id, session, is_blocked = step
    return ledger.execute(command, account_id, session=session, is_blocked=is_blocked)


def build_funded_ledger() -> InMemoryLedger:
    """Return a ledger in which both players have money."""
    ledger = InMemoryLedger()
    for account_id in (ME, OTHER):
        ledger.execute(Deposit(f"first{account_id}", 5000, 500), account_id)
    return ledger


@given(histories)
def test_every_history_verifies(history: list[LedgerStep]) -> None:
    """No balance is negative, no sum exceeds 2^63-1, and the entries sum and chain up to the accounts."""
    book = build_funded_ledger()
    for step in history:
        execute_step(book, step)
        for account in book.accounts.values():
            assert min(account.cash, account.bonus) >= 0
            assert account.cash + account.bonus <= MAX_CENTS
    audit = Audit()
    audit.register({ME: AccountRef("default", "alice", "USD"), OTHER: AccountRef("default", "bob", "USD")})
    audit.add(book.entries)
    audit.finish(book.accounts.values())
    assert audit.problems == []


@given(histories)
def test_a_request_delivered_twice_counts_once(history: list[LedgerStep]) -> None:
    """An applied or permanently refused command gets the same outcome again immediately, and moves nothing."""
    book = build_funded_ledger()
    for step in history:
        first = execute_step(book, step)
        rows, accounts = list(book.entries), dict(book.accounts)
        again = execute_step(book, step)
        assert (book.entries, book.accounts) == (rows, accounts)
        if isinstance(first, Applied):
            assert again == Replayed(first.entry, first.cash, first.bonus)
        elif isinstance(first, Refused):
            assert again == first._replace(entry=None)
        else:
            assert again == first


@given(histories)
def test_only_an_entry_moves_money(history: list[LedgerStep]) -> None:
    """An outcome without an entry leaves the account unchanged; a refused or closed entry has no amount."""
    book = build_funded_ledger()
    for step in history:
        before = book.accounts[step[1]]
        outcome = execute_step(book, step)
        after = book.accounts[step[1]]
        if not isinstance(outcome, Applied):
            assert after[1:3] == before[1:3]
        elif outcome.entry.state is State.CLOSED:
            assert (outcome.entry.amount, outcome.entry.bonus_amount) == (0, 0)


@given(money, money, st.data())
def test_cancelling_a_bet_restores_both_parts(cash: int, bonus: int, data: st.DataObject) -> None:
    """Cash and bonus are the same as before the bet, however the bet was split."""
    stake = data.draw(st.integers(0, cash + bonus))
    bet = written_entry(decide(snapshot(cash, bonus), Bet("3", stake, "3"), NOW_MS))
    before = snapshot(bet.cash_after, bet.bonus_after, history=NO_HISTORY.append(bet), head=bet.hash, last_seq=bet.seq)
    assert summarize(decide(before, Cancel("3"), NOW_MS))[:3] == ("applied", cash, bonus)


@given(money, money, st.data())
def test_a_bet_takes_cash_first(cash: int, bonus: int, data: st.DataObject) -> None:
    """A bet takes bonus only if no cash is left, and both parts together are exactly the stake."""
    stake = data.draw(st.integers(0, cash + bonus))
    bet = written_entry(decide(snapshot(cash, bonus), Bet("3", stake, "3"), NOW_MS))
    assert bet.amount + bet.bonus_amount == -stake
    assert bet.bonus_amount == 0 or bet.cash_after == 0


@given(money, money, st.data())
def test_refunding_a_betwin_restores_both_parts(cash: int, bonus: int, data: st.DataObject) -> None:
    """Cash and bonus are the same as before the betwin, whatever it won."""
    stake = data.draw(st.integers(0, cash + bonus))
    payout = data.draw(st.integers(0, MAX_CENTS - (cash + bonus - stake)))
    betwin = written_entry(decide(snapshot(cash, bonus), BetWin("3", stake, payout), NOW_MS))
    before = snapshot(betwin.cash_after, betwin.bonus_after, history=NO_HISTORY.append(betwin))
    assert summarize(decide(before, Cancel("3"), NOW_MS))[:3] == ("applied", cash, bonus)


@given(money, money, st.data())
def test_a_betwin_is_refunded_unless_cash_would_be_negative(cash: int, bonus: int, data: st.DataObject) -> None:
    """After the player has spent a part of the balance, the refund is one net movement of each balance, or nothing."""
    stake = data.draw(st.integers(0, cash + bonus))
    payout = data.draw(st.integers(0, stake) | st.integers(0, MAX_CENTS - (cash + bonus - stake)))
    betwin = written_entry(decide(snapshot(cash, bonus), BetWin("3", stake, payout), NOW_MS))
    spent = data.draw(st.integers(0, betwin.cash_after) | st.just(betwin.cash_after))
    cash_left, bonus_left = betwin.cash_after - spent, betwin.bonus_after
    before = snapshot(cash_left, bonus_left, history=NO_HISTORY.append(betwin))
    refunded = summarize(decide(before, Cancel("3"), NOW_MS))
    if cash - spent >= 0:
        assert refunded == ("applied", cash - spent, bonus, True)
    else:
        assert refunded == ("win_spent", cash_left, bonus_left, False)


round_commands = st.one_of(
    st.builds(Bet, ids, st.integers(0, 1500), st.just("1")),
    st.builds(Win, ids.map("w{}".format), st.integers(0, 1500), st.just("1")),
    st.builds(Cancel, ids),
)


@given(st.lists(round_commands, max_size=25))
def test_a_win_keeps_the_last_standing_bet_before_it(history: list[MoneyCommand]) -> None:
    """In one round, a cancel is refused exactly if a win came after the bet and no other bet stands. All others
    return the stake, so what the account lacks is what the standing bets took."""
    book = build_funded_ledger()
    standing: dict[str, int] = {}
    last_win_seq = paid = 0
    for command in history:
        outcome = book.execute(command, session=WITHOUT_EXPIRY)
        if isinstance(command, Cancel) and command.id in standing:
            is_kept = last_win_seq > standing[command.id] and len(standing) == 1
            assert isinstance(outcome, Refused if is_kept else Applied)
        if isinstance(outcome, Applied):
            seq = outcome.entry.seq
            match command:
                case Bet():
                    standing[command.id] = seq
                case Win():
                    last_win_seq, paid = seq, paid + command.payout
                case _:
                    standing.pop(command.id, None)
        _, cash, bonus, *_ = book.accounts[ME]
        assert cash + bonus == 5500 + paid - sum(book.entries[seq - 1].stake for seq in standing.values())


@given(histories)
def test_an_ended_session_pays_only_wins_of_standing_bets(history: list[LedgerStep]) -> None:
    """Without time to settle, no call of an ended session credits more than its account has staked in that round."""
    book = build_funded_ledger()
    for step in history:
        command, account_id, session, _ = step
        rows = [row for row in book.entries if row.account_id == account_id]
        outcome = execute_step(book, step)
        if isinstance(command, Win) and isinstance(outcome, Applied) and session in (EXPIRED, REVOKED):
            assert any(
                row.kind is Kind.BET and row.state is State.APPLIED and row.round == command.round for row in rows
            )
            assert outcome.entry.state is State.APPLIED


bounds = st.dictionaries(st.sampled_from(LimitPeriod), st.integers(0, 1500), min_size=1)
pauses = st.sampled_from([0, 0, 0, 1, DAY_MS // 2, 7 * DAY_MS])


@given(st.lists(st.tuples(steps, pauses), min_size=1, max_size=25), bounds)
def test_no_bet_or_deposit_exceeds_a_limit(history: list[tuple[LedgerStep, int]], held: dict[LimitPeriod, int]) -> None:
    """No bet that takes cash leaves the losses of a period above a limit, before its own win. No deposit of cash
    leaves the deposits above one. Earlier wins, refunds, withdrawals and adjustments do not matter."""
    book = InMemoryLedger()
    book.limits = tuple(Limit(kind, per, EffectiveValue(cents)) for kind in LimitKind for per, cents in held.items())
    for step, pause_ms in history:
        book.now_ms += pause_ms
        outcome = execute_step(book, (*step[:2], WITHOUT_EXPIRY, False))
        if not isinstance(outcome, Applied) or not outcome.entry.amount:
            continue
        last = outcome.entry
        for per, cents in held.items():
            first_ms = (book.now_ms // DAY_MS - {"day": 0, "week": 6, "month": 29}[per]) * DAY_MS
            rows = [row for row in book.entries if row.account_id == last.account_id and row.at_ms >= first_ms]
            given = sum(row.amount for row in rows if row.kind is Kind.DEPOSIT)
            lost = sum(-row.amount for row in rows if row.kind is not Kind.DEPOSIT and row.kind not in UNCOUNTED)
            assert last.kind is not Kind.DEPOSIT or given <= cents
            assert last.kind is not Kind.BET or lost <= cents
            assert last.kind is not Kind.BETWIN or last.amount == last.payout or lost + last.payout <= cents


@given(histories)
def test_limits_that_are_not_reached_change_nothing(history: list[LedgerStep]) -> None:
    """Every outcome and every entry is the same as without limits."""
    free, limited = build_funded_ledger(), build_funded_ledger()
    most = EffectiveValue(2**70)
    limited.limits = tuple(Limit(kind, per, most) for kind in LimitKind for per in LimitPeriod)
    for step in history:
        assert execute_step(free, step) == execute_step(limited, step)
    assert free.entries == limited.entries
