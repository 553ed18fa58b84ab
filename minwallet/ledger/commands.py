"""What can be asked of one account. Amounts are cents; ids and rounds are canonical decimal text of a u64.

A command's fields, its account and its kind are its *content*: the same id with the same content is a retry, with
other content it is a mistake. `Cancel` is the exception, its content is its id and its player alone.
"""

from typing import NamedTuple


class Balance(NamedTuple):
    """Ask what there is, in a live session."""


class Authenticate(NamedTuple):
    """Ask what there is, in a live session of an active player."""


class Bet(NamedTuple):
    """Take `stake` from the player, cash first, then bonus."""

    id: str
    stake: int
    round: str
    game: str | None = None
    detail: str | None = None
    """What else of the request is content, as canonical JSON; each protocol knows its own."""


class Win(NamedTuple):
    """Pay `payout` to the player's cash, under an id of its own. `round` names the round it belongs to, if any."""

    id: str
    payout: int
    round: str | None = None
    game: str | None = None


class Settle(NamedTuple):
    """Pay `payout` (0 for a lost bet) as the result of the bet with this same id, once."""

    id: str
    payout: int
    game: str | None = None
    detail: str | None = None


class BetWin(NamedTuple):
    """Take `stake` and pay `payout` as one indivisible step; the money must cover the stake before the win counts."""

    id: str
    stake: int
    payout: int
    game: str | None = None


class Cancel(NamedTuple):
    """Give back what the bet with this id took, each part to where it came from. Closes an id that never took any."""

    id: str
    round: str | None = None


class Deposit(NamedTuple):
    """The operator adds cash, bonus or both. `id` is the operator's own reference, `detail` says who did it and why;
    that is no part of the content."""

    id: str
    cash: int
    bonus: int = 0
    detail: str | None = None


class Withdraw(NamedTuple):
    """The operator takes cash out, or takes promotional bonus back. `id` and `detail` are as in a deposit."""

    id: str
    cash: int
    bonus: int = 0
    detail: str | None = None


Query = Balance | Authenticate
MoneyCommand = Bet | Win | Settle | BetWin | Cancel | Deposit | Withdraw
Command = Query | MoneyCommand
