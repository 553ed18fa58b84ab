"""A wallet with every kind of entry: it verifies, and an import of its export is the same wallet."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest

from minwallet.ledger.entries import Entry
from minwallet.ledger.outcomes import Outcome
from minwallet.ledger.time_units import DAY_MS
from minwallet.operations.exported_rows import MAX_DETAIL_LENGTH
from minwallet.protocols.registry import list_protocols
from minwallet.storage.models import AccountRow, IdScope
from minwallet.storage.queries import OwnedEntry
from minwallet.storage.sqlite import SqliteStore
from tests.cli.cli_assertions import assert_error_line
from tests.cli.test_import_ledger import export_files
from tests.faults.checker import Checker
from tests.storage.all_kinds import (
    PLAY,
    RETIRED,
    SEQUEL,
    Step,
    create_actors,
    find_false_retries,
    find_surprises,
    play,
    read_entries,
)
from tests.storage.store_helpers import NOW, VELA, WALLET_V2
from tests.support import InProcessCli

pytestmark = pytest.mark.long

T = TypeVar("T")


class PlayedWallet(NamedTuple):
    """A wallet file with the play, and the outcomes of its commands."""

    cli: InProcessCli
    outcomes: Sequence[Outcome]


class WalletContent(NamedTuple):
    """What a wallet file has, and the sums over it."""

    entries: Sequence[Entry]
    accounts: Sequence[AccountRow]
    scopes: Sequence[IdScope]
    open_bets: Sequence[OwnedEntry]
    totals: Sequence[object]


def use_store(db: Path, work: Callable[[SqliteStore], Awaitable[T]], *, create: bool = False) -> T:
    """Return the result of `work` on the wallet file."""

    async def run() -> T:
        store = await SqliteStore.open(db, create=create)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def play_on_file(db: Path, steps: Sequence[Step], now_ms: int) -> list[Outcome]:
    return use_store(db, lambda store: play(store, steps, now_ms))


def read_content(db: Path) -> WalletContent:
    async def read(store: SqliteStore) -> WalletContent:
        while await store.totals.aggregate_totals(1000):
            continue
        today = NOW // DAY_MS
        return WalletContent(
            await read_entries(store),
            await store.accounts.read_accounts(0, 99),
            sorted(await store.ledger.list_id_scopes()),
            (await store.ledger.read_open_bets(None, None, 99)).rows,
            [*await store.totals.read_totals(today, today + 1, None), await store.totals.read_orphan_wins()],
        )

    return use_store(db, read)


def assert_valid(cli: InProcessCli) -> None:
    """Check the wallet file by `minwallet verify`, and by a checker that shares no code with the wallet."""
    cli.assert_ledger_valid()
    checker = Checker([])
    with closing(sqlite3.connect(cli.db)) as db:
        checker.read(db)
    checker.check_chains()
    checker.check_moves()
    assert checker.problems == []


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> PlayedWallet:
    cli = InProcessCli(tmp_path_factory.mktemp("old") / "old.db")

    async def fill(store: SqliteStore) -> list[Outcome]:
        await create_actors(store)
        return await play(store, PLAY, NOW)

    outcomes = use_store(cli.db, fill, create=True)
    assert find_surprises(PLAY, outcomes) == []
    return PlayedWallet(cli, outcomes)


@pytest.fixture(params=["csv", "jsonl"])
def imported(old: PlayedWallet, tmp_path: Path, request: pytest.FixtureRequest) -> InProcessCli:
    """Return the command line on an import of the play's export."""
    cli = InProcessCli(tmp_path / "new.db")
    cli("import", *export_files(old.cli, tmp_path, request.param))
    return cli


def test_every_kind_verifies(old: PlayedWallet) -> None:
    """The command and a checker that shares no code with it find nothing."""
    assert_valid(old.cli)


def test_an_import_is_the_exported_wallet(old: PlayedWallet, imported: InProcessCli, tmp_path: Path) -> None:
    """Entries with their hashes and references, id scopes, balances and totals are the same, without the protocols."""
    assert {WALLET_V2, VELA} <= {*list_protocols()}
    assert RETIRED not in list_protocols()
    assert read_content(imported.db) == read_content(old.cli.db)
    assert_valid(imported)
    for form in ("csv", "jsonl"):
        files = [export_files(cli, tmp_path, form) for cli in (old.cli, imported)]
        for first, second in zip(*files, strict=True):
            assert second.read_bytes() == first.read_bytes()


def test_a_retry_after_an_import_moves_nothing(old: PlayedWallet, imported: InProcessCli) -> None:
    """It gets the first outcome, or the refusal of what was reversed since. No entry is written."""
    before = read_content(imported.db)
    retried = play_on_file(imported.db, PLAY, NOW + 1000)
    assert find_false_retries(PLAY, old.outcomes, retried) == []
    assert read_content(imported.db) == before


def test_imported_transactions_are_reversed_once(old: PlayedWallet, imported: InProcessCli, tmp_path: Path) -> None:
    """Rollbacks, cancels and results write the same entries as without the import, and their retries none."""
    copy = tmp_path / "copy.db"
    old.cli("backup", copy)
    outcomes = play_on_file(imported.db, SEQUEL, NOW + 1000)
    assert find_surprises(SEQUEL, outcomes) == []
    assert outcomes == play_on_file(copy, SEQUEL, NOW + 1000)
    retried = play_on_file(imported.db, SEQUEL, NOW + 2000)
    assert find_false_retries(SEQUEL, outcomes, retried) == []
    assert read_content(imported.db) == read_content(copy)
    assert_valid(imported)


@pytest.mark.parametrize(
    ("old_text", "detail"),
    [
        (r"{\"by\": \"admin eve\"}", {"by": {"admin": "eve"}}),
        (r"{\"total_used\":12}", {"total_used": "1" * MAX_DETAIL_LENGTH}),
    ],
)
def test_a_detail_that_nothing_could_have_created_is_refused(
    old: PlayedWallet, tmp_path: Path, old_text: str, detail: object
) -> None:
    """An operation stores texts only, and a provider's request is not that long."""
    ledger, players = export_files(old.cli, tmp_path, "jsonl")
    text = ledger.read_text()
    assert old_text in text
    ledger.write_text(text.replace(f'"{old_text}"', json.dumps(json.dumps(detail)), 1))
    assert_error_line(InProcessCli(tmp_path / "new.db").run("import", ledger, players), 2, "invalid detail")
