"""The decision about one command: `decide(snapshot, command, now_ms)`.

Rules

1. `decide` is pure. It reads its arguments only, so the same arguments always have the same outcome.
2. Order of precedence: the id, the session, the player (blocked, excluded), the limits, the money. The first check that
   fails is the refusal. The id comes first because a provider without a reply repeats its call. A retry of an applied
   bet must succeed, even if the session has expired, the player was blocked or the money is gone since.
3. Only queries, bets and betwins check the session, and only they and deposits check the player or a limit. Wins,
   results, cancels, rollbacks and ends settle a stake that was taken while all of this was valid, so they must not fail
   for it now. A win without a standing bet settles no known stake. After the session's end it is paid for `settle_ms`
   only, and marked as an orphan. Otherwise a token once known could credit any amount permanently. A win with a
   category needs no bet, so it is an orphan only after the session's end.
4. A bet refused for the player, a limit or insufficient funds is refused permanently: the refusal is an entry. The game
   continues without that bet, so a late duplicate must not take money. All other refusals write nothing.
5. A cancel or rollback of an id that took no money writes a tombstone, an entry of state `closed`. The bet or win may
   still be on its way, and the tombstone makes sure that it moves no money later. So does the rollback of a round for
   its wins, and for its bets that check the round. `decide_reversal` has the rules of all reversals.
6. No balance becomes negative, neither cash nor bonus, and the sum of cash and bonus never exceeds MAX_CENTS.
7. From here on it must succeed: after each comment with these words, no check follows and nothing can fail. So an
   outcome is complete or a refusal, never a part of both. `apply` asserts rule 6 once more.

Theory of operation

The store reads a `Snapshot` for each command: the account with the head of its hash chain, the session, the entries
with the command's id, those that refer to it, and a summary of the round that `find_round_id` names. `decide` returns
an outcome, and the caller stores it:

- It writes the outcome's new entry, if there is one.
- It sets the account to that entry's `cash_after`, `bonus_after`, `hash` and `seq`.

Both happen in the database transaction that read the snapshot. No other command can change the account in between.
Two commands of one transaction may have the same id, or one may refer to the id of the other. Then the caller appends
the entry of the first to the `TransactionHistory` of the second before it decides the second. The rounds of two such
commands differ, as a round is one account's.
"""

from typing import assert_never

from minwallet.ledger.commands import (
    Adjust,
    Authenticate,
    Balance,
    Bet,
    BetWin,
    Cancel,
    Command,
    Deposit,
    EndRound,
    Group,
    Rollback,
    RollbackRound,
    Settle,
    Win,
    Withdraw,
)
from minwallet.ledger.decide_reversal import decide_cancel, decide_rollback, decide_round_rollback
from minwallet.ledger.entries import Entry, Refusal, State, is_open_bet
from minwallet.ledger.limits import UNRESTRICTED, LimitKind
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.outcome_builders import apply, build_content, exceeds_max_balance, refuse, refuse_permanently
from minwallet.ledger.outcomes import BalanceShown, Outcome, Replayed
from minwallet.ledger.snapshot import Session, Snapshot, TransactionHistory


def decide(snapshot: Snapshot, command: Command, now_ms: int) -> Outcome:
    """Return the outcome of `command` at the time `now_ms`, in ms since 1970 UTC; the caller stores it.

    Raise ValueError for a Group, which has several snapshots: see `decide_group`.
    """
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
            return decide_cancel(snapshot, command, now_ms)
        case Rollback():
            return decide_rollback(snapshot, command, now_ms)
        case RollbackRound():
            return decide_round_rollback(snapshot, command, now_ms)
        case EndRound():
            return _decide_round_end(snapshot, command, now_ms)
        case Deposit() | Withdraw() | Adjust():
            return _decide_transfer(snapshot, command, now_ms)
        case Group():
            raise ValueError("a group is decided by decide_group")
        case _:
            assert_never(command)


def _decide_query(s: Snapshot, command: Balance | Authenticate, now_ms: int) -> Outcome:
    if session_refusal := _session_refusal(s.session, now_ms):
        return refuse(s, session_refusal)
    if isinstance(command, Authenticate) and (refusal := _eligibility_refusal(s, now_ms)):
        return refuse(s, refusal)
    return BalanceShown(s.account.cash, s.account.bonus)


def _decide_bet(s: Snapshot, command: Bet | BetWin, now_ms: int) -> Outcome:
    cash, bonus, history = s.account.cash, s.account.bonus, s.history
    # Before the retry: "applied" would be a false answer to a retry of a bet that was reversed since. Few ids have a
    # rollback, and the test of the field saves the call for all others.
    if history.cancellation or (history.rollbacks and history.is_rolled_back):
        return refuse(s, Refusal.CANCELLED)
    if original := history.original:
        return _decide_retry(s, command, original)
    if session_refusal := _session_refusal(s.session, now_ms):
        return refuse(s, session_refusal)
    if refusal := _eligibility_refusal(s, now_ms):
        return refuse_permanently(s, command, refusal, now_ms)
    # Cash first, then bonus. Only cash counts as a loss, and the payout of a betwin does not count in advance.
    cash_part = min(command.stake, cash)
    # Most players have no restrictions. The test by identity saves a call for each of their bets.
    if s.restrictions is not UNRESTRICTED and not s.restrictions.allows(LimitKind.LOSS, cash_part, now_ms):
        return refuse_permanently(s, command, Refusal.LOSS_LIMIT, now_ms)
    # Not stored: the entry of the rollback refuses every retry of the bet too.
    if command.checks_round and s.round.is_rolled_back:
        return refuse(s, Refusal.ROUND_CANCELLED)
    if command.stake > cash + bonus:
        return refuse_permanently(s, command, Refusal.INSUFFICIENT_FUNDS, now_ms)
    # The payout joins the balance only after the check above, so that a win cannot pay for its own stake.
    payout = command.payout if isinstance(command, BetWin) else 0
    if cash + bonus - command.stake + payout > MAX_CENTS:
        return refuse(s, Refusal.OUT_OF_RANGE)
    # From here on it must succeed.
    return apply(s, command, now_ms, cash=payout - cash_part, bonus=cash_part - command.stake)


def _decide_win(s: Snapshot, command: Win, now_ms: int) -> Outcome:
    # Before the retry, as for a bet. A rollback may have closed the id for this win, before it arrived.
    history = s.history
    if history.rollbacks and history.is_rolled_back:
        return refuse(s, Refusal.CANCELLED)
    if original := history.original:
        return _decide_retry(s, command, original)
    # A cancel closed the id for a bet, so a win with this id is another transaction.
    if history.cancellation:
        return refuse(s, Refusal.ID_TAKEN)
    has_bet = command.round is not None and s.round.standing_bets > 0
    session_refusal = None if has_bet else _session_refusal(s.session, now_ms)
    if session_refusal and s.session and s.session.has_ended_for(s.settle_ms, now_ms):
        return refuse(s, session_refusal)
    if s.round.is_rolled_back or (command.round and s.round.has_cancelled_bet and not has_bet):
        return refuse(s, Refusal.ROUND_CANCELLED)
    if exceeds_max_balance(s, command.payout):
        return refuse(s, Refusal.OUT_OF_RANGE)
    # From here on it must succeed: "a winning has to be taken" (wallet API v.2, win). The bet may be older than this
    # wallet, or lost. So a win without a known bet is paid too, and only marked for the operator. A win without a round
    # names no bet that could be missing, and one with a category needs none. Both are marked only if the session has
    # ended.
    needs_bet = command.round is not None and command.category is None
    is_orphan = not has_bet and (needs_bet or session_refusal is not None)
    state = State.ORPHAN if is_orphan else State.APPLIED
    return apply(s, command, now_ms, cash=command.payout, state=state)


def _decide_settle(s: Snapshot, command: Settle, now_ms: int) -> Outcome:
    if s.history.settlement:
        return _decide_retry(s, command, s.history.settlement)
    if command.checks_round and s.round.is_rolled_back:
        return refuse(s, Refusal.ROUND_CANCELLED)
    # Only an open bet can have a result. Without one, no stake belongs to this payout.
    if not _has_open_bet(s.history, s.account.account_id):
        return refuse(s, Refusal.NO_OPEN_BET)
    if exceeds_max_balance(s, command.payout):
        return refuse(s, Refusal.OUT_OF_RANGE)
    # From here on it must succeed.
    return apply(s, command, now_ms, cash=command.payout)


def _decide_round_end(s: Snapshot, command: EndRound, now_ms: int) -> Outcome:
    if original := s.history.original:
        return _decide_retry(s, command, original)
    if s.history.is_closed:
        return refuse(s, Refusal.CANCELLED)
    # From here on it must succeed. An end moves no money, so it needs no session and may follow anything.
    return apply(s, command, now_ms)


def _decide_transfer(s: Snapshot, command: Deposit | Withdraw | Adjust, now_ms: int) -> Outcome:
    sign = -1 if isinstance(command, Withdraw) else 1
    # Unlike a bet, a withdrawal never takes bonus in place of cash: bonus is not the player's own money.
    cash, bonus = sign * command.cash, sign * command.bonus
    if original := s.history.original:
        # Not `_decide_retry`: `detail` is not content here, and the entry has its amounts in other fields.
        is_same = (build_content(s, command)[0], s.account.account_id, cash, bonus) == (
            original.kind,
            original.account_id,
            original.amount,
            original.bonus_amount,
        )
        return Replayed(original, s.account.cash, s.account.bonus) if is_same else refuse(s, Refusal.ID_TAKEN)
    # Only new money is restricted; an adjustment corrects what the player already had or was owed. None of these
    # refusals is stored: the operator can try the reference again.
    is_deposit = isinstance(command, Deposit)
    if is_deposit and s.restrictions.is_excluded(now_ms):
        return refuse(s, Refusal.PLAYER_EXCLUDED)
    if is_deposit and not s.restrictions.allows(LimitKind.DEPOSIT, cash, now_ms):
        return refuse(s, Refusal.DEPOSIT_LIMIT)
    if s.account.cash + cash < 0 or s.account.bonus + bonus < 0:
        return refuse(s, Refusal.INSUFFICIENT_FUNDS)
    if exceeds_max_balance(s, cash + bonus):
        return refuse(s, Refusal.OUT_OF_RANGE)
    # From here on it must succeed.
    return apply(s, command, now_ms, cash=cash, bonus=bonus)


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


def _has_open_bet(history: TransactionHistory, account_id: int) -> bool:
    """Check if the id's bet took money of this account and is not reversed; the caller checks for a settlement."""
    bet = history.original
    return bet is not None and bet.account_id == account_id and is_open_bet(bet, is_cancelled=history.is_closed)


def _decide_retry(s: Snapshot, command: Bet | BetWin | Win | Settle | EndRound, earlier: Entry) -> Outcome:
    """Return the outcome of a command whose id is known: the first outcome again, or ID_TAKEN for other content."""
    content = (earlier.kind, earlier.id, earlier.round, earlier.game, earlier.detail, earlier.stake, earlier.payout)
    if earlier.account_id != s.account.account_id or content != build_content(s, command):
        return refuse(s, Refusal.ID_TAKEN)
    # Rule 4: a permanent refusal, which holds even if the balance would be sufficient now.
    if earlier.refusal is not None:
        return refuse(s, earlier.refusal)
    # "Applied" would be a false answer here too.
    if s.round.is_rolled_back:
        return refuse(s, Refusal.ROUND_CANCELLED)
    return Replayed(earlier, s.account.cash, s.account.bonus)
