"""The demo page's report of a round: it is built from what happened, and contains nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from minwallet.ledger.entries import Entry
from minwallet.storage.queries import Filter
from minwallet.web.demo import game_view
from minwallet.web.demo.provider_client import PlayFailed, PlayRequest, RoundResponse, play_round
from minwallet.web.demo.scenarios import FAULT_SCENARIOS, ScenarioReport, build_scenario_report, has_occurred
from tests.demo.in_process_client import BONUS, CASH, PROTOCOLS, InProcessClient, run_provider_app
from tests.support import Server

BUG_MESSAGE = "Please report this as a bug"


@pytest.fixture
def caller() -> InProcessClient:
    return InProcessClient()


@pytest.fixture
def provider(caller: InProcessClient) -> Iterator[TestClient]:
    """Return a provider with a short timeout."""
    with run_provider_app(caller) as client:
        yield client


def play_demo_round(
    provider: TestClient,
    protocol: str = "wallet-v2",
    game: str = "slot",
    **fields: Any,  # noqa: ANN401 what the provider takes
) -> RoundResponse:
    wanted = {"protocol": protocol, "game": game, "token": "t", "faults": {}, **fields}
    return RoundResponse.model_validate(provider.post("/demo/play", json=wanted).json()["played"][-1])


def play_scenario(provider: TestClient, name: str, protocol: str = "wallet-v2", *, stake: int = 100) -> RoundResponse:
    """Play a round as one of the page's buttons does."""
    chosen = FAULT_SCENARIOS[name]
    plan: dict[str, Any] = {
        "faults": dict(chosen.faults),
        "at": chosen.target or "opening",
        "lucky": chosen.requires_win,
    }
    return play_demo_round(provider, protocol, stake=stake, **plan)


def read_entries(provider: TestClient, caller: InProcessClient) -> list[Entry]:
    """Return the player's entries, oldest first, without the opening entry."""
    assert provider.portal is not None
    page = provider.portal.call(caller.store.ledger.read_page, Filter(player_id="player.t"), None, 1000)
    return [row.entry for row in reversed(page.rows)][1:]


def summarize_steps(story: ScenarioReport) -> list[tuple[str, bool, int]]:
    return [(step.call.operation, step.is_new, step.change_cents) for step in story.steps]


def test_a_round_is_reported_call_by_call(provider: TestClient, caller: InProcessClient) -> None:
    """Each call has its entry and the amount moved, and the balance is explained."""
    round_ = play_demo_round(provider, stake=500, lucky=True)
    entries = read_entries(provider, caller)
    story = build_scenario_report(round_, entries, CASH + BONUS)
    assert summarize_steps(story) == [("bet", True, -500), ("win", True, round_.play.payout)]
    assert [step.seq for step in story.steps] == [entry.seq for entry in entries]
    assert (story.is_consistent, story.balance_after) == (True, CASH + BONUS + round_.net)
    assert story.summary == "2 calls, 2 new entries, 2 movements of money."
    assert story.has_movement


def test_other_rounds_are_counted_but_not_reported(provider: TestClient, caller: InProcessClient) -> None:
    """Two people may play as the same player at the same time."""
    play_demo_round(provider, "vela")
    round_ = play_demo_round(provider)
    story = build_scenario_report(round_, read_entries(provider, caller), CASH + BONUS)
    assert [step.call.operation for step in story.steps] == ["bet", "win"]
    assert len(story.entries) == 3
    assert story.is_consistent


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_repeated_call_is_reported_as_a_replay(provider: TestClient, caller: InProcessClient, protocol: str) -> None:
    """The report names the entry from which the call was answered, and no amount."""
    for name in ("win-twice", "lost-reply"):
        before = len(read_entries(provider, caller))
        round_ = play_scenario(provider, name, protocol)
        story = build_scenario_report(round_, read_entries(provider, caller)[before:], 0)
        *_, first, again = story.steps
        assert (again.seq, again.is_new, again.change_cents) == (first.seq, False, 0)
        assert again.description == "Retry of a known id: the wallet repeated its reply. No money moved."
        assert ("was lost" in first.provider_view) == (name == "lost-reply")
        assert has_occurred(name, story)


def test_a_slow_reply_is_reported_with_the_wallets_time(provider: TestClient, caller: InProcessClient) -> None:
    """The wallet answered quickly, but the provider did not wait."""
    story = build_scenario_report(play_scenario(provider, "slow-reply"), read_entries(provider, caller), CASH + BONUS)
    bet, cancel = story.steps
    assert "replied after 1 ms" in bet.provider_view
    assert "gave up" in bet.provider_view
    assert (bet.description, cancel.description) == ("Took 1.00.", "Paid 1.00 back.")
    assert story.is_consistent


def test_a_closed_id_and_a_refusal_are_reported_with_protocol_codes(
    provider: TestClient, caller: InProcessClient
) -> None:
    """The code is the one of the wallet's answer."""
    story = build_scenario_report(
        play_scenario(provider, "cancel-first", "vela"), read_entries(provider, caller), CASH + BONUS
    )
    assert [step.description for step in story.steps] == [
        "Unknown bet: no money moved, and the id is closed permanently. The reply is Invalid Transaction ID (2).",
        "Refused: Invalid Transaction ID (2). No money moved, and no entry was made.",
    ]
    assert (story.is_consistent, story.has_movement) == (True, False)
    assert story.summary == "2 calls, 1 new entry, 0 movements of money."
    refused = build_scenario_report(
        play_scenario(provider, "too-little", stake=CASH * 2), read_entries(provider, caller)[1:], CASH + BONUS
    )
    assert (
        refused.steps[0].description == "Refused: insufficient funds (105). No money moved, and the refusal is stored."
    )
    assert has_occurred("too-little", refused)


def test_a_scenario_that_did_not_occur_is_reported(provider: TestClient, caller: InProcessClient) -> None:
    """If the bet is refused, there is no win whose reply can be lost, and the page says so."""
    round_ = play_scenario(provider, "lost-reply", stake=CASH * 2)
    story = build_scenario_report(round_, read_entries(provider, caller), CASH + BONUS)
    assert not has_occurred("lost-reply", story)
    assert not has_occurred(
        "too-little", build_scenario_report(play_demo_round(provider), read_entries(provider, caller)[1:], CASH + BONUS)
    )
    assert all(each.not_occurred_text for each in FAULT_SCENARIOS.values())


def test_a_missing_reply_is_reported(provider: TestClient, caller: InProcessClient) -> None:
    """The report says nothing about the effect of a call without an answer."""
    play_demo_round(provider)
    before = len(read_entries(provider, caller))
    caller.unanswered_operations = {"win"}
    round_ = play_demo_round(provider)
    story = build_scenario_report(round_, read_entries(provider, caller)[before:], 0)
    assert {step.description for step in story.steps[1:]} == {"No reply."}
    assert round_.ending == "pending"


def test_a_late_answer_is_reported(provider: TestClient, caller: InProcessClient) -> None:
    """A call that was held back arrives late, after the wallet has answered its copy."""
    said: list[str] = []
    for _ in range(10):  # it is random whether the call or a copy of it is held back
        play_demo_round(provider, faults={"reorder": 1}, at="closing")
        before = len(read_entries(provider, caller))
        late = build_scenario_report(play_demo_round(provider), read_entries(provider, caller)[before:], 0)
        said += [step.description for step in late.steps]
    assert "Same reply as before. No money moved, and no entry was made." in said


@pytest.mark.parametrize("flaw", ["an amount", "a balance", "twice", "the book"])
def test_inconsistent_rounds_are_reported_as_bugs(provider: TestClient, caller: InProcessClient, flaw: str) -> None:
    """Examples are amounts that do not explain the balance, two entries for one id, and a different net change at
    the provider."""
    round_, entries = play_scenario(provider, "win-twice"), read_entries(provider, caller)
    match flaw:
        case "an amount":
            entries[0] = entries[0]._replace(amount=-99)
        case "a balance":
            entries[-1] = entries[-1]._replace(cash_after=0)
        case "twice":
            win = entries[-1]
            entries.append(win._replace(seq=win.seq + 1, cash_after=win.cash_after + win.amount))
        case _:
            round_ = round_.model_copy(update={"net": round_.net + 1})
    story = build_scenario_report(round_, entries, CASH + BONUS)
    assert not story.is_consistent
    assert BUG_MESSAGE in story.summary


def test_the_game_view_shows_the_round(provider: TestClient) -> None:
    """It shows reels, fish and signs, and describes them in words."""
    slot = play_demo_round(provider, "vela", "slot", lucky=True)
    reels = game_view.build_reels(slot.play)
    assert [game_view.SYMBOL_NAMES[each] for each in slot.play.shown] == [reel.symbols[0] for reel in reels]
    assert all(reel.is_winning for reel in reels)
    assert {len(reel.symbols) for reel in reels} == {game_view.REEL_LENGTH}
    fish = play_demo_round(provider, "vela", "fish", lucky=True)
    bought, shot = game_view.count_bullets(fish.play)
    assert (bought, f"{shot} of {bought} shots, caught" in game_view.describe_outcome(fish)) == (20, True)
    assert game_view.list_catches(fish.play) == [name for name in fish.play.shown if name in game_view.FISH_VALUES]
    zodiac = play_demo_round(provider, "vela", "zodiac", choice="z3", lucky=True)
    (drawn,) = [sign for sign in game_view.build_signs(zodiac.play) if sign.is_drawn]
    assert (drawn.number, drawn.name) == (3, "Tiger")
    assert game_view.describe_outcome(zodiac).startswith(
        "Tiger was drawn; you bet on Tiger. Staked 1.00 USD, paid out 11.40"
    )
    assert len({(sign.row, sign.column) for sign in game_view.build_signs(None)}) == 12


def test_two_hearts_pay_and_the_third_reel_does_not() -> None:
    """Only the reels that pay are highlighted."""
    play = {"stake": 100, "payout": 100, "shown": ("♥", "7", "♥"), "choice": "", "used": None}
    told = RoundResponse.model_validate(
        {"id": "1", "protocol": "vela", "game": "slot", "player_id": "a", "currency": "USD", "play": play}
        | {"ending": "done", "net": 0, "calls": ()}
    )
    assert [reel.is_winning for reel in game_view.build_reels(told.play)] == [True, False, True]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("url", "words"), [("http://127.0.0.1:9", "does not answer"), ("SERVER", "the provider's reply cannot be parsed")]
)
async def test_a_provider_that_cannot_play_says_why(url: str, words: str, server: Server) -> None:
    """The page shows the reason."""
    wanted = PlayRequest("vela", "slot", "t", "", "", 100, "", {}, None, lucky=False)
    with pytest.raises(PlayFailed, match=words):
        await play_round(server.url if url == "SERVER" else url, wanted)
