"""What a vela provider offers its operators: the game list and the report, each a GET with an object back.

The specification's sections "Game List" and "User Report" wrap an answer as `{"data": {…}}` and a refusal as
`{"error": {…}}`. Amounts of the report are "double", in cents or in whole units: the operator has to know which.
"""

import json
import re
from decimal import Decimal, DecimalException
from typing import Any
from urllib.parse import urlencode

from pydantic_core import to_json

from minwallet.ledger.money import MAX_CENTS, MAX_ID
from minwallet.ledger.reconciliation import ReportRow
from minwallet.protocols.operator_service import Game, ReportPage, ReportUnit, ServiceError
from minwallet.protocols.wire import HttpRequest, is_printable_text, reject_json_constants

INVALID_HOST_ID, REQUIRED_FIELD = 2, 2001

MAX_NAME_LENGTH, MAX_KEY_LENGTH, MAX_URL_LENGTH = 64, 64, 1024

_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)
_URL = re.compile(r"https?://[^\s/?#]+[^\s#]*")

MAX_ROUNDING_ERROR = Decimal("0.0001")

_CENTS_PER_UNIT = {ReportUnit.CENTS: Decimal(1), ReportUnit.UNITS: Decimal(100)}


class VelaService:
    """`host_id` says which operator asks."""

    first_key = "0"  # "For the first time to request log, key = 0."
    routes = {"/api/user/gamelist": "games", "/api/report": "report"}  # noqa: RUF012 the protocol's own, never changed

    def build_games_request(self, host_id: str) -> HttpRequest:
        return HttpRequest("GET", "/api/user/gamelist", urlencode({"host_id": host_id}).encode())

    def build_report_request(self, host_id: str, key: str) -> HttpRequest:
        return HttpRequest("GET", "/api/report", urlencode({"host_id": host_id, "key": key or self.first_key}).encode())

    def parse_games(self, body: bytes) -> list[Game] | ServiceError:
        data = _unwrap_data(body)
        if isinstance(data, ServiceError):
            return data
        return [_parse_game(number, each) for number, each in enumerate(_require_list(data, "list"), 1)]

    def parse_report(self, body: bytes, unit: ReportUnit) -> ReportPage | ServiceError:
        data = _unwrap_data(body)
        if isinstance(data, ServiceError):
            return data
        rows = [_parse_row(number, each, unit) for number, each in enumerate(_require_list(data, "report"), 1)]
        if not rows and not data.get("key"):
            return ReportPage([], "")  # there is nothing new, so there is no new key
        return ReportPage(rows, _require_name("the page", data, "key", MAX_KEY_LENGTH))

    def render_games(self, games: list[Game]) -> bytes:
        items = [{"title": game.titles, "game_code": game.code, "url": game.url} for game in games]
        return _wrap_data({"list": items})

    def render_report(self, page: ReportPage) -> bytes:
        return _wrap_data({"report": [_render_row(row) for row in page.rows], "key": page.key})

    def render_error(self, error: ServiceError) -> bytes:
        return to_json({"error": {"status_code": error.code, "message": error.message}})


def _wrap_data(fields: dict[str, object]) -> bytes:
    return to_json({"data": {"status_code": 0, **fields}})


def _render_row(row: ReportRow) -> dict[str, object]:
    """A row with all the fields of the specification."""
    gain = row.payout + row.cancelled + row.rejected - row.stake
    return {
        "id": row.id,
        "ticket_id": row.ticket,
        "game_code": row.game,
        "game_group": row.game,
        "username": row.player_id,
        "bet_stake": row.stake,
        "commission": 0,
        "bet_info": {},
        "result_info": {},
        "payout_amount": row.payout,
        "gain_amount": max(gain, 0),
        "loss_amount": max(-gain, 0),
        "draw_amount": row.stake if row.payout == row.stake else 0,
        "cancel_amount": row.cancelled,
        "reject_amount": row.rejected,
        "data": None,
        "status": row.status,
        "remark": None,
        "report_date": row.reported_at,
    }


def _unwrap_data(body: bytes) -> dict[str, Any] | ServiceError:
    """What is in the envelope."""
    try:
        document = json.loads(body.decode(), parse_float=Decimal, parse_constant=reject_json_constants)
    except (ValueError, RecursionError, DecimalException):  # of the last, a number with too long an exponent
        raise ValueError("the answer is not JSON") from None
    envelope = document if isinstance(document, dict) else {}
    for name in ("error", "data"):
        content = envelope.get(name)
        if isinstance(content, dict) and type(code := content.get("status_code")) is int:
            if name == "data" and code == 0:
                return content
            return ServiceError(code, _get_optional_text(content, "message"))
    raise ValueError("the answer has neither data nor error with a status_code")


def _require_list(data: dict[str, Any], name: str) -> list[Any]:
    value = data.get(name)
    if not isinstance(value, list):
        raise ValueError(f"the answer has no {name}")
    return value


def _parse_game(position: int, fields: object) -> Game:
    location = f"game {position}"
    if not isinstance(fields, dict):
        raise ValueError(f"{location} is not an object")
    titles = fields.get("title")
    if not isinstance(titles, dict) or not all(is_printable_text(text, 200) for text in titles.values()):
        raise ValueError(f"{location}: title must be an object of texts by language")
    url = fields.get("url")
    if not isinstance(url, str) or len(url) > MAX_URL_LENGTH or not _URL.fullmatch(url):
        raise ValueError(f"{location}: url must be an http or https address")
    return Game(_require_name(location, fields, "game_code", MAX_NAME_LENGTH), titles, url)


def _parse_row(position: int, fields: object, unit: ReportUnit) -> ReportRow:
    location = f"row {position}"
    if not isinstance(fields, dict):
        raise ValueError(f"{location} is not an object")
    ticket = str(fields.get("ticket_id"))
    if not _DIGITS.fullmatch(ticket) or int(ticket) > MAX_ID:
        raise ValueError(f"{location}: ticket_id must be a whole number from 0 to {MAX_ID}")
    stake = _parse_cents(location, fields, "bet_stake", unit)
    cancelled = _parse_cents(location, fields, "cancel_amount", unit, 0)
    rejected = _parse_cents(location, fields, "reject_amount", unit, 0)
    if cancelled + rejected > stake:
        raise ValueError(f"{location}: more was called off than staked")
    return ReportRow(
        _require_name(location, fields, "id", MAX_KEY_LENGTH),
        str(int(ticket)),
        _require_name(location, fields, "game_code", MAX_NAME_LENGTH),
        _require_name(location, fields, "username", MAX_NAME_LENGTH),
        stake,
        _parse_cents(location, fields, "payout_amount", unit),
        cancelled,
        rejected,
        _get_optional_text(fields, "status"),
        _get_optional_text(fields, "report_date"),
    )


def _require_name(location: str, fields: dict[str, Any], name: str, max_length: int) -> str:
    """A required name; the specification's samples write numbers as text, its tables call them int."""
    value = fields.get(name)
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not text or not is_printable_text(text, max_length):
        raise ValueError(f"{location}: {name} must be text or a number of 1 to {max_length} printable symbols")
    return text


def _get_optional_text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) and is_printable_text(value, MAX_NAME_LENGTH) else ""


def _parse_cents(location: str, fields: dict[str, Any], name: str, unit: ReportUnit, default: int | None = None) -> int:
    """A double as cents. It may miss a whole number of them by as much as doubles do, and by no more."""
    value = default if fields.get(name) is None else fields[name]
    try:
        if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
            raise ValueError
        exact = Decimal(value) * _CENTS_PER_UNIT[unit]
        if not 0 <= exact <= MAX_CENTS or abs(exact - (cents := round(exact))) > MAX_ROUNDING_ERROR:
            raise ValueError
    except (ValueError, DecimalException):
        raise ValueError(f"{location}: {name} is {value!s:.40}, which is no amount in {unit}") from None
    return cents
