"""Files of other schemas, and damaged files."""

import random
import shutil
import sqlite3
from contextlib import closing, nullcontext
from pathlib import Path

import pytest

from minwallet.ledger.commands import Bet
from minwallet.storage.sqlite import SqliteStore
from tests.faults.damaged_files import DAMAGES, FRAME_BYTES, HEAD_BYTES, WalletFiles, make_wallet_files
from tests.faults.harness import SEED, run_torture
from tests.storage.older_schema import SCRIPTS, copy_to_older_schema
from tests.storage.store_helpers import NOW, make_command, make_new_account
from tests.support import InProcessCli, copy_wallet_file, run_minwallet, running_server


@pytest.fixture(scope="module")
def wallet_files(tmp_path_factory: pytest.TempPathFactory) -> WalletFiles:
    return make_wallet_files(tmp_path_factory.mktemp("victim"))


@pytest.mark.long
def test_damage_is_noticed_and_never_served(tmp_path: Path) -> None:
    """A truncated, altered, zeroed or combined file is refused, or no wrong balance comes from it."""
    counts = run_torture("files", 300, tmp_path).counts
    tried = {how.partition(":")[0] for how in counts}
    assert tried == set(DAMAGES)


@pytest.mark.parametrize("version", range(1, len(SCRIPTS)))
def test_an_older_file_is_migrated(wallet_files: WalletFiles, tmp_path: Path, version: int) -> None:
    """A file of any older schema is served with the same balances, and accepts calls."""
    file, now = tmp_path / f"schema{version}.db", InProcessCli(wallet_files.closed)
    copy_to_older_schema(wallet_files.closed, file, version)
    with running_server(file) as server:
        assert server.cli("player", "list") == now("player", "list")
        bet = server.wallet_v2(code="token_default_0", type="bet", bet=1, id=10**15, game=1)
        assert bet["result"] == 1
        assert server.stop() == 0
    InProcessCli(file).assert_ledger_valid()


@pytest.mark.parametrize("command", ["serve --port 0", "player list", "verify", "deposit player0 1"])
def test_a_newer_file_is_refused_and_unchanged(wallet_files: WalletFiles, tmp_path: Path, command: str) -> None:
    """Each command fails with one line that says what to do."""
    file = Path(shutil.copy(wallet_files.closed, tmp_path / "newer.db"))
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"PRAGMA user_version = {len(SCRIPTS) + 1}")
    before = file.read_bytes()
    result = run_minwallet("--db", file, *command.split())
    assert result.code == 3
    assert result.err.count("\n") == 1
    assert "newer minwallet" in result.err
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["cut", "flipped log"])
def test_a_damaged_file_is_refused_and_unchanged(wallet_files: WalletFiles, tmp_path: Path, name: str) -> None:
    """The server exits with code 3 and one line that says what to do."""
    file = copy_wallet_file(
        wallet_files.killed if "log" in name else wallet_files.closed, tmp_path / "damaged.db", "-wal"
    )
    DAMAGES[name](file, wallet_files, random.Random(SEED))
    parts = sorted(tmp_path.glob("damaged.db*"))
    before = [part.read_bytes() for part in parts]
    for _ in range(2):
        result = run_minwallet("--db", file, "serve", "--port", 0)
        assert result.code == 3, result
        assert result.err.count("\n") == 1
        assert "damaged" in result.err
        assert "restore it from a backup" in result.err
    assert [part.read_bytes() for part in parts] == before


def find_commit_frames(file: Path) -> list[int]:
    """Return the frames of the file's log that end a commit."""
    log = file.with_name(f"{file.name}-wal").read_bytes()
    frames = range((len(log) - HEAD_BYTES) // FRAME_BYTES)
    return [frame for frame in frames if any(log[HEAD_BYTES + frame * FRAME_BYTES :][4:8])]


def lose_power(file: Path, copy: Path, after: int) -> None:
    """Copy the file as after a power loss: the frame after the commit with this number is not on the disk."""
    copy_wallet_file(file, copy, "-wal")
    with copy.with_name(f"{copy.name}-wal").open("r+b") as log:
        log.seek(HEAD_BYTES + (find_commit_frames(file)[after] + 1) * FRAME_BYTES)
        log.write(bytes(FRAME_BYTES))


@pytest.mark.anyio
async def test_a_wallet_recovers_from_two_power_losses(db: Path, tmp_path: Path) -> None:
    """Each power loss interrupts an unacknowledged commit; the remains of both in the log are not lost commits."""
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    store = await SqliteStore.open(db, create=True)
    await store.accounts.create_accounts([make_new_account("ann", 1000)], NOW)
    known = len(find_commit_frames(db))
    await store.accounts.create_accounts([make_new_account(f"player{number}", 1) for number in range(400)], NOW)
    lose_power(db, first, known - 1)
    await store.close()
    store = await SqliteStore.open(first, create=True, check=True)
    for id_ in ("1", "2"):
        await store.apply([make_command(Bet(id_, 1, id_), 1)], NOW)
    lose_power(first, second, known)
    await store.close()
    store = await SqliteStore.open(second, create=True, check=True)
    found = [entry.id for entry in await store.ledger.read_entries([1], 9)]
    await store.close()
    assert found == ["1", "ann:USD"]


def test_a_wrong_balance_stops_the_server(wallet_files: WalletFiles, tmp_path: Path) -> None:
    """A balance that was changed outside the server is never returned: the call has no outcome, and the server
    reports why it stops."""
    file = Path(shutil.copy(wallet_files.closed, tmp_path / "flipped.db"))
    with running_server(file) as server:
        with closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute("UPDATE accounts SET cash = cash + 1")
        answer = server.http.post("/wallet", json={"code": "token_default_0", "type": "credit"})
        assert answer.status_code == 503
        assert answer.json()["err_code"] == 500
        assert server.process.wait(30) == 3
        assert "is not as its last entry left it" in server.log.read_text()


BALANCE_COMMANDS = ["player list", "player show ann", "export players -", "session open ann", "deposit ann 1"]


@pytest.mark.parametrize("is_served", [False, True])
@pytest.mark.parametrize("command", BALANCE_COMMANDS)
def test_no_command_uses_a_wrong_balance(db: Path, command: str, *, is_served: bool) -> None:
    """A command neither prints nor changes such a balance; it exits with code 3 and says what to do."""
    cli = InProcessCli(db)
    cli("player", "add", "ann", "--currency", "USD", "--balance", "10")
    with running_server(db) if is_served else nullcontext():
        with closing(sqlite3.connect(db, isolation_level=None)) as raw:
            raw.execute("UPDATE accounts SET cash = cash + 1")
        result = cli.run(*command.split())
    assert result.code == 3, result
    assert "damaged" in result.err
    assert "1001" not in result.out


@pytest.mark.parametrize("command", ["serve", "verify", "deposit ann 1"])
def test_a_damaged_index_is_refused_by_checks_and_writes(db: Path, command: str) -> None:
    """This holds even for an index that no balance depends on."""
    cli = InProcessCli(db)
    cli("player", "add", "ann", "--currency", "USD", "--balance", "10")
    with closing(sqlite3.connect(db)) as raw:
        (page_size,) = raw.execute("PRAGMA page_size").fetchone()
        (page,) = raw.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_agents_3'").fetchone()
    with db.open("r+b") as file:
        file.seek((page - 1) * page_size)
        file.write(bytes([0xA5]) * page_size)
    result = cli.run(*command.split())
    assert result.code == 3, result
    assert "is damaged" in result.err
