"""`minwallet doctor`, with real files and real faults, which it does not change."""

import os
import resource
import shutil
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from minwallet.doctor import filesystem, host, wallet_file
from minwallet.operations.maintenance import format_backup_name
from minwallet.protocols.operator_service import Game
from minwallet.protocols.registry import load_operator_service
from minwallet.storage.file_lock import ControlEndpoint
from minwallet.storage.sqlite import integrity
from minwallet.web.gateway.connection_budget import DESIRED_OPEN_FILES
from tests.cli.cli_assertions import assert_unchanged
from tests.provider.stub_provider import run_stub_provider
from tests.storage.older_schema import copy_to_older_schema
from tests.support import InProcessCli, running_server

pytestmark = pytest.mark.long

LONG_KEY = "k" * 48


class DoctorResult(NamedTuple):
    """The exit code, and the words of the findings by level and subject."""

    code: int
    words: dict[tuple[str, str], list[str]]

    def assert_has(self, level: str, subject: str, *words: str) -> None:
        assert (level, subject) in self.words, self.words
        found = " | ".join(self.words[level, subject])
        for word in words:
            assert word in found, found

    @property
    def failed(self) -> set[str]:
        return {subject for level, subject in self.words if level == "fail"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change into an empty folder. Measure syncs only briefly."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(filesystem, "SYNC_PROBE_S", 0.0)
    return tmp_path


@pytest.fixture(scope="module")
def template_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a wallet file that tests copy."""
    cli = InProcessCli(tmp_path_factory.mktemp("sound") / "sound.db")
    cli.add_player()
    return cli.db


@pytest.fixture
def wallet_cli(template_db: Path, db: Path) -> InProcessCli:
    """Return the command line on a wallet file with a player's money."""
    shutil.copy(template_db, db)
    return InProcessCli(db)


def run_doctor_unchanged(cli: InProcessCli, *options: str, **settings: str) -> DoctorResult:
    """Run the doctor, and check that nothing in the folder changes."""
    with assert_unchanged(Path.cwd()):
        return run_doctor(cli, *options, **settings)


def run_doctor(cli: InProcessCli, *options: str, **settings: str) -> DoctorResult:
    """Run the doctor beside a server, whose files may change."""
    result = cli.run("doctor", "--json", *options, **settings)
    found: dict[tuple[str, str], list[str]] = {}
    for each in result.json["findings"]:
        found.setdefault((each["level"], each["subject"]), []).append(each["words"])
    assert result.err == ""
    assert result.json["ok"] is (result.code == 0) is not any(level == "fail" for level, _ in found)
    return DoctorResult(result.code, found)


def test_a_good_installation_has_no_failure(wallet_cli: InProcessCli) -> None:
    """All checks run, and none fails."""
    found = run_doctor_unchanged(wallet_cli)
    assert found.code == 0
    for subject in ("python", "protection", "free space", "sync", "file", "log", "server", "schema", "durability"):
        found.assert_has("ok", subject)
    found.assert_has("ok", "damage", "none in 1 entries")
    found.assert_has("ok", "newest entry", "UTC")


def test_a_finding_is_one_line(wallet_cli: InProcessCli) -> None:
    """The line begins with the level, and the words are in one column."""
    lines = wallet_cli.run("doctor").out.splitlines()
    assert len(lines) > 10
    assert {line[:6] for line in lines} <= {"ok    ", "warn  ", "fail  "}
    assert {line[18:20] for line in lines} == {"  "}


def test_a_missing_wallet_is_ok_and_not_created(folder: Path, cli: InProcessCli) -> None:
    """A missing folder is a failure."""
    found = run_doctor_unchanged(cli)
    assert found.code == 0
    found.assert_has("ok", "wallet", "the first start creates it")
    run_doctor_unchanged(InProcessCli(folder / "no" / "wallet.db")).assert_has("fail", "folder", "create it")
    assert list(folder.iterdir()) == []


def test_an_impossible_wallet_file_fails(folder: Path) -> None:
    """This holds for a folder, a pipe, and an invalid file name."""
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe")
    places = (("sub", "is a folder"), ("pipe", "not a regular file"), ("x" * 300, "too long"), ("/", "is a folder"))
    for name, words in places:
        result = InProcessCli(Path(name)).run("doctor", "--json")
        (found,) = [each for each in result.json["findings"] if each["level"] == "fail"]
        assert (result.code, found["subject"]) == (1, "wallet")
        assert words in found["words"]


def test_a_running_server_is_asked(db: Path) -> None:
    """Its readiness is a finding, and the file is read while it runs."""
    with running_server(db, MINWALLET_MIN_FREE_MB="1"):
        InProcessCli(db).add_player()
        found = run_doctor(InProcessCli(db))
        found.assert_has("ok", "server", "is ready")
        found.assert_has("ok", "damage", "none in 1 entries")
    with running_server(db, MINWALLET_MIN_FREE_MB="1000000000"):
        found = run_doctor(InProcessCli(db))
        assert found.failed == {"server", "free space"}
        found.assert_has("fail", "server", "is not ready", "new bets are rejected")


def test_a_server_without_an_answer_fails() -> None:
    """The finding names its process and URL."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    desk = ControlEndpoint(77, f"http://127.0.0.1:{port}", "key", "http://127.0.0.1:8000", "")
    found = wallet_file.check_server(desk)
    assert found.level == "fail"
    assert "process 77" in found.words
    assert "does not answer" in found.words


def test_what_a_killed_server_left_is_read_and_kept(db: Path) -> None:
    """The log and its index stay as they are for the next start."""
    with running_server(db) as server:
        InProcessCli(db).add_player()
        server.process.kill()
        server.process.wait()
    db.with_name("wallet.db.owner").unlink()
    assert db.with_name("wallet.db-wal").stat().st_size > 0
    found = run_doctor_unchanged(InProcessCli(db))
    assert found.code == 0
    found.assert_has("ok", "damage", "none in 1 entries")
    with db.with_name("wallet.db-wal").open("r+b") as log:
        log.truncate(log.seek(0, os.SEEK_END) // 2)
    for _ in range(2):
        run_doctor_unchanged(InProcessCli(db)).assert_has("fail", "damage", "log is missing")


def test_open_permissions_fail(wallet_cli: InProcessCli, folder: Path) -> None:
    """The finding has the command that closes them."""
    wallet_cli.db.chmod(0o640)
    folder.chmod(0o777)
    (folder / ".env").write_text(f"MINWALLET_CALLBACK_KEY={LONG_KEY}\n")
    (folder / "minwallet.toml").write_text("port = 9000\n")
    found = run_doctor_unchanged(wallet_cli)
    assert found.failed == {"file"}
    found.assert_has("fail", "file", f"chmod 600 {wallet_cli.db}")
    found.assert_has("warn", "file", f"chmod go-w {folder}")
    assert len(found.words["warn", "settings"]) == 1  # the other has no secret
    found.assert_has("warn", "settings", "chmod 600 .env")
    (folder / ".env").chmod(0o600)
    assert ("warn", "settings") not in run_doctor_unchanged(wallet_cli).words


def test_a_hard_link_fails(wallet_cli: InProcessCli, folder: Path) -> None:
    """Two names would have two logs."""
    (folder / "second.db").hardlink_to(wallet_cli.db)
    found = run_doctor_unchanged(wallet_cli)
    found.assert_has("fail", "file", "hard link")
    found.assert_has("fail", "wallet", "hard link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_a_warning(wallet_cli: InProcessCli) -> None:
    """minwallet should run as the file's owner."""
    os.chown(wallet_cli.db, 1, -1)
    run_doctor_unchanged(wallet_cli).assert_has("warn", "file", "belongs to user", "as this user")


def test_a_file_of_another_program_fails(cli: InProcessCli) -> None:
    """All other checks still run."""
    with closing(sqlite3.connect(cli.db)) as other, other:
        other.execute("CREATE TABLE notes (text)")
    cli.db.chmod(0o600)
    found = run_doctor_unchanged(cli)
    assert found.failed == {"wallet"}
    found.assert_has("fail", "wallet", "another program's database")
    cli.db.write_bytes(b"no wallet at all" * 64)
    run_doctor_unchanged(cli).assert_has("fail", "wallet", "not a wallet file")


def test_damage_is_found(wallet_cli: InProcessCli) -> None:
    """A page with garbage is a failure."""
    with closing(sqlite3.connect(wallet_cli.db)) as raw:
        (page,) = raw.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'transactions_by_id'").fetchone()
        (size,) = raw.execute("PRAGMA page_size").fetchone()
    with wallet_cli.db.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)
    run_doctor_unchanged(wallet_cli).assert_has("fail", "damage", "restore it from a backup")
    wallet_cli.db.write_bytes(b"")
    run_doctor_unchanged(wallet_cli).assert_has("ok", "schema", "the next start upgrades")


def test_a_partial_check_says_so(wallet_cli: InProcessCli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that was not read is not reported as sound."""
    monkeypatch.setattr(wallet_file, "SCAN_TIMEOUT_S", 0.0)
    monkeypatch.setattr(integrity, "BATCH_SIZE", 1)
    run_doctor_unchanged(wallet_cli).assert_has("ok", "damage", "the part read in", "verify")


def test_the_schema_is_compared_with_the_program(wallet_cli: InProcessCli, template_db: Path) -> None:
    """The next start upgrades an older schema. A newer schema needs a newer program."""
    with closing(sqlite3.connect(wallet_cli.db)) as raw:
        raw.execute("PRAGMA user_version = 41")
    run_doctor_unchanged(wallet_cli).assert_has("fail", "wallet", "upgrade")
    wallet_cli.db.unlink()
    copy_to_older_schema(template_db, wallet_cli.db, 1)
    run_doctor_unchanged(wallet_cli).assert_has("ok", "schema", "next start")


def test_a_switched_off_log_is_a_warning(wallet_cli: InProcessCli) -> None:
    """The next start switches it on again."""
    with closing(sqlite3.connect(wallet_cli.db)) as raw:
        raw.execute("PRAGMA journal_mode = delete")
    run_doctor_unchanged(wallet_cli).assert_has("warn", "durability", "journal_mode is delete")


def test_an_entry_from_the_future_fails(wallet_cli: InProcessCli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is slow now or was fast before. A year before minwallet existed is a failure too."""
    hour_ago = time.time() - 3600
    monkeypatch.setattr("minwallet.wallet.service.clock_ms", lambda: int(hour_ago * 1000))
    found = run_doctor_unchanged(wallet_cli)
    assert found.failed == {"newest entry"}
    found.assert_has("fail", "newest entry", "in the future", "the clock")
    monkeypatch.setattr("minwallet.wallet.service.clock_ms", lambda: 0)
    run_doctor_unchanged(wallet_cli).assert_has("fail", "clock", "1970")


def test_an_unsynchronized_clock_is_a_warning(tmp_path: Path) -> None:
    """The check uses systemd's file."""
    now_ms = int(time.time() * 1000)
    assert host.check_clock(now_ms, tmp_path / "no").level == "ok"
    assert host.check_clock(now_ms, tmp_path).level == "warn"
    (tmp_path / "synchronized").touch()
    assert host.check_clock(now_ms, tmp_path).level == "ok"


def test_free_disk_space_is_checked(wallet_cli: InProcessCli) -> None:
    """Too little for bets is a failure, and little is a warning."""
    free_mb = shutil.disk_usage(wallet_cli.db.parent).free // 1_000_000
    found = run_doctor_unchanged(wallet_cli, MINWALLET_MIN_FREE_MB="1000000000")
    assert found.failed == {"free space"}
    found.assert_has("fail", "free space", "below MINWALLET_MIN_FREE_MB=1000000000")
    run_doctor_unchanged(wallet_cli, MINWALLET_MIN_FREE_MB=str(free_mb // 2)).assert_has(
        "warn", "free space", "free some space"
    )


@pytest.mark.parametrize(
    ("settings", "level", "words"),
    [
        ({"host": "0.0.0.0"}, "fail", "anyone could move money"),
        ({"host": "0.0.0.0", "callback_key": LONG_KEY}, "warn", "--wallet-token"),
        ({"public_url": "https://w.example"}, "warn", "anyone who reaches https://w.example"),
        ({"public_url": "http://w.example", "callback_key": LONG_KEY}, "warn", "not encrypted"),
        ({"callback_key": "short"}, "warn", "5 characters and can be guessed"),
        ({"forwarded_allow": "*"}, "warn", "trusts every caller"),
        ({"callback_key": LONG_KEY, "callback_allow": "10.0.0.0/8"}, "ok", "a callback key and an allow list"),
    ],
)
def test_protection_is_checked(wallet_cli: InProcessCli, settings: dict[str, str], level: str, words: str) -> None:
    """Settings that `serve` refuses are failures, and weak ones warnings. No secret is printed."""
    found = run_doctor_unchanged(wallet_cli, **{f"MINWALLET_{name.upper()}": value for name, value in settings.items()})
    found.assert_has(level, "protection", words)
    assert found.code == (1 if level == "fail" else 0)
    assert LONG_KEY not in str(found)


def test_providers_are_asked_for_their_games(wallet_cli: InProcessCli) -> None:
    """A provider with a game list is ok. One that is unreachable or replies with nonsense is a warning."""
    fish = Game("fish", {"en": "Blue Ocean"}, "https://g.example/fish")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with run_stub_provider() as good, run_stub_provider() as silly:
        good.answer_always(load_operator_service("vela").render_games([fish]))
        silly.answer_always(b"<html>")
        for name, url in (("good", good.url), ("silly", silly.url), ("gone", nobody)):
            wallet_cli("agent", "add", name, "--host-id", f"h_{name}")
            wallet_cli("agent", "set", name, "--service-url", url)
        found = run_doctor_unchanged(wallet_cli)
    assert found.code == 0
    found.assert_has("ok", "provider", "agent good", "lists 1 games")
    found.assert_has("warn", "provider", "agent silly", "agent gone: cannot reach")


@pytest.mark.parametrize(("kind", "level"), [("nfs4", "fail"), ("tmpfs", "warn"), ("overlay", "warn"), ("ext4", "ok")])
def test_file_systems_that_lose_data_are_reported(kind: str, level: str) -> None:
    """SQLite can lose data on a network file system, and memory loses it without power."""
    assert filesystem.check_file_system(kind).level == level


@pytest.mark.parametrize(
    ("version", "level"), [("3.37.2", "fail"), ("3.38.0", "warn"), ("3.44.6", "ok"), ("3.51.3", "ok")]
)
def test_the_sqlite_version_is_checked(version: str, level: str) -> None:
    """A version that is too old fails, and one with the WAL-reset bug is a warning."""
    assert host.check_sqlite(version).level == level


@pytest.mark.parametrize(
    ("ms", "level", "words"), [(0.01, "ok", "as fast as memory"), (1, "ok", "1.00"), (40, "warn", "faster disk")]
)
def test_the_sync_time_is_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ms: float, level: str, words: str
) -> None:
    """A slow disk is a warning, and an implausibly fast one is mentioned."""
    monkeypatch.setattr(filesystem, "measure_sync_ms", lambda *_, **__: ms)
    found = filesystem.check_sync(tmp_path)
    assert found.level == level
    assert words in found.words


def test_a_low_limit_of_open_files_is_a_warning() -> None:
    """Connections need open files."""
    assert host.check_open_files(resource.RLIM_INFINITY).level == "ok"
    assert host.check_open_files(DESIRED_OPEN_FILES).level == "ok"
    assert "only 832 connections" in host.check_open_files(1024).words


def test_missing_and_old_backups_are_warnings(wallet_cli: InProcessCli, folder: Path) -> None:
    """This holds for a wallet without backups, and for a server that stopped making them."""
    run_doctor_unchanged(wallet_cli).assert_has("warn", "backups", "MINWALLET_BACKUP_TO")
    (copies := folder / "copies").mkdir()
    settings = {"MINWALLET_BACKUP_TO": str(copies)}
    run_doctor_unchanged(wallet_cli, **settings).assert_has("warn", "backups", "none in")
    (copies / f"{wallet_cli.db.stem}-auto-20260101T000000Z.db").write_text("")
    run_doctor_unchanged(wallet_cli, **settings).assert_has("warn", "backups", "min old", "log")
    (copies / format_backup_name(wallet_cli.db.stem, time.time_ns() // 1_000_000, "auto-")).write_text("")
    run_doctor_unchanged(wallet_cli, **settings).assert_has("ok", "backups", "2, the newest is")
    run_doctor_unchanged(wallet_cli, MINWALLET_BACKUP_TO="gone").assert_has(
        "fail", "backups", f"cannot read {folder}/gone"
    )


def test_backups_that_others_can_read_are_a_warning(wallet_cli: InProcessCli, folder: Path) -> None:
    """A backup contains all balances, and a replaced one would be restored."""
    (copies := folder / "open").mkdir()
    copies.chmod(0o777)
    backup = copies / format_backup_name(wallet_cli.db.stem, time.time_ns() // 1_000_000, "auto-")
    backup.touch(0o644)
    found = run_doctor_unchanged(wallet_cli, MINWALLET_BACKUP_TO=str(copies))
    found.assert_has("warn", "backups", "can replace the backups", "chmod go-w")
    command = f"chmod 600 {copies}/{wallet_cli.db.stem}-auto-*.db"
    found.assert_has("warn", "backups", "can read 1 of the backups", command)
