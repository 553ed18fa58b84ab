"""`minwallet import` of entries whose protocol is not installed."""

import asyncio
from pathlib import Path

import pytest

from minwallet.ledger.commands import Bet, Command, EndRound, Group, Rollback
from minwallet.ledger.outcomes import Applied, GroupApplied, Outcome, Replayed
from minwallet.storage.models import AccountCommand
from minwallet.storage.sqlite import SqliteStore
from tests.cli.cli_assertions import assert_error_line
from tests.cli.test_import_ledger import export_files, to_older_version
from tests.support import InProcessCli


@pytest.mark.parametrize("ids_per_currency", [False, True])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_entries_of_a_removed_protocol_are_imported(tmp_path: Path, form: str, ids_per_currency: bool) -> None:
    """Its ids stay unique where they were. When it is installed again, its retries find their entries."""
    old, new = InProcessCli(tmp_path / "old.db"), InProcessCli(tmp_path / "new.db")
    for currency in ("USD", "EUR"):
        old("player", "add", "ann", "--currency", currency, "--balance", "1")
    commands: list[Command] = [
        Bet("a-1", 60, "round a"),
        Rollback("r:a-1", "a-1", 10),
        Group((EndRound("e", "round a"),)),
    ]
    orders = [
        AccountCommand(command, "removed", account_id, ids_per_currency=ids_per_currency)
        for command in commands
        for account_id in ((1, 2) if ids_per_currency else (1,))
    ]

    async def apply(path: Path) -> list[Outcome]:
        store = await SqliteStore.open(path, create=False)
        try:
            return [(await store.apply([each], 1))[0] for each in orders]
        finally:
            await store.close()

    first = asyncio.run(apply(old.db))
    files = export_files(old, tmp_path, form)
    new("import", *files)
    new.assert_ledger_valid()
    for file, again in zip(files, export_files(new, tmp_path, form), strict=True):
        assert file.read_bytes() == again.read_bytes()
    assert all(isinstance(each, Applied | GroupApplied) for each in first)
    for outcome in asyncio.run(apply(new.db)):
        (replayed,) = outcome.outcomes if isinstance(outcome, GroupApplied) else [outcome]
        assert isinstance(replayed, Replayed)
    if form == "jsonl":
        to_older_version(files[0])
        other = InProcessCli(tmp_path / "other.db")
        assert_error_line(other.run("import", *files), 2, "unknown protocol 'removed'; install its package first")


def test_a_rollback_needs_its_reference(tmp_path: Path) -> None:
    """Without it, or with an empty one, the error names the field."""
    old = InProcessCli(tmp_path / "old.db")
    old("player", "add", "ann", "--currency", "USD", "--balance", "1")

    async def apply() -> None:
        store = await SqliteStore.open(old.db, create=False)
        await store.apply([AccountCommand(Rollback("r", "1"), "removed", 1)], 1)
        await store.close()

    asyncio.run(apply())
    ledger, players = export_files(old, tmp_path, "jsonl")
    text = ledger.read_text()
    for reference in ("null", '""'):
        ledger.write_text(text.replace('"reference":"1"', f'"reference":{reference}'))
        result = InProcessCli(tmp_path / "new.db").run("import", ledger, players)
        assert_error_line(result, 2, "line 2: invalid reference")
