"""`minwallet ledger` and `minwallet verify`."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.cli_assertions import assert_error_line, assert_usage_error, split_cells
from tests.storage.tampering import open_without_triggers
from tests.support import InProcessCli, running_server

FIELDS = [
    "seq",
    "at",
    "kind",
    "protocol",
    "id",
    "amount",
    "bonus_amount",
    "cash_after",
    "bonus_after",
    "game",
    "round",
    "state",
]


def test_an_entry_has_these_fields(wallet: InProcessCli) -> None:
    """The order is fixed. Changes are signed, amounts are in cents, the time is in UTC, and the id is a string."""
    player = wallet.add_player(balance="10", bonus="5")
    wallet("withdraw", player, "2.50", "--reference", "order 1")
    newest, oldest = wallet("ledger", player)["entries"]
    assert list(newest) == FIELDS
    assert datetime.now(UTC) - datetime.fromisoformat(newest["at"]) < timedelta(minutes=1)
    assert newest == {
        "seq": newest["seq"],
        "at": newest["at"],
        "kind": "withdraw",
        "protocol": "operator",
        "id": "order 1",
        "amount": -250,
        "bonus_amount": 0,
        "cash_after": 750,
        "bonus_after": 500,
        "game": None,
        "round": None,
        "state": "applied",
    }
    assert (oldest["kind"], oldest["amount"], oldest["bonus_amount"]) == ("deposit", 1000, 500)
    assert oldest["seq"] < newest["seq"]


def test_the_newest_come_first(wallet: InProcessCli) -> None:
    """`--limit` limits the number, and `--currency` selects one currency."""
    player = wallet.add_player(balance="1")
    wallet("player", "add", player, "--currency", "EUR", "--balance", "2")
    wallet("deposit", player, "3", "--currency", "USD")

    def amounts(*options: object) -> list[int]:
        return [entry["amount"] for entry in wallet("ledger", player, *options)["entries"]]

    assert amounts() == [300, 200, 100]
    assert amounts("--limit", 2) == [300, 200]
    assert amounts("--currency", "USD") == [300, 100]
    assert amounts("--currency", "USD", "--limit", 1) == [300]
    assert amounts("--currency", "EUR") == [200]
    assert_error_line(wallet.run("ledger", player, "--currency", "GBP", "--json"), 1, "GBP")


def test_the_limit_is_a_number_above_0(wallet: InProcessCli) -> None:
    """Anything else is a usage error."""
    player = wallet.add_player()
    assert_error_line(wallet.run("ledger", player, "--limit", 0), 2, "limit", "between 1 and")
    assert_error_line(wallet.run("ledger", player, "--limit", -1), 2, "limit")
    assert_usage_error(wallet.run("ledger", player, "--limit", "many"), "--limit")


def test_an_empty_ledger_says_so(wallet: InProcessCli) -> None:
    """Scripts get empty JSON, and people a sentence. An unknown player is refused."""
    player = wallet.add_player(balance="0")
    assert wallet("ledger", player) == {"entries": []}
    assert wallet.run("ledger", player).out == "no entries yet\n"
    assert_error_line(wallet.run("ledger", "nobody", "--json"), 1, "nobody", "player list")


def test_people_see_decimals(wallet: InProcessCli) -> None:
    """Changes have signs."""
    player = wallet.add_player(balance="10", bonus="0.05")
    wallet("withdraw", player, "2.5", "--reference", "r1")
    header, newest, _ = map(split_cells, wallet.run("ledger", player).out.splitlines())
    assert header[:5] == ["seq", "kind", "id", "game", "round"]
    assert newest[1:-2] == ["withdraw", "r1", "applied", "-2.50", "7.50", "0.00", "0.05"]
    assert newest[-1] == "operator"


def test_a_table_in_a_file_is_complete(db: Path) -> None:
    """The longest reference, game, round and amounts are shown in full, one line per entry."""
    most, reference, game = "92233720368547758.07", "r" * 64, "g" * 64
    with running_server(db) as server:
        cli = InProcessCli(db)
        cli("player", "add", "p" * 40, "--currency", "CURRENCY10")
        cli("deposit", "p" * 40, most, "--reference", reference)
        token, largest = cli.open_session("p" * 40), 2**64 - 1
        answer = server.wallet_v2(code=token, type="bet", bet=2**63 - 1, id=largest, game=game, round_id=largest)
        assert answer["result"] == 1, answer
    table = cli.run("ledger", "p" * 40).out
    assert len(table.splitlines()) == 3
    for words in (most, f"-{most}", reference, game, str(largest)):
        assert words in table, table


def test_a_providers_calls_read_the_same_with_and_without_a_server(db: Path) -> None:
    """This holds for bets, refusals, wins, orphans and cancels, with 64-bit ids."""
    cli, largest = InProcessCli(db), 2**64 - 1
    with running_server(db) as server:
        player = cli.add_player(balance="10", bonus="5")
        token = cli.open_session(player)
        server.wallet_v2(code=token, type="bet", bet=1200, id=largest, game=1012)
        server.wallet_v2(code=token, type="bet", bet=9999, id=2, game="slots")
        server.wallet_v2(code=token, type="win", win=500, id=3, game=1012, round_id=largest)
        server.wallet_v2(code=token, type="win", win=1, id=4, game=1012, round_id=77)
        server.wallet_v2(code=token, type="cancel", id=5)
        assert server.vela("betwin", access_token=token, ticket_id=1, total_bet=100, total_win=300)["status_code"] == 0
        beside = cli("ledger", player)
    assert cli("ledger", player) == beside
    keys = ("kind", "protocol", "id", "amount", "bonus_amount", "cash_after", "bonus_after", "game", "round", "state")
    assert [tuple(entry[key] for key in keys) for entry in beside["entries"][:-1]] == [
        ("betwin", "vela", "1", 200, 0, 701, 300, None, "1", "applied"),
        ("cancel", "wallet-v2", "5", 0, 0, 501, 300, None, "5", "closed"),
        ("win", "wallet-v2", "4", 1, 0, 501, 300, "1012", "77", "orphan"),
        ("win", "wallet-v2", "3", 500, 0, 500, 300, "1012", str(largest), "applied"),
        ("bet", "wallet-v2", "2", 0, 0, 0, 300, "slots", "2", "refused"),
        ("bet", "wallet-v2", str(largest), -1000, -200, 0, 300, "1012", str(largest), "applied"),
    ]
    cli.assert_ledger_valid()


def test_verify_reports_entries_and_accounts(wallet: InProcessCli) -> None:
    """The code is 0 if all are correct."""
    wallet.add_player()
    report = wallet("verify")
    assert list(report) == ["ok", "accounts", "entries", "problems"]
    assert (report["ok"], report["problems"]) == (True, [])
    assert report["accounts"] >= 1
    assert report["entries"] >= 1
    assert wallet.run("verify").out == (f"ok: verified {report['entries']} entries of {report['accounts']} accounts\n")


@pytest.fixture(scope="module")
def valid_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a closed wallet file with three entries of two accounts."""
    cli = InProcessCli(tmp_path_factory.mktemp("honest") / "wallet.db")
    cli("player", "add", "ann", "--currency", "USD", "--balance", "10")
    cli("player", "add", "bob", "--currency", "USD", "--balance", "20")
    cli("deposit", "ann", "5")
    return cli.db


def _verify_tampered(valid_db: Path, db: Path, *statements: str) -> tuple[int, dict[str, Any]]:
    """Return the output of `verify` for a copy that these statements changed, without the triggers."""
    shutil.copy(valid_db, db)
    with open_without_triggers(db) as connection:
        for statement in statements:
            connection.execute(statement)
    result = InProcessCli(db).run("verify", "--json")
    assert result.err == ""
    assert list(result.json) == ["ok", "accounts", "entries", "problems"]
    return result.code, result.json


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE transactions SET amount = amount + 1 WHERE seq = 1", ["entry 1 (ann USD", "hash chain"]),
        ("UPDATE transactions SET id = 'other' WHERE seq = 3", ["entry 3 (ann USD", "hash chain"]),
        ("UPDATE transactions SET account_id = 2 WHERE seq = 3", ["entry 3 (bob USD", "ann USD"]),
        ("UPDATE accounts SET cash = cash + 100 WHERE account_id = 2", ["bob USD", "holds cash 21.00", "20.00"]),
        ("UPDATE accounts SET cash = 0 WHERE account_id = 1", ["ann USD", "holds cash 0.00", "15.00"]),
        ("DELETE FROM transactions WHERE seq = 1", ["entry 3 (ann USD", "hash chain"]),
        ("DELETE FROM transactions WHERE seq = 3", ["ann USD", "newest entries are missing"]),
        ("UPDATE players SET player_id = 'eve' WHERE player_id = 'bob'", ["entry 2 (eve USD", "hash chain"]),
    ],
)
def test_verify_names_the_changed_entry(valid_db: Path, db: Path, statement: str, words: list[str]) -> None:
    """The code is 1, and the problem names the entry or account and its owner."""
    code, report = _verify_tampered(valid_db, db, statement)
    assert (code, report["ok"], report["accounts"]) == (1, False, 2)
    problems = "\n".join(report["problems"])
    for word in words:
        assert word in problems


def test_several_processes_find_what_one_finds(valid_db: Path, db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several processes verify a long ledger, and no row is left out."""
    tampering = [
        "UPDATE transactions SET amount = amount + 1 WHERE seq = 1",
        "UPDATE transactions SET account_id = -7 WHERE seq = 2",
        "UPDATE accounts SET bonus = 1 WHERE account_id = 2",
    ]
    code, alone = _verify_tampered(valid_db, db, *tampering)
    monkeypatch.setattr("minwallet.cli.verify_command.PARALLEL_MIN_ENTRIES", 1)
    monkeypatch.setattr("minwallet.cli.verify_command.available_cpus", lambda: 3)
    shared_code, shared = _verify_tampered(valid_db, db, *tampering)
    assert (shared_code, {**shared, "problems": sorted(shared["problems"])}) == (
        code,
        {**alone, "problems": sorted(alone["problems"])},
    )
    assert "entry 2: account -7 does not exist" in shared["problems"]
    assert InProcessCli(valid_db)("verify") == {"ok": True, "accounts": 2, "entries": 3, "problems": []}


@pytest.mark.parametrize("is_long", [False, True])
def test_a_deleted_account_is_found(valid_db: Path, db: Path, monkeypatch: pytest.MonkeyPatch, is_long: bool) -> None:
    """No chain is broken, but the entries' numbers have gaps."""
    if is_long:
        monkeypatch.setattr("minwallet.cli.verify_command.PARALLEL_MIN_ENTRIES", 1)
        monkeypatch.setattr("minwallet.cli.verify_command.available_cpus", lambda: 2)
    removal = [f"DELETE FROM {table} WHERE account_id = 2" for table in ("transactions", "accounts")]
    code, report = _verify_tampered(valid_db, db, *removal)
    assert (code, report["ok"]) == (1, False)
    assert report["problems"] == ["1 entry is missing: gaps in the entry numbers"]


def test_each_problem_is_one_line(valid_db: Path, db: Path) -> None:
    """The last line has their number."""
    _, report = _verify_tampered(valid_db, db, "UPDATE transactions SET amount = 1, cash_after = 1 WHERE seq = 2")
    told = InProcessCli(db).run("verify")
    *lines, last = told.out.splitlines()
    assert told.code == 1
    assert lines == report["problems"]
    assert last == f"{len(lines)} problems in 3 entries of 2 accounts"
