"""The commands for an account. Amounts are cents; ids and rounds are a u64 as decimal text without leading zeros.

The content of a command is its kind, its account and its fields. The same id with the same content is a retry; with
other content it is an error of the caller. Two kinds of command differ:

- The content of a `Cancel` is its id and its player only.
- The `detail` of a `Deposit`, `Withdraw` or `Adjust` is not part of the content.
"""

from typing import NamedTuple


class Balance(NamedTuple):
    """A query of the balances, in a live session."""


class Authenticate(NamedTuple):
    """A query of the balances, in a live session of a player who may play."""


class Bet(NamedTuple):
    """A bet, which takes `stake` from the player: cash first, then bonus."""

    id: str
    stake: int
    round: str
    game: str | None = None
    detail: str | None = None
    """The content that only the protocol knows (vela: `key`), as canonical JSON."""


class Win(NamedTuple):
    """A win under an id of its own, which pays `payout` to the player's cash.

    `round` is the round of its bet, None if the request names none.
    """

    id: str
    payout: int
    round: str | None = None
    game: str | None = None


class Settle(NamedTuple):
    """The result of the bet with the same id, which pays `payout` to the player's cash once; 0 for a lost bet."""

    id: str
    payout: int
    game: str | None = None
    detail: str | None = None


class BetWin(NamedTuple):
    """A bet and its win in one step. The balance must cover the stake before the win counts."""

    id: str
    stake: int
    payout: int
    game: str | None = None


class Cancel(NamedTuple):
    """A cancel, which returns the stake of the bet with this id: the cash part to cash, the bonus part to bonus.

    A cancel of an id that took no money closes the id permanently.
    """

    id: str
    round: str | None = None


class Deposit(NamedTuple):
    """A payment of cash, bonus or both into the account, by the operator.

    `id` is the operator's own reference. `detail` has the author and the reason.
    """

    id: str
    cash: int
    bonus: int = 0
    detail: str | None = None


class Withdraw(NamedTuple):
    """A payment of cash out of the account, or a removal of bonus, by the operator; `id` and `detail` as in Deposit."""

    id: str
    cash: int
    bonus: int = 0
    detail: str | None = None


class Adjust(NamedTuple):
    """A correction of the balances by the operator. `cash` and `bonus` are signed; `id` and `detail` as in Deposit.

    It is neither a deposit nor a loss: limits, exclusion and a block do not apply.
    """

    id: str
    cash: int
    bonus: int = 0
    detail: str | None = None


Query = Balance | Authenticate
MoneyCommand = Bet | Win | Settle | BetWin | Cancel | Deposit | Withdraw | Adjust
Command = Query | MoneyCommand
