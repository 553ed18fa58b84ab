"""A small protocol with signed calls, for tests of the secrets. It derives its signature from the body alone."""

import hashlib
import hmac
import json
from types import MappingProxyType

from minwallet.ledger.commands import Balance, Bet, Command
from minwallet.ledger.outcomes import Outcome, Unauthenticated
from minwallet.protocols.wire import (
    AccountHolder,
    Call,
    HttpRequest,
    HttpResponse,
    Malformed,
    Signature,
    WireProtocol,
    WireRoute,
)


class BodySignature:
    """The header `X-Sign`: the HMAC-SHA256 of the body, in hexadecimal."""

    max_age_ms = 60_000

    def read(self, request: HttpRequest) -> Signature | None:
        value = request.get_header("x-sign")
        return Signature(value) if value else None

    def compute(self, request: HttpRequest, secret: str) -> str:
        return hmac.digest(secret.encode(), request.body, hashlib.sha256).hex()

    def sign(self, request: HttpRequest, secret: str, now_ms: int) -> HttpRequest:
        del now_ms
        return request.add_headers(x_sign=self.compute(request, secret))


class SignedProtocol(WireProtocol):
    """A query of the balance and a bet, as JSON: `player`, `currency`, and `id` and `stake` of a bet."""

    name = "signed"
    routes = (WireRoute("POST", "/signed/balance", "balance"), WireRoute("POST", "/signed/bet", "bet"))
    operations = MappingProxyType({"balance": Balance, "bet": Bet})
    signature = BodySignature()

    def parse(self, request: HttpRequest, operation: str) -> Call | Malformed:
        try:
            body = json.loads(request.body)
            command: Command = Balance()
            if operation == "bet":
                command = Bet(str(int(body["id"])), int(body["stake"]), str(int(body["id"])))
            return Call(operation, "", command, str(body["player"]), str(body["currency"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            return Malformed(operation, 1, "malformed request")

    def render(
        self, call: Call, outcome: Outcome | Unauthenticated, holder: AccountHolder | None, now_ms: int
    ) -> HttpResponse:
        del call, holder, now_ms
        if isinstance(outcome, Unauthenticated):
            return HttpResponse(b'{"code": 2}')
        return HttpResponse(json.dumps({"code": 0, "balance": outcome.cash + outcome.bonus}).encode())

    def render_error(self, malformed: Malformed, now_ms: int) -> HttpResponse:
        del now_ms
        return HttpResponse(json.dumps({"code": malformed.code}).encode())

    def build_request(self, call: Call, now_ms: int, wallet_token: str | None = None) -> HttpRequest:
        del now_ms, wallet_token
        fields: dict[str, object] = {"player": call.player_id, "currency": call.currency}
        if isinstance(call.command, Bet):
            fields |= {"id": call.command.id, "stake": call.command.stake}
        return HttpRequest("POST", f"/signed/{call.operation}", body=json.dumps(fields).encode())
