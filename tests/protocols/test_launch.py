"""Launch URLs of both protocols: the examples of the specifications, and round trips."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import Launch
from tests.protocols.golden_pairs import BUILT_IN_PROTOCOLS
from tests.support import ROOT

PLACEHOLDER_VALUES = {
    "{GAME_URL}": "games.example.com",
    "{host_id}": "h-1",
    "{access_token}": "abc_1",
    "PLAYER_TOKE\nN": "T",
}

tokens = st.text("abcXYZ019_", min_size=1, max_size=40)
codes = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=20)
bases = st.sampled_from(
    ["https://g.example/play", "http://g.example", "https://g.example/p?x=1", "https://g.example/?"]
)


def load_examples() -> list[Any]:
    found = []
    for name in BUILT_IN_PROTOCOLS:
        document = json.loads((ROOT / "sample_data/wire" / f"{name}.json").read_text("utf-8"))
        found += [pytest.param(name, each, id=f"{name} {each['name']}") for each in document["launch"]]
    return found


@pytest.mark.parametrize(("name", "example"), load_examples())
def test_a_launch_url_equals_the_specifications_example(name: str, example: dict[str, Any]) -> None:
    """The URL is equal to the letter, with a value for each placeholder."""
    text = json.dumps(example)
    for placeholder, meaning in PLACEHOLDER_VALUES.items():
        text = text.replace(placeholder, meaning)
    filled = json.loads(text)
    given = filled["given"]
    agent = given.get("wallet_token", given.get("host_id", ""))
    launch = Launch(given["base"], given.get("game", ""), given["lang"], given.get("token"), agent)
    assert load_protocol(name).build_launch_url(launch) == filled["url"]


def test_a_vela_launch_without_a_token_is_a_guest() -> None:
    """'If host_id and access_token is not provided, it is treated as Guest mode.'"""
    url = load_protocol("vela").build_launch_url(Launch("http://g.example/fish", "fish", "en"))
    assert url == "http://g.example/fish?mode=singleplayer&lang=en&allow_vertical=1"


@given(bases, codes, tokens | st.none(), codes)
def test_wallet_v2_launch_url_round_trip(base: str, game: str, token: str | None, agent: str) -> None:
    """Each parameter has its place and order, whatever its value; parameters of the base URL stay."""
    url = load_protocol("wallet-v2").build_launch_url(Launch(base, game, "en", token, agent))
    said = parse_qsl(urlsplit(url).query)
    real = [("mode", "real_play"), ("gameID", game), ("token", token), ("lang", "en"), ("wallet", agent)]
    assert said[-len(real if token else real[:3]) :] == (
        real if token else [("mode", "demo"), ("gameID", game), ("lang", "en")]
    )
    assert url.isascii()
    assert " " not in url
    read = load_protocol("wallet-v2").parse_launch_url(url)
    assert read == Launch(base.partition("?")[0], game, "en", token, agent if token else "")


@given(codes, tokens | st.none(), codes)
def test_vela_launch_url_round_trip(game: str, token: str | None, agent: str) -> None:
    """The game is in the path, and the player's token is in the query."""
    code = game.translate(dict.fromkeys(map(ord, "/?#"))) or "g"
    url = load_protocol("vela").build_launch_url(Launch(f"https://g.example/{code}", code, "en", token, agent))
    said = [name for name, _ in parse_qsl(urlsplit(url).query)]
    assert said == [*(["host_id", "access_token"] if token else []), "mode", "lang", "allow_vertical"]
    read = load_protocol("vela").parse_launch_url(url)
    assert read == Launch(f"https://g.example/{code}", code, "en", token, agent if token else "")


def test_a_url_without_parameters_is_a_launch_without_a_game() -> None:
    """Such a launch has no token, agent, language or game."""
    for name in BUILT_IN_PROTOCOLS:
        read = load_protocol(name).parse_launch_url("https://g.example/")
        assert (read.token, read.agent, read.lang) == (None, "", "")
        assert read.game == ""
