"""The limit of unknown tokens by address. An address is taken from trusted proxies only."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from minwallet.web.gateway.client_address import ClientAddresses
from minwallet.web.gateway.recent_calls import MAX_CALLS, MAX_TURNED_AWAY
from minwallet.web.gateway.unknown_token_limit import (
    MAX_BURST,
    MAX_TRACKED_ADDRESSES,
    UnknownTokenLimiter,
    rate_limit_key,
)
from tests.support import InProcessCli, Server, running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server that trusts a proxy on this machine, and one at 10.0.0.1."""
    db = tmp_path_factory.mktemp("strangers") / "wallet.db"
    with running_server(db, MINWALLET_FORWARDED_ALLOW="127.0.0.1,10.0.0.1") as server:
        yield server


def send_call(server: Server, address: str, **fields: object) -> httpx2.Response:
    """Send a wallet-v2 call that the proxy reports from this address."""
    return server.http.post("/wallet", json=fields, headers={"x-forwarded-for": address})


def send_unknown_tokens(server: Server, address: str, times: int = MAX_BURST) -> None:
    for number in range(times):
        answer = send_call(server, address, code=f"nobody{number}", type="credit")
        assert answer.status_code == 200, number
        assert answer.json()["err_code"] == 102


def test_too_many_unknown_tokens_limit_an_address(server: Server) -> None:
    """The address gets 429 in the form of the protocol, and no other address does."""
    send_unknown_tokens(server, "203.0.113.1")
    for fields in ({"type": "credit"}, {"type": "cancel", "id": 1}, {"type": "bet", "bet": 1, "id": 1, "game": 1}):
        answer = send_call(server, "203.0.113.1", code="nobody", **fields)
        assert (answer.status_code, answer.json()["err_code"]) == (429, 500)
        assert answer.headers["retry-after"] == "1"
    vela = {"access_token": "nobody", "ticket_id": "1", "total_bet": "1"}
    answer = server.http.get("/api/bet", params=vela, headers={"x-forwarded-for": "203.0.113.1"})
    assert (answer.status_code, answer.json()["status_code"]) == (429, 500)
    assert send_call(server, "203.0.113.2", code="nobody", type="credit").json()["err_code"] == 102


def test_calls_over_the_limit_do_not_displace_others(server: Server) -> None:
    """They are kept apart, with the calls that were turned away."""
    send_unknown_tokens(server, "203.0.113.7")
    for _ in range(MAX_TURNED_AWAY + 20):
        send_call(server, "203.0.113.7", code="nobody", type="credit")
    calls = server.cli("calls", "--limit", MAX_CALLS)["calls"]
    assert sum(call["outcome"] == "http 429" for call in calls) == MAX_TURNED_AWAY


def test_known_sessions_are_served_from_a_limited_address(server: Server) -> None:
    """The address may be that of the provider, so calls of existing sessions are served."""
    player = server.cli.add_player()
    token, address = server.cli.open_session(player), "203.0.113.4"
    send_unknown_tokens(server, address)
    for _ in range(2):
        assert send_call(server, address, code=token, type="bet", bet=10, id=80, game=1).json()["credit"] == 9_990
    assert send_call(server, address, code=token, type="credit").json()["credit"] == 9_990
    query = {"access_token": token, "ticket_id": "81", "total_bet": "10"}
    answer = server.http.get("/api/bet", params=query, headers={"x-forwarded-for": address})
    assert (answer.status_code, answer.json()["balance"]) == (200, 9_980)


def test_settlements_are_served_from_a_limited_address(server: Server) -> None:
    """A win, cancel, result or refund of an existing session is applied from a limited address."""
    player = server.cli.add_player()
    token, address = server.cli.open_session(player), "203.0.113.3"
    for number in (1, 2):
        assert server.wallet_v2(code=token, type="bet", bet=10, id=70 + number, game=1)["result"] == 1
        assert server.vela("bet", access_token=token, ticket_id=70 + number, total_bet=10)["status_code"] == 0
    send_unknown_tokens(server, address)
    assert send_call(server, address, code=token, type="win", win=5, id=73, game=1, round_id=71).json()["result"] == 1
    assert send_call(server, address, code=token, type="cancel", id=72).json()["result"] == 1
    for operation, more in (("result", {"ticket_id": "71", "total_win": "5"}), ("refund", {"ticket_id": "72"})):
        query = {"access_token": token, **more}
        answer = server.http.get(f"/api/{operation}", params=query, headers={"x-forwarded-for": address})
        assert (answer.status_code, answer.json()["status_code"]) == (200, 0)
    assert server.cli.read_balances(player) == (10_000 - 10, 0)
    assert send_call(server, address, code="nobody", type="cancel", id=74).status_code == 429


@pytest.mark.parametrize(
    ("chain", "caller"),
    [
        ("198.51.100.1, 203.0.113.50", "203.0.113.50"),
        ("127.0.0.1, 203.0.113.50, 10.0.0.1", "203.0.113.50"),
        ("203.0.113.50:5678", "203.0.113.50"),
        ("[2001:db8:1:2:3::4]:443", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.50", "203.0.113.50"),
        ("not an address", "127.0.0.1"),
        ("203.0.113.50, <script>", "127.0.0.1"),
    ],
)
def test_the_client_is_what_the_last_trusted_proxy_saw(chain: str, caller: str) -> None:
    """Entries to the left of it are ignored. An IPv6 address is limited by its network. An invalid header counts as
    the proxy itself."""
    assert _resolve_key("127.0.0.1", chain.encode()) == caller


def test_two_headers_are_one_chain() -> None:
    """A proxy may add its own header line, and the caller's first line is ignored."""
    assert _resolve_key("127.0.0.1", b"198.51.100.1", b"203.0.113.50") == "203.0.113.50"


def test_an_untrusted_proxy_is_ignored() -> None:
    """Only a trusted proxy determines the address of a call."""
    assert _resolve_key("203.0.113.9", b"198.51.100.1") == "203.0.113.9"


def _resolve_key(client: str, *forwarded: bytes) -> str:
    headers = [(b"x-forwarded-for", each) for each in forwarded]
    scope = {"type": "http", "client": (client, 1), "scheme": "http", "headers": headers}
    return rate_limit_key(ClientAddresses("127.0.0.1,10.0.0.1").resolve(scope))


def test_one_unknown_token_per_second_is_refilled() -> None:
    """A limited address gets one more attempt each second, and after a while the full burst again."""
    now_s = 1000.0
    strangers = UnknownTokenLimiter(lambda: now_s)
    for _ in range(MAX_BURST):
        assert not strangers.is_limited("a")
        strangers.record("a")
    assert strangers.is_limited("a")
    assert not strangers.is_limited("b")
    for _ in range(5 * MAX_BURST):
        strangers.record("a")
    now_s += 1
    assert not strangers.is_limited("a")
    strangers.record("a")
    assert strangers.is_limited("a")
    now_s += MAX_BURST
    assert not strangers.is_limited("a")
    assert not strangers.refilled_at_s


def test_tracked_addresses_are_bounded() -> None:
    """The oldest addresses are forgotten first."""
    strangers = UnknownTokenLimiter(lambda: 0.0)
    for number in range(MAX_TRACKED_ADDRESSES + 10):
        strangers.record(f"{number}")
    assert len(strangers.refilled_at_s) == MAX_TRACKED_ADDRESSES
    assert "9" not in strangers.refilled_at_s
    assert "10" in strangers.refilled_at_s


def test_occasional_unknown_tokens_are_not_limited(db: Path) -> None:
    """Fewer unknown tokens than the burst have no effect, beside known tokens."""
    cli = InProcessCli(db)
    token = cli.open_session(cli.add_player())
    with running_server(db) as server:
        for number in range(MAX_BURST // 2):
            assert server.wallet_v2(code=f"nobody{number}", type="credit")["err_code"] == 102
            assert server.wallet_v2(code=token, type="bet", bet=1, id=number, game=1)["result"] == 1
    assert rate_limit_key("") == "unknown"
