"""A play that misbehaves in one way, and what the provider tells of it: every call, and what it got to hear."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from minwallet.demo.games import GAMES
from minwallet.protocols.registry import PROTOCOLS, load_protocol
from tests.demo.honest import BONUS, CASH, HonestCaller, providing

TABLES = [(protocol, game.code) for protocol in PROTOCOLS for game in GAMES]

BET = {("wallet-v2", game.code): "bet" for game in GAMES} | {("vela", game.code): "bet" for game in GAMES}
WIN = {("wallet-v2", game.code): "win" for game in GAMES} | {("vela", game.code): "result" for game in GAMES}
BET["vela", "slot"] = WIN["vela", "slot"] = "betwin"


@pytest.fixture
def caller() -> HonestCaller:
    return HonestCaller()


@pytest.fixture
def provider(caller: HonestCaller) -> Iterator[TestClient]:
    """It waits for no call for long."""
    with providing(caller) as client:
        yield client


def play(provider: TestClient, table: tuple[str, str], **fields: object) -> Any:  # noqa: ANN401 the last round's JSON
    protocol, game = table
    wanted = {"protocol": protocol, "game": game, "token": "secrettoken", **fields}
    response = provider.post("/demo/play", json=wanted)
    assert response.status_code == 200, response.text
    return response.json()["played"][-1]


def told(round_: Any) -> list[tuple[str, int, int | None, list[str]]]:  # noqa: ANN401 a round's JSON
    """Of each call what it was, how often it was sent by then, what the provider heard, and what befell it."""
    return [(call["operation"], call["attempt"], call["answer"], call["mischief"]) for call in round_["calls"]]


def moved(provider: TestClient, caller: HonestCaller) -> int:
    """What the player has won or lost by now."""
    assert provider.portal is not None
    return provider.portal.call(caller.has, "secrettoken") - CASH - BONUS


@pytest.mark.parametrize("table", TABLES)
def test_an_honest_round_is_told_in_full(provider: TestClient, caller: HonestCaller, table: tuple[str, str]) -> None:
    """What was played and shown, and each call with the request, without its token, and the wallet's whole reply."""
    round_ = play(provider, table, stake=300)
    assert (round_["ending"], round_["play"]["stake"]) == ("done", 300)
    assert round_["play"]["shown"]
    assert round_["net"] == round_["play"]["payout"] - 300 == moved(provider, caller)
    assert {operation for operation, *_ in told(round_)} == {BET[table], WIN[table]}
    for call in round_["calls"]:
        assert (call["attempt"], call["status"], call["answer"], call["mischief"]) == (1, 200, 0, [])
        assert call["ms"] > 0
        assert "TOKEN" in call["request"]
        assert call["id"] in call["request"]
        assert "secrettoken" not in json.dumps(call)
        assert load_protocol(table[0]).parse_response(call["reply"].encode()).code == 0
    assert round_["id"] == round_["calls"][0]["id"]


@pytest.mark.parametrize("table", TABLES)
def test_a_win_sent_twice(provider: TestClient, caller: HonestCaller, table: tuple[str, str]) -> None:
    """Both times it is a success, and the money moves once."""
    round_ = play(provider, table, misbehave={"win-twice": 1})
    *opening, first, again = told(round_)
    assert opening == ([] if BET[table] == WIN[table] else [(BET[table], 1, 0, [])])
    assert [first, again] == [(WIN[table], 1, 0, ["win-twice"]), (WIN[table], 2, 0, ["win-twice"])]
    assert moved(provider, caller) == round_["net"]


@pytest.mark.parametrize("table", TABLES)
def test_a_cancel_that_overtakes_its_bet(provider: TestClient, caller: HonestCaller, table: tuple[str, str]) -> None:
    """The bet is refused when it comes, and nothing moves."""
    round_ = play(provider, table, misbehave={"cancel-first": 1}, at="opening")
    cancel, bet = told(round_)
    assert (cancel[0], bet[0]) == ("cancel" if table[0] == "wallet-v2" else "refund", BET[table])
    assert bet[2] == (107 if table[0] == "wallet-v2" else 2)
    assert (round_["ending"], round_["net"], moved(provider, caller)) == ("rejected", 0, 0)


@pytest.mark.parametrize("table", TABLES)
def test_a_win_whose_reply_is_lost(provider: TestClient, caller: HonestCaller, table: tuple[str, str]) -> None:
    """It is sent again and taken once. The reply that got lost is told, though the provider did not hear it."""
    round_ = play(provider, table, misbehave={"lost-reply": 1}, at="closing")
    *_, lost, heard = round_["calls"]
    assert told(round_)[-2:] == [(WIN[table], 1, None, ["lost-reply"]), (WIN[table], 2, 0, [])]
    assert load_protocol(table[0]).parse_response(lost["reply"].encode()).code == 0
    assert heard["id"] == lost["id"]
    assert (round_["ending"], moved(provider, caller)) == ("done", round_["net"])


@pytest.mark.parametrize("table", TABLES)
def test_a_bet_whose_reply_is_slow(provider: TestClient, caller: HonestCaller, table: tuple[str, str]) -> None:
    """The provider gives up waiting: it calls a bet off, and asks again where bet and win are one."""
    round_ = play(provider, table, misbehave={"slow-reply": 1}, at="opening")
    slow, following = told(round_)
    assert slow == (BET[table], 1, None, ["slow-reply"])
    if BET[table] == "betwin":
        assert (following, round_["ending"]) == (("betwin", 2, 0, []), "done")
    else:
        undo = "cancel" if table[0] == "wallet-v2" else "refund"
        assert (following, round_["ending"], round_["net"]) == ((undo, 1, 0, []), "cancelled", 0)
    assert moved(provider, caller) == round_["net"]


@pytest.mark.parametrize("table", TABLES)
def test_a_bet_of_more_than_there_is(provider: TestClient, caller: HonestCaller, table: tuple[str, str]) -> None:
    """Is refused with the protocol's own code, and nothing moves."""
    round_ = play(provider, table, stake=CASH + BONUS + 1)
    (call,) = round_["calls"]
    assert (call["operation"], call["answer"]) == (BET[table], 105 if table[0] == "wallet-v2" else 3)
    assert (round_["ending"], moved(provider, caller)) == ("rejected", 0)


@pytest.mark.parametrize("table", TABLES)
def test_a_lucky_round_is_won(provider: TestClient, caller: HonestCaller, table: tuple[str, str]) -> None:
    """More comes back than was staked, so that there is a win to look at."""
    nets = [play(provider, table, misbehave={}, lucky=True)["net"] for _ in range(10)]
    assert min(nets) > 0
    assert moved(provider, caller) == sum(nets)


def test_mischief_of_one_play_is_not_that_of_the_next(provider: TestClient) -> None:
    """It takes the place of what holds for all, for this play alone."""
    provider.put("/demo/mischief", json={"win-twice": 1})
    assert len(play(provider, ("wallet-v2", "fish"), misbehave={})["calls"]) == 2
    assert len(play(provider, ("wallet-v2", "fish"))["calls"]) == 3
    assert provider.get("/demo/mischief").json() == {"win-twice": 1}


def test_a_call_that_was_held_back_says_so(provider: TestClient) -> None:
    """It arrives during the next round, and is told there."""
    play(provider, ("vela", "slot"), misbehave={"reorder": 1}, at="opening")
    late = play(provider, ("vela", "slot"), misbehave={})["calls"][-1]
    assert (late["operation"], late["mischief"]) == ("betwin", ["reorder"])


def test_the_last_rounds_are_told(provider: TestClient) -> None:
    """Of a long play only the end, the oldest first."""
    wanted = {"protocol": "vela", "game": "fish", "token": "secrettoken", "rounds": 20}
    summary = provider.post("/demo/play", json=wanted).json()
    assert (summary["rounds"], len(summary["played"])) == (20, 12)
    ids = [int(each["id"]) for each in summary["played"]]
    assert ids == sorted(ids)
    assert "calls" not in provider.get("/demo/rounds").json()["rounds"][0]


def test_a_guests_round_has_no_calls(provider: TestClient, caller: HonestCaller) -> None:
    """It is played, and no wallet hears of it."""
    round_ = play(provider, ("vela", "zodiac"), token=None, misbehave={"win-twice": 1})
    assert (round_["calls"], caller.asked) == ([], [])


def test_silence_is_told_as_it_was(provider: TestClient, caller: HonestCaller) -> None:
    """No status and no reply where nothing came back; a round that is pending says so."""
    play(provider, ("vela", "zodiac"))
    caller.silent_about = {"result"}
    round_ = play(provider, ("vela", "zodiac"))
    assert round_["ending"] == "pending"
    silent = round_["calls"][-1]
    assert (silent["operation"], silent["status"], silent["reply"], silent["answer"]) == ("result", None, None, None)
