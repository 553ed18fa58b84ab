"""The protocol pico: JSON over POST, the operation in the field `op`; a cancel has the id of its bet."""

from types import MappingProxyType
from typing import Any

from jiter import from_json
from pydantic_core import to_json

from minwallet.ledger.commands import Balance, Bet, Cancel, Win
from minwallet.ledger.entries import Entry, Kind
from minwallet.ledger.money import MAX_CENTS, MAX_ID
from minwallet.ledger.outcomes import Outcome, Refused, Unauthenticated
from minwallet.protocols.wire import (
    AccountHolder,
    Call,
    HttpRequest,
    HttpResponse,
    Launch,
    Malformed,
    WalletResponse,
    WireProtocol,
    WireRoute,
    add_query,
    split_query,
)

PATH = "/pico"


class PicoProtocol(WireProtocol):
    """The pico protocol. Amounts are cents, and an id is unique per agent."""

    api_version = 1
    name = "pico"
    routes = (WireRoute("POST", PATH),)
    operations = MappingProxyType({"balance": Balance, "bet": Bet, "win": Win, "cancel": Cancel})

    def parse(self, request: HttpRequest, operation: str) -> Call | Malformed:
        """Return the call in the body. A message names the field, and contains no value of the request."""
        try:
            fields = read_object(request.body)
            operation = read_text(fields, "op")
            if operation not in self.operations:
                return Malformed("", 1, "op: must be balance, bet, win or cancel")
            return Call(operation, read_text(fields, "token"), read_command(operation, fields))
        except ValueError as error:
            return Malformed(operation if operation in self.operations else "", 1, str(error))

    def render(
        self, call: Call, outcome: Outcome | Unauthenticated, holder: AccountHolder | None, now_ms: int
    ) -> HttpResponse:
        """Return the balance, and for a refusal the reason."""
        if isinstance(outcome, Unauthenticated):
            return HttpResponse(to_json({"ok": False, "why": outcome.refusal}))
        fields: dict[str, object] = {"ok": True, "balance": outcome.cash + outcome.bonus}
        if isinstance(outcome, Refused):
            fields |= {"ok": False, "why": outcome.refusal}
        return HttpResponse(to_json(fields))

    def render_error(self, malformed: Malformed, now_ms: int) -> HttpResponse:
        """Return the message of a malformed request or an HTTP error."""
        return HttpResponse(to_json({"ok": False, "why": malformed.message}))

    def build_request(self, call: Call, now_ms: int, wallet_token: str | None = None) -> HttpRequest:
        """Return the request of a call. `trigger`, `replay`, `bench` and the tests send it."""
        fields: dict[str, object] = {"op": call.operation, "token": call.token}
        match call.command:
            case Balance():
                pass
            case Bet(id, amount) | Win(id, amount):
                fields |= {"id": int(id), "amount": amount}
            case Cancel(id):
                fields |= {"id": int(id)}
            case _:
                raise ValueError(f"pico has no {type(call.command).__name__}")
        return HttpRequest("POST", PATH, body=to_json(fields))

    def parse_response(self, response: HttpResponse) -> WalletResponse:
        """Return the content of a reply."""
        fields = read_object(response.body)
        balance = read_number(fields, "balance", MAX_CENTS) if "balance" in fields else None
        if fields.get("ok") is True:
            return WalletResponse(0, None, balance)
        return WalletResponse(1, read_text(fields, "why"), balance)

    def rebuild(self, entry: Entry, token: str) -> Call:
        """Return the call that created the entry, for `replay`."""
        match entry.kind:
            case Kind.BET:
                return Call("bet", token, Bet(entry.id, entry.stake, entry.id))
            case Kind.WIN:
                return Call("win", token, Win(entry.id, entry.payout))
            case Kind.CANCEL:
                return Call("cancel", token, Cancel(entry.id))
            case _:
                raise ValueError(f"pico has no {entry.kind}")

    def build_launch_url(self, launch: Launch) -> str:
        """Return the address of a game; without a token the game uses virtual credit."""
        token = {} if launch.token is None else {"token": launch.token}
        return add_query(launch.base, {"game": launch.game, "lang": launch.lang, **token})

    def parse_launch_url(self, url: str) -> Launch:
        """Return the content of an address that `build_launch_url` made."""
        base, parameters = split_query(url)
        return Launch(base, parameters.get("game", ""), parameters.get("lang", ""), parameters.get("token"))


def read_command(operation: str, fields: dict[str, Any]) -> Balance | Bet | Win | Cancel:
    if operation == "balance":
        return Balance()
    id_ = str(read_number(fields, "id", MAX_ID))
    match operation:
        case "bet":
            # pico has no rounds, so each bet is one of its own.
            return Bet(id_, read_number(fields, "amount", MAX_CENTS), round=id_)
        case "win":
            return Win(id_, read_number(fields, "amount", MAX_CENTS))
        case _:
            return Cancel(id_)


def read_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object. Raise ValueError for anything else, and for a field that is given twice."""
    try:
        fields = from_json(raw, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError:
        raise ValueError("the body is not JSON, or has a field twice") from None
    if not isinstance(fields, dict):
        raise ValueError("the body is not a JSON object")
    return fields


def read_text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name}: must be text")
    return value


def read_number(fields: dict[str, Any], name: str, maximum: int) -> int:
    value = fields.get(name)
    if type(value) is not int or not 0 <= value <= maximum:
        raise ValueError(f"{name}: must be a whole number from 0 to {maximum}")
    return value
