"""Recorded provider calls: calls of all outcomes, in the access log, the admin API and the command line, no secret."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minwallet.ledger.commands import Bet
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import Call, HttpRequest
from minwallet.web.gateway.recent_calls import (
    MAX_CALLS,
    MAX_TEXT_BYTES,
    MAX_TURNED_AWAY,
    RecentCalls,
    RecordedCall,
    render_calls,
)
from minwallet.web.gateway.redaction import CUT_OFF, mask_values
from minwallet.web.gateway.unknown_paths import PathExplainer
from tests.support import Server, running_server
from tests.web.api_client import ApiClient, assert_problem, create_key

CALLBACK_KEY, TYPED_SECRET = "callback_key_0123456789", "typed_secret_0123456789"

FORWARDED = {"x-forwarded-for": "203.0.113.9"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server behind a proxy on this machine, with a callback key."""
    with running_server(tmp_path_factory.mktemp("calls") / "wallet.db", MINWALLET_CALLBACK_KEY=CALLBACK_KEY) as server:
        yield server


@pytest.fixture(scope="module")
def api(server: Server) -> ApiClient:
    return ApiClient(server, create_key(server, "robot", "read"))


def read_call_lines(server: Server) -> list[dict[str, Any]]:
    """Return the lines of provider calls in the server's log."""
    lines = [json.loads(line) for line in server.read_log().splitlines() if line.startswith("{")]
    return [line for line in lines if "protocol" in line]


def test_calls_of_all_outcomes_have_an_address_and_failed_ones_a_reason(server: Server, api: ApiClient) -> None:
    """The access log, the admin API and `minwallet calls` show the same calls; the address is that behind a proxy."""
    name = server.cli.add_player()
    token, wallet = server.cli.open_session(name), f"/{CALLBACK_KEY}/wallet"
    bet = {"type": "bet", "code": token, "bet": 100, "id": 7, "game": 1}
    expected = [
        ("wallet-v2", "bet", "applied", "", name),
        ("wallet-v2", "bet", "replayed", "", name),
        ("wallet-v2", "bet", "insufficient_funds", "the balance was too low", name),
        ("wallet-v2", "bet", "malformed", "bet: must be a whole number from 0 to 9223372036854775807", ""),
        ("wallet-v2", "credit", "session_unknown", "no session has this token", ""),
        ("wallet-v2", "credit", "session_unknown", "no agent has this wallet token", ""),
        ("wallet-v2", "unknown", "http 405", "only POST moves money here", ""),
        ("wallet-v2", "unknown", "http 413", "the body is longer than 8192 bytes", ""),
        ("vela", "bet", "http 414", "the query is longer than 2048 bytes", ""),
        ("vela", "bet", "malformed", "total_bet: missing", ""),
        ("wallet-v2", "unknown", "http 404", "wrong or revoked callback key", ""),
        ("vela", "bet", "http 404", "the path has no callback key: expected '/KEY/api/bet'", ""),
        ("unknown", "unknown", "http 404", "unknown path below the callback key (1 segment)", ""),
    ]
    http = server.http
    for call in (bet, bet, bet | {"bet": 10**9, "id": 8}, bet | {"bet": -1}, {"type": "credit", "code": TYPED_SECRET}):
        http.post(wallet, json=call, headers=FORWARDED)
    http.post(f"{wallet}/{TYPED_SECRET}", json={"type": "credit", "code": token}, headers=FORWARDED)
    http.get(wallet, headers=FORWARDED)
    http.post(wallet, content=b"x" * 9000, headers=FORWARDED)
    http.get(f"/{CALLBACK_KEY}/api/bet?x={'x' * 2500}", headers=FORWARDED)
    http.get(f"/{CALLBACK_KEY}/api/bet?access_token={token}&ticket_id=5", headers=FORWARDED)
    http.post(f"/{TYPED_SECRET}/wallet", json=bet, headers=FORWARDED)
    http.get(f"/api/bet?access_token={token}", headers=FORWARDED)
    http.post(f"/{CALLBACK_KEY}/{TYPED_SECRET}", json=bet, headers=FORWARDED)

    shown = api.get("/calls")["calls"]
    names = ("protocol", "operation", "outcome", "reason", "player")
    assert [tuple(call[name] for name in names) for call in reversed(shown)] == expected
    lines = read_call_lines(server)
    assert [tuple(line.get(name, "") for name in names) for line in lines] == expected
    assert {each["address"] for each in [*shown, *lines]} == {"203.0.113.9"}
    assert set(shown[0]) == {*names, "at", "id", "ms", "address", "request", "reply"}
    assert all(("reason" in line) == bool(call["reason"]) for line, call in zip(lines, reversed(shown), strict=True))

    assert server.cli("calls", "--limit", 100)["calls"] == shown
    assert api.get("/calls", failed="true", limit=2)["calls"] == shown[:2]
    assert server.cli("calls", "--failed")["calls"] == [call for call in shown if call["reason"]]
    texts = [call["request"] for call in reversed(shown)]
    assert texts[0] == 'POST /wallet {"type":"bet","code":"TOKEN","bet":100,"id":7,"game":1}'
    assert texts[3] == 'POST /wallet {"type":"bet","code":"…","bet":-1,"id":7,"game":1}'
    assert texts[5:7] == ['POST /wallet/{wallet_token} {"type":"credit","code":"…"}', "GET /wallet"]
    assert texts[9:] == ["GET /api/bet?access_token=…&ticket_id=5", "POST /…/wallet", "GET /api/bet", "POST /…"]
    assert json.loads(shown[-1]["reply"])["credit"] == 9900
    people = server.cli.run("calls", "--failed").out
    for text in (json.dumps(shown), server.log.read_text(), people):
        assert not [secret for secret in (token, CALLBACK_KEY, TYPED_SECRET) if secret in text]
    assert "          reason   wrong or revoked callback key\n          request  POST /…/wallet\n" in people


def test_a_token_in_another_field_is_not_shown(server: Server) -> None:
    """Neither beside an unknown token, nor beside itself in a call that the wallet accepts."""
    name = server.cli.add_player()
    token, wallet, vela = server.cli.open_session(name), f"/{CALLBACK_KEY}/wallet", f"/{CALLBACK_KEY}/api/bet"
    bet = {"type": "bet", "code": "bob", "bet": 1, "id": 71, "game": 1}
    for extra in ({"token": token}, {"game": token}, {"time": token[:40]}, {token: 1}, {"x": [token]}):
        server.http.post(wallet, json=bet | extra)
    accepted = {"code": token, "game": f"a{token[:40]}", "time": token[:40]}
    server.http.post(wallet, json=bet | accepted | {"x": token, token: token, "game": f"a{token}"})
    for access_token, id_ in (("bob", 72), (token, 73)):
        for field in ("token", "game_code", "key"):
            query = {"access_token": access_token, "ticket_id": f"{id_}{len(field)}", "total_bet": "1", field: token}
            server.http.get(vela, params=query)
    calls = server.cli("calls", "--limit", 12)["calls"]
    assert [call["outcome"] for call in reversed(calls)] == [
        *["session_unknown"] * 5,
        "applied",
        *["session_unknown"] * 3,
        *["applied"] * 3,
    ]
    assert token not in json.dumps(calls)
    assert "game_code=TOKEN" in calls[1]["request"]
    assert "key=TOKEN" in calls[0]["request"]


def test_a_malformed_call_has_a_reason_for_the_operator(server: Server) -> None:
    """It says more than the reply where the protocol's specification has a text of its own."""
    key = f"/{CALLBACK_KEY}"
    reply = server.http.get(f"{key}/api/bet?acces_token=t&ticket_id=1&total_bet=1").json()
    assert reply == {"status_code": 1, "message": "Invalid Token"}
    server.http.get(f"{key}/api/bet?access_token=a&access_token=b")
    server.http.post(f"{key}/wallet", content=b"\x1f\x8b", headers={"content-encoding": "gzip"})
    assert [call["reason"] for call in server.cli("calls", "--limit", 3)["calls"]] == [
        "the body is compressed (Content-Encoding: gzip); the wallet reads plain JSON",
        "access_token: given twice",
        "access_token: missing",
    ]


def test_a_key_of_one_agent_sees_the_calls_of_its_agent_only(server: Server, api: ApiClient) -> None:
    """A call of an unknown agent, such as a malformed one, is shown to keys of all agents only."""
    server.cli("agent", "add", "brand2")
    server.cli("player", "add", "zoe", "--agent", "brand2", "--currency", "USD")
    token = server.cli("session", "open", "zoe", "--agent", "brand2")["token"]
    key = server.cli("agent", "callback-key", "add", "brand2")["callback_key"]
    for path, code in ((f"/{CALLBACK_KEY}/wallet", token), (f"/{key}/wallet", "nobody"), (f"/{key}/wallet/", token)):
        server.http.post(path, json={"type": "credit", "code": code})
    server.http.post(f"/{CALLBACK_KEY}/wallet", json={})
    created = server.cli("key", "add", "brand2-site", "--scope", "read", "--agent", "brand2")["key"]
    site = ApiClient(server, created)
    shown = site.get("/calls")["calls"]
    assert [(call["outcome"], call["player"]) for call in shown] == [
        ("http 404", ""),
        ("session_unknown", ""),
        ("shown", "zoe"),
    ]
    assert shown[0]["reason"] == "the path has a slash too many: expected '/wallet' at its end"
    assert api.get("/calls", agent="brand2")["calls"] == shown
    assert_problem(site.request("GET", "/calls", agent="default"), 403, "forbidden", "brand2")
    assert_problem(api.request("GET", "/calls", failed="yes"), 422, "invalid", "failed")
    assert key not in json.dumps(shown) + server.log.read_text()


def test_a_rejected_address_is_named_with_the_setting(db: Path) -> None:
    """The operator can copy the address into MINWALLET_CALLBACK_ALLOW. The caller does not learn the setting."""
    with running_server(db, MINWALLET_CALLBACK_ALLOW="198.51.100.0/24") as server:
        answer = server.http.post("/wallet", json={}, headers=FORWARDED)
        assert answer.json()["err_desc"] == "this address may not call"
        server.http.post("/wallet", json={}, headers={"x-forwarded-for": "203.0.113.9, secret"})
        line, invalid = read_call_lines(server)
        call = server.cli("calls")["calls"][1]
        server.http.get("/metrics", headers={"x-forwarded-for": "secret"})
        assert "secret" not in server.read_log()
    reason = "this address is not in MINWALLET_CALLBACK_ALLOW; to allow it, add 203.0.113.9"
    assert (line["outcome"], line["reason"], line["address"]) == ("http 403", reason, "203.0.113.9")
    assert (call["outcome"], call["reason"], call["request"]) == ("http 403", reason, "POST /wallet")
    assert (invalid["outcome"], invalid["address"]) == ("http 403", "127.0.0.1")
    assert invalid["reason"] == "invalid X-Forwarded-For from the proxy 127.0.0.1: expected an IP address"


def build_call(transaction: str, raw: bytes = b"", *, reason: str = "", reply: bytes = b"{}") -> RecordedCall:
    call = RecordedCall(load_protocol("wallet-v2"), "POST", "/wallet", "bet")
    call.at_ms, call.seconds, call.agent_id, call.address = 0, 0.001, 1, "127.0.0.1"
    call.request = HttpRequest("POST", "/wallet", body=raw, headers=[(b"x-secret", b"secret_token")])
    call.transaction, call.reply = transaction, reply
    call.outcome, call.reason = "malformed" if reason else "applied", reason
    call.call = None if reason else Call("bet", "secret_token", Bet(transaction, 1, transaction, "1"))
    return call


def test_calls_without_a_key_do_not_displace_others() -> None:
    """The newest 2,000 calls stay, and beside them the newest 500 that were turned away, in the order of arrival."""
    calls = RecentCalls()
    for number in range(MAX_CALLS + 10):
        calls.add(build_call(f"{number}"))
    for number in range(3 * MAX_CALLS):
        calls.add(build_call(f"stranger{number}", reason="wrong"), is_turned_away=True)
    calls.add(build_call("last"))
    found = [call.transaction for call in calls.read(10_000)]
    assert len(found) == MAX_CALLS + MAX_TURNED_AWAY
    assert found[:2] == ["last", f"stranger{3 * MAX_CALLS - 1}"]
    assert found[-1] == "11"
    newest = calls.newest_number
    assert [call.transaction for call in calls.read(10, after=newest - 2)] == found[:2]
    assert len(calls.read(10_000, only_failed=True)) == MAX_TURNED_AWAY
    assert calls.read(10, agent_id=2) == []


@pytest.mark.anyio
async def test_long_requests_are_cut_off_without_their_token() -> None:
    """The token is replaced before the cut, so no half of it remains. Requests, replies and ids have a maximum."""
    calls, id_ = RecentCalls(), "7" * 20
    raw = (
        b'{"pad":"' + b"x" * (MAX_TEXT_BYTES - 20) + b'","code":"secret_token","type":"bet","id":' + id_.encode() + b"}"
    )
    calls.add(build_call(id_, raw, reply=b"y" * 9000))
    calls.add(build_call("9" * 8000, b"z" * 8000, reason="wrong"))
    bad, good = await render_calls(calls.read(2))
    for document in (bad, good):
        assert max(len(document["request"]), len(document["reply"])) <= MAX_TEXT_BYTES + len(CUT_OFF)
        assert "secret" not in document["request"]
        assert "toke" not in document["request"].lower().replace('"token"', "")
    assert good["reply"].endswith(CUT_OFF)
    assert len(bad["id"]) <= 64


@pytest.mark.anyio
async def test_a_number_is_not_cut_in_two() -> None:
    """A request without a session is cut off before it is masked, and a long number may be a token."""
    calls, head = RecentCalls(), b'{"note":"' + b"x" * (MAX_TEXT_BYTES - 20) + b'","id":'
    calls.add(build_call("", head + b"1" * 100 + b"}", reason="wrong"))
    (document,) = await render_calls(calls.read(1))
    assert document["request"] == 'POST /wallet {"note":"…","id":' + CUT_OFF


@pytest.mark.anyio
async def test_a_protocol_that_cannot_redact_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The request is replaced by a sentence, and the log has the traceback."""
    calls = RecentCalls()
    calls.add(build_call("1", b"\xff"))
    (document,) = await render_calls(calls.read(1))
    assert "not shown" in document["request"]
    assert caplog.records[-1].exc_info


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ('{"type": "bet", "code": "s3cret", "bet": -5}', '{"type": "bet", "code": "…", "bet": -5}'),
        ('{"code": 12345, "id": 12345}', '{"code": …, "id": 12345}'),
        ('{"cod": "s3cret", "s3cret": 1, "bet": "5.00"}', '{"cod": "…", "…": 1, "bet": "…"}'),
        ('{"a": "s3\\"cret", "b": [true, null, s3cret]}', '{"a": "…", "b": [true, null, …]}'),
        ("access_token=s3cret&ticket_id=5&x=&s3cret", "access_token=…&ticket_id=5&x=&…"),
        ("access_token=123&total_bet=1%30", "access_token=…&total_bet=…"),
        ("code=s3cret&type=bet", "code=…&type=…"),
        ("s3cret", "…"),
        ("", ""),
        ("player=bob&sign=123&amount=12.50&type=bet&x", "player=…&sign=…&amount=12.50&type=…&…"),
        ("token=alice:abc&n=5", "token=…&n=5"),
        ("%74oken=12&a+b=1&n=-1", "…=…&…=1&n=-1"),
        ('{"\\u0074oken": 12, "n": 1}', '{"…": …, "n": 1}'),
        ('{"a": abc:def}', '{"a": …:…}'),
        ('<call player="bob" token="s3cret"/>', "…=…"),
        ('"s3cret', '"…"'),
        ("<code>s3cret</code>", "…"),
    ],
)
def test_a_malformed_request_shows_names_and_numbers_only(raw: str, shown: str) -> None:
    """The token may be anywhere in it."""
    assert mask_values(raw.encode(), ("bet", "win")).replace("type=bet", "type=…") == shown


@pytest.mark.parametrize(
    ("key", "path", "shown", "reason"),
    [
        ("", "/wallet/", "/wallet", "the path has a slash too many: expected '/wallet' at its end"),
        ("", "//api/bet", "/api/bet", "the path has a slash too many: expected '/api/bet' at its end"),
        ("", "/api/bets", "/api/…", "unknown path below '/api' (2 segments); did you mean '/api/bet'?"),
        ("", "/oops/wallet/w1", "/…/wallet/{wallet_token}", "unknown word before '/wallet/{wallet_token}': "),
        ("", "/mwc_oops/wallet", "/…/wallet", "wrong or revoked callback key"),
        ("k3y", "/wallet", "/wallet", "the path has no callback key: expected '/KEY/wallet'"),
        ("k3y", "/k3x/wallet", "/…/wallet", "wrong or revoked callback key"),
        ("k3y", "/k3y/wallet", "/wallet", "the path lacks the agent's wallet token"),
        ("k3y", "/k3y/x/wallet", "/…/wallet", "unknown words before '/wallet' (1 segment)"),
        ("k3y", "/k3y/wallt", "/…", "unknown path below the callback key (1 segment)"),
        ("k3y", "/k3y/api/bets", "/…", "unknown path below the callback key (2 segments); did you mean '/api/bet'?"),
        ("k3y", "/a/b/wallet", "/…/wallet", "unknown words before '/wallet' (2 segments)"),
    ],
)
def test_the_reason_of_an_unknown_path_is_found(key: str, path: str, shown: str, reason: str) -> None:
    """The shown path has words of the protocol only."""
    found = PathExplainer(map(load_protocol, ("wallet-v2", "vela")), key).explain(path)
    assert found is not None
    assert found.shown == shown
    assert found.reason.startswith(reason)


@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/admin/players/default/wallet", "/demo/wallet"])
def test_other_paths_are_no_provider_calls(path: str) -> None:
    """They keep their line in the log of all other requests."""
    assert PathExplainer([load_protocol("wallet-v2")], "").explain(path) is None
