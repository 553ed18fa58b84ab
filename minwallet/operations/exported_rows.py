"""The shapes of exported accounts and entries: the import accepts only what a request could have created.

A row that no request could have created can make a wallet unusable: a time that no calendar has, a refusal that no
protocol can render, or a name that no command accepts.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from minwallet.ledger.entries import Kind, Refusal, State
from minwallet.ledger.money import MAX_CENTS
from minwallet.operations.field_help import FIELD_HELP, error_message
from minwallet.operations.field_types import Cents, NewName, PlayerId, Reference, StoredCurrency
from minwallet.protocols.wire import MAX_BODY_BYTES, is_plain_text
from minwallet.storage.models import OPENING_PROTOCOL, OPERATOR_PROTOCOL, PlayerStatus

MAX_TIME_MS = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * 1000 + 999

MAX_PROTOCOL_LENGTH = 64

MAX_TEXT_LENGTH = 255
"""The longest id, round or game of a provider's call. It is the gateway's limit for all protocols."""

MAX_DETAIL_LENGTH = MAX_BODY_BYTES
"""A detail is a part of one request."""

OPERATOR_KINDS = {Kind.DEPOSIT, Kind.WITHDRAW, Kind.ADJUSTMENT}
"""The kinds of the operator's entries. All others are of providers."""

TimeMs = Annotated[int, Field(ge=0, le=MAX_TIME_MS)]
SignedCents = Annotated[int, Field(ge=-MAX_CENTS, le=MAX_CENTS)]
EntryNumber = Annotated[int, Field(ge=1, le=MAX_CENTS)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

_HELP = {
    **FIELD_HELP,
    "hash": "64 hexadecimal digits",
    "head": "64 hexadecimal digits",
    "at_ms": "ms since 1970 UTC, up to the year 9999",
    "created_at_ms": "ms since 1970 UTC, up to the year 9999",
}

Shape = TypeVar("Shape", bound=BaseModel)

_ID_HELP = f"must be 1 to {MAX_TEXT_LENGTH} printable characters"

_REFERENCE: TypeAdapter[str] = TypeAdapter(Reference)


class _AccountShape(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)

    agent: NewName
    player_id: PlayerId
    currency: StoredCurrency
    status: PlayerStatus
    created_at_ms: TimeMs
    cash: Cents
    bonus: Cents
    head: Hash
    last_seq: Annotated[int, Field(ge=0, le=MAX_CENTS)]


class _EntryShape(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)

    agent: NewName
    player_id: PlayerId
    currency: StoredCurrency
    seq: EntryNumber
    at_ms: TimeMs
    previous_seq: Annotated[int, Field(ge=0, le=MAX_CENTS)]
    protocol: str
    kind: Kind
    id: str
    round: str | None
    game: str | None
    detail: str | None
    stake: Cents
    payout: Cents
    amount: SignedCents
    bonus_amount: SignedCents
    cash_after: Cents
    bonus_after: Cents
    state: State
    refusal: Refusal | None
    reference: str | None
    hash: Hash
    id_scope: Literal["agent", "currency"]


def check_account(fields: Mapping[str, Any]) -> None:
    """Raise ValueError if a field of the exported account is invalid. The message names the field."""
    _validate(_AccountShape, fields)
    _require(fields["cash"] + fields["bonus"] <= MAX_CENTS, fields, "bonus", "too large together with cash")


def check_entry(fields: Mapping[str, Any]) -> None:
    """Raise ValueError if a field of the exported entry is invalid. The message names the field."""
    entry = _validate(_EntryShape, fields)
    # The name is in a hash as it is, so it has no quotes.
    _require(
        bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", entry.protocol, re.ASCII))
        and len(entry.protocol) <= MAX_PROTOCOL_LENGTH,
        fields,
        "protocol",
        f"must be the name of a protocol, up to {MAX_PROTOCOL_LENGTH} characters",
    )
    # The protocol of a provider may not be installed any more.
    is_provider_call = entry.protocol not in (OPENING_PROTOCOL, OPERATOR_PROTOCOL)
    _require(
        is_provider_call == (entry.kind not in OPERATOR_KINDS),
        fields,
        "kind",
        f"not an entry of protocol '{entry.protocol}'",
    )
    if is_provider_call:
        _require(_is_id(entry.id), fields, "id", _ID_HELP)
    elif entry.protocol == OPENING_PROTOCOL:
        _require(entry.id == f"{entry.player_id}:{entry.currency}", fields, "id", "must be PLAYER_ID:CURRENCY")
    else:
        _require(_is_reference(entry.id), fields, "id", f"must be {FIELD_HELP['reference']}")
    _require(
        entry.round is None or (is_provider_call and _is_id(entry.round)),
        fields,
        "round",
        f"{_ID_HELP}, of a provider's call",
    )
    _require(
        _is_id(entry.reference) if entry.kind is Kind.ROLLBACK else entry.reference is None,
        fields,
        "reference",
        f"{_ID_HELP}, of a rollback only",
    )
    _require(
        entry.game is None or (entry.game != "" and is_plain_text(entry.game, MAX_TEXT_LENGTH)),
        fields,
        "game",
        f"must be 1 to {MAX_TEXT_LENGTH} printable characters",
    )
    _require(
        entry.detail is None or _is_detail(entry.detail, may_nest=is_provider_call),
        fields,
        "detail",
        "must be a JSON object" if is_provider_call else "must be a JSON object of texts",
    )
    is_refused = entry.state is State.REFUSED
    _require((entry.refusal is not None) == is_refused, fields, "refusal", "only an entry in state refused has one")
    if is_refused or entry.state is State.CLOSED:
        _require(entry.amount == 0, fields, "amount", f"must be 0 in state {entry.state}")
        _require(entry.bonus_amount == 0, fields, "bonus_amount", f"must be 0 in state {entry.state}")
    _require(entry.cash_after + entry.bonus_after <= MAX_CENTS, fields, "bonus_after", "too large together with cash")


def _validate(shape: type[Shape], fields: Mapping[str, Any]) -> Shape:
    try:
        return shape.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        expected = f"must be {_HELP[name]}" if name in _HELP else error_message(first)
        raise ValueError(f"invalid {name} {fields[name]!r:.60}: {expected}") from error


def _require(condition: bool, fields: Mapping[str, Any], name: str, expected: str) -> None:
    if not condition:
        raise ValueError(f"invalid {name} {fields[name]!r:.60}: {expected}")


def _is_id(text: str | None) -> bool:
    return bool(text) and is_plain_text(text, MAX_TEXT_LENGTH)


def _is_reference(text: str) -> bool:
    try:
        _REFERENCE.validate_python(text)
    except ValidationError:
        return False
    return True


def _is_detail(text: str, *, may_nest: bool) -> bool:
    """Return True if the text is what a protocol or an operation stores: a JSON object on one line.

    Only the protocol reads the values of a provider's call, so they may be anything. Those of an operation are texts.
    """
    if not is_plain_text(text, MAX_DETAIL_LENGTH):
        return False
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(values, dict) and (may_nest or all(isinstance(value, str) for value in values.values()))
