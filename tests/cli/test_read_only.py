"""Commands that only read: they change no file, and need no right to write."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from minwallet.storage.errors import DatabaseUnusable
from minwallet.storage.sqlite.read_access import choose_access
from tests.cli.cli_assertions import assert_error_line, assert_unchanged
from tests.cli.test_tail import read_line, running_tail
from tests.storage.older_schema import SCRIPTS, copy_to_older_schema
from tests.support import ROOT, InProcessCli, copy_wallet_file, running_server

COMMANDS = (
    *("verify", "player list", "player show ann", "agent list", "agent show default", "session list ann"),
    *("ledger ann", "show 1", "export ledger -", "export players -", "limit list ann", "key list", "admin list"),
    *("agent callback-key list default", "doctor", "backup ../copy.db", "tail -n 1"),
)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount, or become another user")

RUN_ON_READ_ONLY_MOUNT = """
import json, os, subprocess, sys
from pathlib import Path
from tests.support import InProcessCli
db, commands = Path(sys.argv[1]), sys.argv[2:]
subprocess.run(["mount", "--bind", "-o", "ro", db.parent, db.parent], check=True)
os.chdir(db.parent)
print(json.dumps([InProcessCli(db).run(*words.split()) for words in commands]))
"""


@pytest.fixture(scope="module")
def template_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a wallet that a server served: with a closed file, a backup, and a copy of what a kill would leave."""
    cli = InProcessCli(tmp_path_factory.mktemp("template") / "wallet.db")
    cli("player", "add", "ann", "--currency", "USD", "--balance", "100")
    with running_server(cli.db):
        cli("deposit", "ann", "1")
        copy_wallet_file(cli.db, cli.db.with_name("killed.db"), "-wal", "-shm")
    cli("backup", cli.db.with_name("backup.db"))
    copy_to_older_schema(cli.db, cli.db.with_name("older.db"), 3)
    return cli.db


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change into an empty folder."""
    (folder := tmp_path / "here").mkdir()
    monkeypatch.chdir(folder)
    return folder


def copy_state(template_db: Path, state: str, folder: Path) -> InProcessCli:
    """Return the command line on a copy of the wallet in this state: closed, killed, backup or older."""
    name = "wallet.db" if state == "closed" else f"{state}.db"
    db = copy_wallet_file(template_db.with_name(name), folder / "my.db", "-wal", "-shm")
    for each in folder.iterdir():
        each.chmod(0o600)
    return InProcessCli(db)


def assert_reads(cli: InProcessCli, command: str) -> None:
    """Run the command, which follows new entries if it is `tail`."""
    if command.startswith("tail"):
        with running_tail(cli.db, "-n", "1") as process:
            assert "deposit" in read_line(process)
        return
    done = cli.run(*command.split())
    assert (done.code, done.err) == (0, ""), (command, done)


@pytest.mark.parametrize("state", ["closed", "killed", "backup", "older"])
def test_a_reading_command_changes_no_file(template_db: Path, folder: Path, state: str) -> None:
    """This holds for a wallet without a server, after a killed server, for a backup, and for an older version's."""
    cli = copy_state(template_db, state, folder)
    for command in COMMANDS:
        # To follow a file without the lock, SQLite rebuilds the index of a log with commits.
        with nullcontext() if (state, command[:4]) == ("killed", "tail") else assert_unchanged(folder):
            assert_reads(cli, command)
        (folder.parent / "copy.db").unlink(missing_ok=True)
    assert cli.read_balances("ann") == (10_100, 0)


@pytest.mark.parametrize("version", [1, len(SCRIPTS) - 1])
def test_a_file_with_an_older_schema_is_read(template_db: Path, folder: Path, version: int) -> None:
    """It keeps its schema, so that the older version can use it again."""
    copy_to_older_schema(template_db, db := folder / "older.db", version)
    cli = InProcessCli(db)
    with assert_unchanged(folder):
        assert cli("verify") == {"ok": True, "accounts": 1, "entries": 2, "problems": []}
        assert [each["amount"] for each in cli.read_entries("ann")] == [10_000, 100]


def test_a_restore_does_not_change_its_source(template_db: Path, folder: Path) -> None:
    """A wallet file that was not made by `backup` stays as it is too, with the commits of its log."""
    for state in ("closed", "killed", "backup", "older"):
        source = copy_state(template_db, state, folder)
        target = InProcessCli(folder.parent / f"{state}.db")
        with assert_unchanged(folder):
            target("restore", source.db)
        assert target.read_balances("ann") == (10_100, 0)


@contextmanager
def as_other_user(folder: Path) -> Iterator[None]:
    """Be a user who can read the folder and change nothing in it."""
    for each in folder.iterdir():
        each.chmod(0o644)
    folder.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@needs_root
def test_a_folder_without_write_permission_is_enough(template_db: Path, public_folder: Path) -> None:
    """No lock file is needed there. A log with commits cannot be read, and the message says what to do."""
    for state in ("closed", "backup", "older"):
        cli = copy_state(template_db, state, public_folder)
        for command in COMMANDS:
            if state == "closed" and not command.startswith("tail"):
                cli.run(*command.split())  # Imports everything. The other user may not be able to read this Python.
        (public_folder.parent / "copy.db").unlink(missing_ok=True)
        with as_other_user(public_folder), assert_unchanged(public_folder):
            for command in COMMANDS:
                if not command.startswith(("tail", "doctor")):
                    assert_reads(cli, command)
                    (public_folder.parent / "copy.db").unlink(missing_ok=True)
            assert "only read the wallet" in cli.run("doctor").out
            denied = cli.run("deposit", "ann", "1")
        assert_error_line(denied, 3, "cannot write beside", str(cli.db), "Permission denied", "sudo -u root minwallet")
    cli = copy_state(template_db, "killed", public_folder)
    with as_other_user(public_folder), assert_unchanged(public_folder):
        assert_error_line(cli.run("player", "list"), 3, str(cli.db), "my.db-wal", "copy both files")


@needs_root
def test_a_read_only_mount_is_enough(template_db: Path, folder: Path) -> None:
    """A backup can be verified on the medium where it is."""
    db = copy_state(template_db, "backup", folder).db
    shutil.copy(template_db.with_name("older.db"), folder / "older.db")
    commands = ["verify", "player list --json", "export ledger -", "doctor", "deposit ann 1"]
    done = subprocess.run(
        [
            "unshare",
            "-m",
            sys.executable,
            "-c",
            RUN_ON_READ_ONLY_MOUNT,
            db,
            *commands,
            f"--db {folder}/older.db verify",
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    if "unshare failed" in done.stderr or "permission denied" in done.stderr:
        pytest.skip("no right to mount")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [code for code, *_ in results] == [0, 0, 0, 0, 3, 0], results
    assert "Read-only file system" in results[4][2]


def test_a_file_that_changes_while_it_is_read_is_reported(template_db: Path, folder: Path) -> None:
    """Without a lock another user may start a server. The output may then be wrong."""
    db = copy_state(template_db, "closed", folder).db
    with (
        pytest.raises(DatabaseUnusable, match="was changed while it was read"),
        choose_access(db, is_served=False, is_locked=False),
    ):
        InProcessCli(db)("deposit", "ann", "1")


def test_a_change_that_another_program_did_not_finish_is_not_read(template_db: Path, folder: Path) -> None:
    """SQLite undoes it when the file is opened for writing."""
    cli = copy_state(template_db, "backup", folder)
    (folder / "my.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7")
    with assert_unchanged(folder):
        assert_error_line(cli.run("player", "list"), 3, "my.db-journal", "serve")
