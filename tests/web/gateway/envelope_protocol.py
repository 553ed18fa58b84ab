"""A protocol that uses what the built-in ones do not: forms, XML, headers, statuses, signed fields, and groups.

- `GET /envelope/PLAYER/account` is a query, `POST` there is a bet, and `POST /envelope/PLAYER/wins` is a group of wins.
- The query or the form has `currency`, `session` (may be missing), `ts` in ms, `nonce` and `sign`.
- A bet has `id` and `amount`, wins have `wins`, such as `7:1.50,8:2.00`.
- `sign` is base64 of the HMAC over the path and all other fields in order.
- `trace` comes back in the header `x-trace`, whatever it is. `padding_of_reply` is a number of spaces after the reply.
"""

import base64
import hmac
import secrets
from types import MappingProxyType
from urllib.parse import urlencode

from minwallet.ledger.commands import Balance, Bet, Command, Group, Win
from minwallet.ledger.outcomes import Outcome, Refused, Unauthenticated
from minwallet.protocols.parsing import format_decimal, parse_decimal, parse_form
from minwallet.protocols.wire import (
    MAX_BODY_BYTES,
    AccountHolder,
    Call,
    HttpRequest,
    HttpResponse,
    Malformed,
    Signature,
    WireProtocol,
    WireRoute,
)


def parse_fields(request: HttpRequest) -> dict[str, str]:
    return parse_form(request.body or request.query)


class FieldSignature:
    """The fields `sign`, `ts` and `nonce`."""

    max_age_ms = 5_000

    def read(self, request: HttpRequest) -> Signature | None:
        try:
            fields = parse_fields(request)
            return Signature(fields["sign"], int(fields["ts"]), fields["nonce"])
        except (ValueError, KeyError):
            return None

    def compute(self, request: HttpRequest, secret: str) -> str:
        fields = sorted((name, value) for name, value in parse_fields(request).items() if name != "sign")
        message = f"{request.path}?{urlencode(fields)}".encode()
        return base64.b64encode(hmac.digest(secret.encode(), message, "sha256")).decode()

    def sign(self, request: HttpRequest, secret: str, now_ms: int) -> HttpRequest:
        fields = {"ts": str(now_ms), "nonce": secrets.token_hex(8)} | parse_fields(request)
        fields["sign"] = self.compute(_replace_fields(request, fields), secret)
        return _replace_fields(request, fields)


def _replace_fields(request: HttpRequest, fields: dict[str, str]) -> HttpRequest:
    content = urlencode(fields).encode()
    return request._replace(body=content) if request.method == "POST" else request._replace(query=content)


class Envelope(WireProtocol):
    """The envelope protocol."""

    name = "envelope"
    routes = (
        WireRoute("GET", "/envelope/{player}/account", "balance"),
        WireRoute("POST", "/envelope/{player}/account", "bet"),
        WireRoute("POST", "/envelope/{player}/wins", "wins"),
    )
    operations = MappingProxyType({"balance": Balance, "bet": Bet, "wins": Group})
    max_body_bytes = MAX_BODY_BYTES
    signature = FieldSignature()

    def parse(self, request: HttpRequest, operation: str) -> Call | Malformed:
        try:
            fields = parse_fields(request)
            command: Command = Balance()
            if operation == "bet":
                command = Bet(fields["id"], parse_decimal(fields["amount"]), fields["id"])
            elif operation == "wins":
                pairs = [each.split(":") for each in fields["wins"].split(",") if each]
                command = Group(tuple(Win(id_, parse_decimal(amount)) for id_, amount in pairs))
            player_id = request.path_parameters["player"]
            context = fields.get("trace", ""), int(fields.get("padding_of_reply", "0"))
            return Call(operation, fields.get("session", ""), command, player_id, fields.get("currency", ""), context)
        except (ValueError, KeyError) as error:
            return Malformed(operation, 400, f"{type(error).__name__}")

    def render(
        self, call: Call, outcome: Outcome | Unauthenticated, holder: AccountHolder | None, now_ms: int
    ) -> HttpResponse:
        del holder, now_ms
        trace, padding = call.context
        headers = [(b"x-trace", trace.encode())] if trace else []
        if isinstance(outcome, Unauthenticated | Refused):
            return HttpResponse(f"<error>{outcome.refusal}</error>".encode(), 409, "text/xml", headers)
        body = f"<balance>{format_decimal(outcome.cash + outcome.bonus)}</balance>{' ' * padding}"
        return HttpResponse(body.encode(), 201 if call.operation == "bet" else 200, "text/xml", headers)

    def render_error(self, malformed: Malformed, now_ms: int) -> HttpResponse:
        del now_ms
        status = malformed.code if malformed.code in (400, 401) else 422
        return HttpResponse(f"<error>{malformed.message}</error>".encode(), int(status), "text/xml")
