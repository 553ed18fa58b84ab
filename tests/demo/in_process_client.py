"""A correct wallet without a socket: the provider's calls pass through the protocols' bytes to the real ledger."""

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager

import pytest
from starlette.testclient import TestClient

from minwallet.demo.provider_server import ProviderOptions, create_provider_app
from minwallet.demo.wallet_client import CallRecord, NoAnswer
from minwallet.ledger.commands import Balance
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import REDACTED, AccountHolder, Call, Malformed, WalletResponse
from minwallet.storage.models import NewAccount
from minwallet.wallet.service import Wallet
from minwallet.wallet.sessions import build_new_session
from tests.route_matching import match_route
from tests.storage.reference_engine.memory_store import MemoryStore

CASH, BONUS = 100_000, 5_000

PROTOCOLS = ("vela", "wallet-v2")
"""The protocols of the tests. Others may be installed too."""

ALL_OPERATIONS = frozenset({"credit", "bet", "win", "cancel", "authenticate", "result", "refund", "betwin"})


class InProcessClient:
    """A wallet client without a network, in which every token belongs to a player with money. `sent_calls` are the
    calls so far; those of `unanswered_operations` are not executed."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.wallet = Wallet(self.store)
        self.sent_calls: list[Call] = []
        self.unanswered_operations: Container[str] = ()
        self._players: list[str] = []

    async def request_answer(self, protocol: str, call: Call) -> WalletResponse:
        sent = await self.send(protocol, call)
        if sent.answer is None:
            raise NoAnswer(sent.error)
        return sent.answer

    async def send(self, protocol: str, call: Call) -> CallRecord:
        self.sent_calls.append(call)
        wire = load_protocol(protocol)
        request = str(wire.build_request(call._replace(token=REDACTED), 0))
        if call.operation in self.unanswered_operations:
            return CallRecord(call, 0, request, None, None, 1, None, "the wallet does not answer (timed out)")
        await self._ensure_player(call.token)
        exchange = wire.build_request(call, 0)
        route, parameters = match_route(wire, exchange.path)
        parsed = wire.parse(exchange._replace(path_parameters=parameters), route.operation)
        assert not isinstance(parsed, Malformed), parsed
        command = parsed.command
        outcome, bearer = await self.wallet.execute(
            parsed.token, command, protocol, ids_per_currency=wire.ids_per_currency
        )
        holder = AccountHolder(bearer.player_id, bearer.currency) if bearer else None
        reply = wire.render(parsed, outcome, holder, 0)
        return CallRecord(call, 0, request, reply.status, reply.body.decode(), 1, wire.parse_response(reply))

    async def ping(self) -> None:
        return

    async def close(self) -> None:
        return

    async def read_balance(self, token: str) -> int:
        """Return the balance of the player of this token, in cents."""
        answer = await self.request_answer("wallet-v2", Call("credit", token, Balance()))
        assert answer.balance is not None
        return answer.balance

    async def _ensure_player(self, token: str) -> None:
        if token not in self._players and not token.startswith("no"):
            self._players.append(token)
            opening = NewAccount("default", f"player.{token}", "USD", CASH, BONUS, build_new_session(token, None))
            assert (await self.store.accounts.create_accounts([opening], 0)).problems == ()


def list_operations(calls: Sequence[Call]) -> list[str]:
    return [call.operation for call in calls]


@contextmanager
def run_provider_app(
    client: InProcessClient, *, timeout_s: float = 0.3, report_page: int = 100
) -> Iterator[TestClient]:
    """Run the provider's complete application, which calls a correct wallet."""
    options = ProviderOptions(
        "http://wallet.invalid", seed=1, report_page=report_page, timeout_s=timeout_s, first_id=100
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minwallet.demo.provider_server.WalletClient", lambda *_: client)
        with TestClient(create_provider_app(options, print), base_url="http://127.0.0.1") as http:
            yield http
