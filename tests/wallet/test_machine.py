"""The rules of `machine`, held against a wallet in this process: all between the wire's bytes and the file is real."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import rule

from minwallet.protocols.wire import AccountHolder, Call
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.decline import Declined
from minwallet.wallet.desk import perform, verify
from minwallet.wallet.requests import Reply, Request
from minwallet.wallet.service import Wallet
from tests.wallet.machine import DAY_MS, NOW_MS, Wallets, furnish

pytestmark = pytest.mark.long


class Here(Wallets):
    """Each history has a file of its own; its wallet is stopped and started as often as chance has it."""

    agent = "here"

    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "wallet.db"
        self.now_ms = NOW_MS
        self.start()
        self.runner.run(furnish(self.store, [self.agent]))

    def start(self) -> None:
        self.stack = AsyncExitStack()

        async def start() -> SqliteStore:
            store = await SqliteStore.open(self.path, create=True)
            self.stack.push_async_callback(store.close)
            return store

        self.store = self.runner.run(start())
        self.wallet = Wallet(self.store, lambda: self.now_ms)

    def send(self, place: int, protocol: str, operation: str, raw: bytes) -> bytes:
        del place  # whose call it is, its token says
        wire = self.protocols[protocol]
        call = wire.parse(operation, raw)
        assert isinstance(call, Call), call

        async def execute() -> bytes:
            outcome, bearer = await self.wallet.call(
                call.token, call.command, wire.name, ids_per_currency=wire.ids_per_currency
            )
            holder = AccountHolder(bearer.player_id, bearer.currency) if bearer else None
            return wire.render(call, outcome, holder, self.now_ms)

        return self.runner.run(execute())

    def ask(self, request: Request) -> Reply | None:
        reply = self.runner.run(perform(self.wallet, request, "a test"))
        return None if isinstance(reply, Declined) else reply

    @rule()
    def rest(self) -> None:
        """A month passes."""
        self.now_ms += 30 * DAY_MS
        for account in self.accounts:
            account.rest()

    def begin_again(self, dice: int, softly: bool) -> None:
        del dice, softly  # it costs little, so it is done whenever it can be
        self.runner.run(self.stack.aclose())
        self.start()

    def end(self) -> None:
        found = self.runner.run(verify(self.wallet.store, lambda _done, _total: None))
        self.runner.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()
        assert found["problems"] == []


TestHere = Here.TestCase
TestHere.settings = settings(max_examples=40, stateful_step_count=50, deadline=None, print_blob=True)
