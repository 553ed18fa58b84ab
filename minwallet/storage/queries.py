"""The filter of a query on the ledger, and the values that such queries return: pages, totals and balances."""

from typing import NamedTuple, Self, assert_never

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.entries import Entry, Kind, State


class Filter(NamedTuple):
    """Which rows are wanted: those that agree with everything that is not None; `since_ms` ≤ time < `until_ms`."""

    agent: str | None = None
    player_id: str | None = None
    currency: str | None = None
    protocol: str | None = None
    kind: str | None = None
    state: str | None = None
    game: str | None = None
    round: str | None = None
    id: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    def matches(self, entry: Entry, owner: AccountRef) -> bool:
        """Whether this row is wanted."""
        values = (*owner, entry.protocol, entry.kind, entry.state, entry.game, entry.round, entry.id)
        criteria = (self.agent, self.player_id, self.currency, *self[3:9])
        return (
            all(want in (None, value) for want, value in zip(criteria, values, strict=True))
            and (self.since_ms is None or entry.at_ms >= self.since_ms)
            and (self.until_ms is None or entry.at_ms < self.until_ms)
        )


class OwnedEntry(NamedTuple):
    """A row of the ledger, and whose it is."""

    entry: Entry
    owner: AccountRef


class EntryPage(NamedTuple):
    """Some rows, and the `seq` to go on from; None where there are no more.

    Looking for what is rare ends after so many rows, so a page may be short, or empty, and still have a `next_seq`.
    """

    rows: list[OwnedEntry]
    next_seq: int | None


class DailyTotalKey(NamedTuple):
    """What a sum is of. `day` counts days since 1970 UTC; `game` is "" where there is none."""

    day: int
    agent: str
    currency: str
    protocol: str
    game: str


class Total(NamedTuple):
    """What the rows under one heading add up to, in cents but for the three counts.

    Bets and what they staked, wins and what they paid, cancels and what they gave back, what the operator moved in and
    out; `moved` is by how much all of the rows changed balances.
    """

    bets: int = 0
    staked: int = 0
    wins: int = 0
    paid: int = 0
    refunds: int = 0
    refunded: int = 0
    deposited: int = 0
    withdrawn: int = 0
    moved: int = 0

    def plus(self, other: "Total") -> "Total":
        return Total(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    @classmethod
    def from_rows(cls, kind: Kind, state: State, *, rows: int, stake: int, payout: int, moved: int) -> Self:
        """What so many rows of one kind and state add up to, whose stakes, payouts and changes add up to these."""
        if state in (State.REFUSED, State.CLOSED):
            return cls()
        match kind:
            case Kind.BET:
                return cls(bets=rows, staked=stake, moved=moved)
            case Kind.WIN:
                return cls(wins=rows, paid=payout, moved=moved)
            case Kind.BETWIN:
                return cls(bets=rows, staked=stake, wins=rows, paid=payout, moved=moved)
            case Kind.CANCEL:
                return cls(refunds=rows, refunded=moved, moved=moved)
            case Kind.DEPOSIT:
                return cls(deposited=moved, moved=moved)
            case Kind.WITHDRAW:
                return cls(withdrawn=-moved, moved=moved)
            case _:
                assert_never(kind)

    @property
    def ggr(self) -> int:
        """Gross gaming revenue: what players staked, less what they won and got back."""
        return self.staked - self.paid - self.refunded


class CurrencyBalance(NamedTuple):
    """What all players hold in one currency, and what all rows of the ledger in it add up to, at the same moment."""

    currency: str
    accounts: int
    cash: int
    bonus: int
    ledger_total: int

    @property
    def is_consistent(self) -> bool:
        """No money was made or lost: the balances are what the rows say."""
        return self.cash + self.bonus == self.ledger_total


class MinuteCount(NamedTuple):
    """How many bets were taken in the minute that began at `at_ms`."""

    at_ms: int
    bets: int
