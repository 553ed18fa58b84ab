"""The state machine run against a wallet in this process: everything from the wire's bytes to the file is real.

The commands that neither wallet-v2 nor vela has are given to the wallet as they are.
"""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import rule

from minwallet.ledger.commands import Command
from minwallet.ledger.outcomes import Outcome, Unauthenticated
from minwallet.ledger.time_units import DAY_MS
from minwallet.operations.dispatch import execute
from minwallet.operations.errors import OperationFailure
from minwallet.operations.requests import OperationRequest, Reply
from minwallet.operations.verify import verify_ledger
from minwallet.protocols.wire import AccountHolder, Call, HttpRequest, HttpResponse
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.service import Wallet
from tests.wallet.reversal_rules import ReversalRules
from tests.wallet.wallet_state_machine import SETTLE_MS, START_MS, populate

pytestmark = pytest.mark.long


class InProcessWallet(ReversalRules):
    """Each history has its own file; its wallet is restarted at random."""

    agent = "here"

    def set_up_wallet(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "wallet.db"
        self.now_ms = START_MS
        self.start()
        self.runner.run(populate(self.store, [self.agent]))

    def start(self) -> None:
        self.stack = AsyncExitStack()

        async def start() -> SqliteStore:
            store = await SqliteStore.open(self.path, create=True)
            self.stack.push_async_callback(store.close)
            return store

        self.store = self.runner.run(start())
        self.wallet = Wallet(self.store, lambda: self.now_ms, settle_ms=SETTLE_MS)

    def send_call(self, account_index: int, protocol: str, request: HttpRequest) -> HttpResponse:
        del account_index  # whose call it is, its token says
        wire_protocol = self.protocols[protocol]
        (operation,) = {route.operation for route in wire_protocol.routes if route.path == request.path}
        call = wire_protocol.parse(request, operation)
        assert isinstance(call, Call), call

        async def execute() -> HttpResponse:
            outcome, bearer = await self.wallet.execute(
                call.token, call.command, wire_protocol.name, ids_per_currency=wire_protocol.ids_per_currency
            )
            holder = AccountHolder(bearer.player_id, bearer.currency) if bearer else None
            return wire_protocol.render(call, outcome, holder, self.now_ms)

        return self.runner.run(execute())

    def execute_command(self, token: str, command: Command) -> Outcome | Unauthenticated:
        return self.runner.run(self.wallet.execute(token, command, "third", ids_per_currency=False))[0]

    def execute_request(self, request: OperationRequest) -> Reply | None:
        reply = self.runner.run(execute(self.wallet, request, "a test"))
        return None if isinstance(reply, OperationFailure) else reply

    @rule()
    def advance_month(self) -> None:
        """Advance the clock by a month."""
        self.now_ms += 30 * DAY_MS
        for account in self.accounts:
            account.apply_elapsed_month()

    def maybe_restart(self, roll: int, is_graceful: bool) -> None:
        del roll, is_graceful  # it costs little, so it is done whenever it can be
        self.runner.run(self.stack.aclose())
        self.start()

    def check_and_stop(self) -> None:
        result = self.runner.run(verify_ledger(self.wallet.store, lambda _done, _total: None))
        self.runner.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()
        assert result["problems"] == []


TestInProcessWallet = InProcessWallet.TestCase
TestInProcessWallet.settings = settings(max_examples=40, stateful_step_count=50, deadline=None, print_blob=True)
