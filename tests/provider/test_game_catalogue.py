"""The game list in memory."""

import asyncio
import json

from minwallet.protocols.operator_service import Game
from minwallet.provider.game_catalogue import read_game_catalogue
from minwallet.storage.models import GameList
from tests.storage.reference_engine.memory_store import MemoryStore


def render(*codes: str) -> str:
    return json.dumps([Game(code, {"en": code}, "https://g.example")._asdict() for code in codes])


def test_a_game_list_is_parsed_once() -> None:
    """A list that is saved later replaces it, also one of the same time."""

    async def check() -> None:
        store = MemoryStore()
        await store.reports.save_games(1, GameList(5, render("a", "b")))
        first = await read_game_catalogue(store, "default")
        assert [game.code for game in first.games] == ["a", "b"]
        assert (await read_game_catalogue(store, "default")).games is first.games
        await store.reports.save_games(1, GameList(5, render("c")))
        assert [game.code for game in (await read_game_catalogue(store, "default")).games] == ["c"]

    asyncio.run(check())
