"""wallet-v2: JSON over POST, the operation in the field `type`.

The specification is "Wallet API v.2". The code quotes the sentence that it follows.

- "The http POST method is used for all requests to the server."
- The "id" parameter "is unique within one currency", so ids are unique per agent and currency.
- "credit — an integer number with an amount of credit in cents": the sum of cash and bonus.
- Two of its samples are not JSON: `"player_id"="usr-1122334455"`, and requests broken over two lines. This module uses
  the JSON that they obviously mean.
"""

import json
import re
import time
from collections import Counter
from functools import lru_cache
from types import MappingProxyType
from typing import Any, assert_never

from jiter import from_json
from pydantic_core import to_json

from minwallet.ledger.commands import Balance, Bet, Cancel, Win
from minwallet.ledger.entries import Entry, Kind, Refusal
from minwallet.ledger.money import MAX_CENTS, MAX_ID
from minwallet.ledger.outcomes import Applied, BalanceShown, GroupApplied, Outcome, Refused, Replayed, Unauthenticated
from minwallet.protocols.wire import (
    REDACTED,
    AccountHolder,
    Call,
    HttpRequest,
    HttpResponse,
    Launch,
    Malformed,
    RetryBalance,
    WalletResponse,
    WireProtocol,
    WireRoute,
    add_query,
    contains_token,
    hide_token,
    is_plain_text,
    reject_json_constants,
    split_query,
)

MALFORMED, UNKNOWN_TYPE, UNAVAILABLE = 100, 101, 500
"""The specification leaves the numbers open: "err_code — error code that occurred"."""

MAX_GAME_LENGTH, MAX_TIME_LENGTH = 64, 40
"""The longest `game` and `time`, in characters; the specification sets no limits."""


_REPEATED = object()
"""The value of a field that is given twice: of two values, the intended one is unknown. No check accepts it."""

_NEGATIVE_ZERO = re.compile(rb"-0[],}\s]")
"""Matches every body with the number -0, and a few others."""


class _InvalidField(ValueError):
    """A field that is missing or invalid; the message names it and says what is expected."""


class WalletV2(WireProtocol):
    """The wallet-v2 protocol; the field `type` of the body names the operation: credit, bet, win or cancel.

    The second path limits a request to one agent: "WALLET_TOKEN — a unique ID of an agent (wallet)".
    """

    name = "wallet-v2"
    routes = (WireRoute("POST", "/wallet"), WireRoute("POST", "/wallet/{wallet_token}"))
    operations = MappingProxyType({"credit": Balance, "bet": Bet, "win": Win, "cancel": Cancel})
    ids_per_currency = True
    retry_balance = RetryBalance.FIRST
    conformance = "minwallet.conformance.wallet_v2_cases:WALLET_V2"
    dealer = "minwallet.demo.wallet_v2_dealer:WalletV2Dealer"

    def parse(self, request: HttpRequest, operation: str) -> Call | Malformed:
        """Return the call in the body, or Malformed with the code 100, or 101 for an unknown `type`.

        "code — a unique ID of a player's game session": it is the token. "time" is checked, but has no effect.
        """
        try:
            fields = _parse_object(request.body)
            operation = _require_text(fields, "type", None)
            if operation not in self.operations:
                return Malformed("", UNKNOWN_TYPE, "type: must be credit, bet, win or cancel")
            token = _require_text(fields, "code", None)
            if fields.get("time") is not None:
                _require_text(fields, "time", MAX_TIME_LENGTH)
            return Call(operation, token, _parse_command(operation, fields))
        except _InvalidField as error:
            return Malformed(operation, MALFORMED, str(error))

    def render(
        self, call: Call, outcome: Outcome | Unauthenticated, holder: AccountHolder | None, now_ms: int
    ) -> HttpResponse:
        """Return the reply: `result` 1 with `credit` in cents, or `result` 0 with `err_code` and `err_desc`.

        "result — in case of positive result =1, in case of error any other number". A refusal has `credit` too if the
        session is known.
        """
        fields: dict[str, object]
        match outcome:
            case Applied() | Replayed():
                # "credit — … after deducting the bet": a retry has the credit of the first reply, not the current one.
                entry = outcome.entry
                fields = {"credit": entry.cash_after + entry.bonus_after, "result": 1, "time": _format_time(now_ms)}
            case BalanceShown(cash, bonus):
                assert holder is not None
                fields = {
                    "credit": cash + bonus,
                    "player_id": holder.player_id,
                    "result": 1,
                    "time": _format_time(now_ms),
                    "currency": holder.currency,
                }
            case Refused(refusal, cash, bonus):
                fields = {"credit": cash + bonus, **_build_failure(*_map_refusal(refusal), now_ms)}
            case Unauthenticated(refusal):
                fields = _build_failure(*_map_refusal(refusal), now_ms)
            case GroupApplied():
                raise ValueError("wallet-v2 has no call with several commands")
            case _:
                assert_never(outcome)
        return HttpResponse(to_json(fields))

    def redact(self, call: Call, request: HttpRequest, now_ms: int) -> str:
        """Return the body with REDACTED in place of the token, or an equivalent body if the token is hidden."""
        text = request.body.decode()
        redacted = text.replace(f'"{call.token}"', f'"{REDACTED}"')
        # The token may be spelled with JSON escapes, or stand in another field too. Then write the body from the call.
        if redacted == text or contains_token(call.token, redacted):
            hidden = Call(call.operation, REDACTED, hide_token(call.token, call.command))
            redacted = self.build_request(hidden, now_ms).body.decode()
        return redacted

    def render_error(self, malformed: Malformed, now_ms: int) -> HttpResponse:
        """Return the reply to a malformed request: "err_code — error code", "err_desc — error text"."""
        return HttpResponse(to_json(_build_failure(malformed.code, malformed.message, now_ms)))

    def error_code_for_status(self, http_status: int) -> int:
        """Return 500 if a retry may succeed later, otherwise 100; the specification has no codes for HTTP errors."""
        return UNAVAILABLE if http_status == 429 or http_status >= 500 else MALFORMED

    def build_request(self, call: Call, now_ms: int, wallet_token: str | None = None) -> HttpRequest:
        """Return the POST of this call. Raise ValueError for a command that wallet-v2 does not have.

        "time — a date and a time", here of the request, from `now_ms`. With `wallet_token` the path names the agent.
        """
        common: dict[str, object] = {"code": call.token, "type": call.operation, "time": _format_time(now_ms)}
        fields: dict[str, object]
        match call.command:
            case Balance():
                fields = common
            case Bet(id, stake, round, game):
                fields = {"bet": stake, **common, "game": _encode_game(game), "id": int(id), "round_id": int(round)}
            case Win(id, payout, round, game):
                fields = {
                    "win": payout,
                    **common,
                    "game": _encode_game(game),
                    "id": int(id),
                    **_build_round_field(round),
                }
            case Cancel(id, round):
                fields = {**common, "id": int(id), **_build_round_field(round)}
            case _:
                raise ValueError(f"wallet-v2 has no {type(call.command).__name__}")
        path = "/wallet" if wallet_token is None else f"/wallet/{wallet_token}"
        return HttpRequest("POST", path, body=to_json(fields))

    def parse_response(self, response: HttpResponse) -> WalletResponse:
        """Return the content of a reply. Raise ValueError if it is not a JSON object with valid numbers.

        "If the "result": a number other than "1", the request is not processed and is counted as an error request."
        """
        fields = _parse_object(response.body)
        if type(fields.get("result")) is int and fields["result"] == 1:
            return WalletResponse(
                0, None, _require_cents(fields, "credit"), None, fields.get("player_id"), fields.get("currency")
            )
        code = fields.get("err_code")
        if type(code) is not int:
            raise _InvalidField("err_code: must be a whole number where result is not 1")
        balance = _require_cents(fields, "credit") if "credit" in fields else None
        return WalletResponse(code, fields.get("err_desc"), balance)

    def rebuild(self, entry: Entry, token: str) -> Call:
        """Return the call that created the entry. Raise ValueError for a betwin, deposit, withdrawal or adjustment."""
        match entry.kind:
            case Kind.BET:
                assert entry.round is not None
                return Call("bet", token, Bet(entry.id, entry.stake, entry.round, entry.game))
            case Kind.WIN:
                return Call("win", token, Win(entry.id, entry.payout, entry.round, entry.game))
            case Kind.CANCEL:
                return Call("cancel", token, Cancel(entry.id, entry.round))
            case _:
                raise ValueError(f"wallet-v2 has no {entry.kind}")

    def build_launch_url(self, launch: Launch) -> str:
        """Return the launch URL of the sections "Demo mode" and "Real mode": demo mode without a token."""
        game, lang = {"gameID": launch.game}, {"lang": launch.lang}
        if launch.token is None:
            return add_query(launch.base, {"mode": "demo", **game, **lang})
        parameters = {"mode": "real_play", **game, "token": launch.token, **lang, "wallet": launch.agent}
        return add_query(launch.base, parameters)

    def parse_launch_url(self, url: str) -> Launch:
        """Return the content of a launch URL; every mode but `real_play` is demo mode, without token and agent."""
        base, parameters = split_query(url)
        is_real = parameters.get("mode") == "real_play"
        token, agent = (parameters.get("token"), parameters.get("wallet", "")) if is_real else (None, "")
        return Launch(base, parameters.get("gameID", ""), parameters.get("lang", ""), token, agent)


def _parse_command(operation: str, fields: dict[str, Any]) -> Balance | Bet | Win | Cancel:
    if operation == "credit":
        return Balance()
    id_ = str(_require_number(fields, "id", MAX_ID))
    # "round_id - transaction number of the first bet": a bet without one is the first of its own round.
    round_ = None if fields.get("round_id") is None else str(_require_number(fields, "round_id", MAX_ID))
    match operation:
        case "bet":
            return Bet(id_, _require_cents(fields, "bet"), round_ or id_, _require_game(fields))
        case "win":
            return Win(id_, _require_cents(fields, "win"), round_, _require_game(fields))
        case _:
            return Cancel(id_, round_)


def _map_refusal(refusal: Refusal) -> tuple[int, str]:
    match refusal:
        case (
            Refusal.SESSION_UNKNOWN
            | Refusal.SESSION_REVOKED
            | Refusal.PLAYER_UNKNOWN
            | Refusal.PLAYER_MISMATCH
            | Refusal.CURRENCY_MISMATCH
        ):
            return 102, "session not found"
        case Refusal.SESSION_EXPIRED:
            return 103, "session expired"
        case Refusal.PLAYER_BLOCKED | Refusal.PLAYER_EXCLUDED | Refusal.LOSS_LIMIT | Refusal.DEPOSIT_LIMIT:
            return 104, "player blocked"
        case Refusal.INSUFFICIENT_FUNDS:
            return 105, "insufficient funds"
        case Refusal.ID_TAKEN:
            return 106, "transaction id already used"
        case Refusal.CANCELLED:
            return 107, "transaction cancelled"
        case Refusal.ROUND_SETTLED:
            return 108, "round already settled"
        case Refusal.ROUND_CANCELLED:
            return 109, "round cancelled"
        case Refusal.OUT_OF_RANGE | Refusal.WIN_SPENT:
            return 110, "amount out of range"
        case Refusal.NOT_A_BET | Refusal.NO_OPEN_BET:
            return 111, "not a bet"
        case _:
            assert_never(refusal)


def _build_failure(code: int | str, description: str, now_ms: int) -> dict[str, object]:
    return {"result": 0, "err_code": code, "err_desc": description, "time": _format_time(now_ms)}


def _format_time(now_ms: int) -> str:
    return _format_second(now_ms // 1000)


@lru_cache(maxsize=2)  # thousands of replies have the same second, and strftime is slow
def _format_second(second: int) -> str:
    return time.strftime("%d-%m-%Y %H:%M:%S", time.gmtime(second))


def _encode_game(game: str | None) -> int | str | None:
    """Return a game's code as the provider writes it: `1012` as a number, other codes as text."""
    if game is not None and game.isascii() and game.isdigit() and len(game) <= 20:
        number = int(game)
        return number if str(number) == game and number <= MAX_ID else game
    return game


def _build_round_field(round_: str | None) -> dict[str, object]:
    return {} if round_ is None else {"round_id": int(round_)}


def _parse_object(raw: bytes) -> dict[str, Any]:
    try:
        # The fast parser returns 0 for -0.
        fields = (
            _parse_strictly(raw)
            if _NEGATIVE_ZERO.search(raw)
            else from_json(raw, allow_inf_nan=False, cache_mode="keys", catch_duplicate_keys=True)
        )
    except ValueError:
        fields = _parse_strictly(raw)
    if not isinstance(fields, dict):
        raise _InvalidField("the body is not a JSON object")
    return fields


def _parse_strictly(raw: bytes) -> object:
    """Return the JSON document that the fast parser refused or would misread. Raise _InvalidField if it is not JSON.

    The fast parser refuses more than this protocol does: a byte order mark, and every field given twice. But a field
    that this protocol ignores may be given twice.
    """
    try:
        return json.loads(
            raw.decode("utf-8-sig"),
            object_pairs_hook=_mark_repeated_fields,
            parse_constant=reject_json_constants,
            parse_int=_parse_unsigned,
        )
    except (ValueError, RecursionError):
        raise _InvalidField("the body is not JSON") from None


def _mark_repeated_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields of an object, _REPEATED for one given twice."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        fields |= {name: _REPEATED for name, times in Counter(name for name, _ in pairs).items() if times > 1}
    return fields


def _parse_unsigned(text: str) -> int:
    """Return a number from 0 to MAX_ID, -1 for any number with a sign, and MAX_ID + 1 for more than 20 digits.

    No field accepts the last two. A number of thousands of digits would take long to convert.
    """
    if text.startswith("-"):
        return -1
    return int(text) if len(text) <= 20 else MAX_ID + 1


def _require_text(fields: dict[str, Any], name: str, max_length: int | None) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or (max_length is not None and len(value) > max_length):
        length = f" of up to {max_length} characters" if max_length else ""
        raise _describe_invalid(name, value, f"must be text{length}")
    return value


def _require_number(fields: dict[str, Any], name: str, maximum: int) -> int:
    value = fields.get(name)
    if type(value) is not int or not 0 <= value <= maximum:
        raise _describe_invalid(name, value, f"must be a whole number from 0 to {maximum}")
    return value


def _require_cents(fields: dict[str, Any], name: str) -> int:
    return _require_number(fields, name, MAX_CENTS)


def _require_game(fields: dict[str, Any]) -> str:
    value = fields.get("game")
    if type(value) is int and 0 <= value <= MAX_ID:
        return str(value)
    if not value or not is_plain_text(value, MAX_GAME_LENGTH):
        raise _describe_invalid(
            "game",
            value,
            f"must be a whole number from 0 to {MAX_ID}, or text of 1 to {MAX_GAME_LENGTH} characters without"
            " control characters",
        )
    return str(value)


def _describe_invalid(name: str, value: object, expectation: str) -> _InvalidField:
    """Return the error for a field that is missing, null, given twice, or not as expected."""
    reason = "missing" if value is None else "given twice" if value is _REPEATED else expectation
    return _InvalidField(f"{name}: {reason}")
