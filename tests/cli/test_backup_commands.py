"""`minwallet backup` and `minwallet restore`, and the automatic backups of a server."""

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from minwallet.operations.maintenance import format_backup_name
from tests.cli.cli_assertions import assert_error_line, assert_unchanged, assert_usage_error
from tests.storage.older_schema import SCRIPTS, copy_to_older_schema
from tests.storage.tampering import open_without_triggers
from tests.support import TIMEOUT_S, Cli, InProcessCli, Server, ServerDidNotStart, copy_wallet_file, running_server


@pytest.fixture
def cli(tmp_path: Path) -> InProcessCli:
    """Return the command line on a wallet of its own."""
    return InProcessCli(tmp_path / "minwallet.db")


def _list_names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def _wait_for_backups(folder: Path, count: int) -> list[Path]:
    """Return the backups when there are `count` and none is being written."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        found = sorted(folder.iterdir()) if folder.exists() else []
        if len(found) == count and all(each.suffix == ".db" for each in found):
            return found
        time.sleep(0.02)
    raise AssertionError(_list_names(folder))


def _deposit_and_kill(cli: InProcessCli, name: str) -> None:
    """Leave a deposit of 2.00 in the write-ahead log."""
    server = Server(cli.db)
    cli("deposit", name, "2")
    server.process.kill()
    server.process.wait()
    server.http.close()


def test_a_backup_is_complete(cli: InProcessCli, tmp_path: Path) -> None:
    """A backup is one file, readable by its owner only, and a complete wallet."""
    name = cli.add_player(balance="12.34")
    made = cli("backup", tmp_path / "copy.db")
    copy = tmp_path / "copy.db"
    assert made == {"file": str(copy), "bytes": copy.stat().st_size}
    assert copy.stat().st_mode & 0o777 == 0o600
    assert _list_names(tmp_path) == ["copy.db", "minwallet.db"]
    assert InProcessCli(copy).read_balances(name) == (1234, 0)
    InProcessCli(copy).assert_ledger_valid()


def test_a_backup_in_a_folder_is_named_after_the_time(cli: InProcessCli, tmp_path: Path) -> None:
    """The time is in UTC, so the names sort by time."""
    cli.add_player()
    (folder := tmp_path / "copies").mkdir()
    result = cli.run("backup", folder)
    (copy,) = folder.iterdir()
    assert copy.name.startswith("minwallet-20")
    assert copy.name.endswith("Z.db")
    assert str(copy) in result.out
    assert format_backup_name("minwallet", 0) == "minwallet-19700101T000000Z.db"


def test_a_backup_during_bets_is_consistent(cli: InProcessCli, tmp_path: Path) -> None:
    """The backup has each bet that was confirmed before it began, and verifies."""
    name = cli.add_player(balance="1000")
    token = cli.open_session(name)
    with running_server(cli.db) as server:
        is_over = threading.Event()
        taken: list[int] = []

        def play() -> None:
            number = 0
            while not is_over.is_set():
                number += 1
                assert server.wallet_v2(type="bet", bet=1, id=number, game=1, code=token)["result"] == 1
                taken.append(number)

        player = threading.Thread(target=play)
        player.start()
        for number in range(3):
            before = len(taken)
            copy = tmp_path / f"{number}.db"
            assert cli.run("backup", copy).code == 0
            ids = {each["id"] for each in Cli(copy)("ledger", name, "--limit", 100_000)["entries"]}
            assert {str(each) for each in taken[:before]} <= ids
            InProcessCli(copy).assert_ledger_valid()
        is_over.set()
        player.join()
        cli.assert_ledger_valid()


def test_nothing_is_overwritten(cli: InProcessCli, tmp_path: Path) -> None:
    """`backup` never overwrites a file, the wallet file, or one of its companions."""
    cli.add_player()
    (tmp_path / "other").write_text("mine")
    with assert_unchanged(tmp_path):
        assert_error_line(cli.run("backup", tmp_path / "other"), 3, "other exists already", "name a new file")
        assert_error_line(cli.run("backup", cli.db), 3, "exists already")
        assert_error_line(cli.run("backup", tmp_path / "no" / "copy.db"), 3, "cannot write", "choose another place")


def test_a_backup_never_becomes_a_companion(cli: InProcessCli, tmp_path: Path) -> None:
    """A backup beside another wallet's log, or under the name of a log, would become part of that wallet."""
    cli.add_player()
    (tmp_path / "copy.db-wal").write_text("left by another")
    with assert_unchanged(tmp_path):
        assert_error_line(cli.run("backup", tmp_path / "copy.db"), 3, "copy.db-wal exists already")
        for end in ("-wal", "-shm", "-journal", ".owner"):
            assert_error_line(cli.run("backup", tmp_path / f"other.db{end}"), 3, "another wallet file")
        assert_error_line(cli.run("backup", tmp_path / ("a" * 300)), 3, "file name too long", "choose another place")


def test_a_backup_without_a_wallet_fails(cli: InProcessCli, tmp_path: Path) -> None:
    """No wallet file is created."""
    with assert_unchanged(tmp_path):
        assert_error_line(cli.run("backup", tmp_path / "copy.db"), 3, "no wallet file")
    cli.db.write_bytes(b"")
    assert_error_line(cli.run("backup", tmp_path / "copy.db"), 3, "is empty")
    cli.db.write_bytes(b"something else" * 100)
    with assert_unchanged(tmp_path):
        assert_error_line(cli.run("backup", tmp_path / "copy.db"), 3, "is not a wallet file")


def test_a_damaged_wallet_gets_no_backup(cli: InProcessCli, tmp_path: Path) -> None:
    """An unusable backup must not look like a good one."""
    cli.add_player()
    cli("player", "list")
    with closing(sqlite3.connect(cli.db)) as db:
        ((page,),) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'transactions_by_id'")
    with cli.db.open("r+b") as file:
        file.seek((page - 1) * 4096 + 4000)
        file.write(b"\xff" * 96)
    before = _list_names(tmp_path)
    assert_error_line(cli.run("backup", tmp_path / "copy.db"), 3, "is damaged")
    assert _list_names(tmp_path) == before


def test_restore_replaces_the_wallet(cli: InProcessCli, tmp_path: Path) -> None:
    """The backup is verified first, and the previous file is kept and readable."""
    name = cli.add_player(balance="1")
    cli("backup", tmp_path / "copy.db")
    cli("deposit", name, "2")
    done = cli("restore", tmp_path / "copy.db")
    kept = Path(done.pop("kept"))
    assert done.items() >= {"file": str(cli.db), "entries": 1, "accounts": 1}.items()
    assert cli.read_balances(name) == (100, 0)
    assert InProcessCli(kept).read_balances(name) == (300, 0)
    assert kept.name.startswith("minwallet-before-")
    assert _list_names(tmp_path) == sorted(["copy.db", "minwallet.db", kept.name])
    cli("deposit", name, "5")
    cli.assert_ledger_valid()


def test_restore_works_without_a_wallet_file(cli: InProcessCli, tmp_path: Path) -> None:
    """This is the case of a new machine."""
    name = cli.add_player(balance="1")
    cli("backup", tmp_path / "copy.db")
    (tmp_path / "new").mkdir()
    there = InProcessCli(tmp_path / "new" / "wallet.db")
    result = there.run("restore", tmp_path / "copy.db")
    assert "1 entry of 1 account" in result.out
    assert "kept" not in result.out
    assert there.read_balances(name) == (100, 0)


def test_a_log_without_its_file_is_kept_too(cli: InProcessCli, tmp_path: Path) -> None:
    """A log can still be readable by an expert if only the main file is lost."""
    name = cli.add_player(balance="1")
    cli("backup", tmp_path / "copy.db")
    _deposit_and_kill(cli, name)
    log = cli.db.with_name("minwallet.db-wal").read_bytes()
    cli.db.unlink()
    kept = cli("restore", tmp_path / "copy.db")["kept"]
    assert Path(f"{kept}-wal").read_bytes() == log
    assert cli.read_balances(name) == (100, 0)


def test_what_a_killed_server_left_in_its_log_is_kept(cli: InProcessCli, tmp_path: Path) -> None:
    """The previous file keeps the newest commits from its log, and the backup does not get them."""
    name = cli.add_player(balance="1")
    cli("backup", tmp_path / "copy.db")
    _deposit_and_kill(cli, name)
    assert cli.db.with_name("minwallet.db-wal").stat().st_size
    kept = Path(cli("restore", tmp_path / "copy.db")["kept"])
    assert cli.read_balances(name) == (100, 0)
    assert InProcessCli(kept).read_balances(name) == (300, 0)


def test_a_served_wallet_is_not_replaced(cli: InProcessCli, tmp_path: Path) -> None:
    """The server would continue in the old file."""
    cli.add_player()
    cli("backup", tmp_path / "copy.db")
    with running_server(cli.db):
        assert_error_line(cli.run("restore", tmp_path / "copy.db"), 3, "is served by process", "stop that one first")
    assert not list(tmp_path.glob("*before*"))


def test_an_inconsistent_backup_is_not_restored(cli: InProcessCli, tmp_path: Path) -> None:
    """The whole backup is verified first, and then nothing is changed."""
    cli.add_player(balance="1")
    cli("backup", tmp_path / "copy.db")
    with open_without_triggers(tmp_path / "copy.db") as db:
        db.execute("UPDATE transactions SET at_ms = at_ms + 1")
    with assert_unchanged(tmp_path):
        result = cli.run("restore", tmp_path / "copy.db")
    assert result.code == 1
    assert "the hash chain breaks here" in result.err
    assert "nothing was changed" in result.err


@pytest.mark.parametrize("version", range(1, len(SCRIPTS)))
def test_a_wallet_of_an_older_version_is_backed_up_and_restored(
    cli: InProcessCli, tmp_path: Path, version: int
) -> None:
    """The backup keeps its schema, so that the older version can open it. A restore migrates it."""
    name = cli.add_player(balance="1")
    copy_to_older_schema(cli.db, tmp_path / "older.db", version)
    InProcessCli(tmp_path / "older.db")("backup", tmp_path / "backup.db")
    with closing(sqlite3.connect(tmp_path / "backup.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (version,)
    restored = InProcessCli(tmp_path / "restored.db")
    restored("restore", tmp_path / "backup.db")
    assert restored.read_balances(name) == (100, 0)


def test_a_file_that_is_not_a_backup_is_not_restored(cli: InProcessCli, tmp_path: Path) -> None:
    """The error names the given file, and its advice is about that file, not about the wallet file."""
    cli.add_player()
    (tmp_path / "text").write_text("something else" * 100)
    (tmp_path / "empty").write_bytes(b"")
    cli("backup", tmp_path / "whole")
    (tmp_path / "half").write_bytes((tmp_path / "whole").read_bytes()[:70_000])
    with assert_unchanged(tmp_path):
        assert_error_line(cli.run("restore", tmp_path / "text"), 3, "text is not a wallet file; name a backup")
        assert_error_line(cli.run("restore", tmp_path / "empty"), 3, "empty is empty")
        assert_error_line(cli.run("restore", tmp_path / "half"), 3, "the backup", "half is damaged", "another backup")
        assert_error_line(cli.run("restore", tmp_path / "nothing"), 2, "no such file")
        assert_error_line(cli.run("restore", cli.db), 2, "is the wallet file itself")
        assert_usage_error(cli.run("restore"))


@pytest.mark.parametrize("step", ["hardlink_to", "unlink", "replace"])
def test_an_interrupted_restore_can_be_repeated(
    cli: InProcessCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Until then the wallet is either complete or refused."""
    name = cli.add_player(balance="1")
    cli("backup", tmp_path / "copy.db")
    _deposit_and_kill(cli, name)
    real, calls = getattr(Path, step), []

    def fail(self: Path, *arguments: object, **options: object) -> object:
        if ".part" not in self.name or step == "replace":
            calls.append(self)
            if len(calls) == 2 or step == "replace":
                raise OSError(5, "the disk is gone")
        return real(self, *arguments, **options)

    with monkeypatch.context() as broken:
        broken.setattr(Path, step, fail)
        assert_error_line(cli.run("restore", tmp_path / "copy.db"), 3, "cannot replace", "restore again")
    with pytest.raises(ServerDidNotStart) as refused:
        Server(cli.db)
    assert "was not finished" in refused.value.result.err
    assert "repeat it" in cli.run("doctor").out
    monkeypatch.setattr("minwallet.wallet.service.clock_ms", lambda: 0)
    cli("restore", tmp_path / "copy.db")
    assert cli.read_balances(name) == (100, 0)


def test_a_server_makes_backups(cli: InProcessCli, tmp_path: Path) -> None:
    """It makes one immediately if there is none or the newest is old, keeps the configured number, and leaves other
    files alone.
    """
    name = cli.add_player(balance="1")
    (folder := tmp_path / "copies").mkdir()
    for each in ("auto-20200101T000000Z", "auto-20200102T000000Z", "20200101T000000Z"):
        (folder / f"minwallet-{each}.db").write_text("old")
    with running_server(cli.db, MINWALLET_BACKUP_TO=str(folder), MINWALLET_BACKUP_KEEP="2"):
        deadline = time.monotonic() + TIMEOUT_S
        while (folder / "minwallet-auto-20200101T000000Z.db").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    first, second, newest = _list_names(folder)
    assert (first, second) == ("minwallet-20200101T000000Z.db", "minwallet-auto-20200102T000000Z.db")
    assert InProcessCli(copy_wallet_file(folder / newest, tmp_path / "looked-at.db")).read_balances(name) == (100, 0)
    with running_server(cli.db, MINWALLET_BACKUP_TO=str(folder), MINWALLET_BACKUP_KEEP="2") as server:
        assert server.http.get("/readyz").status_code == 200
    assert _list_names(folder) == [first, second, newest]


def test_the_backup_folder_is_created(cli: InProcessCli, tmp_path: Path) -> None:
    """Only its owner can read it."""
    cli.add_player()
    folder = tmp_path / "a" / "b"
    with running_server(cli.db, MINWALLET_BACKUP_TO=str(folder), MINWALLET_BACKUP_EVERY="10s"):
        _wait_for_backups(folder, 1)
    assert folder.stat().st_mode & 0o077 == 0


def test_a_bad_backup_setting_fails_at_the_start(cli: InProcessCli, tmp_path: Path) -> None:
    """The server does not wait until it needs a backup."""
    (tmp_path / "file").write_text("")
    for name, value, words in (
        ("MINWALLET_BACKUP_TO", str(tmp_path / "file"), "cannot create the folder"),
        ("MINWALLET_BACKUP_EVERY", "often", "invalid duration 'often'"),
        ("MINWALLET_BACKUP_EVERY", "5s", "must be 10s or more"),
        ("MINWALLET_BACKUP_KEEP", "0", "must be at least 1"),
    ):
        assert_error_line(cli.run("serve", "--port", 0, **{name: value}), 2, f"{name}: ", words)
