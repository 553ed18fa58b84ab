"""Ledger entries and rounds, described in sentences."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, assert_never

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.commands import WinCategory
from minwallet.ledger.entries import Entry, Kind, State, find_open_bets, is_wholly_rolled_back
from minwallet.storage.models import OPENING_PROTOCOL
from minwallet.web.formatting import format_money
from minwallet.web.refusal_texts import REFUSAL_TEXTS

CATEGORY_TEXTS = {
    WinCategory.FREE_ROUND: "in a free round",
    WinCategory.JACKPOT: "as a jackpot",
    WinCategory.TIP: "as a tip",
    WinCategory.PROMOTION: "as a promotion",
}


def describe_entry(entry: Entry, owner: AccountRef) -> str:
    """Return one or two sentences about the effect of an entry."""
    match entry.state:
        case State.REFUSED:
            assert entry.refusal is not None
            return (
                f"{owner.player_id}'s {_bet_noun(entry)} of {_format_amount(entry.stake, owner)} was refused"
                f" permanently: {REFUSAL_TEXTS[entry.refusal]}. No money moved."
            )
        case State.CLOSED:
            return _describe_tombstone(entry)
        case State.APPLIED | State.ORPHAN:
            return _describe_movement(entry, owner)
        case _:
            assert_never(entry.state)


def parse_actor_and_reason(entry: Entry) -> tuple[str, str]:
    """Return the author and the reason of a deposit, withdrawal or adjustment, "" if the entry has none."""
    is_transfer = entry.kind in (Kind.DEPOSIT, Kind.WITHDRAW, Kind.ADJUSTMENT)
    detail = json.loads(entry.detail) if entry.detail and is_transfer else {}
    return str(detail.get("by", "")), str(detail.get("reason", ""))


def parse_category(entry: Entry) -> WinCategory | None:
    """Return the category of a win, None if the entry has none."""
    if entry.kind is not Kind.WIN or not entry.detail:
        return None
    try:
        # A result may have any other detail, which only its protocol knows.
        return WinCategory(json.loads(entry.detail)["category"])
    except (ValueError, KeyError, TypeError):
        return None


class RoundStatus(NamedTuple):
    """The state of a round: a word for a badge, and a sentence."""

    label: str
    description: str


def describe_round(entries: Sequence[Entry], owner: AccountRef) -> RoundStatus:
    """Return the state of a round from all entries that one account has in it."""
    ends = {entry.kind: entry for entry in entries if entry.kind in (Kind.ROUND_ROLLBACK, Kind.ROUND_END)}
    if (rollback := ends.get(Kind.ROUND_ROLLBACK)) and rollback.state is State.APPLIED:
        return RoundStatus("cancelled", f"Rolled back as a whole: {_describe_reversal(rollback, owner)}.")
    rollbacks = defaultdict(list)
    for entry in entries:
        if entry.kind is Kind.ROLLBACK:
            rollbacks[entry.reference].append(entry)
    cancelled_ids = {entry.id for entry in entries if entry.kind is Kind.CANCEL and entry.state is State.APPLIED}
    bets = [entry for entry in entries if entry.kind in (Kind.BET, Kind.BETWIN) and entry.state is State.APPLIED]
    # A result has the id of its bet. The rollbacks of that id are the bet's.
    bet_ids = {bet.id for bet in bets}
    open_or_settled = [
        bet
        for bet in bets
        if bet.id not in cancelled_ids and not (bet.id in rollbacks and is_wholly_rolled_back(bet, rollbacks[bet.id]))
    ]
    all_wins = [entry for entry in entries if entry.kind is Kind.WIN]
    wins = [
        win
        for win in all_wins
        if win.id in bet_ids or win.id not in rollbacks or not is_wholly_rolled_back(win, rollbacks[win.id])
    ]
    # Of a bet, a rollback returns a payout. Of a win, it takes a stake.
    returned_cents = sum(each.payout for bet in open_or_settled for each in rollbacks[bet.id])
    taken_cents = sum(each.stake for win in wins if win.id not in bet_ids for each in rollbacks[win.id])
    staked = _format_amount(sum(entry.stake for entry in open_or_settled) - returned_cents, owner)
    paid = _format_amount(sum(entry.payout for entry in [*wins, *open_or_settled]) - taken_cents, owner)
    if find_open_bets(entries):
        won = f", and {paid} won so far" if wins else ""
        return RoundStatus("open", f"{staked} staked{won}; no result or cancel yet.")
    if open_or_settled:
        return RoundStatus("settled", f"{staked} staked, {paid} won.")
    if any(win.state is State.APPLIED for win in wins):
        # A rollback that is applied although its bet is settled.
        return RoundStatus("settled", f"{paid} won; the stake was returned all the same.")
    if wins:
        return RoundStatus("orphan", f"{paid} won without a known bet.")
    if bets:
        returned = _format_amount(sum(entry.stake for entry in bets), owner)
        return RoundStatus("cancelled", f"Cancelled; {returned} staked and returned.")
    if all_wins:
        return RoundStatus("cancelled", "All wins were rolled back.")
    if any(entry.state is State.REFUSED for entry in entries):
        return RoundStatus("refused", "All bets were refused; no money moved.")
    if Kind.ROUND_END in ends:
        return RoundStatus("settled", "The round ended without a known bet; no money moved.")
    return RoundStatus("closed", "Cancelled before a bet arrived; no money moved.")


def _describe_movement(entry: Entry, owner: AccountRef) -> str:
    player_id = owner.player_id
    match entry.kind:
        case Kind.BET:
            bonus = _format_bonus(-entry.amount, -entry.bonus_amount)
            return f"{player_id} bet {_format_amount(entry.stake, owner)}{bonus}."
        case Kind.WIN if category := parse_category(entry):
            late = ", although no session was live" if entry.state is State.ORPHAN else ""
            return f"{player_id} won {_format_amount(entry.payout, owner)} {CATEGORY_TEXTS[category]}{late}."
        case Kind.WIN if entry.state is State.ORPHAN:
            return (
                f"{player_id} won {_format_amount(entry.payout, owner)} without a known bet."
                " The win was paid, because its bet may be older than this wallet, or lost."
            )
        case Kind.WIN:
            no_win = f"{player_id}'s round was settled without a win."
            return f"{player_id} won {_format_amount(entry.payout, owner)}." if entry.payout else no_win
        case Kind.BETWIN:
            stake, payout = _format_amount(entry.stake, owner), _format_amount(entry.payout, owner)
            return f"{player_id} bet {stake} and won {payout} in one step."
        case Kind.CANCEL:
            return f"The bet was cancelled: {_describe_reversal(entry, owner)}."
        case Kind.ROLLBACK:
            missing = entry.stake + entry.amount if entry.stake else 0
            spent = f" {player_id} had spent the other {_format_amount(missing, owner)}." if missing else ""
            return f"A rollback of transaction {entry.reference}: {_describe_reversal(entry, owner)}.{spent}"
        case Kind.ROUND_ROLLBACK:
            return f"The round was rolled back: {_describe_reversal(entry, owner)}."
        case Kind.ROUND_END:
            return "The round ended, so its bets are settled. No money moved."
        case Kind.DEPOSIT if entry.protocol == OPENING_PROTOCOL:
            moved = entry.amount + entry.bonus_amount
            bonus = _format_bonus(entry.amount, entry.bonus_amount)
            return f"{player_id}'s account started with {_format_amount(moved, owner)}{bonus}."
        case Kind.DEPOSIT:
            return f"{_format_by_balance(entry.amount, entry.bonus_amount, owner)} was deposited for {player_id}."
        case Kind.WITHDRAW:
            return f"{_format_by_balance(-entry.amount, -entry.bonus_amount, owner)} was withdrawn from {player_id}."
        case Kind.ADJUSTMENT:
            amounts = _format_by_balance(abs(entry.amount), abs(entry.bonus_amount), owner)
            change = "added to" if entry.amount + entry.bonus_amount > 0 else "taken from"
            return f"{amounts} was {change} {player_id}'s account as an adjustment."
        case _:
            assert_never(entry.kind)


def _describe_tombstone(entry: Entry) -> str:
    match entry.kind:
        case Kind.ROLLBACK:
            noun, closed = f"A rollback of transaction {entry.reference}, which took no money.", "That id"
        case Kind.ROUND_ROLLBACK:
            noun, closed = "A rollback of a round that moved no money.", "The round"
        case _:
            noun, closed = "A cancel of an id that took no money.", "The id"
    return f"{noun} {closed} is closed permanently, so a late bet is refused. No money moved."


def _describe_reversal(entry: Entry, owner: AccountRef) -> str:
    """Return what a cancel or rollback moved, as a clause."""
    moved = entry.amount + entry.bonus_amount
    if moved < 0:
        return f"{_format_amount(-moved, owner)} was taken back"
    bonus = _format_bonus(entry.amount, entry.bonus_amount)
    return f"{_format_amount(moved, owner)} returned to {owner.player_id}{bonus}"


def _bet_noun(entry: Entry) -> str:
    return "bet" if entry.kind is Kind.BET else "bet and win"


def _format_amount(cents: int, owner: AccountRef) -> str:
    return f"{format_money(cents)} {owner.currency}"


def _format_bonus(cash: int, bonus: int) -> str:
    """Return the cash and bonus parts in brackets, "" without a bonus part."""
    return f" ({format_money(cash)} cash, {format_money(bonus)} bonus)" if bonus else ""


def _format_by_balance(cash: int, bonus: int, owner: AccountRef) -> str:
    parts = [f"{_format_amount(cents, owner)} of {name}" for cents, name in ((cash, "cash"), (bonus, "bonus")) if cents]
    return " and ".join(parts) or _format_amount(0, owner)
