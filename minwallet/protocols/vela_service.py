"""The service of a vela provider for operators: the game list and the report, each a GET with a JSON object as reply.

The specification's sections "Game List" and "User Report" wrap a reply as `{"data": {…}}` and a refusal as
`{"error": {…}}`. Amounts of the report are "double" and their unit is not specified, so the operator sets it: cents or
whole units.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal, DecimalException
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from pydantic_core import to_json

from minwallet.ledger.money import MAX_CENTS, MAX_ID
from minwallet.ledger.reconciliation import ReportRow
from minwallet.protocols.operator_service import (
    FetchedGames,
    Game,
    OperatorRequest,
    ReportPage,
    ReportUnit,
    ServiceError,
)
from minwallet.protocols.wire import HttpRequest, is_plain_text, reject_json_constants

INVALID_HOST_ID, REQUIRED_FIELD = 2, 2001
"""The codes "Invalid Host ID" and "Required field cannot be empty"."""

MAX_NAME_LENGTH, MAX_KEY_LENGTH, MAX_URL_LENGTH, MAX_TITLE_LENGTH, MAX_LANGUAGE_LENGTH = 64, 64, 1024, 200, 35
"""The longest texts accepted of a provider, in characters; the specification sets no limits."""

MAX_GAMES, MAX_LANGUAGES, MAX_ROWS = 5_000, 50, 5_000
"""How many games, titles of a game, and rows of a report page are accepted; the specification sets no limits."""

MAX_DIGITS = 40
"""The longest whole number that is converted, in digits. No field accepts one of more than 20."""

T = TypeVar("T")

_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)
_URL = re.compile(r"https?://[^\s/?#]+[^\s#]*")

MAX_ROUNDING_ERROR = Decimal("0.0001")
"""The difference to a whole number of cents that an amount may have, as a double cannot store most decimals exactly."""

_CENTS_PER_UNIT = {ReportUnit.CENTS: Decimal(1), ReportUnit.UNITS: Decimal(100)}


class VelaService:
    """The service of a vela provider. "host_id: Unique ID of Operator System (provided by game provider)"."""

    first_key = "0"
    """The specification: "For the first time to request log, key = 0"."""
    unknown_operator = ServiceError(INVALID_HOST_ID, "Invalid Host ID")
    routes = {"/api/user/gamelist": "games", "/api/report": "report"}  # noqa: RUF012 the protocol's own, never changed

    def build_games_request(self, host_id: str) -> HttpRequest:
        """Return the request of the section "Game List"."""
        return HttpRequest("GET", "/api/user/gamelist", urlencode({"host_id": host_id}).encode())

    def build_report_request(self, host_id: str, key: str) -> HttpRequest:
        """Return the request of the section "User Report"; an empty `key` becomes `first_key`.

        "The response return the key value to operator for the next log request."
        """
        return HttpRequest("GET", "/api/report", urlencode({"host_id": host_id, "key": key or self.first_key}).encode())

    def parse_games(self, body: bytes) -> FetchedGames | ServiceError:
        """Return the games of a reply: "This api will return game list to operator".

        Raise ValueError if no entry is a game: then the reply has another format, and an earlier list is better.
        """
        data = _unwrap_data(body)
        if isinstance(data, ServiceError):
            return data
        games, skipped = _parse_entries(_parse_game, _require_list(data, "list", MAX_GAMES))
        if skipped and not games:
            raise ValueError(f"no entry of the list is a game: {skipped[0]}")
        return FetchedGames(games, skipped)

    def parse_report(self, body: bytes, unit: ReportUnit) -> ReportPage | ServiceError:
        """Return a page of "the games report from Game Server", with its amounts in cents."""
        data = _unwrap_data(body)
        if isinstance(data, ServiceError):
            return data
        listed = _require_list(data, "report", MAX_ROWS)
        if not listed and not data.get("key"):
            # Without new rows the key stays the same, and some providers leave it out.
            return ReportPage([], "")
        rows, skipped = _parse_entries(partial(_parse_row, unit=unit), listed)
        return ReportPage(rows, _require_name("the page", data, "key", MAX_KEY_LENGTH), skipped)

    def parse_request(self, request: HttpRequest) -> OperatorRequest | ServiceError:
        """Return the content of a request: "2001: Required field cannot be empty" without `host_id`.

        An empty key starts at the first page, like `first_key`.
        """
        fields = dict(parse_qsl(request.query.decode("ascii", "replace")))
        if not fields.get("host_id"):
            return ServiceError(REQUIRED_FIELD, "Required field cannot be empty")
        key = fields.get("key") or self.first_key
        if not _DIGITS.fullmatch(key):
            return ServiceError(REQUIRED_FIELD, f"invalid key {key!r:.40}: use a page's key or 0")
        return OperatorRequest(fields["host_id"], key)

    def render_games(self, games: list[Game]) -> bytes:
        """Return the reply with "A list of game list"."""
        items = [{"title": game.titles, "game_code": game.code, "url": game.url} for game in games]
        return _wrap_data({"list": items})

    def render_report(self, page: ReportPage) -> bytes:
        """Return the reply with "A list report" and its key; amounts are cents."""
        return _wrap_data({"report": [_render_row(row) for row in page.rows], "key": page.key})

    def render_error(self, error: ServiceError) -> bytes:
        """Return the reply that refuses a request."""
        return to_json({"error": {"status_code": error.code, "message": error.message}})


def _wrap_data(fields: dict[str, object]) -> bytes:
    return to_json({"data": {"status_code": 0, **fields}})


def _render_row(row: ReportRow) -> dict[str, object]:
    """Return a row with all fields of the specification's table "Report" and of its sample."""
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


def _parse_entries(parse: Callable[[int, object], T], entries: Sequence[object]) -> tuple[list[T], list[str]]:
    """Return the valid entries, and the reasons of the others. A position begins at 1."""
    parsed, skipped = [], []
    for position, entry in enumerate(entries, 1):
        try:
            parsed.append(parse(position, entry))
        except ValueError as error:
            skipped.append(str(error))
    return parsed, skipped


def _unwrap_data(body: bytes) -> dict[str, Any] | ServiceError:
    """Return the object in `data`, or the refusal. Raise ValueError if the reply has neither."""
    try:
        # Some servers put a byte order mark before their JSON.
        document = json.loads(
            body.decode("utf-8-sig"),
            parse_int=_parse_int,
            parse_float=_parse_decimal,
            parse_constant=reject_json_constants,
            object_pairs_hook=_mark_duplicate_names,
        )
    except RecursionError:
        raise ValueError("the reply is nested too deeply") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ValueError("the reply is not JSON") from None
    except ValueError:
        raise ValueError("the reply has an invalid number") from None
    envelope = _require_object("the reply", document)
    for name in ("error", "data"):
        content = envelope.get(name)
        if isinstance(content, dict) and type(code := content.get("status_code")) is int:
            _require_object(name, content)
            if name == "data" and code == 0:
                return content
            return ServiceError(code, _get_optional_text(content, "message"))
    raise ValueError("the reply has neither data nor error with a status_code")


def _parse_int(digits: str) -> int | str:
    """Return the number, or its text if it is too long for any field. Long ones take Python long, or fail."""
    return int(digits) if len(digits) <= MAX_DIGITS else digits


def _parse_decimal(digits: str) -> Decimal | str:
    """Return the number, or its text if its exponent is out of range. The field that has it is then invalid."""
    try:
        return Decimal(digits)
    except DecimalException:
        return digits


class _AmbiguousObject(dict[str, Any]):
    """An object that has the field `repeated` twice. Which one counts would depend on the parser."""

    repeated = ""


def _mark_duplicate_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
    ambiguous = _AmbiguousObject(fields)
    ambiguous.repeated = name if is_plain_text(name, MAX_NAME_LENGTH) else "…"
    return ambiguous


def _require_object(location: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{location} is not an object")
    if isinstance(value, _AmbiguousObject):
        raise ValueError(f"{location} has the field '{value.repeated}' twice")
    return value


def _require_list(data: dict[str, Any], name: str, max_length: int) -> list[Any]:
    value = data.get(name)
    if not isinstance(value, list):
        raise ValueError(f"the reply has no {name}: expected an array")
    if len(value) > max_length:
        raise ValueError(f"the {name} has {len(value)} items: expected up to {max_length}")
    return value


def _parse_game(position: int, entry: object) -> Game:
    location = f"game {position}"
    fields = _require_object(location, entry)
    code = _require_name(location, fields, "game_code", MAX_NAME_LENGTH)
    location = f"{location} ({code})"
    titles = _parse_titles(location, fields.get("title"))
    url = fields.get("url")
    if not isinstance(url, str) or len(url) > MAX_URL_LENGTH or not _URL.fullmatch(url):
        raise ValueError(f"{location}: url must be an http or https address")
    return Game(code, titles, url)


def _parse_titles(location: str, value: object) -> dict[str, str]:
    """Return the titles by language. A title, or the text of a language, that is null is absent."""
    rule = f"{location}: title must be an object of up to {MAX_LANGUAGES} languages, each with a text"
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MAX_LANGUAGES:
        raise ValueError(rule)
    titles = {
        language: text for language, text in _require_object(f"{location}: title", value).items() if text is not None
    }
    if not all(
        is_plain_text(language, MAX_LANGUAGE_LENGTH) and is_plain_text(text, MAX_TITLE_LENGTH)
        for language, text in titles.items()
    ):
        raise ValueError(rule)
    return titles


def _parse_row(position: int, entry: object, unit: ReportUnit) -> ReportRow:
    location = f"row {position}"
    fields = _require_object(location, entry)
    ticket = str(fields.get("ticket_id"))
    if not _DIGITS.fullmatch(ticket) or int(ticket) > MAX_ID:
        raise ValueError(f"{location}: ticket_id must be a whole number from 0 to {MAX_ID}")
    location = f"{location} (ticket {int(ticket)})"
    stake = _parse_cents(location, fields, "bet_stake", unit)
    cancelled = _parse_cents(location, fields, "cancel_amount", unit, 0)
    rejected = _parse_cents(location, fields, "reject_amount", unit, 0)
    if cancelled + rejected > stake:
        raise ValueError(f"{location}: cancel_amount plus reject_amount must not exceed bet_stake")
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
    """Return a required text, or a number as text: the tables call `id` int, the samples quote it."""
    value = fields.get(name)
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not text or not is_plain_text(text, max_length):
        raise ValueError(
            f"{location}: {name} must be text or a number of 1 to {max_length} characters, none a control character"
        )
    return text


def _get_optional_text(fields: dict[str, Any], name: str) -> str:
    # Such a text takes no part in the comparison, so an invalid one is dropped instead of refusing the whole report.
    value = fields.get(name)
    return value if isinstance(value, str) and is_plain_text(value, MAX_NAME_LENGTH) else ""


def _parse_cents(location: str, fields: dict[str, Any], name: str, unit: ReportUnit, default: int | None = None) -> int:
    """Return an amount ("double") in cents. Raise ValueError if it is not whole cents, within MAX_ROUNDING_ERROR."""
    value = default if fields.get(name) is None else fields[name]
    try:
        if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
            raise ValueError
        exact = Decimal(value) * _CENTS_PER_UNIT[unit]
        if not 0 <= exact <= MAX_CENTS or abs(exact - (cents := round(exact))) > MAX_ROUNDING_ERROR:
            raise ValueError
    except (ValueError, DecimalException):
        rule = f"must be an amount in {unit}, 0 or more"
        raise ValueError(f"{location}: invalid {name} '{value!s:.40}': {rule}") from None
    return cents
