"""A wallet over real HTTP with the real protocols and the real ledger in memory. Subclasses add flaws."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from minwallet.ledger.commands import Deposit, Withdraw
from minwallet.ledger.outcomes import Outcome, SessionUnknown
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import AccountHolder, Call, Malformed
from minwallet.storage.models import OPERATOR_PROTOCOL, AccountCommand, NewAccount, PlayerStatus, SessionHolder
from minwallet.wallet.service import Wallet
from minwallet.wallet.sessions import build_new_session
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

CASH, BONUS = 10_000, 50


class ReferenceWallet:
    """A wallet without a flaw. A subclass overrides one step of a call to add one."""

    flaky_cases: frozenset[str] = frozenset()
    """The cases that may or may not find the flaw: concurrent requests arrive in any order."""

    def __init__(self, protocol: str, cash: int = CASH) -> None:
        self.cash = cash
        self.protocol = load_protocol(protocol)
        self.wallet = Wallet(MemoryStore())
        self.numbers = count(1)
        self.is_populated = False

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"cache-control", b"no-store")]

    def accepts_method(self, method: str) -> bool:
        return method == self.protocol.method

    def parse(self, operation: str, raw: bytes) -> Call | Malformed:
        return self.protocol.parse(operation, raw)

    async def execute(
        self, call: Call, wallet_token: str | None = None
    ) -> tuple[Outcome | SessionUnknown, SessionHolder | None]:
        per_currency = self.protocol.ids_per_currency
        return await self.wallet.execute(
            call.token, call.command, self.protocol.name, ids_per_currency=per_currency, wallet_token=wallet_token
        )

    def render(self, call: Call, outcome: Outcome | SessionUnknown, bearer: SessionHolder | None) -> tuple[int, bytes]:
        holder = AccountHolder(bearer.player_id, bearer.currency) if bearer else None
        return 200, self.protocol.render(call, outcome, holder, self.wallet.clock_ms())

    def render_malformed(self, call: Malformed) -> tuple[int, bytes]:
        return 200, self.protocol.render_error(call, self.wallet.clock_ms())

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
            return status, protocol.render_error(complaint, self.wallet.clock_ms())
        call = self.parse(protocol.routes.get(scope["path"], ""), body if protocol.method == "POST" else query)
        if isinstance(call, Malformed):
            return self.render_malformed(call)
        wallet_token = scope["path"].removeprefix("/wallet").strip("/") if protocol.method == "POST" else ""
        outcome, bearer = await self.execute(call, wallet_token or None)
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
