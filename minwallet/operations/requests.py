"""The requests of operators as pydantic models, which the CLI, the back office and the admin API validate alike.

The docstrings of some models are shown in the documentation of the admin API.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from minwallet.ledger.limits import LimitKind, LimitPeriod
from minwallet.ledger.money import MAX_CENTS
from minwallet.operations.field_types import (
    DAY_S,
    Cents,
    Currency,
    HttpUrlOrEmpty,
    HttpUrlWithoutQuery,
    Name,
    NewName,
    NewPlayerId,
    PlayerId,
    Reason,
    Reference,
    RequiredReason,
    Token,
    TtlSeconds,
)
from minwallet.operations.timestamps import Timestamp
from minwallet.protocols.operator_service import Game, ReportUnit
from minwallet.storage.admin_store import KeyScope
from minwallet.storage.models import PlayerStatus, ReportBatch, StatusFilter


class _BaseRequest(BaseModel):
    # Building the validators of all models takes longer than most commands: each builds only those that it uses.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class AgentAdd(_BaseRequest):
    operation: Literal["agent_add"] = "agent_add"
    name: NewName
    wallet_token: Token | None = None
    host_id: Annotated[str, Field(pattern=r"^[!-~]{1,128}$")] | None = None


class AgentSet(_BaseRequest):
    """Fields that are not given stay unchanged; an empty string removes a setting."""

    operation: Literal["agent_set"] = "agent_set"
    name: Name
    wallet_token: Token | None = None
    host_id: Annotated[str, Field(pattern=r"^[!-~]{0,128}$")] | None = None
    service_url: HttpUrlWithoutQuery | None = None
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
    player_id: NewPlayerId
    currency: Currency
    balance: Cents = 0
    bonus: Cents = 0


PlayerIdPart = Annotated[str, Field(max_length=40)]


class PlayerList(_BaseRequest):
    """All players whose id contains `text`, in order of agent and id, up to `limit` of them."""

    operation: Literal["player_list"] = "player_list"
    agent: Name | None = None
    text: PlayerIdPart = ""
    status: StatusFilter | None = None
    limit: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class PlayerSearch(_BaseRequest):
    """Players whose id contains `text`, in order, starting after the id `after`. With `status`, only those that are
    neither blocked nor excluded (`active`), blocked, or excluded.
    """

    operation: Literal["player_search"] = "player_search"
    agent: Name
    text: PlayerIdPart = ""
    status: StatusFilter | None = None
    after: PlayerIdPart = ""
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
    """Limits in force and pending, with the amount used; `excluded_until` if the player is excluded."""

    operation: Literal["limit_list"] = "limit_list"
    agent: Name
    player_id: PlayerId
    currency: Currency | None = None


class LimitSet(_BaseRequest):
    """Days are UTC days. A week is today and the 6 days before, a month is today and the 29 days before. A first or
    lower limit takes effect immediately; a higher one, or its removal, 24 hours after the request.
    """

    operation: Literal["limit_set"] = "limit_set"
    agent: Name
    player_id: PlayerId
    currency: Currency | None = None
    kind: LimitKind
    per: LimitPeriod
    amount: Cents | None


class PlayerExclude(_BaseRequest):
    """Until then the player's bets and deposits are refused. A longer exclusion takes effect immediately; a shorter
    one, or its end, 24 hours after the request.
    """

    operation: Literal["player_exclude"] = "player_exclude"
    agent: Name
    player_id: PlayerId
    until: Timestamp | None


class Transfer(_BaseRequest):
    """Cash or bonus. Repeating a reference changes nothing; a refused transfer may be repeated with its reference."""

    operation: Literal["deposit", "withdraw"]
    agent: Name
    player_id: PlayerId
    currency: Currency | None = None
    amount: Annotated[int, Field(gt=0, le=MAX_CENTS)]
    bonus: bool = False
    reference: Reference
    reason: Reason = ""


def _reject_zero(cents: int) -> int:
    if cents == 0:
        raise ValueError("must not be 0")
    return cents


class Adjustment(_BaseRequest):
    """A correction of a balance, up or down, with a reason. It is neither a deposit nor a loss: limits, exclusion and a
    block do not apply. Repeating a reference changes nothing.
    """

    operation: Literal["adjust"] = "adjust"
    agent: Name
    player_id: PlayerId
    currency: Currency | None = None
    amount: Annotated[
        int, Field(ge=-MAX_CENTS, le=MAX_CENTS, json_schema_extra={"not": {"const": 0}}), AfterValidator(_reject_zero)
    ]
    bonus: bool = False
    reference: Reference
    reason: RequiredReason


TransferRequest = Transfer | Adjustment


class SessionOpen(_BaseRequest):
    operation: Literal["session_open"] = "session_open"
    agent: Name
    player_id: PlayerId
    currency: Currency | None = None
    ttl_s: TtlSeconds = DAY_S


class SessionList(_BaseRequest):
    """The player's newest sessions, or those before the session number `before`; all of them without `limit`."""

    operation: Literal["session_list"] = "session_list"
    agent: Name
    player_id: PlayerId
    before: Annotated[int, Field(ge=1, le=MAX_CENTS)] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] | None = None


class SessionRevoke(_BaseRequest):
    operation: Literal["session_revoke"] = "session_revoke"
    token: Token


class SessionEnd(_BaseRequest):
    """Revoke the session with this number, as the list of the player's sessions shows it."""

    operation: Literal["session_end"] = "session_end"
    agent: Name
    player_id: PlayerId
    session: Annotated[int, Field(ge=1, le=MAX_CENTS)]


class SeedRow(_BaseRequest):
    """One line of a seed file. A token in it does not expire."""

    line: int
    player_id: NewPlayerId
    currency: Currency
    balance: Cents
    bonus: Cents = 0
    token: Token | None = None
    agent: Name = "default"


class Seed(_BaseRequest):
    """New players of a file, or of the part with these `lines`, which the audit log names."""

    operation: Literal["seed"] = "seed"
    rows: tuple[SeedRow, ...]
    lines: Annotated[str, Field(max_length=50)] = ""


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
    """The provider's game list, fetched just now, to be stored."""

    operation: Literal["games_save"] = "games_save"
    agent: Name
    games: tuple[Game, ...]


class ReportSave(_BaseRequest):
    """A page of the provider's report, to be stored."""

    operation: Literal["report_save"] = "report_save"
    agent: Name
    sheet: ReportBatch


class KeyAdd(_BaseRequest):
    """A new key of the admin API. Without an agent it covers all of them."""

    operation: Literal["key_add"] = "key_add"
    name: NewName
    scope: KeyScope
    agent: Name | None = None


class KeyList(_BaseRequest):
    operation: Literal["key_list"] = "key_list"


class KeyRevoke(_BaseRequest):
    operation: Literal["key_revoke"] = "key_revoke"
    name: Name


class CallbackKeyAdd(_BaseRequest):
    """A new callback key of the agent. The reply contains it, and only the reply."""

    operation: Literal["callback_key_add"] = "callback_key_add"
    agent: Name


class CallbackKeyList(_BaseRequest):
    """The agent's callback keys, revoked ones included. Of each key only the beginning is known."""

    operation: Literal["callback_key_list"] = "callback_key_list"
    agent: Name


class CallbackKeyRevoke(_BaseRequest):
    """Revoke a callback key immediately and permanently. No other live key of the agent may begin like this."""

    operation: Literal["callback_key_revoke"] = "callback_key_revoke"
    agent: Name
    key_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,44}…?$")]


class AdminLink(_BaseRequest):
    """A new one-time link that signs an admin in to the back office."""

    operation: Literal["admin_link"] = "admin_link"
    name: NewName = "admin"


class AdminReset(_BaseRequest):
    """The end of an admin's sessions, links and password, and of the access that the admin gave to others.

    With `keep_keys` the API keys, the callback keys and the sessions of players stay.
    """

    operation: Literal["admin_reset"] = "admin_reset"
    name: Name
    keep_keys: bool = False


class AdminList(_BaseRequest):
    operation: Literal["admin_list"] = "admin_list"


AdminRequest = KeyAdd | KeyList | KeyRevoke | AdminLink | AdminReset | AdminList

CallbackKeyRequest = CallbackKeyAdd | CallbackKeyList | CallbackKeyRevoke

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

OperationRequest = (
    AgentRequest
    | CallbackKeyRequest
    | AdminRequest
    | PlayerRequest
    | LimitRequest
    | TransferRequest
    | LedgerRead
    | TransactionShow
)


Reply = Mapping[str, Any]
"""The reply to a request, as JSON."""


class Envelope(BaseModel):
    """A request on its way to the running server, with the actor on whose behalf it is executed."""

    model_config = ConfigDict(defer_build=True)

    actor: str
    request: Annotated[OperationRequest, Field(discriminator="operation")]
