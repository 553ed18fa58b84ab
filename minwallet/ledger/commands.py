"""The commands for an account. Amounts are cents and never negative, except those of an Adjust.

Ids and rounds are text. Those of wallet-v2 and vela are a u64 as decimal text without leading zeros.

The content of a command is its kind, its account and its fields. The same id with the same content is a retry; with
other content it is an error of the caller. Three kinds of command differ:

- The content of a `Cancel` is its id and its player only.
- The content of a `Rollback` is its reference and its amount. Without an amount it is a retry of one with any amount.
- The `detail` of a `Deposit`, `Withdraw` or `Adjust` is not part of the content.

`clamp`, `even_if_settled` and `checks_round` say how a command is decided, and are not part of its content. So the
content is:

| command | content besides the id and the account |
|---|---|
| Bet | stake, round, game, detail |
| Win | payout, round, game, category |
| Settle | payout, game, detail |
| BetWin | stake, payout, game |
| Cancel | nothing |
| Rollback | reference, amount |
| RollbackRound | round |
| EndRound | round, game |
| Deposit, Withdraw, Adjust | cash, bonus |
"""

from enum import StrEnum
from typing import NamedTuple

MAX_GROUP_SIZE = 100
"""The maximum of commands in one Group."""


class WinCategory(StrEnum):
    """The reason of a win that no bet earned."""

    FREE_ROUND = "free_round"
    JACKPOT = "jackpot"
    TIP = "tip"
    PROMOTION = "promotion"


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
    checks_round: bool = False
    """True for a protocol with RollbackRound: the bet is refused if its round was rolled back before it arrived.

    Without it, the round is not read. BetWin and Settle have it for the same reason.
    """


class Win(NamedTuple):
    """A win under an id of its own, which pays `payout` to the player's cash.

    `round` is the round of its bet, None if the request names none. A win with a `category` needs no bet.
    """

    id: str
    payout: int
    round: str | None = None
    game: str | None = None
    category: WinCategory | None = None


class Settle(NamedTuple):
    """The result of the bet with the same id, which pays `payout` to the player's cash once; 0 for a lost bet."""

    id: str
    payout: int
    game: str | None = None
    detail: str | None = None
    checks_round: bool = False


class BetWin(NamedTuple):
    """A bet and its win in one step, in the round of its own id.

    The balance must cover the stake before the win counts.
    """

    id: str
    stake: int
    payout: int
    game: str | None = None
    checks_round: bool = False


class Cancel(NamedTuple):
    """A cancel, which returns the stake of the bet with this id: the cash part to cash, the bonus part to bonus.

    A cancel of an id that took no money closes the id permanently.
    """

    id: str
    round: str | None = None


class Rollback(NamedTuple):
    """A reversal of the bet, betwin or win `reference`, under an id of its own.

    - Of a bet it returns the stake, or `amount` of it: a partial refund. Several may follow each other. They return
      what a smaller bet would not have taken: bonus first, then cash.
    - Of a win it takes the payout, or `amount` of it, from cash. If there is less cash, it is refused, or takes what
      there is if `clamp` is true. A balance never becomes negative.
    - Of a betwin it reverses the whole, as one net movement. `clamp` applies to a net win.
    - Of an unknown `reference`, or of a refused bet, it closes that id permanently.
    - A bet with a result or a later win is settled. It is refused alone, and applied in a Group that rolls back the win
      too, in any order. With `even_if_settled` it is applied alone, and the player keeps the win.
    - `round` and `game` count for an unknown `reference` only: it was a transaction of that round. If no bet of the
      round stands, a later win of it is refused, as after a Cancel. A known reference has its own round and game.
    """

    id: str
    reference: str
    amount: int | None = None
    clamp: bool = False
    even_if_settled: bool = False
    round: str | None = None
    game: str | None = None


class RollbackRound(NamedTuple):
    """A reversal of everything in the round that still stands, as one net movement, under an id of its own.

    The round is closed permanently, even if it is unknown: its wins and its bets with `checks_round` are refused.
    `clamp` is as in Rollback.
    """

    id: str
    round: str
    clamp: bool = False


class EndRound(NamedTuple):
    """The end of a round, under an id of its own: its bets so far are settled. It moves no money.

    A late win, cancel or rollback of the round is decided as if the round had not ended.
    """

    id: str
    round: str
    game: str | None = None


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
GameCommand = Bet | Win | Settle | BetWin | Cancel | Rollback | RollbackRound | EndRound
MoneyCommand = GameCommand | Deposit | Withdraw | Adjust


class Group(NamedTuple):
    """Several commands for one account, in order and all or nothing: 1 to MAX_GROUP_SIZE of them.

    Each one that is applied makes an entry of its own. If one of them is refused, none is applied.
    """

    commands: tuple[MoneyCommand, ...]


Command = Query | MoneyCommand | Group
