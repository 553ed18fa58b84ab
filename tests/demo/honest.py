"""An honest wallet without a socket: the provider's calls go over both protocols' bytes to the real ledger."""

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager

import pytest
from starlette.testclient import TestClient

from minwallet.demo.caller import NoAnswer, Sent
from minwallet.demo.server import Options, create_provider
from minwallet.ledger.commands import Balance
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import REDACTED, AccountHolder, Call, Malformed, WalletResponse
from minwallet.storage.models import NewAccount
from minwallet.wallet.service import Wallet
from minwallet.wallet.sessions import build_new_session
from tests.storage.reference_engine.memory_store import MemoryStore

CASH, BONUS = 100_000, 5_000

EVERYTHING = frozenset({"credit", "bet", "win", "cancel", "authenticate", "result", "refund", "betwin"})


class HonestCaller:
    """Stands in for the caller. Every token is a player of its own with money; `asked` is what was asked. What it is
    `silent_about` is neither answered nor done.
    """

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.wallet = Wallet(self.store)
        self.asked: list[Call] = []
        self.silent_about: Container[str] = ()
        self._players: list[str] = []

    async def ask(self, protocol: str, call: Call) -> WalletResponse:
        sent = await self.send(protocol, call)
        if sent.answer is None:
            raise NoAnswer(sent.trouble)
        return sent.answer

    async def send(self, protocol: str, call: Call) -> Sent:
        self.asked.append(call)
        wire = load_protocol(protocol)
        request = str(wire.build_request(call._replace(token=REDACTED), 0))
        if call.operation in self.silent_about:
            return Sent(call, 0, request, None, None, 1, None, "the wallet does not answer (timed out)")
        await self._admit(call.token)
        exchange = wire.build_request(call, 0)
        heard = wire.parse(wire.routes[exchange.path], exchange.query or exchange.body)
        assert not isinstance(heard, Malformed), heard
        command = heard.command
        outcome, bearer = await self.wallet.execute(
            heard.token, command, protocol, ids_per_currency=wire.ids_per_currency
        )
        holder = AccountHolder(bearer.player_id, bearer.currency) if bearer else None
        reply = wire.render(heard, outcome, holder, 0)
        return Sent(call, 0, request, 200, reply.decode(), 1, wire.parse_response(reply))

    async def knock(self) -> None:
        return

    async def close(self) -> None:
        return

    async def has(self, token: str) -> int:
        """What the player of this token has."""
        answer = await self.ask("wallet-v2", Call("credit", token, Balance()))
        assert answer.balance is not None
        return answer.balance

    async def _admit(self, token: str) -> None:
        if token not in self._players and not token.startswith("no"):
            self._players.append(token)
            opening = NewAccount("default", f"player.{token}", "USD", CASH, BONUS, build_new_session(token, None))
            assert (await self.store.create_accounts([opening], 0)).problems == ()


def operations(calls: Sequence[Call]) -> list[str]:
    return [call.operation for call in calls]


@contextmanager
def providing(caller: HonestCaller, *, timeout_s: float = 0.3, report_page: int = 100) -> Iterator[TestClient]:
    """The provider's whole application, whose calls go to an honest wallet."""
    options = Options("http://wallet.invalid", seed=1, report_page=report_page, timeout_s=timeout_s, first_id=100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minwallet.demo.server.Caller", lambda *_: caller)
        with TestClient(create_provider(options, print), base_url="http://127.0.0.1") as client:
            yield client
