"""Decide one command: `decide(snapshot, command, now_ms)`.

The order of looking is the same everywhere: has the id been seen, is the session live, is the player active and within
limits, is there money. So a retry of an applied bet still succeeds when its session has expired, its player was blocked
or the money is gone; and money in flight (wins, results, cancels) settles whatever became of session and player.

After each "from here on it must succeed" nothing can fail. The caller writes the outcome's new entry, if it has one,
and moves the account to `cash_after`, `bonus_after`, `hash` and `seq` of it, in the transaction that read the snapshot.
"""

from typing import NamedTuple, assert_never

from minwallet.ledger.commands import (
    Authenticate,
    Balance,
    Bet,
    BetWin,
    Cancel,
    Command,
    Deposit,
    MoneyCommand,
    Settle,
    Win,
    Withdraw,
)
from minwallet.ledger.entries import Entry, Kind, Refusal, State, chain_entry, is_open_bet
from minwallet.ledger.limits import UNRESTRICTED, LimitKind, PlayerRestrictions
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.outcomes import Applied, BalanceShown, Outcome, Refused, Replayed


class Account(NamedTuple):
    """One player's money in one currency, in cents, with the end of its hash chain."""

    account_id: int
    cash: int
    bonus: int
    head: bytes
    last_seq: int = 0


class Session(NamedTuple):
    """When a session ends, and whether it was ended before; both None for one that lasts."""

    expires_at_ms: int | None
    revoked_at_ms: int | None


class TransactionHistory(NamedTuple):
    """The rows that share one transaction id: what claimed it, what settled it, what cancelled it."""

    original: Entry | None = None
    settlement: Entry | None = None
    cancellation: Entry | None = None

    def append(self, entry: Entry) -> "TransactionHistory":
        """The trail with one more row."""
        if entry.kind is Kind.CANCEL:
            return TransactionHistory(self.original, self.settlement, entry)
        if self.original is not None:
            return TransactionHistory(self.original, entry, self.cancellation)
        return TransactionHistory(entry, None, self.cancellation)


class Round(NamedTuple):
    """What the account's ledger knows of a round: does a bet stand, was any called off, where is its last win."""

    has_standing_bet: bool = False
    has_cancelled_bet: bool = False
    last_win_seq: int = 0


class Snapshot(NamedTuple):
    """All that a decision depends on. `session` is None for what the operator does without one."""

    protocol: str
    account: Account
    is_blocked: bool
    session: Session | None
    history: TransactionHistory
    round: Round
    next_seq: int
    restrictions: PlayerRestrictions = UNRESTRICTED


def decide(snapshot: Snapshot, command: Command, now_ms: int) -> Outcome:
    """What comes of `command`, where `snapshot` is all that is known and `now_ms` is the time in ms since 1970."""
    match command:
        case Bet() | BetWin():
            return _decide_bet(snapshot, command, now_ms)
        case Balance() | Authenticate():
            return _decide_query(snapshot, command, now_ms)
        case Win():
            return _decide_win(snapshot, command, now_ms)
        case Settle():
            return _decide_settle(snapshot, command, now_ms)
        case Cancel():
            return _decide_cancel(snapshot, command, now_ms)
        case Deposit() | Withdraw():
            return _decide_transfer(snapshot, command, now_ms)
        case _:
            assert_never(command)


def _decide_query(s: Snapshot, command: Balance | Authenticate, now_ms: int) -> Outcome:
    if session_refusal := _session_refusal(s.session, now_ms):
        return _refuse(s, session_refusal)
    if isinstance(command, Authenticate) and (refusal := _eligibility_refusal(s, now_ms)):
        return _refuse(s, refusal)
    return BalanceShown(s.account.cash, s.account.bonus)


def _decide_bet(s: Snapshot, command: Bet | BetWin, now_ms: int) -> Outcome:
    cash, bonus = s.account.cash, s.account.bonus
    if s.history.cancellation:
        return _refuse(s, Refusal.CANCELLED)
    if original := s.history.original:
        return _decide_retry(s, command, original)
    if session_refusal := _session_refusal(s.session, now_ms):
        return _refuse(s, session_refusal)
    if refusal := _eligibility_refusal(s, now_ms):
        return _refuse_permanently(s, command, refusal, now_ms)
    cash_part = min(command.stake, cash)
    if s.restrictions is not UNRESTRICTED and not s.restrictions.allows(LimitKind.LOSS, cash_part, now_ms):
        return _refuse_permanently(s, command, Refusal.LOSS_LIMIT, now_ms)
    if command.stake > cash + bonus:
        return _refuse_permanently(s, command, Refusal.INSUFFICIENT_FUNDS, now_ms)
    payout = command.payout if isinstance(command, BetWin) else 0
    if cash + bonus - command.stake + payout > MAX_CENTS:
        return _refuse(s, Refusal.OUT_OF_RANGE)
    # From here on it must succeed.
    return _apply(s, command, now_ms, cash=payout - cash_part, bonus=cash_part - command.stake)


def _decide_win(s: Snapshot, command: Win, now_ms: int) -> Outcome:
    if original := s.history.original:
        return _decide_retry(s, command, original)
    if s.history.cancellation:
        return _refuse(s, Refusal.ID_TAKEN)
    if command.round and s.round.has_cancelled_bet and not s.round.has_standing_bet:
        return _refuse(s, Refusal.ROUND_CANCELLED)
    if _exceeds_max_balance(s, command.payout):
        return _refuse(s, Refusal.OUT_OF_RANGE)
    # From here on it must succeed: "a winning has to be taken" (wallet API v.2, win).
    is_orphan = command.round is not None and not s.round.has_standing_bet
    state = State.ORPHAN if is_orphan else State.APPLIED
    return _apply(s, command, now_ms, cash=command.payout, state=state)


def _decide_settle(s: Snapshot, command: Settle, now_ms: int) -> Outcome:
    if s.history.settlement:
        return _decide_retry(s, command, s.history.settlement)
    if not _has_open_bet(s.history, s.account.account_id):
        return _refuse(s, Refusal.NO_OPEN_BET)
    if _exceeds_max_balance(s, command.payout):
        return _refuse(s, Refusal.OUT_OF_RANGE)
    # From here on it must succeed.
    return _apply(s, command, now_ms, cash=command.payout)


def _decide_cancel(s: Snapshot, command: Cancel, now_ms: int) -> Outcome:
    original, cancellation = s.history.original, s.history.cancellation
    if original and original.kind is Kind.WIN:
        return _refuse(s, Refusal.NOT_A_BET)
    if (earlier := original or cancellation) and earlier.account_id != s.account.account_id:
        return _refuse(s, Refusal.ID_TAKEN)
    if cancellation:
        return Replayed(cancellation, s.account.cash, s.account.bonus)
    if original is None or original.state is State.REFUSED:
        return _apply(s, command, now_ms, state=State.CLOSED)
    if s.history.settlement or s.round.last_win_seq > original.seq:
        return _refuse(s, Refusal.ROUND_SETTLED)
    if original.payout > s.account.cash:
        return _refuse(s, Refusal.WIN_SPENT)
    if _exceeds_max_balance(s, -original.amount - original.bonus_amount):
        return _refuse(s, Refusal.OUT_OF_RANGE)
    # From here on it must succeed.
    return _apply(s, command, now_ms, cash=-original.amount, bonus=-original.bonus_amount)


def _decide_transfer(s: Snapshot, command: Deposit | Withdraw, now_ms: int) -> Outcome:
    sign = 1 if isinstance(command, Deposit) else -1
    cash, bonus = sign * command.cash, sign * command.bonus
    if original := s.history.original:
        kind = Kind.DEPOSIT if sign > 0 else Kind.WITHDRAW
        is_same = (kind, s.account.account_id, cash, bonus) == (
            original.kind,
            original.account_id,
            original.amount,
            original.bonus_amount,
        )
        return Replayed(original, s.account.cash, s.account.bonus) if is_same else _refuse(s, Refusal.ID_TAKEN)
    if sign > 0 and s.restrictions.is_excluded(now_ms):
        return _refuse(s, Refusal.PLAYER_EXCLUDED)
    if sign > 0 and not s.restrictions.allows(LimitKind.DEPOSIT, cash, now_ms):
        return _refuse(s, Refusal.DEPOSIT_LIMIT)
    if s.account.cash + cash < 0 or s.account.bonus + bonus < 0:
        return _refuse(s, Refusal.INSUFFICIENT_FUNDS)
    if _exceeds_max_balance(s, cash + bonus):
        return _refuse(s, Refusal.OUT_OF_RANGE)
    # From here on it must succeed.
    return _apply(s, command, now_ms, cash=cash, bonus=bonus)


def _session_refusal(session: Session | None, now_ms: int) -> Refusal | None:
    if session is None:
        return None
    if session.revoked_at_ms is not None:
        return Refusal.SESSION_REVOKED
    if session.expires_at_ms is not None and session.expires_at_ms <= now_ms:
        return Refusal.SESSION_EXPIRED
    return None


def _eligibility_refusal(s: Snapshot, now_ms: int) -> Refusal | None:
    """Why the player may not play at all."""
    if s.is_blocked:
        return Refusal.PLAYER_BLOCKED
    if s.restrictions is not UNRESTRICTED and s.restrictions.is_excluded(now_ms):
        return Refusal.PLAYER_EXCLUDED
    return None


def _exceeds_max_balance(s: Snapshot, cents: int) -> bool:
    """Cash and bonus together stay a 63-bit number, so that no sum of the two can pass it."""
    return s.account.cash + s.account.bonus + cents > MAX_CENTS


def _has_open_bet(history: TransactionHistory, account_id: int) -> bool:
    """Return True if the ticket's bet took this account's money and is not refunded. The caller checks its result."""
    bet = history.original
    return (
        bet is not None
        and bet.account_id == account_id
        and is_open_bet(bet, is_cancelled=history.cancellation is not None)
    )


def _decide_retry(s: Snapshot, command: Bet | BetWin | Win | Settle, earlier: Entry) -> Outcome:
    """The id has been used: by this very request, which then has the same outcome again, or by another."""
    content = (earlier.kind, earlier.id, earlier.round, earlier.game, earlier.detail, earlier.stake, earlier.payout)
    if earlier.account_id != s.account.account_id or content != _build_content(s, command):
        return _refuse(s, Refusal.ID_TAKEN)
    if earlier.refusal is not None:
        return _refuse(s, earlier.refusal)
    return Replayed(earlier, s.account.cash, s.account.bonus)


def _refuse(s: Snapshot, refusal: Refusal) -> Refused:
    return Refused(refusal, s.account.cash, s.account.bonus)


def _refuse_permanently(s: Snapshot, command: Bet | BetWin, refusal: Refusal, now_ms: int) -> Refused:
    cash, bonus = s.account.cash, s.account.bonus
    entry = _build_entry(s, command, now_ms, (0, 0, cash, bonus, State.REFUSED, refusal))
    return Refused(refusal, cash, bonus, entry)


def _apply(
    s: Snapshot, command: MoneyCommand, now_ms: int, *, cash: int = 0, bonus: int = 0, state: State = State.APPLIED
) -> Applied:
    cash_after, bonus_after = s.account.cash + cash, s.account.bonus + bonus
    assert cash_after >= 0
    assert bonus_after >= 0
    assert cash_after + bonus_after <= MAX_CENTS
    entry = _build_entry(s, command, now_ms, (cash, bonus, cash_after, bonus_after, state, None))
    return Applied(entry, cash_after, bonus_after)


def _build_entry(
    s: Snapshot, command: MoneyCommand, now_ms: int, effect: tuple[int, int, int, int, State, Refusal | None]
) -> Entry:
    account_id, _, _, head, last_seq = s.account
    return chain_entry(
        (s.next_seq, now_ms, account_id, last_seq, s.protocol, *_build_content(s, command), *effect), head
    )


def _build_content(
    s: Snapshot, command: MoneyCommand
) -> tuple[Kind, str, str | None, str | None, str | None, int, int]:
    """What the command asks for, as the entry's fields from `kind` to `payout`."""
    match command:
        case Bet():
            id, stake, round, game, detail = command
            return (Kind.BET, id, round, game, detail, stake, 0)
        case Win(id, payout, round, game):
            return (Kind.WIN, id, round, game, None, 0, payout)
        case Settle(id, payout, game, detail):
            return (Kind.WIN, id, id, game, detail, 0, payout)
        case BetWin(id, stake, payout, game):
            return (Kind.BETWIN, id, id, game, None, stake, payout)
        case Cancel(id, round):
            bet = s.history.original
            return (Kind.CANCEL, id, bet.round if bet else round or id, bet.game if bet else None, None, 0, 0)
        case Deposit(id, _, _, detail):
            return (Kind.DEPOSIT, id, None, None, detail, 0, 0)
        case Withdraw(id, _, _, detail):
            return (Kind.WITHDRAW, id, None, None, detail, 0, 0)
        case _:
            assert_never(command)
