"""Many concurrent calls over real HTTP, from one client with many connections."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support import Server

pytestmark = pytest.mark.anyio

Call = dict[str, object]


async def send_concurrently(server: Server, calls: Sequence[Call]) -> list[dict[str, Any]]:
    """Send wallet-v2 calls concurrently, and return their answers."""
    limits = httpx2.Limits(max_connections=64)
    async with httpx2.AsyncClient(base_url=server.url, limits=limits, timeout=60, trust_env=False) as client:
        responses = await asyncio.gather(*(client.post("/wallet", json=call) for call in calls))
    return [response.json() for response in responses]


async def test_fifty_concurrent_copies_of_a_bet_are_one_debit(server: Server) -> None:
    """Fifty copies of one bet get fifty equal answers, and take the money once."""
    player = server.cli.add_player()
    bet: Call = {"code": server.cli.open_session(player), "type": "bet", "bet": 700, "id": 8_000_001, "game": 1}
    answers = await send_concurrently(server, [bet] * 50)
    assert {(answer["result"], answer["credit"]) for answer in answers} == {(1, 9_300)}
    assert server.cli.read_balances(player) == (9_300, 0)
    server.cli.assert_ledger_valid()


async def test_sixty_four_players_bet_concurrently(server: Server, tmp_path: Path) -> None:
    """Each player is debited exactly their own stakes."""
    numbers = range(64)
    csv = tmp_path / "players.csv"
    csv.write_text("player_id,currency,balance,token\n" + "".join(f"crowd{n},USD,100,crowd_{n}\n" for n in numbers))
    server.cli("seed", csv)
    calls: list[Call] = [
        {"code": f"crowd_{n}", "type": "bet", "bet": 10 + n, "id": 8_100_000 + 64 * turn + n, "game": 1}
        for turn in range(5)
        for n in numbers
    ]
    assert {answer["result"] for answer in await send_concurrently(server, calls)} == {1}
    cash = {each["player_id"]: each["accounts"][0]["cash"] for each in server.cli("player", "list")["players"]}
    assert [cash[f"crowd{n}"] for n in numbers] == [10_000 - 5 * (10 + n) for n in numbers]
    server.cli.assert_ledger_valid()


async def test_two_hundred_concurrent_bets_of_one_player_are_serialized(server: Server) -> None:
    """Each answer is the balance after one of the bets, and they add up."""
    player = server.cli.add_player()
    token = server.cli.open_session(player)
    calls: list[Call] = [
        {"code": token, "type": "bet", "bet": 7, "id": 8_200_000 + number, "game": 1} for number in range(200)
    ]
    answers = await send_concurrently(server, calls)
    assert sorted(answer["credit"] for answer in answers) == [10_000 - 7 * n for n in range(200, 0, -1)]
    entries = server.cli.read_entries(player)
    assert [entry["cash_after"] for entry in entries] == [10_000 - 7 * n for n in range(201)]
    answered = {call["id"]: answer["credit"] for call, answer in zip(calls, answers, strict=True)}
    assert {int(entry["id"]): entry["cash_after"] for entry in entries[1:]} == answered


async def test_a_concurrent_bet_and_cancel_leave_the_balance(server: Server) -> None:
    """In either order, the player has lost nothing, and the id is closed."""
    player = server.cli.add_player()
    token = server.cli.open_session(player)
    calls: list[Call] = []
    for id_ in range(8_300_000, 8_300_040):
        calls += [
            {"code": token, "type": "bet", "bet": 100, "id": id_, "game": 1},
            {"code": token, "type": "cancel", "id": id_},
        ]
    calls = calls[::2] + calls[1::2][::-1]
    answers = await send_concurrently(server, calls)
    assert all(answer["result"] == 1 or answer["err_code"] == 107 for answer in answers)
    assert server.cli.read_balances(player) == (10_000, 0)
    assert {answer["err_code"] for answer in await send_concurrently(server, calls[:40])} == {107}


async def test_a_concurrent_id_belongs_to_one_player(server: Server) -> None:
    """An id belongs to the player who used it first in its currency; the other one is refused."""
    first, second = server.cli.add_player(), server.cli.add_player()
    tokens = [server.cli.open_session(first), server.cli.open_session(second)]
    for id_ in range(8_400_000, 8_400_010):
        calls: list[Call] = [{"code": token, "type": "bet", "bet": 100, "id": id_, "game": 1} for token in tokens]
        answers = await send_concurrently(server, calls)
        codes = sorted(answer.get("err_code", 0) for answer in answers)
        assert codes == [0, 106]
    (cash, _), (other_cash, _) = server.cli.read_balances(first), server.cli.read_balances(second)
    assert cash + other_cash == 20_000 - 1_000
