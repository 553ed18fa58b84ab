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
from minwallet.ledger.tickets import ReportRow
from minwallet.protocols.wire import Exchange, Game, ReportPage, ReportUnit, ServiceError, is_text, no_constants

INVALID_HOST_ID, REQUIRED_FIELD = 2, 2001

LONGEST_NAME, LONGEST_KEY, LONGEST_URL = 64, 64, 1024

_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)
_URL = re.compile(r"https?://[^\s/?#]+[^\s#]*")

DOUBLE_NOISE = Decimal("0.0001")

_CENTS_IN = {ReportUnit.CENTS: Decimal(1), ReportUnit.UNITS: Decimal(100)}


class VelaService:
    """`host_id` says which operator asks."""

    first_key = "0"  # "For the first time to request log, key = 0."
    routes = {"/api/user/gamelist": "games", "/api/report": "report"}  # noqa: RUF012 the protocol's own, never changed

    def ask_games(self, host_id: str) -> Exchange:
        return Exchange("GET", "/api/user/gamelist", urlencode({"host_id": host_id}).encode())

    def ask_report(self, host_id: str, key: str) -> Exchange:
        return Exchange("GET", "/api/report", urlencode({"host_id": host_id, "key": key or self.first_key}).encode())

    def read_games(self, body: bytes) -> list[Game] | ServiceError:
        data = _open(body)
        if isinstance(data, ServiceError):
            return data
        return [_game(number, each) for number, each in enumerate(_list(data, "list"), 1)]

    def read_report(self, body: bytes, unit: ReportUnit) -> ReportPage | ServiceError:
        data = _open(body)
        if isinstance(data, ServiceError):
            return data
        rows = [_row(number, each, unit) for number, each in enumerate(_list(data, "report"), 1)]
        if not rows and not data.get("key"):
            return ReportPage([], "")  # there is nothing new, so there is no new key
        return ReportPage(rows, _name("the page", data, "key", LONGEST_KEY))

    def show_games(self, games: list[Game]) -> bytes:
        shown = [{"title": game.titles, "game_code": game.code, "url": game.url} for game in games]
        return _data({"list": shown})

    def show_report(self, page: ReportPage) -> bytes:
        return _data({"report": [_show(row) for row in page.rows], "key": page.key})

    def show_error(self, error: ServiceError) -> bytes:
        return to_json({"error": {"status_code": error.code, "message": error.message}})


def _data(fields: dict[str, object]) -> bytes:
    return to_json({"data": {"status_code": 0, **fields}})


def _show(row: ReportRow) -> dict[str, object]:
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


def _open(body: bytes) -> dict[str, Any] | ServiceError:
    """What is in the envelope."""
    try:
        document = json.loads(body.decode(), parse_float=Decimal, parse_constant=no_constants)
    except (ValueError, RecursionError, DecimalException):  # of the last, a number with too long an exponent
        raise ValueError("the answer is not JSON") from None
    envelope = document if isinstance(document, dict) else {}
    for name in ("error", "data"):
        inner = envelope.get(name)
        if isinstance(inner, dict) and type(code := inner.get("status_code")) is int:
            if name == "data" and code == 0:
                return inner
            return ServiceError(code, _note(inner, "message"))
    raise ValueError("the answer has neither data nor error with a status_code")


def _list(data: dict[str, Any], name: str) -> list[Any]:
    found = data.get(name)
    if not isinstance(found, list):
        raise ValueError(f"the answer has no {name}")
    return found


def _game(number: int, fields: object) -> Game:
    where = f"game {number}"
    if not isinstance(fields, dict):
        raise ValueError(f"{where} is not an object")
    titles = fields.get("title")
    if not isinstance(titles, dict) or not all(is_text(text, 200) for text in titles.values()):
        raise ValueError(f"{where}: title must be an object of texts by language")
    url = fields.get("url")
    if not isinstance(url, str) or len(url) > LONGEST_URL or not _URL.fullmatch(url):
        raise ValueError(f"{where}: url must be an http or https address")
    return Game(_name(where, fields, "game_code", LONGEST_NAME), titles, url)


def _row(number: int, fields: object, unit: ReportUnit) -> ReportRow:
    where = f"row {number}"
    if not isinstance(fields, dict):
        raise ValueError(f"{where} is not an object")
    ticket = str(fields.get("ticket_id"))
    if not _DIGITS.fullmatch(ticket) or int(ticket) > MAX_ID:
        raise ValueError(f"{where}: ticket_id must be a whole number from 0 to {MAX_ID}")
    stake = _cents(where, fields, "bet_stake", unit)
    cancelled = _cents(where, fields, "cancel_amount", unit, 0)
    rejected = _cents(where, fields, "reject_amount", unit, 0)
    if cancelled + rejected > stake:
        raise ValueError(f"{where}: more was called off than staked")
    return ReportRow(
        _name(where, fields, "id", LONGEST_KEY),
        str(int(ticket)),
        _name(where, fields, "game_code", LONGEST_NAME),
        _name(where, fields, "username", LONGEST_NAME),
        stake,
        _cents(where, fields, "payout_amount", unit),
        cancelled,
        rejected,
        _note(fields, "status"),
        _note(fields, "report_date"),
    )


def _name(where: str, fields: dict[str, Any], name: str, longest: int) -> str:
    """A required name; the specification's samples write numbers as text, its tables call them int."""
    value = fields.get(name)
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not text or not is_text(text, longest):
        raise ValueError(f"{where}: {name} must be text or a number of 1 to {longest} printable symbols")
    return text


def _note(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) and is_text(value, LONGEST_NAME) else ""


def _cents(where: str, fields: dict[str, Any], name: str, unit: ReportUnit, default: int | None = None) -> int:
    """A double as cents. It may miss a whole number of them by as much as doubles do, and by no more."""
    value = default if fields.get(name) is None else fields[name]
    try:
        if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
            raise ValueError
        exact = Decimal(value) * _CENTS_IN[unit]
        if not 0 <= exact <= MAX_CENTS or abs(exact - (cents := round(exact))) > DOUBLE_NOISE:
            raise ValueError
    except (ValueError, DecimalException):
        raise ValueError(f"{where}: {name} is {value!s:.40}, which is no amount in {unit}") from None
    return cents
