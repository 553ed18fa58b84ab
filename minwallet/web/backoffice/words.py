"""What happened, in sentences for people: an entry of the ledger, and how a round ended."""

import json
from collections.abc import Sequence
from typing import NamedTuple, assert_never

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.entries import Entry, Kind, Refusal, State
from minwallet.storage.models import OPENING_PROTOCOL
from minwallet.web.formatting import format_money

WHY_REFUSED = {
    Refusal.SESSION_UNKNOWN: "nobody has this session",
    Refusal.CANCELLED: "the bet had been called off before",
    Refusal.ID_TAKEN: "the id was used for something else",
    Refusal.NOT_A_BET: "the id is that of a win",
    Refusal.NO_OPEN_BET: "there was no open bet of this id",
    Refusal.SESSION_REVOKED: "the session was revoked",
    Refusal.SESSION_EXPIRED: "the session had expired",
    Refusal.PLAYER_BLOCKED: "the player was blocked",
    Refusal.PLAYER_EXCLUDED: "the player was excluded",
    Refusal.LOSS_LIMIT: "it would have passed a limit of what the player may lose",
    Refusal.DEPOSIT_LIMIT: "it would have passed a limit of what may be deposited",
    Refusal.ROUND_CANCELLED: "all bets of the round had been called off",
    Refusal.ROUND_SETTLED: "the round had been won before",
    Refusal.INSUFFICIENT_FUNDS: "there was too little money",
    Refusal.WIN_SPENT: "the win that it would take back was spent",
    Refusal.OUT_OF_RANGE: "no balance can be as large",
}


def tell(entry: Entry, owner: AccountRef) -> str:
    """What an entry did, in one or two sentences."""
    match entry.state:
        case State.REFUSED:
            assert entry.refusal is not None
            return (
                f"{owner.player_id}'s {_noun(entry)} of {_money(entry.stake, owner)} was refused and stays refused:"
                f" {WHY_REFUSED[entry.refusal]}. No money moved."
            )
        case State.CLOSED:
            return (
                "A cancel for an id that took no money. The id is closed for ever, so a bet that arrives late is"
                " refused. No money moved."
            )
        case State.APPLIED | State.ORPHAN:
            return _tell_movement(entry, owner)
        case _:
            assert_never(entry.state)


def tell_who(entry: Entry) -> tuple[str, str]:
    """Who moved the operator's own money, and why; empty where nobody said."""
    said = json.loads(entry.detail) if entry.detail and entry.kind in (Kind.DEPOSIT, Kind.WITHDRAW) else {}
    return str(said.get("by", "")), str(said.get("reason", ""))


class Ending(NamedTuple):
    """How it stands with a round: a word for a badge, and a sentence."""

    word: str
    text: str


def tell_round(entries: Sequence[Entry], owner: AccountRef) -> Ending:
    """What became of a round, of which these are all of one account's entries."""
    called_off = {entry.id for entry in entries if entry.kind is Kind.CANCEL and entry.state is State.APPLIED}
    bets = [entry for entry in entries if entry.kind in (Kind.BET, Kind.BETWIN) and entry.state is State.APPLIED]
    standing = [entry for entry in bets if entry.id not in called_off]
    wins = [entry for entry in entries if entry.kind is Kind.WIN]
    staked = _money(sum(entry.stake for entry in standing), owner)
    paid = _money(sum(entry.payout for entry in [*wins, *standing]), owner)
    last_win = max((entry.seq for entry in wins), default=0)
    if any(entry.kind is Kind.BET and entry.seq > last_win for entry in standing):
        won = f", and {paid} won so far" if wins else ""
        return Ending("open", f"{staked} staked{won}; the round is neither won nor called off.")
    if standing:
        return Ending("settled", f"{staked} staked, {paid} won.")
    if wins:
        return Ending("orphan", f"{paid} won, of which this wallet knows no bet.")
    if bets:
        returned = _money(sum(entry.stake for entry in bets), owner)
        return Ending("cancelled", f"Called off; {returned} staked and returned.")
    if any(entry.state is State.REFUSED for entry in entries):
        return Ending("refused", "Its bets were refused; no money moved.")
    return Ending("closed", "Called off before any bet came; no money moved.")


def _tell_movement(entry: Entry, owner: AccountRef) -> str:
    who = owner.player_id
    match entry.kind:
        case Kind.BET:
            return f"{who} bet {_money(entry.stake, owner)}{_parts(-entry.amount, -entry.bonus_amount)}."
        case Kind.WIN if entry.state is State.ORPHAN:
            return (
                f"{who} won {_money(entry.payout, owner)} in a round of which this wallet knows no bet. It was paid,"
                " as a win has to be."
            )
        case Kind.WIN:
            nothing = f"{who}'s round was settled with nothing won."
            return f"{who} won {_money(entry.payout, owner)}." if entry.payout else nothing
        case Kind.BETWIN:
            return f"{who} bet {_money(entry.stake, owner)} and won {_money(entry.payout, owner)} in one step."
        case Kind.CANCEL:
            moved = entry.amount + entry.bonus_amount
            back = f"{_money(moved, owner)} went back to {who}{_parts(entry.amount, entry.bonus_amount)}"
            return f"The bet was called off: {back if moved >= 0 else f'{_money(-moved, owner)} was taken back'}."
        case Kind.DEPOSIT if entry.protocol == OPENING_PROTOCOL:
            moved = entry.amount + entry.bonus_amount
            return f"{who}'s account began with {_money(moved, owner)}{_parts(entry.amount, entry.bonus_amount)}."
        case Kind.DEPOSIT:
            return f"{_kinds(entry.amount, entry.bonus_amount, owner)} was deposited for {who}."
        case Kind.WITHDRAW:
            return f"{_kinds(-entry.amount, -entry.bonus_amount, owner)} was withdrawn from {who}."
        case _:
            assert_never(entry.kind)


def _noun(entry: Entry) -> str:
    return "bet" if entry.kind is Kind.BET else "bet and win"


def _money(cents: int, owner: AccountRef) -> str:
    return f"{format_money(cents)} {owner.currency}"


def _parts(cash: int, bonus: int) -> str:
    """What of it was bonus, where any was."""
    return f" ({format_money(cash)} cash, {format_money(bonus)} bonus)" if bonus else ""


def _kinds(cash: int, bonus: int, owner: AccountRef) -> str:
    parts = [f"{_money(cents, owner)} of {name}" for cents, name in ((cash, "cash"), (bonus, "bonus")) if cents]
    return " and ".join(parts) or _money(0, owner)
