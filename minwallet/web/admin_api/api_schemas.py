"""What is asked of the admin API and answered by it, where the desk and the command line have no shape for it yet."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from typing_extensions import TypedDict  # pydantic reads only this one's before Python 3.12

from minwallet.ledger.entries import Kind, State
from minwallet.ledger.limits import DAY_MS
from minwallet.ledger.money import MAX_CENTS
from minwallet.operations import schemas
from minwallet.operations.requests import (
    DAY_S,
    ENTRY_SOURCES,
    Currency,
    Name,
    OptionalCurrency,
    PlayerId,
    SessionList,
    TtlSeconds,
)
from minwallet.operations.timestamps import parse_day, parse_timestamp
from minwallet.provider.game_catalogue import LaunchOptions
from minwallet.storage.queries import Filter

MAX_DAYS_PER_PAGE = 92


def _validate_source(source: str) -> str:
    if source not in ENTRY_SOURCES:
        raise ValueError(f"there are {', '.join(ENTRY_SOURCES)}")
    return source


TimestampMs = Annotated[int, PlainValidator(parse_timestamp), WithJsonSchema({"type": "string", "format": "date-time"})]
DayNumber = Annotated[int, PlainValidator(parse_day), WithJsonSchema({"type": "string", "format": "date"})]
Seq = Annotated[int, Field(ge=1, le=MAX_CENTS)]
PageLimit = Annotated[int, Field(ge=1, le=1000, description="how many at the most")]
FilterText = Annotated[str, Field(min_length=1, max_length=64)]
EntrySource = Annotated[
    str,
    AfterValidator(_validate_source),
    Field(json_schema_extra={"enum": [*ENTRY_SOURCES]}, description="the last two are the operator's own"),
]


class _ApiParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NoParameters(_ApiParams):
    """Nothing needs to be said."""


class LaunchRequest(LaunchOptions):
    """A game for a player, in a session that is opened for it and lives for so many seconds."""

    agent: Name
    player_id: PlayerId
    currency: OptionalCurrency = None
    ttl_s: TtlSeconds = DAY_S


class DemoLaunchRequest(LaunchOptions):
    """A game for anybody, with virtual credit."""

    agent: Name


class TransactionFilter(_ApiParams):
    """Which transactions are wanted: those that agree with everything that is given."""

    agent: Name | None = None
    player_id: PlayerId | None = None
    currency: Currency | None = None
    protocol: EntrySource | None = None
    kind: Kind | None = None
    state: State | None = None
    game: FilterText | None = None
    round: FilterText | None = None
    id: FilterText | None = None
    since: Annotated[TimestampMs | None, Field(description="the first moment, such as 2026-11-21T10:00:00Z")] = None
    until: Annotated[TimestampMs | None, Field(description="the moment before which it was")] = None

    def to_filter(self) -> Filter:
        return Filter(**self.model_dump(include=set(Filter._fields)), since_ms=self.since, until_ms=self.until)


PageCursor = Annotated[
    int | None, Field(ge=1, le=MAX_CENTS, description="where to go on: the `next` of the page before")
]


class SessionPageRequest(SessionList):
    before: PageCursor = None
    limit: PageLimit = 50


class TransactionPageRequest(TransactionFilter):
    """A page of transactions, the newest first. Looking for what is rare ends early, so a page may be short, or empty,
    and still have a `next`.
    """

    before: PageCursor = None
    limit: PageLimit = 50


class TransactionRequest(_ApiParams):
    seq: Seq


class OpenBetsRequest(_ApiParams):
    """The bets that took money, and were neither won nor cancelled since; the newest first. A page may be short, or
    empty, and still have a `next`.
    """

    agent: Name | None = None
    before: PageCursor = None
    limit: PageLimit = 50


class TotalsRequest(_ApiParams):
    """What the days from `since` to before `until` add up to by day, agent, currency, protocol and game. They are days
    of UTC, and it is the last 30 where nothing is said. Answers with the first 92 days, and with where to go on.
    """

    agent: Name | None = None
    since: Annotated[DayNumber | None, Field(description="the first day, such as 2026-11-01")] = None
    until: Annotated[DayNumber | None, Field(description="the day after the last")] = None

    def resolve_days(self, now_ms: int) -> tuple[int, int, int | None]:
        """The first day and the one after the last, since 1970, and the day to go on with. Nothing was before 1970, nor
        is after today.
        """
        tomorrow = now_ms // DAY_MS + 1
        until = tomorrow if self.until is None else min(self.until, tomorrow)
        since = until - 30 if self.since is None else max(self.since, 0)
        next_day = since + MAX_DAYS_PER_PAGE
        return (since, next_day, next_day) if next_day < until else (since, until, None)


class HealthResponse(TypedDict):
    """`reasons` say why no money can be taken, if it cannot. `sqlite` is the version of what reads and writes the file,
    `has_reset_bug` whether it can lose commits where another program writes too. A size is null where there is none.
    """

    ready: bool
    reasons: list[str]
    version: str
    sqlite: str
    has_reset_bug: bool
    file_bytes: int | None
    wal_bytes: int | None
    free_bytes: int | None
    uptime_s: int


class AgentsResponse(TypedDict):
    agents: list[schemas.AgentSummary]


class PlayersResponse(TypedDict):
    """`next` is what to ask `after` for more; null at the end."""

    players: list[schemas.PlayerResponse]
    next: str | None


class AccountsResponse(TypedDict):
    accounts: list[schemas.AccountResponse]


class SessionsResponse(TypedDict):
    """`next` is what to ask `before` for more; null at the end."""

    sessions: list[schemas.SessionResponse]
    next: int | None


class RevokedResponse(TypedDict):
    revoked: Literal[True]


class LaunchResponse(TypedDict):
    """`url` opens the game; `session` is what its token stands for, null with virtual credit."""

    url: str
    session: schemas.NewSessionResponse | None


class TransactionsResponse(TypedDict):
    """`next` is what to ask `before` for more; null at the end."""

    transactions: list[schemas.OwnedTransactionResponse]
    next: int | None


class OpenBetsResponse(TypedDict):
    """`next` is what to ask `before` for more; null at the end."""

    bets: list[schemas.OwnedTransactionResponse]
    next: int | None


class TotalsResponse(TypedDict):
    """`next` is what to ask `since` for more; null at the end."""

    next: str | None
    totals: list[schemas.TotalResponse]


class HoldingsResponse(TypedDict):
    holdings: list[schemas.CurrencyBalanceResponse]
