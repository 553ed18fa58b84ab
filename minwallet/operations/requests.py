"""What an operator can ask for, and the shapes of it: checked once, for the command line and the server alike."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails

from minwallet.ledger.limits import LimitKind, LimitPeriod
from minwallet.ledger.money import MAX_CENTS
from minwallet.operations.timestamps import Timestamp
from minwallet.protocols.operator_service import Game, ReportUnit
from minwallet.protocols.registry import PROTOCOLS
from minwallet.storage.admin_store import KeyScope
from minwallet.storage.models import OPENING_PROTOCOL, OPERATOR_PROTOCOL, PlayerStatus, ReportBatch
from minwallet.wallet.sessions import TOKEN_PATTERN


def _reject_only_dots(name: str) -> str:
    """One that an address can end with: there, dots alone mean another place."""
    if not name.strip("."):
        raise ValueError("a name is more than dots")
    return name


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]
NewName = Annotated[Name, AfterValidator(_reject_only_dots)]
PlayerId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@-]{1,40}$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z0-9]{3,10}$")]
OptionalCurrency = Annotated[Currency | None, Field(description="needed where the player has several")]
Token = Annotated[str, Field(pattern=rf"^{TOKEN_PATTERN.pattern}$")]
Cents = Annotated[int, Field(ge=0, le=MAX_CENTS)]
Reason = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{0,200}$")]
Reference = Annotated[str, Field(pattern=r"^[!-~](?:[ -~]{0,62}[!-~])?$")]


ENTRY_SOURCES = (*PROTOCOLS, OPERATOR_PROTOCOL, OPENING_PROTOCOL)
"""Where an entry can come from: the provider protocols, and the operator's own two."""

MAX_URL_LENGTH = 500

DAY_S = 24 * 3600

MAX_TTL_S = 100 * 365 * DAY_S

TtlSeconds = Annotated[int, Field(gt=0, le=MAX_TTL_S)]


def _validate_url(url: str) -> str:
    """An http or https address, or none at all."""
    parts = urlsplit(url)
    is_url = re.fullmatch(r"https?://[^\s/?#]+[^\s#]*", url) and parts.hostname and parts.port != 0
    if url and (not is_url or len(url) > MAX_URL_LENGTH):
        raise ValueError("an address begins with http:// or https:// and a host")
    return url


def _reject_query(url: str) -> str:
    if "?" in url:
        raise ValueError("this address has no query")
    return url


HttpUrlOrEmpty = Annotated[
    str,
    AfterValidator(_validate_url),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "uri"}, {"const": ""}]}),
]


class _BaseRequest(BaseModel):
    # A command builds the check of what it asks alone.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class AgentAdd(_BaseRequest):
    operation: Literal["agent_add"] = "agent_add"
    name: NewName
    wallet_token: Token | None = None
    host_id: Annotated[str, Field(pattern=r"^[!-~]{1,128}$")] | None = None


class AgentSet(_BaseRequest):
    """What is not given stays as it is; an empty text takes a setting away."""

    operation: Literal["agent_set"] = "agent_set"
    name: Name
    wallet_token: Token | None = None
    host_id: Annotated[str, Field(pattern=r"^[!-~]{0,128}$")] | None = None
    service_url: Annotated[HttpUrlOrEmpty, AfterValidator(_reject_query)] | None = None
    game_url: HttpUrlOrEmpty | None = None
    report_unit: ReportUnit | None = None


class AgentShow(_BaseRequest):
    operation: Literal["agent_show"] = "agent_show"
    name: Name


class AgentList(_BaseRequest):
    operation: Literal["agent_list"] = "agent_list"


class PlayerAdd(_BaseRequest):
    operation: Literal["player_add"] = "player_add"
    agent: Name
    player_id: PlayerId
    currency: Currency
    balance: Cents = 0
    bonus: Cents = 0


class PlayerList(_BaseRequest):
    operation: Literal["player_list"] = "player_list"
    agent: Name


class PlayerSearch(_BaseRequest):
    """Players whose id has `text` in it, in order, after the id `after`."""

    operation: Literal["player_search"] = "player_search"
    agent: Name
    text: Annotated[str, Field(max_length=40)] = ""
    after: Annotated[str, Field(max_length=40)] = ""
    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class PlayerShow(_BaseRequest):
    operation: Literal["player_show"] = "player_show"
    agent: Name
    player_id: PlayerId


class PlayerSetStatus(_BaseRequest):
    operation: Literal["player_set_status"] = "player_set_status"
    agent: Name
    player_id: PlayerId
    status: PlayerStatus


class LimitList(_BaseRequest):
    """In force and asked for, and how much is used; `excluded_until` if the player is excluded."""

    operation: Literal["limit_list"] = "limit_list"
    agent: Name
    player_id: PlayerId
    currency: Currency | None = None


class LimitSet(_BaseRequest):
    """Days are days of UTC: a week is today and the six days before, a month today and the 29 before. A first limit,
    and a lower one, holds at once; a higher one, and none, 24 hours after it was asked for.
    """

    operation: Literal["limit_set"] = "limit_set"
    agent: Name
    player_id: PlayerId
    currency: OptionalCurrency = None
    kind: LimitKind
    per: LimitPeriod
    amount: Annotated[Cents | None, Field(description="in cents; null for no limit")]


class PlayerExclude(_BaseRequest):
    """Until then the player's bets and deposits are refused. A longer exclusion holds at once; a shorter one, and its
    end, 24 hours after it was asked for.
    """

    operation: Literal["player_exclude"] = "player_exclude"
    agent: Name
    player_id: PlayerId
    until: Annotated[Timestamp | None, Field(description="such as 2027-01-31T00:00:00Z; null to end it")]


class Transfer(_BaseRequest):
    """Cash or bonus. The same reference again changes nothing; one that was refused may be asked for again."""

    operation: Literal["deposit", "withdraw"]
    agent: Name
    player_id: PlayerId
    currency: OptionalCurrency = None
    amount: Annotated[int, Field(gt=0, le=MAX_CENTS)]
    bonus: Annotated[bool, Field(description="of bonus instead of cash")] = False
    reference: Reference
    reason: Reason = ""


class SessionOpen(_BaseRequest):
    operation: Literal["session_open"] = "session_open"
    agent: Name
    player_id: PlayerId
    currency: OptionalCurrency = None
    ttl_s: TtlSeconds = DAY_S


class SessionList(_BaseRequest):
    """The player's newest sessions, or all of them; those before the session of a number."""

    operation: Literal["session_list"] = "session_list"
    agent: Name
    player_id: PlayerId
    before: Annotated[int, Field(ge=1, le=MAX_CENTS)] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] | None = None


class SessionRevoke(_BaseRequest):
    operation: Literal["session_revoke"] = "session_revoke"
    token: Token


class SessionEnd(_BaseRequest):
    """Revoke the session of this number, as a list of the player's sessions has it."""

    operation: Literal["session_end"] = "session_end"
    agent: Name
    player_id: PlayerId
    session: Annotated[int, Field(ge=1, le=MAX_CENTS)]


class SeedRow(_BaseRequest):
    """One line of a seed file. A token given there does not expire."""

    line: int
    player_id: PlayerId
    currency: Currency
    balance: Cents
    bonus: Cents = 0
    token: Token | None = None
    agent: Name = "default"


class Seed(_BaseRequest):
    operation: Literal["seed"] = "seed"
    rows: tuple[SeedRow, ...]


class LedgerRead(_BaseRequest):
    operation: Literal["ledger_read"] = "ledger_read"
    agent: Name
    player_id: PlayerId
    currency: Currency | None = None
    limit: Annotated[int, Field(ge=1, le=1_000_000)] = 50


class TransactionShow(_BaseRequest):
    operation: Literal["transaction_show"] = "transaction_show"
    seq: Annotated[int, Field(ge=1, le=MAX_CENTS)]


class GamesSave(_BaseRequest):
    """The provider's game list, as it was fetched just now."""

    operation: Literal["games_save"] = "games_save"
    agent: Name
    games: tuple[Game, ...]


class ReportSave(_BaseRequest):
    """A page of the provider's report."""

    operation: Literal["report_save"] = "report_save"
    agent: Name
    sheet: ReportBatch


class KeyAdd(_BaseRequest):
    """A key of the admin API; without an agent it reaches all of them."""

    operation: Literal["key_add"] = "key_add"
    name: NewName
    scope: KeyScope
    agent: Name | None = None


class KeyList(_BaseRequest):
    operation: Literal["key_list"] = "key_list"


class KeyRevoke(_BaseRequest):
    operation: Literal["key_revoke"] = "key_revoke"
    name: Name


class AdminLink(_BaseRequest):
    """A link that signs somebody in to the back office, once."""

    operation: Literal["admin_link"] = "admin_link"
    name: NewName = "admin"


class AdminReset(_BaseRequest):
    """Sign an admin out everywhere and take the password away: only a new link signs in then."""

    operation: Literal["admin_reset"] = "admin_reset"
    name: Name


class AdminList(_BaseRequest):
    operation: Literal["admin_list"] = "admin_list"


AdminRequest = KeyAdd | KeyList | KeyRevoke | AdminLink | AdminReset | AdminList

AgentRequest = AgentAdd | AgentSet | AgentShow | AgentList | GamesSave | ReportSave

LimitRequest = LimitList | LimitSet | PlayerExclude

PlayerRequest = (
    PlayerAdd
    | PlayerList
    | PlayerSearch
    | PlayerShow
    | PlayerSetStatus
    | SessionOpen
    | SessionList
    | SessionRevoke
    | SessionEnd
    | Seed
)

OperationRequest = AgentRequest | AdminRequest | PlayerRequest | LimitRequest | Transfer | LedgerRead | TransactionShow


Reply = Mapping[str, Any]
"""What is answered, as JSON."""


class Envelope(BaseModel):
    """How a request travels to the running server, and who asks."""

    model_config = ConfigDict(defer_build=True)

    actor: str
    request: Annotated[OperationRequest, Field(discriminator="operation")]


FIELD_HELP = {
    "agent": "1 to 40 of A-Z a-z 0-9 _ . -",
    "name": "1 to 40 of A-Z a-z 0-9 _ . -, but not dots alone",
    "player_id": "1 to 40 of A-Z a-z 0-9 _ . @ -",
    "currency": "3 to 10 of A-Z 0-9, such as USD",
    "token": "1 to 40 of A-Z a-z 0-9 _",
    "wallet_token": "1 to 40 of A-Z a-z 0-9 _",
    "host_id": "1 to 128 printable symbols without spaces",
    "service_url": "an address such as https://api.example.com, without a query",
    "game_url": "an address such as https://games.example.com/play",
    "report_unit": "cents or units",
    "status": "active or blocked",
    "game": "1 to 64 printable symbols without spaces",
    "lang": "a language, such as en or pt-BR",
    "seq": "the number of an entry, as the ledger shows it",
    "reference": "1 to 64 printable ASCII symbols, beginning and ending with none that is a space",
    "reason": "at most 200 symbols on one line",
    "scope": "read or write",
    "session": "the number of a session, as the list of the player's sessions shows it",
    "ttl_s": "between 1s and 100 years",
    "limit": "between 1 and 1,000,000",
    "amount": "more than 0 and at most 92233720368547758.07",
}


def error_message(error: ErrorDetails) -> str:
    """What pydantic has against one field, for a person."""
    words = error["msg"].removeprefix("Value error, ")
    return words[:1].lower() + words[1:]


def format_validation_error(error: ValidationError) -> str:
    """A pydantic complaint in one line that a person can act on."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][-1]) if first["loc"] else "request"
    field_help = FIELD_HELP.get(name)
    problem = f"{first['input']!r} will not do for {name.removesuffix('_s')}"
    return f"{problem}: {f'it is {field_help}' if field_help else error_message(first)}"
