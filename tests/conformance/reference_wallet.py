"""A wallet over real HTTP with the real protocols and the real ledger in memory. Subclasses add flaws."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from minwallet.ledger.commands import Deposit, Withdraw
from minwallet.ledger.outcomes import Outcome, Unauthenticated
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import AccountHolder, Call, HttpRequest, Malformed
from minwallet.storage.models import OPERATOR_PROTOCOL, AccountCommand, NewAccount, PlayerStatus, SessionHolder
from minwallet.wallet.service import Wallet
from minwallet.wallet.sessions import build_new_session
from tests.route_matching import match_route
from tests.storage.reference_engine.memory_store import MemoryStore
from tests.support import TIMEOUT_S

TOKENS = {
    "token": "alices_session",
    "second": "bobs_session",
    "currency": "alices_euro_session",
    "expired": "alices_expired_session",
    "revoked": "alices_revoked_session",
    "blocked": "eves_session",
    "wallet": "default",
}

SECRET = "the secret of the default agent"
"""The secret with which calls of a signed protocol are signed."""

CASH, BONUS = 10_000, 50


class ReferenceWallet:
    """A wallet without a flaw. A subclass overrides one step of a call to add one."""

    flaky_cases: frozenset[str] = frozenset()
    """The cases that may or may not find the flaw: concurrent requests arrive in any order."""

    def __init__(self, protocol: str, cash: int = CASH) -> None:
        self.cash = cash
        # Some flaws change the protocol, so it is not the one that others use.
        self.protocol = type(load_protocol(protocol))()
        self.wallet = Wallet(MemoryStore())
        self.numbers = count(1)
        self.is_populated = False

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"cache-control", b"no-store")]

    def accepts_method(self, method: str) -> bool:
        return method == self.method

    @property
    def method(self) -> str:
        """The only method of the protocol."""
        (method,) = {route.method for route in self.protocol.routes}
        return method

    def parse(self, request: HttpRequest, operation: str) -> Call | Malformed:
        return self.protocol.parse(request, operation)

    async def execute(
        self, call: Call, wallet_token: str | None = None
    ) -> tuple[Outcome | Unauthenticated, SessionHolder | None]:
        per_currency = self.protocol.ids_per_currency
        return await self.wallet.execute(
            call.token,
            call.command,
            self.protocol.name,
            ids_per_currency=per_currency,
            wallet_token=wallet_token,
            # The secret of a signed call is that of the default agent.
            agent_id=1 if self.protocol.signature else None,
            player_id=call.player_id,
            currency=call.currency,
        )

    def render(self, call: Call, outcome: Outcome | Unauthenticated, bearer: SessionHolder | None) -> tuple[int, bytes]:
        holder = AccountHolder(bearer.player_id, bearer.currency) if bearer else None
        response = self.protocol.render(call, outcome, holder, self.wallet.clock_ms())
        return response.status, response.body

    def render_malformed(self, call: Malformed) -> tuple[int, bytes]:
        response = self.protocol.render_error(call, self.wallet.clock_ms())
        return response.status, response.body

    def has_valid_signature(self, request: HttpRequest) -> bool:
        """Check the signature of the request, if the protocol has one. Every nonce is accepted."""
        scheme = self.protocol.signature
        if scheme is None:
            return True
        found = scheme.read(request)
        return (
            found is not None
            and found.value == scheme.compute(request, SECRET)
            and (found.signed_at_ms is None or abs(self.wallet.clock_ms() - found.signed_at_ms) <= scheme.max_age_ms)
        )

    async def move_money(self, bearer: SessionHolder, cents: int) -> None:
        """Move money without a decision of the ledger."""
        reference = f"flaw {next(self.numbers)}"
        command = Deposit(reference, cents) if cents > 0 else Withdraw(reference, -cents)
        await self.wallet.submit(AccountCommand(command, OPERATOR_PROTOCOL, bearer.account_id), bearer.player_key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.is_populated:
            self.is_populated = True
            await populate(self.wallet, self.cash)
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, answer = await self._answer(scope, body)
        headers = [(b"content-type", b"application/json"), *self.headers()]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _answer(self, scope: Scope, body: bytes) -> tuple[int, bytes]:
        protocol, query = self.protocol, scope["query_string"]
        status = (
            413
            if len(body) > 8192
            else 414
            if len(query) > 2048
            else 0
            if self.accepts_method(scope["method"])
            else 405
        )
        if status:
            complaint = Malformed("", protocol.error_code_for_status(status), "not like this")
            return status, protocol.render_error(complaint, self.wallet.clock_ms()).body
        route, parameters = match_route(protocol, scope["path"])
        request = HttpRequest(scope["method"], scope["path"], query, body, scope["headers"], parameters)
        if not self.has_valid_signature(request):
            return self.render_malformed(Malformed("", protocol.error_code_for_status(401), "wrong signature"))
        call = self.parse(request, route.operation)
        if isinstance(call, Malformed):
            return self.render_malformed(call)
        outcome, bearer = await self.execute(call, parameters.get("wallet_token"))
        return self.render(call, outcome, bearer)


async def populate(wallet: Wallet, cash: int) -> None:
    """Create the players of the tokens."""
    store = wallet.store
    for name, player, currency, expires_at_ms in [
        ("token", "alice", "USD", None),
        ("expired", "alice", "USD", 1),
        ("revoked", "alice", "USD", None),
        ("currency", "alice", "EUR", None),
        ("second", "bob", "USD", None),
        ("blocked", "eve", "USD", None),
    ]:
        session = build_new_session(TOKENS[name], expires_at_ms)
        await store.accounts.create_accounts([NewAccount("default", player, currency, cash, BONUS, session)], 0)
        if name == "revoked":
            await store.sessions.revoke_session(session.token_hash, 1)
    eve = await store.accounts.find_player("default", "eve")
    assert eve
    await store.accounts.set_player_status(eve.player_key, PlayerStatus.BLOCKED)


@contextmanager
def run_app(app: ASGIApp) -> Iterator[str]:
    """Serve the application in a thread of this process until the end of the block, and yield its URL."""
    config = uvicorn.Config(
        app, port=0, log_config=None, lifespan="off", ws="none", access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with config.bind_socket() as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            # A client that connects before the server runs waits in the socket's queue.
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(TIMEOUT_S)
