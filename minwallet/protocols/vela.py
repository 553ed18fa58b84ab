"""vela: a GET for each operation, everything in the query, a JSON object back.

The specification is "Vela Gaming: Common Wallet"; its sentences are quoted where the code obeys them. `ticket_id` is
the id of a bet, of its result and of its refund alike, and names the round. Balances in an answer are the current ones.
"""

import json
import re
from typing import Any, assert_never
from urllib.parse import parse_qsl, urlencode

from pydantic_core import to_json

from minwallet.ledger.commands import (
    Authenticate,
    Balance,
    Bet,
    BetWin,
    Cancel,
    Command,
    Deposit,
    Settle,
    Win,
    Withdraw,
)
from minwallet.ledger.entries import Entry, Kind, Refusal, State
from minwallet.ledger.money import MAX_CENTS, MAX_ID
from minwallet.ledger.outcomes import Applied, BalanceShown, Outcome, Refused, Replayed, SessionUnknown
from minwallet.protocols.wire import (
    REDACTED,
    AccountHolder,
    Call,
    HttpRequest,
    Launch,
    Malformed,
    WalletResponse,
    add_query,
    contains_token,
    is_printable_text,
    split_query,
)

SUCCESS, INVALID_TOKEN, INVALID_TRANSACTION, INSUFFICIENT_FUNDS, UNAVAILABLE, INVALID_FIELD = 0, 1, 2, 3, 500, 2001

MAX_TEXT_LENGTH = 64

_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)

_PATHS = {
    "authenticate": "/api/user/authenticate",
    "bet": "/api/bet",
    "result": "/api/result",
    "refund": "/api/refund",
    "betwin": "/api/betwin",
}


class _InvalidField(ValueError):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Vela:
    """The operation is in the path; the specification writes authenticate's in two ways."""

    name = "vela"
    method = "GET"
    routes = {path: operation for operation, path in _PATHS.items()} | {"/api/users/authenticate": "authenticate"}
    ids_per_currency = False

    def parse(self, operation: str, raw: bytes) -> Call | Malformed:
        try:
            fields = _QueryParameters(raw)
            token = fields.require("access_token", INVALID_TOKEN, "Invalid Token")
            return Call(operation, token, _parse_command(operation, fields))
        except _InvalidField as error:
            return Malformed(operation, error.code, str(error))

    def render(self, call: Call, outcome: Outcome | SessionUnknown, holder: AccountHolder | None, now_ms: int) -> bytes:
        del now_ms
        if isinstance(outcome, SessionUnknown):
            return to_json(_build_failure(*_map_refusal(outcome.refusal)))
        balances = {"balance": outcome.cash, "balance2": outcome.bonus}
        match outcome:
            case BalanceShown():
                assert holder is not None
                holder_fields = {"member_id": holder.player_id, "currency": holder.currency}
                return to_json({"status_code": SUCCESS, **holder_fields, **balances})
            case Applied(entry) | Replayed(entry) if entry.state is State.CLOSED:
                # A refund of a ticket that took no money closes it, but there was nothing to give back.
                return to_json({**_build_failure(*_map_refusal(Refusal.NO_OPEN_BET)), **balances})
            case Applied() | Replayed():
                return to_json({"status_code": SUCCESS, **balances})
            case Refused(refusal):
                return to_json({**_build_failure(*_map_refusal(refusal)), **balances})
            case _:
                assert_never(outcome)

    def redact(self, call: Call, raw: bytes, now_ms: int) -> str:
        query = raw.decode("ascii", "backslashreplace")
        redacted = query.replace(f"access_token={call.token}", f"access_token={REDACTED}")
        if redacted == query or contains_token(call.token, redacted):
            redacted = self.build_request(call._replace(token=REDACTED), now_ms).query.decode()
        return redacted

    def render_error(self, malformed: Malformed, now_ms: int) -> bytes:
        del now_ms
        return to_json(_build_failure(malformed.code, malformed.message))

    def error_code_for_status(self, http_status: int) -> int:
        return UNAVAILABLE if http_status == 429 or http_status >= 500 else INVALID_FIELD

    def build_request(self, call: Call, now_ms: int, wallet_token: str | None = None) -> HttpRequest:
        del now_ms, wallet_token
        query = urlencode({"access_token": call.token, **_build_parameters(call.command)})
        return HttpRequest(self.method, _PATHS[call.operation], query=query.encode())

    def parse_response(self, body: bytes) -> WalletResponse:
        try:
            fields = json.loads(body)
        except RecursionError:
            raise ValueError("the answer is nested too deeply") from None
        if not isinstance(fields, dict) or type(fields.get("status_code")) is not int:
            raise ValueError("status_code: must be a whole number in a JSON object")
        return WalletResponse(
            fields["status_code"],
            fields.get("message"),
            fields.get("balance"),
            fields.get("balance2"),
            fields.get("member_id"),
            fields.get("currency"),
        )

    def rebuild(self, entry: Entry, token: str) -> Call:
        match entry.kind:
            case Kind.BET:
                return Call("bet", token, Bet(entry.id, entry.stake, entry.id, entry.game, entry.detail))
            case Kind.WIN:
                return Call("result", token, Settle(entry.id, entry.payout, entry.game, entry.detail))
            case Kind.BETWIN:
                return Call("betwin", token, BetWin(entry.id, entry.stake, entry.payout, entry.game))
            case Kind.CANCEL:
                return Call("refund", token, Cancel(entry.id))
            case Kind.DEPOSIT | Kind.WITHDRAW:
                raise ValueError(f"vela has no {entry.kind}")
            case _:
                assert_never(entry.kind)

    def build_launch_url(self, launch: Launch) -> str:
        # "If host_id and access_token is not provided, it is treated as Guest mode."
        session_parameters = {"host_id": launch.agent, "access_token": launch.token} if launch.token else {}
        return add_query(
            launch.base, session_parameters | {"mode": "singleplayer", "lang": launch.lang, "allow_vertical": "1"}
        )

    def parse_launch_url(self, url: str) -> Launch:
        base, parameters = split_query(url)
        game = base.rpartition("/")[2]
        return Launch(
            base,
            game,
            parameters.get("lang", ""),
            parameters.get("access_token") or None,
            parameters.get("host_id", ""),
        )


class _QueryParameters:
    """The parameters of a query, each of which may be given once."""

    def __init__(self, query: bytes) -> None:
        self._values: dict[str, list[str]] = {}
        # What is not UTF-8 is kept as something unprintable, for the parameter that it is in to refuse.
        text = query.decode("ascii", "surrogateescape")
        for name, value in parse_qsl(text, keep_blank_values=True, errors="surrogateescape"):
            self._values.setdefault(name, []).append(value)

    def require(self, name: str, code: int, message: str) -> str:
        """A required parameter's value."""
        values = self._values.get(name, [""])
        if len(values) > 1 or not values[0]:
            raise _InvalidField(code, message)
        return values[0]

    def require_number(self, name: str, maximum: int, code: int = INVALID_FIELD, prefix: str = "") -> int:
        """A required number: ASCII digits and nothing else, as Python's own int() takes far too much."""
        message = f"{prefix}{name}: required once, as digits, from 0 to {maximum}"
        digits = self.require(name, code, message)
        if not _DIGITS.fullmatch(digits) or int(digits) > maximum:
            raise _InvalidField(code, message)
        return int(digits)

    def require_ticket(self) -> str:
        return str(self.require_number("ticket_id", MAX_ID, INVALID_TRANSACTION, "Invalid Transaction ID: "))

    def require_cents(self, name: str) -> int:
        return self.require_number(name, MAX_CENTS)

    def get_text(self, name: str) -> str | None:
        """An optional parameter's value; an empty one is none."""
        values = self._values.get(name, [""])
        if len(values) > 1 or not is_printable_text(values[0], MAX_TEXT_LENGTH):
            raise _InvalidField(
                INVALID_FIELD, f"{name}: at most once, with at most {MAX_TEXT_LENGTH} printable symbols"
            )
        return values[0] or None

    def encode_detail(self, name: str, value: object | None) -> str | None:
        """The protocol's own part of a request's content, in the ledger's words."""
        return None if value is None else to_json({name: value}).decode()


def _parse_command(operation: str, fields: _QueryParameters) -> Authenticate | Bet | Settle | BetWin | Cancel:
    game = fields.get_text("game_code")
    if operation == "authenticate":
        return Authenticate()
    ticket = fields.require_ticket()
    match operation:
        case "bet":
            key = fields.encode_detail("key", fields.get_text("key"))
            return Bet(ticket, fields.require_cents("total_bet"), ticket, game, key)
        case "result":
            # "This field records how much credit a player has used in the action game."
            used = fields.require_number("total_used", MAX_ID) if fields.get_text("total_used") else None
            return Settle(ticket, fields.require_cents("total_win"), game, fields.encode_detail("total_used", used))
        case "betwin":
            return BetWin(ticket, fields.require_cents("total_bet"), fields.require_cents("total_win"), game)
        case _:
            return Cancel(ticket)


def _build_parameters(command: Command) -> dict[str, object]:
    """What a caller sends beside the token."""
    match command:
        case Authenticate():
            return {}
        case Bet(id, stake, _, game, detail):
            return {"ticket_id": id, "total_bet": stake, **_build_optional_parameters(game, detail)}
        case Settle(id, payout, game, detail):
            return {"ticket_id": id, "total_win": payout, **_build_optional_parameters(game, detail)}
        case BetWin(id, stake, payout, game):
            return {"ticket_id": id, "total_bet": stake, "total_win": payout, **_build_optional_parameters(game, None)}
        case Cancel(id):
            return {"ticket_id": id}
        case Balance() | Win() | Deposit() | Withdraw():
            raise ValueError(f"vela has no {type(command).__name__}")
        case _:
            assert_never(command)


def _build_optional_parameters(game: str | None, detail: str | None) -> dict[str, object]:
    return (json.loads(detail) if detail else {}) | ({"game_code": game} if game else {})


def _map_refusal(refusal: Refusal) -> tuple[int, str]:
    match refusal:
        case Refusal.SESSION_UNKNOWN | Refusal.SESSION_REVOKED | Refusal.SESSION_EXPIRED:
            return INVALID_TOKEN, "Invalid Token"
        case Refusal.PLAYER_BLOCKED | Refusal.PLAYER_EXCLUDED | Refusal.LOSS_LIMIT | Refusal.DEPOSIT_LIMIT:
            return INVALID_TOKEN, "Player blocked"
        case Refusal.INSUFFICIENT_FUNDS:
            return INSUFFICIENT_FUNDS, "Insufficient Funds"
        case (
            Refusal.ID_TAKEN
            | Refusal.CANCELLED
            | Refusal.ROUND_SETTLED
            | Refusal.ROUND_CANCELLED
            | Refusal.OUT_OF_RANGE
            | Refusal.WIN_SPENT
            | Refusal.NOT_A_BET
            | Refusal.NO_OPEN_BET
        ):
            return INVALID_TRANSACTION, "Invalid Transaction ID"
        case _:
            assert_never(refusal)


def _build_failure(code: int, message: str) -> dict[str, Any]:
    return {"status_code": code, "message": message}
