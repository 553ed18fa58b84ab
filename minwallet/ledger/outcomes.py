"""The possible outcomes of a command. `cash` and `bonus` are the account's current balances in cents."""

from collections.abc import Sequence
from typing import NamedTuple

from minwallet.ledger.entries import Entry, Refusal


class BalanceShown(NamedTuple):
    """The answer to a query; nothing changed."""

    cash: int
    bonus: int


class Applied(NamedTuple):
    """The command was applied by the new row `entry`.

    A cancel of an id that took no money is applied too, and its row has the state `closed`.
    """

    entry: Entry
    cash: int
    bonus: int


class Replayed(NamedTuple):
    """A retry: the earlier row `entry` applied the same request; nothing changed."""

    entry: Entry
    cash: int
    bonus: int


class Refused(NamedTuple):
    """A refusal: no money moved. `entry` is the row that stores a permanent refusal, None for any other.

    If one command of a Group is refused, the Group has this refusal, and `entry` is the only row that it writes.
    """

    refusal: Refusal
    cash: int
    bonus: int
    entry: Entry | None = None


class GroupApplied(NamedTuple):
    """All commands of a Group were applied now or earlier; `outcomes` are theirs, in order."""

    outcomes: tuple[Applied | Replayed, ...]
    cash: int
    bonus: int


class Unauthenticated(NamedTuple):
    """A refusal of a call that identifies no account, and so without a balance.

    The token does not exist, the player does not exist, or the request contradicts its session. Only the wallet service
    returns it, before a snapshot is read; `decide` never does.
    """

    refusal: Refusal = Refusal.SESSION_UNKNOWN


Outcome = BalanceShown | Applied | Replayed | Refused | GroupApplied


def list_new_entries(outcome: Outcome | Unauthenticated) -> Sequence[Entry]:
    """Return the entries that a command wrote, or that it would write after a dry run, in order of `seq`."""
    if isinstance(outcome, Applied):  # nearly always, and faster than a pattern
        return (outcome.entry,)
    match outcome:
        case Refused(entry=Entry() as entry):
            return (entry,)
        case GroupApplied(outcomes):
            # The commands may have been decided in another order than theirs, and an account's entries are a chain.
            return sorted((each.entry for each in outcomes if isinstance(each, Applied)), key=lambda each: each.seq)
        case _:
            return ()
