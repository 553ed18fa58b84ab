"""The golden wire pairs in both directions: requests are parsed and built, replies are parsed, and a running server
gives them."""

import json
from calendar import timegm
from collections.abc import Iterator
from time import strptime
from typing import Any
from urllib.parse import parse_qsl

import pytest

from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import Call, HttpRequest, HttpResponse, Malformed
from tests.protocols.golden_pairs import (
    BUILT_IN_PROTOCOLS,
    GoldenPair,
    GoldenPairRunner,
    Placeholders,
    fill_placeholders,
    find_operation,
    load_golden_pairs,
    make_request,
)
from tests.support import Server

PAIRS = {f"{pair.protocol}: {pair.name}": pair for pair in load_golden_pairs()}
GOLDEN_TIME = "21-09-2023 03:23:23"
PLACEHOLDERS = dict.fromkeys(["token", "expired", "revoked", "other", "wallet_token"], "hmeu134_56eEYeGgre")

IGNORED_FIELDS = {"authenticate": {"game_code"}, "refund": {"game_code"}}
"""Fields of vela that the wallet ignores, by operation."""

every_pair = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


def parse(protocol: str, request: HttpRequest) -> Call | Malformed:
    wire_protocol = load_protocol(protocol)
    return wire_protocol.parse(request, find_operation(wire_protocol, request))


def now_ms(request: dict[str, Any]) -> int:
    """Return the time of a request in ms since 1970 UTC, or the golden time if it has none."""
    body = request.get("body")
    text = body.get("time", GOLDEN_TIME) if isinstance(body, dict) else GOLDEN_TIME
    return timegm(strptime(text, "%d-%m-%Y %H:%M:%S")) * 1000


def fields_of(request: dict[str, Any] | HttpRequest) -> dict[str, Any]:
    """Return the fields of a request by name."""
    if isinstance(request, HttpRequest):
        return dict(parse_qsl(request.query.decode())) if request.query else json.loads(request.body)
    return dict(parse_qsl(request["query"])) if "query" in request else request["body"]


@every_pair
def test_a_rebuilt_golden_request_has_the_same_meaning(pair: GoldenPair) -> None:
    """A request that is parsed and built again has at least the same fields, and parses to the same call."""
    protocol, request = load_protocol(pair.protocol), fill_placeholders(pair.request, PLACEHOLDERS)
    call = parse(pair.protocol, make_request(request))
    if isinstance(call, Malformed):
        complaint = json.loads(protocol.render_error(call, now_ms({})).body)
        assert complaint == fill_placeholders(pair.reply, {"time": GOLDEN_TIME})
        return
    built = protocol.build_request(call, now_ms(request))
    assert built.method == pair.request["method"]
    assert parse(pair.protocol, built) == call
    kept = {
        name: value for name, value in fields_of(request).items() if name not in IGNORED_FIELDS.get(call.operation, ())
    }
    assert fields_of(built) | kept == fields_of(built)


@every_pair
def test_a_golden_reply_is_parsed(pair: GoldenPair) -> None:
    """A caller of a wallet finds code, message, balances, player and currency in the reply."""
    golden = fill_placeholders(pair.reply, {"time": GOLDEN_TIME})
    answer = load_protocol(pair.protocol).parse_response(HttpResponse(json.dumps(golden).encode()))
    assert answer.code == golden.get("status_code", golden.get("err_code", 0))
    assert answer.message == golden.get("message", golden.get("err_desc"))
    assert answer.balance == golden.get("balance", golden.get("credit"))
    assert answer.balance2 == golden.get("balance2")
    assert answer.player_id == golden.get("member_id", golden.get("player_id"))
    assert answer.currency == golden.get("currency")


@pytest.fixture(scope="module")
def pair_runner(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoldenPairRunner]:
    """Yield a server to replay the pairs on. At the end, verify its ledger."""
    yield GoldenPairRunner(server, tmp_path_factory.mktemp("seeds"))
    server.cli.assert_ledger_valid()


@pytest.fixture(scope="module")
def expiring_actors(pair_runner: GoldenPairRunner) -> dict[str, Placeholders]:
    """Return the placeholders of the pairs with an expired session. They are created first, so that all sessions
    expire together."""
    return {name: pair_runner.create_actors(pair) for name, pair in PAIRS.items() if "expired" in pair.placeholders}


@pytest.mark.parametrize("name", PAIRS)
def test_a_running_server_gives_the_golden_reply(
    name: str, pair_runner: GoldenPairRunner, expiring_actors: dict[str, Placeholders]
) -> None:
    """The request of a new player gets exactly the golden reply, apart from the time."""
    pair = PAIRS[name]
    names = expiring_actors.get(name) or pair_runner.create_actors(pair)
    pair_runner.run_setup(pair, names)
    assert pair_runner.send_request(fill_placeholders(pair.request, names)) == pair.reply


def test_a_session_code_with_a_lone_surrogate_is_unknown(server: Server) -> None:
    """JSON can contain half of a surrogate pair; such a code gets the reply of an unknown session."""
    expected = {"result": 0, "err_code": 102, "err_desc": "session not found"}
    assert server.wallet_v2(code="\ud800", type="credit") == expected


def test_every_operation_has_a_golden_pair() -> None:
    """Each operation of each protocol has at least one golden request."""
    asked = set()
    for pair in PAIRS.values():
        call = parse(pair.protocol, make_request(fill_placeholders(pair.request, PLACEHOLDERS)))
        if isinstance(call, Call):
            asked.add((pair.protocol, call.operation))
    assert asked == {(each, name) for each in BUILT_IN_PROTOCOLS for name in load_protocol(each).operations}
