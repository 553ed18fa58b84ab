"""A wallet and a provider as processes: hundreds of rounds with all faults."""

import signal
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from minwallet.demo.game_rules import GAMES
from tests.demo.in_process_client import PROTOCOLS
from tests.demo.provider_process import ProviderProcess, run_provider
from tests.support import InProcessCli, Server, running_server

pytestmark = pytest.mark.long

ROUNDS = 500

FAULT_RATES = "all=0.11,lost-reply=0.13,delay=0.03,cancel-first=0.05"

CASH, BONUS = 50_000, 2_000


def seed_players(cli: InProcessCli, names: Sequence[str]) -> None:
    """Add players with cash and bonus, whose token is their name."""
    file = cli.db.with_suffix(".csv")
    lines = [f"{name},USD,{CASH // 100}.00,{BONUS // 100}.00,{name}\n" for name in names]
    file.write_text("player_id,currency,balance,bonus,token\n" + "".join(lines))
    cli("seed", file)


def read_ledger(cli: InProcessCli, name: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = cli("ledger", name, "--limit", 1_000_000)["entries"]
    return entries


def assert_money_agrees(cli: InProcessCli, provider: ProviderProcess, names: Sequence[str]) -> None:
    """Check that the ledger verifies, and that both sides agree for each player and ticket, also by the
    reconciliation."""
    assert provider.read_rounds()["pending"] == 0
    cli.assert_ledger_valid()
    moved: Counter[str] = Counter()
    for name in names:
        assert sum(cli.read_balances(name)) == CASH + BONUS + provider.read_net(name)
        for entry in read_ledger(cli, name):
            if entry["protocol"] == "vela":
                moved[entry["id"]] += entry["amount"] + entry["bonus_amount"]
    rows = provider.read_report()
    assert len({row.ticket for row in rows}) == len(rows)
    reported = {row.ticket: row.payout + row.cancelled + row.rejected - row.stake for row in rows}
    assert {ticket: cents for ticket, cents in reported.items() if cents} == {
        ticket: cents for ticket, cents in moved.items() if cents
    }
    assert set(moved) <= set(reported)
    cli("agent", "set", "default", "--host-id", "demo", "--service-url", provider.url)
    assert cli("report", "pull")["rows"] == len(rows)
    counts = cli("reconcile")["counts"]
    assert set(counts) <= {"matched", "no money"}
    assert sum(counts.values()) == len(rows)


def test_faults_lose_no_money(db: Path) -> None:
    """With all faults, 500 rounds of each game in each protocol end, also when players run out of money. `verify` is
    clean, and each player's balance matches the provider's rounds."""
    tables = {f"{protocol[:4]}_{game.code}": (protocol, game.code) for protocol in PROTOCOLS for game in GAMES}
    with (
        running_server(db) as server,
        run_provider(server.url, db.parent, "--seed", 7, "--faults", FAULT_RATES) as provider,
    ):
        seed_players(InProcessCli(db), [*tables])

        def play(name: str) -> Any:  # noqa: ANN401 the summary's JSON
            protocol, game = tables[name]
            return provider.play_rounds(protocol=protocol, game=game, token=name, rounds=ROUNDS, stake=500)

        with ThreadPoolExecutor() as threads:
            summaries = list(threads.map(play, tables))
        for summary in summaries:
            assert (summary["rounds"], summary["pending"]) == (ROUNDS, 0)
            assert min(summary["done"], summary["cancelled"], summary["rejected"]) > 0
        assert len(provider.read_report()) == ROUNDS * len(GAMES)
        assert_money_agrees(InProcessCli(db), provider, [*tables])
        assert provider.stop() == 0
        assert "pending" not in provider.log.read_text()


def test_rounds_finish_after_the_wallet_is_killed(db: Path) -> None:
    """If the wallet is killed and restarted during rounds, the provider continues until no round is pending, and
    both sides agree."""
    names = [f"player{number}" for number in range(4)]
    server = Server(db)
    seed_players(InProcessCli(db), names)
    with run_provider(server.url, db.parent, "--seed", 7, "--timeout", "1s", "--faults", FAULT_RATES) as provider:
        with ThreadPoolExecutor() as threads:
            wanted = [
                threads.submit(provider.play_rounds, protocol=protocol, game="fish", token=name, rounds=10_000)
                for name, protocol in zip(names, PROTOCOLS * 2, strict=True)
            ]
            provider.wait_until(lambda told: len(told["net"]) == len(names) and len(told["rounds"]) == 100)
            server.stop(signal.SIGKILL)
            summaries = [each.result() for each in wanted]
        assert all(summary["pending"] == 1 for summary in summaries)
        assert provider.read_rounds()["pending"] == len(names)
        with running_server(db, "--port", server.url.rpartition(":")[2]):
            provider.wait_until(lambda told: told["pending"] == 0)
            for name, protocol in zip(names, PROTOCOLS * 2, strict=True):
                assert provider.play_rounds(protocol=protocol, game="slot", token=name, rounds=20)["pending"] == 0
            assert_money_agrees(InProcessCli(db), provider, names)
