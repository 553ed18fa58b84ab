"""`minwallet export`."""

import csv
import io
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from minwallet.cli import export
from minwallet.ledger.entries import chain_entry, compute_genesis_hash
from tests.cli.cli_assertions import assert_error_line, assert_usage_error
from tests.support import TIMEOUT_S, InProcessCli

INTEGER_COLUMNS = {
    *("seq", "at_ms", "previous_seq", "stake", "payout", "amount", "bonus_amount", "cash_after", "bonus_after"),
    *("cash", "bonus", "created_at_ms", "last_seq"),
}


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE_SIZE", 3)


def _read_export(cli: InProcessCli, what: str, form: str) -> list[dict[str, Any]]:
    """Return the rows of an export to stdout, with integers, and None for missing values."""
    result = cli.run("export", what, "-", "--format", form)
    assert (result.code, result.err) == (0, "")
    if form == "jsonl":
        return [json.loads(line) for line in result.out.splitlines()]
    rows = csv.DictReader(io.StringIO(result.out))
    return [
        {name: int(cell) if name in INTEGER_COLUMNS else cell or None for name, cell in row.items()} for row in rows
    ]


def _list_names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def _move_money(cli: InProcessCli) -> str:
    """Make entries of a player with two accounts, more than one page."""
    name = cli.add_player(balance="100", bonus="5")
    cli("player", "add", name, "--currency", "EUR", "--balance", "7")
    for number in range(1, 6):
        cli("deposit", name, number, "--currency", "USD", "--reference", f'"{name}", {number}')
    cli("withdraw", name, "1", "--currency", "EUR")
    cli("adjust", name, "-1", "--currency", "EUR", "--reason", "a fee")
    return name


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_the_ledger_can_be_rebuilt_from_its_export(wallet: InProcessCli, form: str) -> None:
    """Each row has all fields of its hash, in order. The players' export has the heads of the chains."""
    name = _move_money(wallet)
    rows, accounts = _read_export(wallet, "ledger", form), _read_export(wallet, "players", form)
    assert [row["seq"] for row in rows] == [*range(1, len(rows) + 1)]
    heads: dict[tuple[str, ...], tuple[bytes, int]] = {}
    for row in rows:
        owner = (row["agent"], row["player_id"], row["currency"])
        head, last_seq = heads.get(owner, (compute_genesis_hash(*owner), 0))
        assert row["previous_seq"] == last_seq
        sealed = chain_entry((row["seq"], row["at_ms"], 0, *list(row.values())[5:-2]), head)
        assert sealed.hash.hex() == row["hash"]
        heads[owner] = (sealed.hash, row["seq"])
        assert row["id_scope"] == "agent"
    mine = [row for row in accounts if row["player_id"] == name]
    assert [(row["currency"], row["cash"], row["bonus"]) for row in mine] == [("USD", 11_500, 500), ("EUR", 500, 0)]
    for row in accounts:
        owner = (row["agent"], row["player_id"], row["currency"])
        assert (bytes.fromhex(row["head"]), row["last_seq"]) == heads.get(owner, (compute_genesis_hash(*owner), 0))


def test_a_file_is_written_whole(wallet: InProcessCli, tmp_path: Path) -> None:
    """The file equals the output on stdout, replaces an older one, and only its owner can read it."""
    _move_money(wallet)
    for what in ("ledger", "players"):
        file = tmp_path / f"{what}.csv"
        file.write_text("old")
        result = wallet.run("export", what, file)
        assert (result.code, result.out, result.err) == (0, "", "")
        assert file.read_text("utf-8") == wallet.run("export", what, "-").out
        assert file.stat().st_mode & 0o777 == 0o600
    assert _list_names(tmp_path) == ["ledger.csv", "players.csv"]


def test_an_empty_wallet_is_a_header(cli: InProcessCli) -> None:
    """In CSV it is a header, and in JSON lines nothing."""
    cli("agent", "add", "first")
    assert cli.run("export", "ledger", "-").out.startswith("agent,player_id,currency,seq,at_ms,")
    assert cli.run("export", "players", "-").out.count("\n") == 1
    assert cli.run("export", "ledger", "-", "--format", "jsonl").out == ""


def test_an_export_that_fails_leaves_nothing(
    cli: InProcessCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A previous file stays unchanged."""
    _move_money(cli)
    file = tmp_path / "ledger.csv"
    file.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    before = _list_names(tmp_path)
    monkeypatch.setattr("os.fsync", full)
    assert_error_line(cli.run("export", "ledger", file), 3, "ledger.csv", "no space left")
    assert (file.read_text(), _list_names(tmp_path)) == ("old", before)
    assert_error_line(cli.run("export", "ledger", tmp_path / "none" / "x.csv"), 3, "x.csv", "no such file")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_export_that_is_ended_leaves_nothing(
    cli: InProcessCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """This holds for Ctrl-C and for SIGTERM."""
    _move_money(cli)
    before = _list_names(tmp_path)

    def ended(rows: object) -> str:
        signal.raise_signal(number)
        return "more"

    monkeypatch.setattr(export, "_format_csv", ended)
    assert cli.run("export", "ledger", tmp_path / "ledger.csv").code == 130
    assert _list_names(tmp_path) == before


def test_an_unknown_subject_or_format_is_a_usage_error(cli: InProcessCli) -> None:
    """The error names the valid values."""
    assert_usage_error(cli.run("export", "money", "-"), "ledger", "players")
    assert_usage_error(cli.run("export", "ledger", "-", "--format", "xml"), "csv", "jsonl")


@pytest.mark.parametrize("end", ["", "-wal", "-shm", ".owner"])
def test_an_export_never_overwrites_the_wallet(cli: InProcessCli, tmp_path: Path, end: str) -> None:
    """This holds for its companions, and for every spelling of the path."""
    _move_money(cli)
    link = tmp_path / "link"
    link.symlink_to(cli.db.with_name(f"{cli.db.name}{end}"))
    for file in (f"{cli.db}{end}", cli.db.parent / "." / f"{cli.db.name}{end}", link):
        assert_error_line(cli.run("export", "ledger", file), 2, "is the wallet file or one of its companions")
    assert cli("verify")["ok"]


def test_a_link_stays_a_link_and_a_pipe_a_pipe(cli: InProcessCli, tmp_path: Path) -> None:
    """The target of a link, or the reader of a pipe, gets the lines."""
    _move_money(cli)
    told = cli.run("export", "ledger", "-").out
    file, link, pipe = (tmp_path / name for name in ("file", "link", "pipe"))
    link.symlink_to(file)
    assert cli.run("export", "ledger", link).code == 0
    assert (link.is_symlink(), file.read_text()) == (True, told)
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
        assert cli.run("export", "ledger", pipe).code == 0
        assert reader.communicate(timeout=TIMEOUT_S)[0] == told
    assert pipe.is_fifo()
