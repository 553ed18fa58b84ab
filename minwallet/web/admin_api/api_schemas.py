"""Requests and responses that only the admin API has; the others are in `operations.requests` and `.schemas`.

The docstrings are shown in the documentation of the admin API.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from typing_extensions import TypedDict  # pydantic reads only this one's before Python 3.12

from minwallet.ledger.entries import Kind, State
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.time_units import DAY_MS
from minwallet.operations import access_schemas, schemas
from minwallet.operations.field_types import DAY_S, Currency, EntrySource, Name, PlayerId, TtlSeconds
from minwallet.operations.requests import SessionList
from minwallet.operations.timestamps import parse_day, parse_timestamp
from minwallet.provider.game_catalogue import LaunchOptions
from minwallet.storage.queries import Filter
from minwallet.web.gateway.recent_calls import MAX_CALLS, MAX_TURNED_AWAY, ProviderCall

MAX_DAYS_PER_PAGE = 92


TimestampMs = Annotated[int, PlainValidator(parse_timestamp), WithJsonSchema({"type": "string", "format": "date-time"})]
DayNumber = Annotated[int, PlainValidator(parse_day), WithJsonSchema({"type": "string", "format": "date"})]
Seq = Annotated[int, Field(ge=1, le=MAX_CENTS)]
PageLimit = Annotated[int, Field(ge=1, le=1000)]
FilterText = Annotated[str, Field(min_length=1, max_length=64)]


class _ApiParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NoParameters(_ApiParams):
    """A request without parameters."""


class LaunchRequest(LaunchOptions):
    """A game for a player, in a new session that expires after `ttl_s` seconds."""

    agent: Name
    player_id: PlayerId
    currency: Currency | None = None
    ttl_s: TtlSeconds = DAY_S


class DemoLaunchRequest(LaunchOptions):
    """A game with virtual credit, without a player."""

    agent: Name


class TransactionFilter(_ApiParams):
    """A filter for transactions: all given fields must match."""

    agent: Name | None = None
    player_id: PlayerId | None = None
    currency: Currency | None = None
    protocol: EntrySource | None = None
    kind: Kind | None = None
    state: State | None = None
    game: FilterText | None = None
    round: FilterText | None = None
    id: FilterText | None = None
    since: TimestampMs | None = None
    until: TimestampMs | None = None

    def to_filter(self) -> Filter:
        return Filter(**self.model_dump(include=set(Filter._fields)), since_ms=self.since, until_ms=self.until)


PageCursor = Annotated[int | None, Field(ge=1, le=MAX_CENTS)]


class SessionPageRequest(SessionList):
    before: PageCursor = None
    limit: PageLimit = 50


class TransactionPageRequest(TransactionFilter):
    """A page of transactions, newest first. The search for rare ones ends early: a page may be short or empty and still
    have a `next`.
    """

    before: PageCursor = None
    limit: PageLimit = 50


class TransactionRequest(_ApiParams):
    seq: Seq


class OpenBetsRequest(_ApiParams):
    """A page of bets that took money and are neither settled nor cancelled, newest first. A page may be short or empty
    and still have a `next`.
    """

    agent: Name | None = None
    before: PageCursor = None
    limit: PageLimit = 50


class CallsRequest(_ApiParams):
    """The newest provider calls, newest first. With `failed`, only those that were refused or rejected."""

    agent: Name | None = None
    failed: bool = False
    limit: Annotated[int, Field(ge=1, le=MAX_CALLS + MAX_TURNED_AWAY)] = 50


class TotalsRequest(_ApiParams):
    """Totals by day, agent, currency, protocol and game, from the day `since` to the day before `until`. Days are UTC
    days; the default is the last 30. A response covers up to 92 days and has the `next` day to continue with.
    """

    agent: Name | None = None
    since: DayNumber | None = None
    until: DayNumber | None = None

    def resolve_days(self, now_ms: int) -> tuple[int, int, int | None]:
        """Return the first day, the day after the last, and the day to continue with or None, in days since 1970.

        The range is limited to the days from 1970 to today.
        """
        tomorrow = now_ms // DAY_MS + 1
        until = tomorrow if self.until is None else min(self.until, tomorrow)
        since = until - 30 if self.since is None else max(self.since, 0)
        next_day = since + MAX_DAYS_PER_PAGE
        return (since, next_day, next_day) if next_day < until else (since, until, None)


class HealthResponse(TypedDict):
    """`reasons` says why the wallet is not ready, or that its backups fail, which leaves it ready. `sqlite` is the
    version of the SQLite library. `has_reset_bug` is true if that version can lose commits when another program writes
    to the file too. A size is null if unknown.
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


class CallbackKeysResponse(TypedDict):
    callback_keys: list[access_schemas.CallbackKeyResponse]


class ProtocolSecretsResponse(TypedDict):
    protocol_secrets: list[access_schemas.ProtocolSecretResponse]


class PlayersResponse(TypedDict):
    """`next` is the value of `after` for the next page; null at the end."""

    players: list[schemas.PlayerResponse]
    next: str | None


class AccountsResponse(TypedDict):
    accounts: list[schemas.AccountResponse]


class SessionsResponse(TypedDict):
    """`next` is the value of `before` for the next page; null at the end."""

    sessions: list[schemas.SessionResponse]
    next: int | None


class RevokedResponse(TypedDict):
    revoked: Literal[True]


class LaunchResponse(TypedDict):
    """`url` opens the game; `session` is the new session, null with virtual credit."""

    url: str
    session: schemas.NewSessionResponse | None


class TransactionsResponse(TypedDict):
    """`next` is the value of `before` for the next page; null at the end."""

    transactions: list[schemas.OwnedTransactionResponse]
    next: int | None


class OpenBetsResponse(TypedDict):
    """`next` is the value of `before` for the next page; null at the end."""

    bets: list[schemas.OwnedTransactionResponse]
    next: int | None


class CallsResponse(TypedDict):
    calls: list[ProviderCall]


class TotalsResponse(TypedDict):
    """`next` is the value of `since` for the next page; null at the end."""

    next: str | None
    totals: list[schemas.TotalResponse]


class HoldingsResponse(TypedDict):
    holdings: list[schemas.CurrencyBalanceResponse]
