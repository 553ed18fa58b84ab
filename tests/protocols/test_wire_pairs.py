"""The golden wire pairs, both ways: what this program understands, says, reads and really answers over HTTP."""

import json
from calendar import timegm
from collections.abc import Iterator
from time import strptime
from typing import Any
from urllib.parse import parse_qsl

import pytest

from minwallet.protocols import load_protocol
from minwallet.protocols.wire import Call, Exchange, Malformed
from tests.protocols.pairs import Names, Pair, Stage, fill, load_pairs, raw
from tests.support import Server

PAIRS = {f"{pair.protocol}: {pair.name}": pair for pair in load_pairs()}
GOLDEN_TIME = "21-09-2023 03:23:23"
NAMES = dict.fromkeys(["token", "expired", "revoked", "other", "wallet_token"], "hmeu134_56eEYeGgre")

NOT_KEPT = {"authenticate": {"game_code"}, "refund": {"game_code"}}
"""What vela's requests may carry although it changes nothing: by operation, as the wallet does not look at it."""

every_pair = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


def operation_of(pair: Pair) -> str:
    return load_protocol(pair.protocol).routes.get(pair.request["path"], "")


def now_ms(request: dict[str, Any]) -> int:
    """When the request was made, as far as it says so."""
    body = request.get("body")
    text = body.get("time", GOLDEN_TIME) if isinstance(body, dict) else GOLDEN_TIME
    return timegm(strptime(text, "%d-%m-%Y %H:%M:%S")) * 1000


def fields(request: dict[str, Any] | Exchange) -> dict[str, Any]:
    """What a request says, by name."""
    if isinstance(request, Exchange):
        return dict(parse_qsl(request.query.decode())) if request.query else json.loads(request.body)
    return dict(parse_qsl(request["query"])) if "query" in request else request["body"]


@every_pair
def test_a_golden_request_survives_the_way_back(pair: Pair) -> None:
    """A request is understood, and the request built of that says at least the same and is understood alike."""
    protocol, request = load_protocol(pair.protocol), fill(pair.request, NAMES)
    call = protocol.parse(operation_of(pair), raw(request))
    if isinstance(call, Malformed):
        complaint = json.loads(protocol.complain(call, now_ms({})))
        assert complaint == fill(pair.reply, {"time": GOLDEN_TIME})
        return
    built = protocol.build(call, now_ms(request))
    assert built.method == pair.request["method"]
    again = protocol.parse(protocol.routes[built.path], built.query or built.body)
    assert again == call
    kept = {name: value for name, value in fields(request).items() if name not in NOT_KEPT.get(call.operation, ())}
    assert fields(built) | kept == fields(built)


@every_pair
def test_a_golden_reply_is_read(pair: Pair) -> None:
    """Whoever calls a wallet finds in its reply the code, the words, the money and the player."""
    golden = fill(pair.reply, {"time": GOLDEN_TIME})
    answer = load_protocol(pair.protocol).read(json.dumps(golden).encode())
    assert answer.code == golden.get("status_code", golden.get("err_code", 0))
    assert answer.message == golden.get("message", golden.get("err_desc"))
    assert answer.balance == golden.get("balance", golden.get("credit"))
    assert answer.balance2 == golden.get("balance2")
    assert answer.player_id == golden.get("member_id", golden.get("player_id"))
    assert answer.currency == golden.get("currency")


@pytest.fixture(scope="module")
def stage(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server to replay on; whatever was replayed, its ledger verifies in the end."""
    yield Stage(server, tmp_path_factory.mktemp("seeds"))
    server.cli.assert_clean()


@pytest.fixture(scope="module")
def early(stage: Stage) -> dict[str, Names]:
    """The players of those pairs that speak of an expired session, made first so that they expire together."""
    return {name: stage.cast(pair) for name, pair in PAIRS.items() if "expired" in pair.placeholders}


@pytest.mark.parametrize("name", PAIRS)
def test_a_golden_pair_is_what_a_running_server_does(name: str, stage: Stage, early: dict[str, Names]) -> None:
    """Replayed with a new player, the request gets exactly the golden reply, apart from the time."""
    pair = PAIRS[name]
    names = early.get(name) or stage.cast(pair)
    stage.set_up(pair, names)
    assert stage.ask(fill(pair.request, names)) == pair.reply


def test_a_code_that_is_no_text_in_any_encoding_is_nobodys(server: Server) -> None:
    """JSON can write half a character; there is no session of that name, and nothing breaks."""
    expected = {"result": 0, "err_code": 102, "err_desc": "session not found"}
    assert server.wallet_v2(code="\ud800", type="credit") == expected


def test_every_operation_has_its_pairs() -> None:
    """Nothing that a provider can ask is left without an example."""
    asked = set()
    for pair in PAIRS.values():
        call = load_protocol(pair.protocol).parse(operation_of(pair), raw(fill(pair.request, NAMES)))
        if isinstance(call, Call):
            asked.add((pair.protocol, call.operation))
    wallet_v2 = {("wallet-v2", each) for each in ("credit", "bet", "win", "cancel")}
    vela = {("vela", each) for each in ("authenticate", "bet", "result", "refund", "betwin")}
    assert asked == wallet_v2 | vela
