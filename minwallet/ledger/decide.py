"""The decision about one command: `decide(snapshot, command, now_ms)`.

Rules

1. `decide` is pure. It reads its arguments only, so the same arguments always have the same outcome.
2. Order of precedence: the id, the session, the player (blocked, excluded), the limits, the money. The first check that
   fails is the refusal. The id comes first because a provider without a reply repeats its call. A retry of an applied
   bet must succeed, even if the session has expired, the player was blocked or the money is gone since.
3. Only queries, bets and betwins check the session, and only they and deposits check the player or a limit. Wins,
   results and cancels settle a stake that was taken while all of this was valid, so they must not fail for it now.
   A win without a standing bet settles no known stake. After the session's end it is paid for `settle_ms` only, and
   marked as an orphan. Otherwise a token once known could credit any amount permanently.
4. A bet refused for the player, a limit or insufficient funds is refused permanently: the refusal is an entry. The game
   continues without that bet, so a late duplicate must not take money. All other refusals write nothing.
5. A cancel of an id that took no money writes a tombstone, an entry of state `closed`. The cancelled bet may still be
   on its way, and the tombstone makes sure that it takes no money later.
6. No balance becomes negative, neither cash nor bonus, and the sum of cash and bonus never exceeds MAX_CENTS.
7. From here on it must succeed: after each comment with these words, no check follows and nothing can fail. So an
   outcome is complete or a refusal, never a part of both. `_apply` asserts rule 6 once more.

Theory of operation

The store reads a `Snapshot` for each command: the account with the head of its hash chain, the session, the entries
with the command's id, and a summary of the command's round. `decide` returns an outcome, and the caller stores it:

- It writes the outcome's new entry, if there is one.
- It sets the account to that entry's `cash_after`, `bonus_after`, `hash` and `seq`.

Both happen in the database transaction that read the snapshot. No other command can change the account in between.
Two commands of one transaction may have the same id. Then the caller appends the entry of the first to the
`TransactionHistory` of the second before it decides the second.
"""

from typing import NamedTuple, assert_never

from minwallet.ledger.commands import (
    Adjust,
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
    """One player's money in one currency, in cents.

    `head` and `last_seq` are the hash and the number of its newest entry; the genesis hash and 0 if there is none.
    """

    account_id: int
    cash: int
    bonus: int
    head: bytes
    last_seq: int = 0


class Session(NamedTuple):
    """The end of a session, in ms since 1970 UTC. None in `expires_at_ms`: never; in `revoked_at_ms`: not revoked."""

    expires_at_ms: int | None
    revoked_at_ms: int | None

    def has_ended_for(self, duration_ms: int, now_ms: int) -> bool:
        """Check if the session ended `duration_ms` ago or earlier, by its expiry or revocation, whichever is first."""
        ends = [end for end in (self.expires_at_ms, self.revoked_at_ms) if end is not None]
        return bool(ends) and min(ends) + duration_ms <= now_ms


class TransactionHistory(NamedTuple):
    """The entries that share one transaction id, at most one of each part.

    - `original`: the entry that claimed the id (bet, betwin, win, deposit, withdrawal, adjustment), applied or refused.
    - `settlement`: the result of the original. Only `Settle` makes one, under the id of its bet.
    - `cancellation`: the cancel of the original, or the tombstone of an id that took no money.
    """

    original: Entry | None = None
    settlement: Entry | None = None
    cancellation: Entry | None = None

    def append(self, entry: Entry) -> "TransactionHistory":
        """Return a new history with one more entry; this one stays as it is."""
        if entry.kind is Kind.CANCEL:
            return TransactionHistory(self.original, self.settlement, entry)
        if self.original is not None:
            return TransactionHistory(self.original, entry, self.cancellation)
        return TransactionHistory(entry, None, self.cancellation)


class Round(NamedTuple):
    """A summary of the account's entries in one round.

    - `standing_bets`: the number of its applied bets that are not cancelled.
    - `has_cancelled_bet`: the round has a cancel, which may be a tombstone.
    - `last_win_seq`: `seq` of the newest win, 0 if there is none.
    """

    standing_bets: int = 0
    has_cancelled_bet: bool = False
    last_win_seq: int = 0


class Snapshot(NamedTuple):
    """The data that a decision depends on, as read in the database transaction that writes the outcome.

    `session` is None for commands of the operator, which need no session. `next_seq` is the number of the next entry.
    `settle_ms` is the time after a session's end in which a win without a standing bet is paid.
    """

    protocol: str
    account: Account
    is_blocked: bool
    session: Session | None
    history: TransactionHistory
    round: Round
    next_seq: int
    restrictions: PlayerRestrictions = UNRESTRICTED
    settle_ms: int = 0


def decide(snapshot: Snapshot, command: Command, now_ms: int) -> Outcome:
    """Return the outcome of `command` at the time `now_ms`, in ms since 1970 UTC; the caller stores it."""
    match command:
        # Bets first, then queries: a match tries its cases in order, and most calls are bets.
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
        case Deposit() | Withdraw() | Adjust():
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
    # Before the retry: "applied" would be a false answer to a retry of a bet that was cancelled since.
    if s.history.cancellation:
        return _refuse(s, Refusal.CANCELLED)
    if original := s.history.original:
        return _decide_retry(s, command, original)
    if session_refusal := _session_refusal(s.session, now_ms):
        return _refuse(s, session_refusal)
    if refusal := _eligibility_refusal(s, now_ms):
        return _refuse_permanently(s, command, refusal, now_ms)
    # Cash first, then bonus. Only cash counts as a loss, and the payout of a betwin does not count in advance.
    cash_part = min(command.stake, cash)
    # Most players have no restrictions. The test by identity saves a call for each of their bets.
    if s.restrictions is not UNRESTRICTED and not s.restrictions.allows(LimitKind.LOSS, cash_part, now_ms):
        return _refuse_permanently(s, command, Refusal.LOSS_LIMIT, now_ms)
    if command.stake > cash + bonus:
        return _refuse_permanently(s, command, Refusal.INSUFFICIENT_FUNDS, now_ms)
    # The payout joins the balance only after the check above, so that a win cannot pay for its own stake.
    payout = command.payout if isinstance(command, BetWin) else 0
    if cash + bonus - command.stake + payout > MAX_CENTS:
        return _refuse(s, Refusal.OUT_OF_RANGE)
    # From here on it must succeed.
    return _apply(s, command, now_ms, cash=payout - cash_part, bonus=cash_part - command.stake)


def _decide_win(s: Snapshot, command: Win, now_ms: int) -> Outcome:
    if original := s.history.original:
        return _decide_retry(s, command, original)
    # A cancel closed the id for a bet, so a win with this id is another transaction.
    if s.history.cancellation:
        return _refuse(s, Refusal.ID_TAKEN)
    has_bet = command.round is not None and s.round.standing_bets > 0
    session_refusal = None if has_bet else _session_refusal(s.session, now_ms)
    if session_refusal and s.session and s.session.has_ended_for(s.settle_ms, now_ms):
        return _refuse(s, session_refusal)
    if command.round and s.round.has_cancelled_bet and not has_bet:
        return _refuse(s, Refusal.ROUND_CANCELLED)
    if _exceeds_max_balance(s, command.payout):
        return _refuse(s, Refusal.OUT_OF_RANGE)
    # From here on it must succeed: "a winning has to be taken" (wallet API v.2, win). The bet may be older than this
    # wallet, or lost. So a win without a known bet is paid too, and only marked for the operator. A win without a round
    # names no bet that could be missing. It is marked only if no live session vouches for it.
    is_orphan = not has_bet and (command.round is not None or session_refusal is not None)
    state = State.ORPHAN if is_orphan else State.APPLIED
    return _apply(s, command, now_ms, cash=command.payout, state=state)


def _decide_settle(s: Snapshot, command: Settle, now_ms: int) -> Outcome:
    if s.history.settlement:
        return _decide_retry(s, command, s.history.settlement)
    # Only an open bet can have a result. Without one, no stake belongs to this payout.
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
    # Rule 5: the id took no money, so there is nothing to return, but a late bet must find it closed.
    if original is None or original.state is State.REFUSED:
        return _apply(s, command, now_ms, state=State.CLOSED)
    # vela settles a bet by its ticket. In wallet-v2 a win names only the round, so it may belong to any earlier bet of
    # it. While another bet stands, the win may be that bet's, and this bet may never have been placed. The bet itself
    # is one of the standing ones.
    if s.history.settlement or (s.round.last_win_seq > original.seq and s.round.standing_bets <= 1):
        return _refuse(s, Refusal.ROUND_SETTLED)
    # A betwin is reversed as one net movement of each balance. Only its net win can be missing from cash.
    if original.amount > s.account.cash:
        return _refuse(s, Refusal.WIN_SPENT)
    if _exceeds_max_balance(s, -original.amount - original.bonus_amount):
        return _refuse(s, Refusal.OUT_OF_RANGE)
    # From here on it must succeed.
    return _apply(s, command, now_ms, cash=-original.amount, bonus=-original.bonus_amount)


def _decide_transfer(s: Snapshot, command: Deposit | Withdraw | Adjust, now_ms: int) -> Outcome:
    sign = -1 if isinstance(command, Withdraw) else 1
    # Unlike a bet, a withdrawal never takes bonus in place of cash: bonus is not the player's own money.
    cash, bonus = sign * command.cash, sign * command.bonus
    if original := s.history.original:
        # Not `_decide_retry`: `detail` is not content here, and the entry has its amounts in other fields.
        is_same = (_build_content(s, command)[0], s.account.account_id, cash, bonus) == (
            original.kind,
            original.account_id,
            original.amount,
            original.bonus_amount,
        )
        return Replayed(original, s.account.cash, s.account.bonus) if is_same else _refuse(s, Refusal.ID_TAKEN)
    # Only new money is restricted; an adjustment corrects what the player already had or was owed. None of these
    # refusals is stored: the operator can try the reference again.
    is_deposit = isinstance(command, Deposit)
    if is_deposit and s.restrictions.is_excluded(now_ms):
        return _refuse(s, Refusal.PLAYER_EXCLUDED)
    if is_deposit and not s.restrictions.allows(LimitKind.DEPOSIT, cash, now_ms):
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
    # First, as a revoked session is still revoked after it would have expired.
    if session.revoked_at_ms is not None:
        return Refusal.SESSION_REVOKED
    if session.expires_at_ms is not None and session.expires_at_ms <= now_ms:
        return Refusal.SESSION_EXPIRED
    return None


def _eligibility_refusal(s: Snapshot, now_ms: int) -> Refusal | None:
    """Return the reason why the player may not play at all, None if the player may."""
    if s.is_blocked:
        return Refusal.PLAYER_BLOCKED
    if s.restrictions is not UNRESTRICTED and s.restrictions.is_excluded(now_ms):
        return Refusal.PLAYER_EXCLUDED
    return None


def _exceeds_max_balance(s: Snapshot, cents: int) -> bool:
    """Check if the sum of cash and bonus would exceed MAX_CENTS: the sum must be a signed 64-bit number, too."""
    return s.account.cash + s.account.bonus + cents > MAX_CENTS


def _has_open_bet(history: TransactionHistory, account_id: int) -> bool:
    """Check if the id's bet took money of this account and is not cancelled; the caller checks for a settlement."""
    bet = history.original
    return (
        bet is not None
        and bet.account_id == account_id
        and is_open_bet(bet, is_cancelled=history.cancellation is not None)
    )


def _decide_retry(s: Snapshot, command: Bet | BetWin | Win | Settle, earlier: Entry) -> Outcome:
    """Return the outcome of a command whose id is known: the first outcome again, or ID_TAKEN for other content."""
    content = (earlier.kind, earlier.id, earlier.round, earlier.game, earlier.detail, earlier.stake, earlier.payout)
    if earlier.account_id != s.account.account_id or content != _build_content(s, command):
        return _refuse(s, Refusal.ID_TAKEN)
    # Rule 4: a permanent refusal, which holds even if the balance would be sufficient now.
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
    """Return the content of the command as the entry's fields from `kind` to `payout`."""
    match command:
        case Bet():
            # The hot path: unpacking the tuple is faster than the five attributes of a class pattern.
            id, stake, round, game, detail = command
            return (Kind.BET, id, round, game, detail, stake, 0)
        case Win(id, payout, round, game):
            return (Kind.WIN, id, round, game, None, 0, payout)
        case Settle(id, payout, game, detail):
            return (Kind.WIN, id, id, game, detail, 0, payout)
        case BetWin(id, stake, payout, game):
            return (Kind.BETWIN, id, id, game, None, stake, payout)
        case Cancel(id, round):
            # Round and game of the bet, if known: a cancel need not name them, and they are not its content.
            bet = s.history.original
            return (Kind.CANCEL, id, bet.round if bet else round or id, bet.game if bet else None, None, 0, 0)
        case Deposit(id, _, _, detail):
            return (Kind.DEPOSIT, id, None, None, detail, 0, 0)
        case Withdraw(id, _, _, detail):
            return (Kind.WITHDRAW, id, None, None, detail, 0, 0)
        case Adjust(id, _, _, detail):
            return (Kind.ADJUSTMENT, id, None, None, detail, 0, 0)
        case _:
            assert_never(command)
