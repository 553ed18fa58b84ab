"""Signed calls of a protocol from a package, over real HTTP: who may call, for whom, and what is recorded."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx2
import pytest

from minwallet.protocols.wire import MAX_BODY_BYTES, HttpRequest
from minwallet.web.gateway.recent_calls import MAX_TEXT_BYTES
from minwallet.web.gateway.redaction import CUT_OFF
from minwallet.web.gateway.unknown_token_limit import MAX_BURST
from tests.protocol_package import installed, write_protocol_package
from tests.support import Server, running_server
from tests.web.gateway.envelope_protocol import FieldSignature
from tests.web.gateway.test_journal import wait_for_journal
from tests.web.scraper import Scraper

FAR = "the time of the signature is too far from the time of the wallet"

SECRETS = {"default": "default-secret-0123456789", "two": "two-secret-0123456789"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two agents that sign their calls, each with a player `ann`. Agent `two` has a callback key."""
    folder = tmp_path_factory.mktemp("signed")
    source = Path(__file__).with_name("envelope_protocol.py")
    packages = write_protocol_package(folder / "packages", source, name="envelope", object_name="Envelope")
    with installed(packages), running_server(folder / "wallet.db", PYTHONPATH=str(packages)) as server:
        server.cli("agent", "add", "two")
        for agent, secret in SECRETS.items():
            (file := folder / f"{agent}.secret").write_text(secret)
            server.cli("agent", "secret", "add", agent, "envelope", "--from-file", file)
            server.cli("player", "add", "ann", "--currency", "USD", "--balance", "100", "--agent", agent)
        yield server
        server.cli.assert_ledger_valid()


def build(path: str, method: str = "POST", **fields: object) -> HttpRequest:
    content = urlencode({"currency": "USD", **fields}).encode()
    query, body = (b"", content) if method == "POST" else (content, b"")
    return HttpRequest(method, f"/envelope/{path}", query, body)


def sign(request: HttpRequest, secret: str = SECRETS["default"], *, age_ms: int = 0) -> HttpRequest:
    return FieldSignature().sign(request, secret, time.time_ns() // 1_000_000 - age_ms)


def send(server: Server, request: HttpRequest, before: str = "") -> httpx2.Response:
    return server.http.request(request.method, before + request.target, content=request.body or None)


def read_newest_call(server: Server) -> dict[str, Any]:
    call: dict[str, Any] = server.cli("calls", "--limit", 1)["calls"][0]
    return call


def test_a_signed_call_needs_no_session(server: Server) -> None:
    """The signature names the agent, and the call the player and the currency. One path has two methods."""
    bet = sign(build("ann/account", id="a1", amount="12.50"))
    response = send(server, bet)
    assert (response.status_code, response.text) == (201, "<balance>87.50</balance>")
    assert (response.headers["content-type"], response.headers["cache-control"]) == ("text/xml", "no-store")
    assert send(server, bet).text == "<balance>87.50</balance>", "the same nonce and signature are a retry"
    assert send(server, sign(build("ann/account", "GET"))).text == "<balance>87.50</balance>"
    assert send(server, sign(build("ann/account", "GET"), SECRETS["two"])).text == "<balance>100.00</balance>"
    rejected = server.http.put("/envelope/ann/account")
    assert (rejected.status_code, rejected.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (build("zoe/account", id="b1", amount="1"), "player_unknown"),
        (build("ann/account", id="b2", amount="1", currency="EUR"), "currency_mismatch"),
        (build("an%C3%A9/account", id="b3", amount="1"), "player_unknown"),
        (build("ann/account", id="b4", amount="1", session="unknown"), "session_unknown"),
    ],
)
def test_an_unknown_account_is_refused(server: Server, request_: HttpRequest, refusal: str) -> None:
    """An account is one player's in one currency, at the agent that signed."""
    assert send(server, sign_decoded(request_)).text == f"<error>{refusal}</error>"
    assert (read_newest_call(server)["outcome"], read_newest_call(server)["player"]) == (refusal, "")


def sign_decoded(request: HttpRequest) -> HttpRequest:
    """Sign the path as the wallet sees it, and return the request with the path as it is sent."""
    signed = sign(request._replace(path=request.path.replace("%C3%A9", "é")))
    return signed._replace(path=request.path)


def test_a_session_decides_whose_money_moves(server: Server) -> None:
    """A call that names another player or currency than its session is refused, like a session of another agent."""
    server.cli("player", "add", "bob", "--currency", "EUR", "--balance", "10")
    token = server.cli("session", "open", "ann", "--currency", "USD")["token"]
    foreign = server.cli("session", "open", "ann", "--agent", "two")["token"]
    for path, fields, refusal in (
        ("bob/account", {"session": token, "currency": "EUR"}, "player_mismatch"),
        ("bob/account", {"session": token}, "player_mismatch"),
        ("ann/account", {"session": token, "currency": "EUR"}, "currency_mismatch"),
        ("ann/account", {"session": foreign}, "session_unknown"),
    ):
        assert send(server, sign(build(path, id="c1", amount="1", **fields))).text == f"<error>{refusal}</error>"
    reason = "no session of this agent has this token"
    assert read_newest_call(server)["reason"] == reason
    assert send(server, sign(build("ann/account", id="c1", amount="0", session=token))).status_code == 201
    server.cli("session", "revoke", token)
    assert "session_revoked" in send(server, sign(build("ann/account", "GET", session=token))).text


def test_a_blocked_player_cannot_bet_without_a_session(server: Server) -> None:
    """A win is paid."""
    server.cli("player", "add", "eve", "--currency", "USD", "--balance", "5")
    server.cli("player", "block", "eve")
    assert "player_blocked" in send(server, sign(build("eve/account", id="d1", amount="1"))).text
    assert send(server, sign(build("eve/wins", wins="d2:1.00"))).text == "<balance>6.00</balance>"


def test_a_wrong_signature_moves_no_money(server: Server) -> None:
    """The provider gets its own error with its own status. The operator gets a word, a reason, and no secret."""
    server.cli("player", "add", "max", "--currency", "USD", "--balance", "5")
    bet = build("max/account", id="e1", amount="1")
    signed = sign(bet)
    forged = signed._replace(body=signed.body.replace(b"amount=1", b"amount=2"))
    stale, future = sign(bet, age_ms=6_000), sign(bet, age_ms=-6_000)
    reused = sign(bet._replace(body=bet.body + b"&nonce=n1"))
    assert send(server, reused).status_code == 201
    for request, outcome, message, reason in (
        (bet, "signature_missing", "is missing", "no signature"),
        (forged, "signature_invalid", "is wrong", "the signature fits no secret of any agent"),
        (sign(bet, "guessed"), "signature_invalid", "is wrong", "the signature fits no secret of any agent"),
        (stale, "signature_stale", FAR, "6 s ago, and the limit is 5 s; compare the two clocks"),
        (future, "signature_stale", FAR, "s in the future"),
        (sign(bet._replace(body=bet.body + b"&nonce=n1&x=1")), "nonce_reused", "was used before", "the same nonce"),
    ):
        response = send(server, request)
        assert (response.status_code, message in response.text) == (401, True), response.text
        call = read_newest_call(server)
        assert (call["outcome"], call["operation"], call["player"]) == (outcome, "bet", "")
        assert reason in call["reason"]
        assert "sign=…" in call["request"] or request is bet
    assert server.cli("player", "show", "max")["accounts"][0]["cash"] == 400
    assert Scraper(server).scrape()("calls_total", protocol="envelope", operation="bet", outcome="signature_stale") == 2


def test_below_a_callback_key_only_its_agent_can_sign(server: Server) -> None:
    """The secret of another agent is not tried there, and an agent without one is told how to add it."""
    key = server.cli("agent", "callback-key", "add", "two")["callback_key"]
    query = build("ann/account", "GET")
    assert send(server, sign(query, SECRETS["two"]), f"/{key}").status_code == 200
    assert send(server, sign(query), f"/{key}").status_code == 401
    assert read_newest_call(server)["reason"] == "the signature fits no secret of this agent"
    server.cli("agent", "add", "three")
    key = server.cli("agent", "callback-key", "add", "three")["callback_key"]
    assert send(server, sign(query), f"/{key}").status_code == 401
    reason = "this agent has no secret: add one with minwallet agent secret add AGENT envelope"
    assert read_newest_call(server)["reason"] == reason


def test_a_group_is_one_call_with_an_entry_each(server: Server) -> None:
    """The entries have the same request and reply, without the signature. A retry adds none."""
    server.cli("player", "add", "gus", "--currency", "USD")
    wins = sign(build("gus/wins", wins="f1:1.50,f2:2.00"))
    assert [send(server, wins).text for _ in range(2)] == ["<balance>3.50</balance>"] * 2
    first, second = server.cli.read_entries("gus")
    assert [first["id"], second["id"]] == ["f1", "f2"]
    request, reply = wait_for_journal(server.cli, first["seq"])
    assert (request, reply) == wait_for_journal(server.cli, second["seq"])
    assert reply == "<balance>3.50</balance>"
    assert request.startswith("POST /envelope/gus/wins ")
    assert request.endswith("&currency=USD&wins=f1%3A1.50%2Cf2%3A2.00&sign=SIGNATURE")
    calls = server.cli("calls", "--limit", 2)["calls"]
    assert [(call["id"], call["outcome"]) for call in calls] == [("f1", "replayed"), ("f1", "applied")]
    assert calls[0]["request"].endswith("&sign=SIGNATURE")


def test_a_secret_that_is_sent_by_mistake_is_not_shown(server: Server) -> None:
    """Neither in the journal nor in the list of calls, in any spelling, and whether the call is accepted or not.

    A secret is printable ASCII. This holds for each live secret of the agent that signed.
    """
    server.cli("player", "add", "sue", "--currency", "USD", "--balance", "5")
    fresh = server.cli.db.with_name("fresh.secret")
    secrets = [SECRETS["default"], 'with"quote/and\\%41+slash', "31415926535897932384"]
    fingerprints = []
    for secret in secrets[1:]:
        fresh.write_text(secret)
        added = server.cli("agent", "secret", "add", "default", "envelope", "--from-file", fresh)
        fingerprints.append(added["fingerprint"])
    escaped = "".join(f"%{ord(letter):02X}" for letter in secrets[0])
    spellings = [*secrets, json.dumps(secrets[1]), secrets[0].replace("-", "\\u002d")]
    fields = {f"field{number}": each for number, each in enumerate(spellings)}
    path = "sue/account"
    signed = sign(build(path, id="j1", amount="1", escaped="MARK", **fields))
    signed = signed._replace(body=signed.body.replace(b"MARK", escaped.encode()))
    signature = FieldSignature().compute(signed, secrets[0])
    signed = signed._replace(body=signed.body.rpartition(b"&")[0] + b"&" + urlencode({"sign": signature}).encode())
    assert send(server, signed).status_code == 201
    assert send(server, sign(build(path, id="j2", amount="x", **fields))).status_code == 400
    entry = server.cli.read_entries("sue")[-1]
    request, _ = wait_for_journal(server.cli, entry["seq"])
    malformed, accepted = server.cli("calls", "--limit", 2)["calls"]
    for shown in (request, accepted["request"]):
        assert "&escaped=SECRET&field0=SECRET&field1=SECRET&field2=SECRET&field3=%22SECRET%22&field4=SECRET" in shown
        assert shown.endswith("&sign=SIGNATURE")
    assert "&…=…&…=…&…=SECRET&…=…" in malformed["request"], "a number that is a secret"
    everything = request + json.dumps([accepted, malformed]) + server.read_log()
    for each in (*secrets, *spellings, escaped):
        assert each not in everything
        assert quote_plus(each) not in everything
    for fingerprint in fingerprints:
        server.cli("agent", "secret", "revoke", "default", "envelope", fingerprint)


@pytest.mark.parametrize("count", [0, 101])
def test_a_group_of_the_wrong_size_is_malformed(server: Server, count: int) -> None:
    """The provider gets its error for a request that no retry makes better."""
    wins = ",".join(f"g{number}:1" for number in range(count))
    response = send(server, sign(build("ann/wins", wins=wins)))
    assert (response.status_code, response.text) == (
        422,
        f"<error>the call has {count} commands: expected 1 to 100</error>",
    )
    assert read_newest_call(server)["outcome"] == "malformed"


def test_a_long_group_is_in_the_journal_once(server: Server) -> None:
    """A body may have up to 64 KiB if the protocol allows it. The other entries name the first one."""
    server.cli("player", "add", "lea", "--currency", "USD")
    wins = sign(build("lea/wins", wins="h1:1,h2:1", padding="x" * 60_000))
    assert send(server, wins).text == "<balance>2.00</balance>"
    first, second = server.cli.read_entries("lea")
    assert len(wait_for_journal(server.cli, first["seq"])[0]) > 60_000
    assert wait_for_journal(server.cli, second["seq"]) == (f"(the call of entry {first['seq']})", "")
    too_long = sign(build("lea/wins", wins="h3:1", padding="x" * 65_536))
    assert send(server, too_long).status_code == 413


def test_a_long_reply_is_cut_off_in_the_journal(server: Server) -> None:
    """The provider gets all of it, and the journal has its beginning. The same reply with less is stored whole."""
    server.cli("player", "add", "ida", "--currency", "USD", "--balance", "5")
    balance = "<balance>4.00</balance>"
    for number, padding, end in ((1, 200_000, CUT_OFF), (2, MAX_BODY_BYTES - len(balance), "")):
        response = send(
            server, sign(build("ida/account", id=f"k{number}", amount=2 - number, padding_of_reply=padding))
        )
        assert response.text == balance + " " * padding
        entry = server.cli.read_entries("ida")[-1]
        _, reply = wait_for_journal(server.cli, entry["seq"])
        assert reply == response.text[:MAX_BODY_BYTES] + end
        (call,) = server.cli("calls", "--limit", 1)["calls"]
        assert call["reply"] == response.text[:MAX_TEXT_BYTES] + CUT_OFF


def test_a_response_cannot_be_split(server: Server) -> None:
    """A header with a line feed is a bug of the protocol. The call gets 503, and its retry the same; money moved."""
    server.cli("player", "add", "kim", "--currency", "USD", "--balance", "5")
    fine = send(server, sign(build("kim/account", id="i1", amount="1", trace="abc")))
    assert (fine.status_code, fine.headers["x-trace"]) == (201, "abc")
    split = send(server, sign(build("kim/account", id="i2", amount="1", trace="abc\r\nx-evil: 1")))
    assert (split.status_code, "x-evil" in split.headers) == (503, False)
    found = send(server, sign(build("kim/account", id="i2", amount="1")))
    assert (found.status_code, found.text) == (201, "<balance>3.00</balance>")
    assert "the header b'x-trace' has an invalid character" in server.read_log()


def test_no_secret_and_no_signature_is_in_the_log(server: Server) -> None:
    """Neither in the list of calls."""
    request = sign(build("ann/account", "GET"))
    send(server, request)
    shown = json.dumps(server.cli("calls", "--limit", 1000)) + server.read_log()
    for secret in (*SECRETS.values(), request.query.decode().rpartition("sign=")[2]):
        assert secret not in shown


def test_wrong_signatures_count_against_the_address(server: Server) -> None:
    """Beyond the limit they get 429. They displace no other call, and a right signature is never delayed."""
    statuses = [send(server, build("ann/account", "GET")).status_code for _ in range(MAX_BURST + 5)]
    assert statuses[-1] == 429
    assert send(server, sign(build("ann/account", "GET"))).status_code == 200
