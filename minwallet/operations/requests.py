"""The requests of operators as pydantic models, which the CLI, the back office and the admin API validate alike.

The docstrings of some models are shown in the documentation of the admin API.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from minwallet.ledger.limits import LimitKind, LimitPeriod
from minwallet.ledger.money import MAX_CENTS
from minwallet.operations.access_requests import AdminRequest, CallbackKeyRequest, ProtocolSecretRequest
from minwallet.operations.base_request import BaseRequest
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
from minwallet.storage.models import PlayerStatus, ReportBatch, StatusFilter


class AgentAdd(BaseRequest):
    operation: Literal["agent_add"] = "agent_add"
    name: NewName
    wallet_token: Token | None = None
    host_id: Annotated[str, Field(pattern=r"^[!-~]{1,128}$")] | None = None


class AgentSet(BaseRequest):
    """Fields that are not given stay unchanged; an empty string removes a setting."""

    operation: Literal["agent_set"] = "agent_set"
    name: Name
    wallet_token: Token | None = None
    host_id: Annotated[str, Field(pattern=r"^[!-~]{0,128}$")] | None = None
    service_url: HttpUrlWithoutQuery | None = None
    game_url: HttpUrlOrEmpty | None = None
    report_unit: ReportUnit | None = None


class AgentShow(BaseRequest):
    operation: Literal["agent_show"] = "agent_show"
    name: Name


class AgentList(BaseRequest):
    operation: Literal["agent_list"] = "agent_list"


class PlayerAdd(BaseRequest):
    operation: Literal["player_add"] = "player_add"
    agent: Name
    player_id: NewPlayerId
    currency: Currency
    balance: Cents = 0
    bonus: Cents = 0


PlayerIdPart = Annotated[str, Field(max_length=40)]


class PlayerList(BaseRequest):
    """All players whose id contains `text`, in order of agent and id, up to `limit` of them."""

    operation: Literal["player_list"] = "player_list"
    agent: Name | None = None
    text: PlayerIdPart = ""
    status: StatusFilter | None = None
    limit: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class PlayerSearch(BaseRequest):
    """Players whose id contains `text`, in order, starting after the id `after`. With `status`, only those that are
    neither blocked nor excluded (`active`), blocked, or excluded.
    """

    operation: Literal["player_search"] = "player_search"
    agent: Name
    text: PlayerIdPart = ""
    status: StatusFilter | None = None
    after: PlayerIdPart = ""
    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class PlayerShow(BaseRequest):
    operation: Literal["player_show"] = "player_show"
    agent: Name
    player_id: PlayerId


class PlayerSetStatus(BaseRequest):
    operation: Literal["player_set_status"] = "player_set_status"
    agent: Name
    player_id: PlayerId
    status: PlayerStatus


class LimitList(BaseRequest):
    """Limits in force and pending, with the amount used; `excluded_until` if the player is excluded."""

    operation: Literal["limit_list"] = "limit_list"
    agent: Name
    player_id: PlayerId
    currency: Currency | None = None


class LimitSet(BaseRequest):
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


class PlayerExclude(BaseRequest):
    """Until then the player's bets and deposits are refused. A longer exclusion takes effect immediately; a shorter
    one, or its end, 24 hours after the request.
    """

    operation: Literal["player_exclude"] = "player_exclude"
    agent: Name
    player_id: PlayerId
    until: Timestamp | None


class Transfer(BaseRequest):
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


class Adjustment(BaseRequest):
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


class SessionOpen(BaseRequest):
    operation: Literal["session_open"] = "session_open"
    agent: Name
    player_id: PlayerId
    currency: Currency | None = None
    ttl_s: TtlSeconds = DAY_S


class SessionList(BaseRequest):
    """The player's newest sessions, or those before the session number `before`; all of them without `limit`."""

    operation: Literal["session_list"] = "session_list"
    agent: Name
    player_id: PlayerId
    before: Annotated[int, Field(ge=1, le=MAX_CENTS)] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] | None = None


class SessionRevoke(BaseRequest):
    operation: Literal["session_revoke"] = "session_revoke"
    token: Token


class SessionEnd(BaseRequest):
    """Revoke the session with this number, as the list of the player's sessions shows it."""

    operation: Literal["session_end"] = "session_end"
    agent: Name
    player_id: PlayerId
    session: Annotated[int, Field(ge=1, le=MAX_CENTS)]


class SeedRow(BaseRequest):
    """One line of a seed file. A token in it does not expire."""

    line: int
    player_id: NewPlayerId
    currency: Currency
    balance: Cents
    bonus: Cents = 0
    token: Token | None = None
    agent: Name = "default"


class Seed(BaseRequest):
    """New players of a file, or of the part with these `lines`, which the audit log names."""

    operation: Literal["seed"] = "seed"
    rows: tuple[SeedRow, ...]
    lines: Annotated[str, Field(max_length=50)] = ""


class LedgerRead(BaseRequest):
    operation: Literal["ledger_read"] = "ledger_read"
    agent: Name
    player_id: PlayerId
    currency: Currency | None = None
    limit: Annotated[int, Field(ge=1, le=1_000_000)] = 50


class TransactionShow(BaseRequest):
    operation: Literal["transaction_show"] = "transaction_show"
    seq: Annotated[int, Field(ge=1, le=MAX_CENTS)]


class GamesSave(BaseRequest):
    """The provider's game list, fetched just now, to be stored."""

    operation: Literal["games_save"] = "games_save"
    agent: Name
    games: tuple[Game, ...]


class ReportSave(BaseRequest):
    """A page of the provider's report, to be stored."""

    operation: Literal["report_save"] = "report_save"
    agent: Name
    sheet: ReportBatch


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
    | ProtocolSecretRequest
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

    model_config = ConfigDict(defer_build=True, hide_input_in_errors=True)

    actor: str
    request: Annotated[OperationRequest, Field(discriminator="operation")]
