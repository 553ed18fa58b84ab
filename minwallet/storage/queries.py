"""The filter of a query on the ledger, and the values that such queries return: pages, totals and balances."""

from typing import NamedTuple, Self, assert_never

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.entries import Entry, Kind, State


class Filter(NamedTuple):
    """The conditions on entries. None matches every entry. Times match if `since_ms` <= time < `until_ms`."""

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
        """Return True if the entry meets all conditions."""
        values = (*owner, entry.protocol, entry.kind, entry.state, entry.game, entry.round, entry.id)
        *criteria, since_ms, until_ms = self
        return (
            all(want in (None, value) for want, value in zip(criteria, values, strict=True))
            and (since_ms is None or entry.at_ms >= since_ms)
            and (until_ms is None or entry.at_ms < until_ms)
        )


class OwnedEntry(NamedTuple):
    """An entry and its owner."""

    entry: Entry
    owner: AccountRef


class EntryPage(NamedTuple):
    """A page of entries, and the `seq` at which the next page begins; None for the last page.

    A search for rare entries stops after a fixed number of rows. So a page may be short or empty and still have a
    `next_seq`.
    """

    rows: list[OwnedEntry]
    next_seq: int | None


class DailyTotalKey(NamedTuple):
    """The key of a total. `day` counts days since 1970 UTC. `game` is "" for entries without a game."""

    day: int
    agent: str
    currency: str
    protocol: str
    game: str


class Total(NamedTuple):
    """The sums over the entries of one key. `bets`, `wins` and `refunds` are counts, all others are in cents.

    `orphan_wins` and `orphan_paid` are the wins without a bet, a part of `wins` and `paid`. `adjusted` is the sum of
    signed corrections. `moved` is the sum of all changes of balances.

    A refund is a cancel, a rollback of a bet or betwin, or a rollback of a round. A rollback of a win reduces `paid`,
    and not `wins`. A rollback of a round adds its stakes to `refunded` and takes its wins from `paid`.
    """

    bets: int = 0
    staked: int = 0
    wins: int = 0
    paid: int = 0
    refunds: int = 0
    refunded: int = 0
    deposited: int = 0
    withdrawn: int = 0
    adjusted: int = 0
    moved: int = 0
    orphan_wins: int = 0
    orphan_paid: int = 0

    def plus(self, other: "Total") -> "Total":
        return Total(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    @classmethod
    def from_rows(
        cls,
        kind: Kind,
        state: State,
        *,
        rows: int,
        stake: int,
        payout: int,
        moved: int,
        taken_back: int | None = None,
        orphan_taken_back: int = 0,
    ) -> Self:
        """Return the total of `rows` entries of one kind and state. The other arguments are sums over these entries.

        `taken_back` is the negative part of `moved` by which rollbacks reversed wins, None if they reversed no wins.
        `orphan_taken_back` is the part of it that reversed wins without a bet.
        """
        if state in (State.REFUSED, State.CLOSED):
            return cls()
        match kind:
            case Kind.BET:
                return cls(bets=rows, staked=stake, moved=moved)
            case Kind.WIN if state is State.ORPHAN:
                return cls(wins=rows, paid=payout, moved=moved, orphan_wins=rows, orphan_paid=payout)
            case Kind.WIN:
                return cls(wins=rows, paid=payout, moved=moved)
            case Kind.BETWIN:
                return cls(bets=rows, staked=stake, wins=rows, paid=payout, moved=moved)
            case Kind.ROLLBACK if taken_back is not None:
                return cls(paid=moved, moved=moved, orphan_paid=orphan_taken_back)
            case Kind.CANCEL | Kind.ROLLBACK:
                return cls(refunds=rows, refunded=moved, moved=moved)
            case Kind.ROUND_ROLLBACK:
                taken = taken_back or 0
                return cls(refunds=rows, refunded=moved - taken, paid=taken, moved=moved, orphan_paid=orphan_taken_back)
            case Kind.ROUND_END:
                return cls()
            case Kind.DEPOSIT:
                return cls(deposited=moved, moved=moved)
            case Kind.WITHDRAW:
                return cls(withdrawn=-moved, moved=moved)
            case Kind.ADJUSTMENT:
                return cls(adjusted=moved, moved=moved)
            case _:
                assert_never(kind)

    @property
    def ggr(self) -> int:
        """The gross gaming revenue: stakes less payouts and refunds."""
        return self.staked - self.paid - self.refunded


class CurrencyBalance(NamedTuple):
    """The balances of all players in one currency, and the sum of its entries, at the same moment."""

    currency: str
    accounts: int
    cash: int
    bonus: int
    ledger_total: int

    @property
    def is_consistent(self) -> bool:
        """True if the balances equal the sum of the entries, so that no money was created or lost."""
        return self.cash + self.bonus == self.ledger_total


class OrphanWins(NamedTuple):
    """The wins without a bet that were ever paid in one currency: their number, and their sum in cents."""

    currency: str
    wins: int
    paid: int


class MinuteCount(NamedTuple):
    """The number of accepted bets in the minute that began at `at_ms`."""

    at_ms: int
    bets: int
