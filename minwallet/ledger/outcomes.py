"""What came of a command. Each carries the account's balances now, in cents, as far as they are known."""

from typing import NamedTuple

from minwallet.ledger.entries import Entry, Refusal


class BalanceShown(NamedTuple):
    """A question was answered; nothing changed."""

    cash: int
    bonus: int


class Applied(NamedTuple):
    """A new row is written. A cancel of an id that took no money is applied too, with state `closed`."""

    entry: Entry
    cash: int
    bonus: int


class Replayed(NamedTuple):
    """The same request was applied before, by `entry`; nothing changed."""

    entry: Entry
    cash: int
    bonus: int


class Refused(NamedTuple):
    """Nothing moved. `entry` is the row that records the refusal, where it is one that lasts."""

    refusal: Refusal
    cash: int
    bonus: int
    entry: Entry | None = None


class SessionUnknown(NamedTuple):
    """Nobody has this session, so there is no balance to speak of."""

    refusal: Refusal = Refusal.SESSION_UNKNOWN


Outcome = BalanceShown | Applied | Replayed | Refused
