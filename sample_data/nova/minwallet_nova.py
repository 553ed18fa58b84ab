"""nova, an invented provider protocol: signed JSON posts to one path, with several actions in one request.

- `session`, `player` and `currency` are in every request. `request` is a text that the reply repeats.
- `actions` is a list of bets, wins, rollbacks and ends of rounds: all of them are done, or none. Without an action,
  the request asks for the balance. Amounts are cents, and an id is text.
- `X-Nova-Sign` is the HMAC-SHA256 of the body, in hex. It has neither a time nor a nonce.
- A refusal has the HTTP status 422, and a malformed request or a wrong signature 400.
"""

import hmac
from types import MappingProxyType
from typing import Any

from pydantic_core import from_json, to_json

from minwallet.ledger.commands import Balance, Bet, Command, EndRound, GameCommand, Group, Rollback, Win
from minwallet.ledger.entries import Entry, Kind, State
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.outcomes import Applied, GroupApplied, Outcome, Refused, Replayed, Unauthenticated
from minwallet.protocols.parsing import parse_json_object
from minwallet.protocols.wire import (
    AccountHolder,
    Call,
    HttpRequest,
    HttpResponse,
    Malformed,
    Signature,
    WalletResponse,
    WireProtocol,
    WireRoute,
    is_plain_text,
)

END = "end:"
"""The prefix of ids that this module derives. No id of a request may begin with it."""

TYPES = {Bet: "bet", Win: "win", Rollback: "rollback", EndRound: "end"}


class NovaSignature:
    """The header that signs the body."""

    max_age_ms = 0

    def read(self, request: HttpRequest) -> Signature | None:
        value = request.get_header("x-nova-sign")
        return Signature(value.lower()) if value else None

    def compute(self, request: HttpRequest, secret: str) -> str:
        return hmac.digest(secret.encode(), request.body, "sha256").hex()

    def sign(self, request: HttpRequest, secret: str, now_ms: int) -> HttpRequest:
        return request.add_headers(x_nova_sign=self.compute(request, secret))


class Nova(WireProtocol):
    """The nova protocol."""

    name = "nova"
    routes = (WireRoute("POST", "/nova"),)
    operations = MappingProxyType(
        {
            "balance": Balance,
            "bet": Bet,
            "win": Win,
            "rollback": Rollback,
            "end": EndRound,
            "rollbacks": Group,
            "play": Group,
        }
    )
    max_body_bytes = 64 * 1024
    signature = NovaSignature()
    conformance = "minwallet_nova_parts:SUITE"
    dealer = "minwallet_nova_parts:NovaDealer"

    def parse(self, request: HttpRequest, operation: str) -> Call | Malformed:
        try:
            fields = parse_json_object(request.body)
            token, player_id, currency = (_text(fields, name) for name in ("session", "player", "currency"))
            number = None if fields.get("request") is None else _text(fields, "request")
            actions = fields.get("actions")
            if not isinstance(actions, list) or not all(isinstance(each, dict) for each in actions):
                raise ValueError("actions: must be a list of objects")
            operation, command = _name_commands([_parse_action(each) for each in actions])
            return Call(operation, token, command, player_id, currency, context=number)
        except ValueError as error:
            return Malformed("", "malformed", str(error))

    def render(
        self, call: Call, outcome: Outcome | Unauthenticated, holder: AccountHolder | None, now_ms: int
    ) -> HttpResponse:
        reply: dict[str, object] = {"request": call.context}
        if isinstance(outcome, Unauthenticated):
            return HttpResponse(to_json(reply | {"error": outcome.refusal}), 422)
        reply["balance"] = outcome.cash + outcome.bonus
        if isinstance(outcome, Refused):
            return HttpResponse(to_json(reply | {"error": outcome.refusal}), 422)
        outcomes = outcome.outcomes if isinstance(outcome, GroupApplied) else (outcome,)
        entries = [each.entry for each in outcomes if isinstance(each, Applied | Replayed)]
        # A rollback of an unknown transaction made a tombstone, which moved nothing.
        transactions = [
            {"id": entry.id, "wallet_id": None if entry.state is State.CLOSED else str(entry.seq)} for entry in entries
        ]
        return HttpResponse(to_json(reply | {"transactions": transactions}))

    def render_error(self, malformed: Malformed, now_ms: int) -> HttpResponse:
        return HttpResponse(to_json({"error": malformed.code, "message": malformed.message}), 400)

    def error_code_for_status(self, http_status: int) -> str:
        return {401: "signature", 429: "retry_later", 503: "retry_later"}.get(http_status, "malformed")

    def build_request(self, call: Call, now_ms: int, wallet_token: str | None = None) -> HttpRequest:
        commands = call.command.commands if isinstance(call.command, Group) else (call.command,)
        actions = [_build_action(each) for each in commands if not isinstance(each, Balance)]
        fields = {"session": call.token, "player": call.player_id, "currency": call.currency, "actions": actions}
        # `trigger`, `bench` and the tests have no context.
        number = {} if call.context is None else {"request": call.context}
        return HttpRequest("POST", "/nova", body=to_json(fields | number))

    def parse_response(self, response: HttpResponse) -> WalletResponse:
        fields = from_json(response.body)
        if not isinstance(fields, dict) or not {"error", "balance"} & fields.keys():
            raise ValueError("the reply is not a JSON object with balance or error")
        return WalletResponse(fields.get("error", 0), fields.get("message"), fields.get("balance"))

    def rebuild(self, entry: Entry, token: str) -> Call:
        command: Command
        match entry.kind:
            case Kind.BET if entry.round is not None:
                command = Bet(entry.id, entry.stake, entry.round, entry.game)
            case Kind.WIN:
                command = Win(entry.id, entry.payout, entry.round, entry.game)
            case Kind.ROLLBACK if entry.reference is not None:
                command = Rollback(entry.id, entry.reference)
            case Kind.ROUND_END if entry.round is not None:
                command = EndRound(entry.id, entry.round)
            case _:
                raise ValueError(f"nova has no {entry.kind}")
        return Call(TYPES[type(command)], token, command)


def _name_commands(commands: list[GameCommand]) -> tuple[str, Command]:
    """Return the operation and the command of a list of actions."""
    if not commands:
        return "balance", Balance()
    if len(commands) == 1:
        return TYPES[type(commands[0])], commands[0]
    is_reversal = all(isinstance(each, Rollback) for each in commands)
    return "rollbacks" if is_reversal else "play", Group(tuple(commands))


def _parse_action(action: dict[str, Any]) -> GameCommand:
    match action.get("type"):
        case "bet":
            return Bet(_id(action, "id"), _cents(action), _text(action, "round"), _text(action, "game"))
        case "win":
            return Win(_id(action, "id"), _cents(action), _text(action, "round"), _text(action, "game"))
        case "rollback":
            return Rollback(_id(action, "id"), _id(action, "reference"))
        case "end":
            round_ = _text(action, "round")
            return EndRound(f"{END}{round_}", round_)
        case _:
            raise ValueError(f"type: must be {', '.join(TYPES.values())}")


def _build_action(command: Command) -> dict[str, object]:
    match command:
        case Bet(id, amount, round, game) | Win(id, amount, round, game):
            return {"type": TYPES[type(command)], "id": id, "amount": amount, "round": round, "game": game}
        case Rollback(id, reference, amount=None):
            return {"type": "rollback", "id": id, "reference": reference}
        case EndRound(_, round):
            return {"type": "end", "round": round}
        case _:
            raise ValueError(f"nova has no {type(command).__name__}")


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value or not is_plain_text(value, 128):
        raise ValueError(f"{name}: must be text of 1 to 128 characters without control characters")
    return value


def _id(fields: dict[str, Any], name: str) -> str:
    value = _text(fields, name)
    if value.startswith(END):
        raise ValueError(f"{name}: must not begin with {END}")
    return value


def _cents(fields: dict[str, Any]) -> int:
    value = fields.get("amount")
    if type(value) is not int or not 0 <= value <= MAX_CENTS:
        raise ValueError(f"amount: must be a whole number of cents from 0 to {MAX_CENTS}")
    return value
