"""Plays with one fault, and the provider's report of each call and its answer."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from minwallet.demo.game_rules import GAMES
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import HttpResponse
from tests.demo.in_process_client import BONUS, CASH, PROTOCOLS, InProcessClient, run_provider_app

PROTOCOL_GAMES = [(protocol, game.code) for protocol in PROTOCOLS for game in GAMES]

BET_OPERATION = {("wallet-v2", game.code): "bet" for game in GAMES} | {("vela", game.code): "bet" for game in GAMES}
WIN_OPERATION = {("wallet-v2", game.code): "win" for game in GAMES} | {("vela", game.code): "result" for game in GAMES}
BET_OPERATION["vela", "slot"] = WIN_OPERATION["vela", "slot"] = "betwin"


@pytest.fixture
def caller() -> InProcessClient:
    return InProcessClient()


@pytest.fixture
def provider(caller: InProcessClient) -> Iterator[TestClient]:
    """Return a provider with a short timeout."""
    with run_provider_app(caller) as client:
        yield client


def play_round(provider: TestClient, table: tuple[str, str], **fields: object) -> Any:  # noqa: ANN401 the last round's JSON
    protocol, game = table
    wanted = {"protocol": protocol, "game": game, "token": "secrettoken", **fields}
    response = provider.post("/demo/play", json=wanted)
    assert response.status_code == 200, response.text
    return response.json()["played"][-1]


def summarize_calls(round_: Any) -> list[tuple[str, int, int | None, list[str]]]:  # noqa: ANN401 a round's JSON
    """Return for each call its operation, its attempt, the answer's code, and its faults."""
    return [(call["operation"], call["attempt"], call["answer"], call["faults"]) for call in round_["calls"]]


def read_balance_change(provider: TestClient, caller: InProcessClient) -> int:
    """Return the change of the player's balance since the start, in cents."""
    assert provider.portal is not None
    return provider.portal.call(caller.read_balance, "secrettoken") - CASH - BONUS


@pytest.mark.parametrize("table", PROTOCOL_GAMES)
def test_a_round_without_faults_lists_every_call(
    provider: TestClient, caller: InProcessClient, table: tuple[str, str]
) -> None:
    """The round has its game and, for each call, the request without its token and the wallet's complete reply."""
    round_ = play_round(provider, table, stake=300)
    assert (round_["ending"], round_["play"]["stake"]) == ("done", 300)
    assert round_["play"]["shown"]
    assert round_["net"] == round_["play"]["payout"] - 300 == read_balance_change(provider, caller)
    assert {operation for operation, *_ in summarize_calls(round_)} == {BET_OPERATION[table], WIN_OPERATION[table]}
    for call in round_["calls"]:
        assert (call["attempt"], call["status"], call["answer"], call["faults"]) == (1, 200, 0, [])
        assert call["ms"] > 0
        assert "TOKEN" in call["request"]
        assert call["id"] in call["request"]
        assert "secrettoken" not in json.dumps(call)
        assert load_protocol(table[0]).parse_response(HttpResponse(call["reply"].encode())).code == 0
    assert round_["id"] == round_["calls"][0]["id"]


@pytest.mark.parametrize("table", PROTOCOL_GAMES)
def test_win_twice_pays_once(provider: TestClient, caller: InProcessClient, table: tuple[str, str]) -> None:
    """Both calls succeed, and the money moves once."""
    round_ = play_round(provider, table, faults={"win-twice": 1})
    *opening, first, again = summarize_calls(round_)
    assert opening == ([] if BET_OPERATION[table] == WIN_OPERATION[table] else [(BET_OPERATION[table], 1, 0, [])])
    assert [first, again] == [(WIN_OPERATION[table], 1, 0, ["win-twice"]), (WIN_OPERATION[table], 2, 0, ["win-twice"])]
    assert read_balance_change(provider, caller) == round_["net"]


@pytest.mark.parametrize("table", PROTOCOL_GAMES)
def test_cancel_first_refuses_the_bet(provider: TestClient, caller: InProcessClient, table: tuple[str, str]) -> None:
    """The bet is refused when it arrives, and no money moves."""
    round_ = play_round(provider, table, faults={"cancel-first": 1}, at="opening")
    cancel, bet = summarize_calls(round_)
    assert (cancel[0], bet[0]) == ("cancel" if table[0] == "wallet-v2" else "refund", BET_OPERATION[table])
    assert bet[2] == (107 if table[0] == "wallet-v2" else 2)
    assert (round_["ending"], round_["net"], read_balance_change(provider, caller)) == ("rejected", 0, 0)


@pytest.mark.parametrize("table", PROTOCOL_GAMES)
def test_a_win_with_a_lost_reply_is_retried_and_paid_once(
    provider: TestClient, caller: InProcessClient, table: tuple[str, str]
) -> None:
    """The win is sent again and applied once. The lost reply is in the report, although the provider did not receive
    it."""
    round_ = play_round(provider, table, faults={"lost-reply": 1}, at="closing")
    *_, lost, heard = round_["calls"]
    assert summarize_calls(round_)[-2:] == [
        (WIN_OPERATION[table], 1, None, ["lost-reply"]),
        (WIN_OPERATION[table], 2, 0, []),
    ]
    assert load_protocol(table[0]).parse_response(HttpResponse(lost["reply"].encode())).code == 0
    assert heard["id"] == lost["id"]
    assert (round_["ending"], read_balance_change(provider, caller)) == ("done", round_["net"])


@pytest.mark.parametrize("table", PROTOCOL_GAMES)
def test_a_bet_with_a_slow_reply_is_cancelled_or_retried(
    provider: TestClient, caller: InProcessClient, table: tuple[str, str]
) -> None:
    """After its timeout the provider cancels a bet, and retries a betwin."""
    round_ = play_round(provider, table, faults={"slow-reply": 1}, at="opening")
    slow, following = summarize_calls(round_)
    assert slow == (BET_OPERATION[table], 1, None, ["slow-reply"])
    if BET_OPERATION[table] == "betwin":
        assert (following, round_["ending"]) == (("betwin", 2, 0, []), "done")
    else:
        undo = "cancel" if table[0] == "wallet-v2" else "refund"
        assert (following, round_["ending"], round_["net"]) == ((undo, 1, 0, []), "cancelled", 0)
    assert read_balance_change(provider, caller) == round_["net"]


@pytest.mark.parametrize("table", PROTOCOL_GAMES)
def test_a_bet_above_the_balance_is_refused(
    provider: TestClient, caller: InProcessClient, table: tuple[str, str]
) -> None:
    """The bet gets the protocol's code, and no money moves."""
    round_ = play_round(provider, table, stake=CASH + BONUS + 1)
    (call,) = round_["calls"]
    assert (call["operation"], call["answer"]) == (BET_OPERATION[table], 105 if table[0] == "wallet-v2" else 3)
    assert (round_["ending"], read_balance_change(provider, caller)) == ("rejected", 0)


@pytest.mark.parametrize("table", PROTOCOL_GAMES)
def test_lucky_forces_a_win(provider: TestClient, caller: InProcessClient, table: tuple[str, str]) -> None:
    """The payout is above the stake."""
    nets = [play_round(provider, table, faults={}, lucky=True)["net"] for _ in range(10)]
    assert min(nets) > 0
    assert read_balance_change(provider, caller) == sum(nets)


def test_faults_of_one_play_do_not_affect_the_next(provider: TestClient) -> None:
    """The faults of a play replace the general rates for this play only."""
    provider.put("/demo/faults", json={"win-twice": 1})
    assert len(play_round(provider, ("wallet-v2", "fish"), faults={})["calls"]) == 2
    assert len(play_round(provider, ("wallet-v2", "fish"))["calls"]) == 3
    assert provider.get("/demo/faults").json() == {"win-twice": 1}


def test_a_held_back_call_is_marked_as_reordered(provider: TestClient) -> None:
    """The call arrives during the next round, and is listed there."""
    play_round(provider, ("vela", "slot"), faults={"reorder": 1}, at="opening")
    late = play_round(provider, ("vela", "slot"), faults={})["calls"][-1]
    assert (late["operation"], late["faults"]) == ("betwin", ["reorder"])


def test_only_the_last_rounds_have_details(provider: TestClient) -> None:
    """A long play lists its last rounds only, oldest first."""
    wanted = {"protocol": "vela", "game": "fish", "token": "secrettoken", "rounds": 20}
    summary = provider.post("/demo/play", json=wanted).json()
    assert (summary["rounds"], len(summary["played"])) == (20, 12)
    ids = [int(each["id"]) for each in summary["played"]]
    assert ids == sorted(ids)
    assert "calls" not in provider.get("/demo/rounds").json()["rounds"][0]


def test_a_guests_round_has_no_calls(provider: TestClient, caller: InProcessClient) -> None:
    """The round is played without a call to the wallet."""
    round_ = play_round(provider, ("vela", "zodiac"), token=None, faults={"win-twice": 1})
    assert (round_["calls"], caller.sent_calls) == ([], [])


def test_an_unanswered_call_has_no_status_and_no_reply(provider: TestClient, caller: InProcessClient) -> None:
    """Status, reply and answer are None, and the round is pending."""
    play_round(provider, ("vela", "zodiac"))
    caller.unanswered_operations = {"result"}
    round_ = play_round(provider, ("vela", "zodiac"))
    assert round_["ending"] == "pending"
    silent = round_["calls"][-1]
    assert (silent["operation"], silent["status"], silent["reply"], silent["answer"]) == ("result", None, None, None)
