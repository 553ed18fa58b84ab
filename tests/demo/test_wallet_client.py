"""The client that calls a wallet over HTTP."""

import socket

import httpx2
import pytest

from minwallet.demo.dealer import load_dealer
from minwallet.demo.wallet_client import NoAnswer, WalletClient
from minwallet.protocols.wire import WalletResponse
from tests.demo.in_process_client import PROTOCOLS
from tests.support import InProcessCli, Server

pytestmark = pytest.mark.anyio


async def request_session(url: str, protocol: str, token: str, wallet_token: str | None = None) -> WalletResponse:
    caller = WalletClient(url, wallet_token, timeout_s=0.2)
    try:
        return await caller.request_answer(protocol, load_dealer(protocol).build_session_call(token))
    finally:
        await caller.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_session_call_returns_the_player(server: Server, protocol: str) -> None:
    """The answer has player, currency and balance in both protocols."""
    cli = InProcessCli(server.db)
    player = cli.add_player(balance="10")
    answer = await request_session(f"{server.url}/", protocol, cli.open_session(player))
    assert (answer.code, answer.player_id, answer.currency, answer.balance) == (0, player, "USD", 1000)


async def test_a_wallet_token_admits_its_agents_sessions(server: Server) -> None:
    """In wallet-v2 the token is part of the path; vela ignores it."""
    cli = InProcessCli(server.db)
    cli("agent", "add", "other")
    token = cli.open_session(cli.add_player())
    assert (await request_session(server.url, "wallet-v2", token, "default")).code == 0
    assert (await request_session(server.url, "wallet-v2", token, "other")).code == 102
    assert (await request_session(server.url, "vela", token, "other")).code == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_invalid_response_raises_no_answer(server: Server, protocol: str) -> None:
    """Another status than 200, an invalid reply, a timeout and a closed port all leave the outcome unknown. The
    error does not contain the token."""
    with pytest.raises(NoAnswer, match="HTTP status 404"):
        await request_session(f"{server.url}/elsewhere", protocol, "secrettoken")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(NoAnswer, match="timed out") as error:
            await request_session(url, protocol, "secrettoken")
    assert "secrettoken" not in str(error.value)
    with pytest.raises(NoAnswer, match="ConnectError"):
        await request_session(url, protocol, "secrettoken")


async def test_any_client_error_raises_no_answer() -> None:
    """An error inside the HTTP library, such as when a wallet dies during the connection, raises NoAnswer too. The
    round must continue, because the call may have arrived."""

    def stumble(_: httpx2.Request) -> httpx2.Response:
        raise AttributeError("getpeername")

    caller = WalletClient("http://127.0.0.1:9", None, timeout_s=1)
    await caller.close()
    caller._http = httpx2.AsyncClient(transport=httpx2.MockTransport(stumble))
    try:
        with pytest.raises(NoAnswer, match="AttributeError"):
            await caller.request_answer("vela", load_dealer("vela").build_session_call("token"))
    finally:
        await caller.close()
