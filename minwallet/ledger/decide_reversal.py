"""The decisions about cancels, rollbacks and rollbacks of a round. All of them reverse what earlier entries moved.

Rules

1. A reversal checks no session, block or limit. It ends what was valid when it began.
2. A reversal of something that took no money writes a tombstone: what it reverses may still be on its way.
3. Everything is reversed once. `Round` and `TransactionHistory` say what is left of a round, bet or win.
4. A bet that is settled is not reversed alone: the player would have the stake and the win. Its win is reversed before
   it or in the same Group, or the round as a whole. A provider that returns a stake in spite of the win says so by
   `even_if_settled`.
5. A win that was spent is not reversed, or with `clamp` up to the cash that is left.
6. A partial refund returns what a bet of the remaining stake would not have taken. A bet takes cash first, so a refund
   returns bonus first. All refunds of a bet return to cash and bonus exactly what each of them gave.
"""

from minwallet.ledger.commands import Cancel, Rollback, RollbackRound
from minwallet.ledger.entries import Entry, Kind, Refusal, State, sum_rolled_back
from minwallet.ledger.outcome_builders import apply, exceeds_max_balance, refuse
from minwallet.ledger.outcomes import Outcome, Replayed
from minwallet.ledger.snapshot import Snapshot, TransactionHistory


def decide_cancel(s: Snapshot, command: Cancel, now_ms: int) -> Outcome:
    """Return the outcome of a cancel, which names the bet by its own id."""
    original, cancellation = s.history.original, s.history.cancellation
    if original and original.kind not in (Kind.BET, Kind.BETWIN):
        return refuse(s, Refusal.NOT_A_BET)
    if (owner := _find_owner(s.history)) is not None and owner != s.account.account_id:
        return refuse(s, Refusal.ID_TAKEN)
    if cancellation:
        return Replayed(cancellation, s.account.cash, s.account.bonus)
    # Another transaction has already returned the money or closed the id, so this cancel is not a retry.
    if s.history.is_rolled_back or s.round.is_rolled_back:
        return refuse(s, Refusal.CANCELLED)
    # The id took no money, so there is nothing to return, but a late bet must find it closed.
    if original is None or original.state is State.REFUSED:
        return apply(s, command, now_ms, state=State.CLOSED)
    if _is_settled(s, s.history, original):
        return refuse(s, Refusal.ROUND_SETTLED)
    # A betwin is reversed as one net movement of each balance. Only its net win can be missing from cash.
    cash, bonus = _remaining_parts(s.history, original)
    return _reverse(s, command, now_ms, cash, bonus, clamp=False)


def decide_rollback(s: Snapshot, command: Rollback, now_ms: int) -> Outcome:
    """Return the outcome of a rollback, which has an id of its own and names its target by `reference`."""
    if original := s.history.original:
        is_same = (
            (original.kind, original.account_id, original.reference)
            == (Kind.ROLLBACK, s.account.account_id, command.reference)
            # The first rollback without an amount reversed what was left at that time.
            and command.amount in (None, original.stake + original.payout)
        )
        return Replayed(original, s.account.cash, s.account.bonus) if is_same else refuse(s, Refusal.ID_TAKEN)
    # An earlier reversal named this id as its target and closed it. So it cannot be the id of a rollback any more.
    if s.history.is_closed:
        return refuse(s, Refusal.CANCELLED)
    target = s.referenced.original
    if (owner := _find_owner(s.referenced)) is not None and owner != s.account.account_id:
        return refuse(s, Refusal.ID_TAKEN)
    if target and target.kind not in (Kind.BET, Kind.BETWIN, Kind.WIN):
        return refuse(s, Refusal.NOT_A_BET)
    # Something else has reversed the whole target. A second rollback must not look like the one that moved the money.
    if s.referenced.is_closed or s.round.is_rolled_back:
        return refuse(s, Refusal.CANCELLED)
    # The target took no money. If it arrives later, it must find its id closed.
    if target is None or target.state is State.REFUSED:
        return apply(s, command, now_ms, state=State.CLOSED, reference=command.reference)
    if target.kind is not Kind.WIN and not command.even_if_settled and _is_settled(s, s.referenced, target):
        return refuse(s, Refusal.ROUND_SETTLED)
    remaining = (target.payout if target.kind is Kind.WIN else target.stake) - sum_rolled_back(s.referenced.rollbacks)
    amount = remaining if command.amount is None else command.amount
    # A betwin has no separate parts: its stake and its win moved as one.
    if not 0 <= amount <= remaining or (target.kind is Kind.BETWIN and amount != remaining):
        return refuse(s, Refusal.OUT_OF_RANGE)
    if target.kind is Kind.WIN:
        cash, bonus = -amount, 0
    else:
        cash, bonus = _remaining_parts(s.referenced, target)
        if target.kind is Kind.BET:
            # Rule 6. The rest stays staked, and cash pays for it first.
            cash, bonus = amount - min(amount, bonus), min(amount, bonus)
    return _reverse(s, command._replace(amount=amount), now_ms, cash, bonus, clamp=command.clamp)


def decide_round_rollback(s: Snapshot, command: RollbackRound, now_ms: int) -> Outcome:
    """Return the outcome of a rollback of a round: its net movement is reversed, whatever made it."""
    if original := s.history.original:
        is_same = (original.kind, original.account_id, original.round) == (
            Kind.ROUND_ROLLBACK,
            s.account.account_id,
            command.round,
        )
        return Replayed(original, s.account.cash, s.account.bonus) if is_same else refuse(s, Refusal.ID_TAKEN)
    if s.history.is_closed or s.round.is_rolled_back:
        return refuse(s, Refusal.CANCELLED)
    # The round moved no money so far. Its late wins, and bets that check it, must find it closed.
    if not (s.round.standing_bets or s.round.last_win_seq or s.round.cash or s.round.bonus):
        return apply(s, command, now_ms, state=State.CLOSED)
    return _reverse(s, command, now_ms, -s.round.cash, -s.round.bonus, clamp=command.clamp)


def _reverse(
    s: Snapshot, command: Cancel | Rollback | RollbackRound, now_ms: int, cash: int, bonus: int, *, clamp: bool
) -> Outcome:
    """Return the outcome of a reversal with these signed changes: bonus is only returned, cash may be taken."""
    if s.account.cash + cash < 0:
        if not clamp:
            return refuse(s, Refusal.WIN_SPENT)
        cash = -s.account.cash
    if exceeds_max_balance(s, cash + bonus):
        return refuse(s, Refusal.OUT_OF_RANGE)
    reference = command.reference if isinstance(command, Rollback) else None
    # From here on it must succeed.
    return apply(s, command, now_ms, cash=cash, bonus=bonus, reference=reference)


def _find_owner(history: TransactionHistory) -> int | None:
    """Return the account that used or closed the id first, None if the id is unknown."""
    first = history.original or history.cancellation or next(iter(history.rollbacks), None)
    return first.account_id if first else None


def _is_settled(s: Snapshot, history: TransactionHistory, bet: Entry) -> bool:
    """Check if the bet has a result, or a win that belongs to it.

    A result names its bet. A win names only the round, so it may belong to any earlier bet of it. While another bet
    stands, the win may be that bet's, and this bet may never have been placed. The bet itself is one of the standing
    ones.
    """
    return history.settlement is not None or (s.round.last_win_seq > bet.seq and s.round.standing_bets <= 1)


def _remaining_parts(history: TransactionHistory, bet: Entry) -> tuple[int, int]:
    """Return the cash and the bonus that the bet took and no rollback returned; a net win is negative cash."""
    entries = (bet, *history.rollbacks)
    return -sum(entry.amount for entry in entries), -sum(entry.bonus_amount for entry in entries)
