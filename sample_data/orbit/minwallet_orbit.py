"""orbit, an invented provider protocol: signed form posts to one path. An example of a protocol as a package.

- `action` names the operation: balance, bet, win, refund or rollback.
- Every request has `player_id`, `currency` and `session`. `session` may be empty for wins, refunds and rollbacks.
- Amounts are decimals of units, such as `12.50`. Ids are text, and unique per agent except in rollbacks.
- `refund` returns the bet `reference`, or `amount` of it, under an id of its own.
- `rollback` reverses the bets and wins in `references`, an id list with commas: all or none, each as `ID:REFERENCE`.
- Replies are JSON with HTTP 200: `balance`, and for an error `error` and `message`.
- `X-Orbit-Sign` is the HMAC-SHA256, in hex, over the sorted pairs `name=value` of the body and of the headers
  `X-Orbit-Timestamp` (seconds since 1970 UTC) and `X-Orbit-Nonce`, joined by `&`.
"""

import hmac
import re
import secrets
from types import MappingProxyType
from urllib.parse import urlencode

from pydantic_core import from_json, to_json

from minwallet.ledger.commands import MAX_GROUP_SIZE, Balance, Bet, Command, Group, Rollback, Win, WinCategory
from minwallet.ledger.entries import Entry, Kind, Refusal
from minwallet.ledger.outcomes import Outcome, Refused, Unauthenticated
from minwallet.protocols.parsing import format_decimal, parse_decimal, parse_form
from minwallet.protocols.wire import (
    FORM_MEDIA_TYPE,
    AccountHolder,
    Call,
    HttpRequest,
    HttpResponse,
    Launch,
    Malformed,
    Signature,
    WalletResponse,
    WireProtocol,
    WireRoute,
    add_query,
    split_query,
)

ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
"""An id of a transaction or a round. It has no colon, so that the id of a part of a rollback cannot be another's."""

SECONDS = re.compile("[0-9]{1,12}", re.ASCII)
REFERENCES = re.compile(rf"{ID.pattern}(,{ID.pattern}){{0,{MAX_GROUP_SIZE - 1}}}", re.ASCII)
TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,128}")

CATEGORIES = {"": None, **{category.value: category for category in WinCategory}}
HEADERS = (b"x-orbit-timestamp", b"x-orbit-nonce", b"x-orbit-sign")
SESSIONLESS = ("win", "refund", "rollback")

ERROR_CODES = {
    **dict.fromkeys((Refusal.SESSION_UNKNOWN, Refusal.SESSION_EXPIRED, Refusal.SESSION_REVOKED), "BAD_SESSION"),
    **dict.fromkeys((Refusal.PLAYER_UNKNOWN, Refusal.PLAYER_MISMATCH, Refusal.CURRENCY_MISMATCH), "BAD_PLAYER"),
    Refusal.INSUFFICIENT_FUNDS: "INSUFFICIENT_FUNDS",
}
"""The codes of refusals. All others have the code REFUSED, and their `message` says more."""


class OrbitSignature:
    """The three headers that sign a request."""

    max_age_ms = 30_000

    def read(self, request: HttpRequest) -> Signature | None:
        headers = dict(found := [header for header in request.headers if header[0] in HEADERS])
        seconds, nonce, value = [headers.get(name, b"").decode("latin-1") for name in HEADERS]
        if not (len(found) == len(HEADERS) and value and SECONDS.fullmatch(seconds) and ID.fullmatch(nonce)):
            return None
        return Signature(value, int(seconds) * 1000, nonce)

    def compute(self, request: HttpRequest, secret: str) -> str:
        headers = dict(request.headers)
        signed = [b"X-Orbit-Timestamp=" + headers[HEADERS[0]], b"X-Orbit-Nonce=" + headers[HEADERS[1]]]
        message = b"&".join(sorted([*request.body.split(b"&"), *signed]))
        return hmac.digest(secret.encode(), message, "sha256").hex()

    def sign(self, request: HttpRequest, secret: str, now_ms: int) -> HttpRequest:
        dated = request.add_headers(x_orbit_timestamp=str(now_ms // 1000), x_orbit_nonce=secrets.token_hex(8))
        return dated.add_headers(x_orbit_sign=self.compute(dated, secret))


class Orbit(WireProtocol):
    """The orbit protocol."""

    name = "orbit"
    routes = (WireRoute("POST", "/orbit"),)
    operations = MappingProxyType({"balance": Balance, "bet": Bet, "win": Win, "refund": Rollback, "rollback": Group})
    signature = OrbitSignature()

    def parse(self, request: HttpRequest, operation: str) -> Call | Malformed:
        try:
            fields = parse_form(request.body)
            operation = fields.get("action", "")
            if operation not in self.operations:
                return Malformed("", "BAD_REQUEST", "action: must be balance, bet, win, refund or rollback")
            token = "" if operation in SESSIONLESS and not fields.get("session") else _text(fields, "session", TEXT)
            player_id, currency = _text(fields, "player_id", TEXT), _text(fields, "currency", TEXT)
            return Call(operation, token, _parse_command(operation, fields), player_id, currency)
        except ValueError as error:
            return Malformed(operation, "BAD_REQUEST", str(error))

    def render(
        self, call: Call, outcome: Outcome | Unauthenticated, holder: AccountHolder | None, now_ms: int
    ) -> HttpResponse:
        reply = {"player_id": holder.player_id} if holder else {}
        if not isinstance(outcome, Unauthenticated):
            reply["balance"] = format_decimal(outcome.cash + outcome.bonus)
        if isinstance(outcome, (Unauthenticated, Refused)):
            reply |= {"error": ERROR_CODES.get(outcome.refusal, "REFUSED"), "message": outcome.refusal}
        return HttpResponse(to_json(reply))

    def render_error(self, malformed: Malformed, now_ms: int) -> HttpResponse:
        return HttpResponse(to_json({"error": malformed.code, "message": malformed.message}))

    def error_code_for_status(self, http_status: int) -> str:
        return {401: "BAD_SIGNATURE", 429: "RETRY_LATER", 503: "RETRY_LATER"}.get(http_status, "BAD_REQUEST")

    def build_request(self, call: Call, now_ms: int, wallet_token: str | None = None) -> HttpRequest:
        fields: dict[str, str | int | None]
        match call.command:
            case Balance():
                fields = {}
            case Bet(id, stake, round, game):
                fields = {"transaction_id": id, "amount": stake, "round_id": round, "game_id": game}
            case Win(id, payout, round, game, category):
                fields = {"transaction_id": id, "amount": payout, "round_id": round, "game_id": game}
                fields |= {"category": category}
            case Rollback(id, reference, amount):
                fields = {"transaction_id": id, "amount": amount, "reference": reference}
            case Group(commands) if parts := [each for each in commands if isinstance(each, Rollback)]:
                references = ",".join(part.reference for part in parts)
                fields = {"transaction_id": parts[0].id.partition(":")[0], "references": references}
            case _:
                raise ValueError(f"orbit has no {type(call.command).__name__}")
        fields |= {"action": call.operation, "session": call.token}
        fields |= {"player_id": call.player_id, "currency": call.currency}
        texts = [(name, format_decimal(value) if isinstance(value, int) else value) for name, value in fields.items()]
        body = urlencode([(name, text) for name, text in texts if text is not None]).encode()
        return HttpRequest("POST", "/orbit", body=body, headers=[(b"content-type", FORM_MEDIA_TYPE.encode())])

    def parse_response(self, response: HttpResponse) -> WalletResponse:
        fields = from_json(response.body)
        if not isinstance(fields, dict) or not {"error", "balance"} & fields.keys():
            raise ValueError("the reply is no JSON object with balance or error")
        balance = parse_decimal(fields["balance"]) if "balance" in fields else None
        return WalletResponse(fields.get("error", 0), fields.get("message"), balance, None, fields.get("player_id"))

    def rebuild(self, entry: Entry, token: str) -> Call:
        match entry.kind:
            case Kind.BET if entry.round is not None:
                return Call("bet", token, Bet(entry.id, entry.stake, entry.round, entry.game))
            case Kind.WIN:
                category = WinCategory(from_json(entry.detail)["category"]) if entry.detail else None
                return Call("win", token, Win(entry.id, entry.payout, entry.round, entry.game, category))
            case Kind.ROLLBACK if entry.reference is not None and ":" in entry.id:
                return Call("rollback", token, Group((Rollback(entry.id, entry.reference),)))
            case Kind.ROLLBACK if entry.reference is not None:
                return Call("refund", token, Rollback(entry.id, entry.reference, entry.payout or entry.stake or None))
            case _:
                raise ValueError(f"orbit has no {entry.kind}")

    def build_launch_url(self, launch: Launch) -> str:
        fields = {"game": launch.game, "lang": launch.lang}
        if launch.token is not None:
            fields |= {"session": launch.token, "player_id": launch.player_id, "currency": launch.currency}
        message = urlencode(sorted(fields.items())).encode()
        sign = {"sign": hmac.digest(launch.secret.encode(), message, "sha256").hex()} if launch.secret else {}
        return add_query(launch.base, fields | sign)

    def parse_launch_url(self, url: str) -> Launch:
        base, texts = split_query(url)
        game, lang, player_id, currency = (texts.get(name, "") for name in ("game", "lang", "player_id", "currency"))
        return Launch(base, game, lang, texts.get("session"), player_id=player_id, currency=currency)


def _parse_command(operation: str, fields: dict[str, str]) -> Command:
    if operation == "balance":
        return Balance()
    id_, game = _text(fields, "transaction_id"), _text(fields, "game_id", TEXT) if fields.get("game_id") else None
    match operation:
        case "bet":
            return Bet(id_, parse_decimal(fields.get("amount"), "amount"), _text(fields, "round_id"), game)
        case "win":
            if (category := fields.get("category", "")) not in CATEGORIES:
                raise ValueError(f"category: must be {', '.join(WinCategory)} or empty")
            round_ = _text(fields, "round_id") if fields.get("round_id") else None
            return Win(id_, parse_decimal(fields.get("amount"), "amount"), round_, game, CATEGORIES[category])
        case "refund":
            amount = parse_decimal(fields["amount"], "amount") if "amount" in fields else None
            return Rollback(id_, _text(fields, "reference"), amount)
        case _:
            references = _text(fields, "references", REFERENCES).split(",")
            return Group(tuple(Rollback(f"{id_}:{reference}", reference) for reference in references))


def _text(fields: dict[str, str], name: str, pattern: re.Pattern[str] = ID) -> str:
    if not pattern.fullmatch(value := fields.get(name, "")):
        raise ValueError(f"{name}: must match {pattern.pattern}")
    return value
