"""The outcomes that decisions return, and the entries in them."""

from typing import assert_never

from minwallet.ledger.commands import (
    Adjust,
    Bet,
    BetWin,
    Cancel,
    Deposit,
    EndRound,
    MoneyCommand,
    Rollback,
    RollbackRound,
    Settle,
    Win,
    Withdraw,
)
from minwallet.ledger.entries import Entry, Kind, Refusal, State, chain_entry
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.outcomes import Applied, Refused
from minwallet.ledger.snapshot import Snapshot


def refuse(s: Snapshot, refusal: Refusal) -> Refused:
    """Return a refusal that is not stored."""
    return Refused(refusal, s.account.cash, s.account.bonus)


def refuse_permanently(s: Snapshot, command: Bet | BetWin, refusal: Refusal, now_ms: int) -> Refused:
    """Return a refusal with the entry that stores it."""
    cash, bonus = s.account.cash, s.account.bonus
    entry = _build_entry(s, command, now_ms, (0, 0, cash, bonus, State.REFUSED, refusal, None))
    return Refused(refusal, cash, bonus, entry)


def apply(
    s: Snapshot,
    command: MoneyCommand,
    now_ms: int,
    *,
    cash: int = 0,
    bonus: int = 0,
    state: State = State.APPLIED,
    reference: str | None = None,
) -> Applied:
    """Return the command as applied, with its entry. `cash` and `bonus` are the signed changes of the balances."""
    cash_after, bonus_after = s.account.cash + cash, s.account.bonus + bonus
    assert cash_after >= 0
    assert bonus_after >= 0
    assert cash_after + bonus_after <= MAX_CENTS
    entry = _build_entry(s, command, now_ms, (cash, bonus, cash_after, bonus_after, state, None, reference))
    return Applied(entry, cash_after, bonus_after)


def exceeds_max_balance(s: Snapshot, cents: int) -> bool:
    """Check if the sum of cash and bonus would exceed MAX_CENTS: the sum must be a signed 64-bit number, too."""
    return s.account.cash + s.account.bonus + cents > MAX_CENTS


def _build_entry(
    s: Snapshot,
    command: MoneyCommand,
    now_ms: int,
    effect: tuple[int, int, int, int, State, Refusal | None, str | None],
) -> Entry:
    account_id, _, _, head, last_seq = s.account
    return chain_entry(
        (s.next_seq, now_ms, account_id, last_seq, s.protocol, *build_content(s, command), *effect), head
    )


def build_content(s: Snapshot, command: MoneyCommand) -> tuple[Kind, str, str | None, str | None, str | None, int, int]:
    """Return the content of the command as the entry's fields from `kind` to `payout`."""
    match command:
        case Bet():
            # The hot path: unpacking the tuple is faster than the five attributes of a class pattern.
            id, stake, round, game, detail, _ = command
            return (Kind.BET, id, round, game, detail, stake, 0)
        case Win():
            id, payout, of_round, game, category = command
            detail = f'{{"category":"{category}"}}' if category else None
            return (Kind.WIN, id, of_round, game, detail, 0, payout)
        case Settle(id, payout, game, detail):
            # The bet is known, or no result would be applied.
            bet = s.history.original
            return (Kind.WIN, id, bet.round if bet else id, game, detail, 0, payout)
        case BetWin(id, stake, payout, game):
            return (Kind.BETWIN, id, id, game, None, stake, payout)
        case Cancel(id, round):
            # Round and game of the bet, if known: a cancel need not name them, and they are not its content.
            bet = s.history.original
            return (Kind.CANCEL, id, bet.round if bet else round or id, bet.game if bet else None, None, 0, 0)
        case Rollback(id, _, amount, _, _, of_round, of_game):
            # Of a win it takes the amount. Of anything else it returns it.
            target = s.referenced.original
            taken, returned = (amount or 0, 0) if target and target.kind is Kind.WIN else (0, amount or 0)
            # An unknown target has the round and the game that the rollback names, as a cancel's.
            fields = (target.round, target.game) if target else (of_round, of_game)
            return (Kind.ROLLBACK, id, *fields, None, taken, returned)
        case RollbackRound(id, round):
            return (Kind.ROUND_ROLLBACK, id, round, None, None, 0, 0)
        case EndRound(id, round, game):
            return (Kind.ROUND_END, id, round, game, None, 0, 0)
        case Deposit(id, _, _, detail):
            return (Kind.DEPOSIT, id, None, None, detail, 0, 0)
        case Withdraw(id, _, _, detail):
            return (Kind.WITHDRAW, id, None, None, detail, 0, 0)
        case Adjust(id, _, _, detail):
            return (Kind.ADJUSTMENT, id, None, None, detail, 0, 0)
        case _:
            assert_never(command)
