"""A caller of a wallet: it builds, signs and sends the calls of one player as the provider does."""

import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import NamedTuple

import httpx2

from minwallet.ledger.commands import Command
from minwallet.protocols.wire import Call, HttpRequest, HttpResponse, Malformed, WalletResponse, WireProtocol
from minwallet.testing.temporary_wallet import TIMEOUT_S, TemporaryWallet, WalletPlayer

_ids = count(time.time_ns() // 1_000_000_000 * 1_000_000)
"""New ids: whole numbers, which every protocol takes."""


def new_id() -> str:
    """Return an id that no call has had."""
    return str(next(_ids))


class Answer(NamedTuple):
    """The answer to a call: as it came, and as the protocol reads it."""

    response: HttpResponse
    read: WalletResponse

    @property
    def is_success(self) -> bool:
        return self.read.code == 0

    @property
    def total(self) -> int | None:
        """Return the sum of the balances in the answer, None if it has none."""
        return None if self.read.balance is None else self.read.balance + (self.read.balance2 or 0)


class Caller:
    """A caller of `protocol` for one player. It signs with `secret` if the protocol signs its requests."""

    def __init__(self, wallet: TemporaryWallet, protocol: WireProtocol, player: WalletPlayer, secret: str = "") -> None:
        self.wallet = wallet
        self.protocol = protocol
        self.player = player
        self.secret = secret

    def plan(self, operation: str, command: Command) -> Call:
        """Return the call as the wallet will parse it. Raise ValueError if the protocol has no such call.

        A protocol may replace an id or a round by its own, such as the parts of a rollback of several transactions.
        """
        player = self.player
        planned = Call(operation, player.token, command, player.player_id, player.currency)
        call = parse_request(self.protocol, self.protocol.build_request(planned, _now_ms()))
        if isinstance(call, Malformed):
            raise ValueError(f"{operation}: parse refuses what build_request makes: {call.message}")
        return call

    def build(self, call: Call) -> HttpRequest:
        """Return the request of the call, signed now."""
        return self.sign(self.protocol.build_request(call, _now_ms()))

    def sign(self, request: HttpRequest, *, secret: str = "", shift_ms: int = 0) -> HttpRequest:
        """Return the request with the caller's signature, or that of another secret or time.

        Return it unchanged if the protocol does not sign.
        """
        scheme = self.protocol.signature
        return scheme.sign(request, secret or self.secret, _now_ms() + shift_ms) if scheme else request

    def send(self, request: HttpRequest) -> HttpResponse:
        """Send the request as it is. Return the response, whatever it is."""
        return send_request(self.wallet.http, request)

    def exchange(self, request: HttpRequest) -> Answer:
        """Send the request as it is. Return the answer, which the protocol must be able to read."""
        response = self.send(request)
        return Answer(response, self.protocol.parse_response(response))

    def call(self, call: Call) -> Answer:
        """Build, sign and send a call."""
        return self.exchange(self.build(call))

    def call_all(self, calls: Sequence[Call]) -> list[Answer]:
        """Send the calls at the same time, each on a connection of its own."""

        def send(request: HttpRequest) -> Answer:
            with httpx2.Client(base_url=self.wallet.url, timeout=TIMEOUT_S, trust_env=False) as http:
                response = send_request(http, request)
            return Answer(response, self.protocol.parse_response(response))

        with ThreadPoolExecutor(len(calls)) as threads:
            return list(threads.map(send, [self.build(call) for call in calls]))


def parse_request(protocol: WireProtocol, request: HttpRequest) -> Call | Malformed:
    """Return what the protocol parses from a request, with the operation and the parameters of its route.

    Raise ValueError if the protocol has no such route.
    """
    for route in protocol.routes:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(route.path))
        if route.method == request.method and (found := re.fullmatch(pattern, request.path)):
            return protocol.parse(request._replace(path_parameters=found.groupdict()), route.operation)
    raise ValueError(f"{protocol.name} has no route {request.method} {request.path}")


def send_request(http: httpx2.Client, request: HttpRequest) -> HttpResponse:
    """Send the request with this client, and return the response."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
    answer = http.request(request.method, request.target, content=request.body or None, headers=headers)
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    return HttpResponse(answer.content, answer.status_code, media_type, answer.headers.raw)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
