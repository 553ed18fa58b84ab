"""Bugs in a protocol or in the decision: each costs its own call only, over real HTTP."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TextIO

import httpx2
import pytest

from minwallet.web.gateway.journal import UNRECORDED
from tests import support
from tests.protocol_package import installed
from tests.support import Server, running_server
from tests.web.backoffice.admin_client import AdminClient
from tests.web.gateway.broken_server import BUGS, write_packages
from tests.web.scraper import Scraper

pytestmark = pytest.mark.anyio

PLAYERS, TURNS, REPEATS = 40, 12, 3


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Return a folder with the packages of the protocols `chatty` and `bare`."""
    return write_packages(tmp_path / "packages")


@pytest.fixture
def broken_server(db: Path, packages: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Yield a server with the bugs, a player for each of them, and 40 other players, each with 100.00."""

    def start_broken(
        arguments: Sequence[object], *, stderr: TextIO, env: Mapping[str, str], wrapper: Sequence[str]
    ) -> subprocess.Popen[str]:
        command = [*wrapper, sys.executable, "-m", "tests.web.gateway.broken_server", *map(str, arguments)]
        environment = {**env, "PYTHONPATH": str(packages)}
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr, env=environment, text=True)

    monkeypatch.setattr(support, "start_minwallet", start_broken)
    with running_server(db) as server:
        names = [f"good_{number}" for number in range(PLAYERS)] + list(BUGS)
        seeds = db.with_name("seeds.csv")
        seeds.write_text(
            "player_id,currency,balance,token\n" + "".join(f"{name},USD,100,token_{name}\n" for name in names)
        )
        server.cli("seed", seeds)
        yield server


async def send(server: Server, calls: Sequence[dict[str, object]]) -> list[httpx2.Response]:
    limits = httpx2.Limits(max_connections=100)
    async with httpx2.AsyncClient(base_url=server.url, limits=limits, timeout=60, trust_env=False) as client:
        return await asyncio.gather(*(client.post("/wallet", json=call) for call in calls))


def build_bet(player: str, id_: int, game: str = "1") -> dict[str, Any]:
    return {"code": f"token_{player}", "type": "bet", "bet": 100, "id": id_, "game": game}


async def test_a_bug_costs_its_own_call_only(broken_server: Server) -> None:
    """Hundreds of bets of other players succeed beside calls that meet bugs. Each bug is logged with a traceback."""
    server = broken_server
    good = [build_bet(f"good_{n}", 1000 * turn + n) for turn in range(TURNS) for n in range(PLAYERS)]
    bad = [build_bet(game, 1_000_000 + n, game) for n, game in enumerate(BUGS)]
    # The calls that meet bugs are spread over the others, so that many batches have one.
    calls = list(good)
    for position, call in enumerate(bad * REPEATS):
        calls.insert(position * len(calls) // (len(bad) * REPEATS), call)
    responses = await send(server, calls)
    for call, response in zip(calls, responses, strict=True):
        bug = BUGS.get(str(call["game"]))
        if bug is None or bug.is_answered:
            assert (response.status_code, response.json()["result"]) == (200, 1), (call, response.text)
        else:
            assert (response.status_code, response.json()["err_code"]) == (503, 500), (call, response.text)
    cash = {each["player_id"]: each["accounts"][0]["cash"] for each in server.cli("player", "list")["players"]}
    assert cash == {f"good_{n}": 10_000 - TURNS * 100 for n in range(PLAYERS)} | {
        game: 10_000 - 100 * bug.moves_money for game, bug in BUGS.items()
    }
    assert server.http.get("/readyz").status_code == 200
    documents = [json.loads(line) for line in server.read_log().splitlines() if line.startswith("{")]
    tracebacks = [document["traceback"] for document in documents if "traceback" in document]
    for name in (
        "KeyError: 'no such field'",
        "StopIteration",
        "RecursionError",
        "UnicodeDecodeError",
        "CancelledError",
        "SystemExit",
        "KeyboardInterrupt",
        "the header b'a' has an invalid character",
        "the status 204 cannot be",
    ):
        assert any(name in traceback for traceback in tracebacks), name
    assert len(tracebacks) == len(set(tracebacks)), "a traceback is repeated"
    server.cli.assert_ledger_valid()


async def test_a_text_chosen_by_a_caller_is_no_label_and_no_part_of_a_log_line(broken_server: Server) -> None:
    """A protocol with the operation in the body and with text ids: each call is one line of valid JSON, and unknown
    operations are one label."""
    server = broken_server
    evil = 'x","player":"admin"}\u2028{"at":"'
    calls: list[dict[str, object]] = [{"op": f"made_up_{n}"} for n in range(50)]
    calls += [{"op": f"{evil}\n"}, {"op": "bet", "id": evil, "token": "token_good_0"}]
    for call in calls:
        assert server.http.post("/chatty", json=call).status_code == 200
    lines = [line for line in server.read_log().splitlines() if '"protocol":"chatty"' in line]
    documents = [json.loads(line) for line in lines]
    assert [document["operation"] for document in documents] == ["unknown"] * 51 + ["bet"]
    assert (documents[-1]["id"], documents[-1]["player"], documents[-1]["outcome"]) == (evil, "good_0", "applied")
    metrics = Scraper(server).scrape()
    assert metrics("calls_total", protocol="chatty", operation="unknown", outcome="malformed") == 51
    assert "made_up" not in metrics.text


def test_a_protocol_that_no_caller_can_use_is_told_in_a_sentence(broken_server: Server, packages: Path) -> None:
    """Commands name the protocol and the fault. The pages show the rest, and the log has the fault. An id may be any
    text, and stays on its line of every output."""
    server, cli, evil = broken_server, broken_server.cli, 'a "b"\u2028c=d'
    server.http.post("/bare/bet", json={"op": "bet", "id": evil, "token": "token_good_0"})
    cli("agent", "set", "default", "--game-url", "https://games.example")
    with installed(packages):
        (*_, entry) = cli.read_entries("good_0")
        cannot = "minwallet: protocol 'bare' cannot"
        for command, error in (
            (
                "trigger bet --player good_0 --protocol bare",
                f"{cannot} build the call 'bet': its package does not implement this",
            ),
            (f"replay {entry['seq']}", f"{cannot} rebuild the call of entry {entry['seq']}: KeyError: "),
            (
                "launch good_0 --game 1 --protocol bare",
                f"{cannot} build a launch URL: its package does not implement this",
            ),
            (
                "trigger win --player good_0 --protocol bare",
                "minwallet: protocol 'bare' has no call 'win'; use --protocol ",
            ),
        ):
            result = cli.run(*command.split())
            assert (result.code, result.out) == (2 if "win" in command else 1, ""), result
            assert result.err.startswith(error)
            assert len(result.err.splitlines()) == 1
    admin_client = AdminClient(server)
    with closing(admin_client.http):
        page = admin_client.get_page("/admin/agents/default")
        assert "This protocol builds none." in page
        assert "minwallet trigger bet --player PLAYER --protocol bare" in page
        admin_client.get_page(f"/admin/transactions/{entry['seq']}")
        admin_client.get_page("/admin/calls")
    # A method that a package leaves out is no bug.
    assert "launch URL" not in server.read_log()
    call_line = cli.run("calls", "--limit", 1).out.splitlines()
    assert len(call_line) == 1
    assert call_line[0].endswith(f"good_0 id {json.dumps(evil)}")
    assert len(cli.run("ledger", "good_0", "--limit", 1).out.splitlines()) == 2


async def test_a_retry_after_a_bug_finds_what_happened_to_the_money(
    broken_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row of a call whose reply could not be rendered is durable, and its journal record says what is missing."""
    server = broken_server
    (lost,) = await send(server, [build_bet("render_key", 1, "render_key")])
    assert lost.status_code == 503
    server.stop()
    monkeypatch.undo()
    with running_server(server.db) as mended:
        found = mended.wallet_v2(**build_bet("render_key", 1, "render_key"))
        assert (found["result"], found["credit"]) == (1, 9_900)
        entry = mended.cli.read_entries("render_key")[-1]
        shown = mended.cli("show", entry["seq"])
        assert (shown["request"], shown["reply"]) == (UNRECORDED, UNRECORDED)
