"""`minwallet doctor`: what is well, what is not and what to do; real files with real faults, which stay as they are."""

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

from minwallet.doctor import machine, place, wallet
from minwallet.operations.maintenance import format_backup_name
from minwallet.protocols.operator_service import Game
from minwallet.protocols.registry import load_operator_service
from minwallet.storage.file_lock import ControlEndpoint
from minwallet.storage.sqlite import integrity
from minwallet.web.gateway.http_protocol import DESIRED_OPEN_FILES
from tests.cli.console import unchanged
from tests.provider.stub_provider import run_stub_provider
from tests.support import Here, copy_wallet, serving

pytestmark = pytest.mark.long

LONG_KEY = "k" * 48


class Found(NamedTuple):
    """How the command ended, and the words of what it found, by level and subject."""

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
    """Where the command runs; syncs are measured for no longer than it takes to see that they are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(place, "MEASURED_S", 0.0)
    return tmp_path


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wallet that nobody uses, to be copied."""
    here = Here(tmp_path_factory.mktemp("sound") / "sound.db")
    here.player()
    return here.db


@pytest.fixture
def made(sound: Path, db: Path) -> Here:
    """A wallet file with a player's money."""
    shutil.copy(sound, db)
    return Here(db)


def examine(here: Here, *options: str, **settings: str) -> Found:
    """What the doctor says, while nothing in the folder changes."""
    with unchanged(Path.cwd()):
        return look(here, *options, **settings)


def look(here: Here, *options: str, **settings: str) -> Found:
    """The same beside a server, which has a file of its own to change."""
    result = here.run("doctor", "--json", *options, **settings)
    found: dict[tuple[str, str], list[str]] = {}
    for each in result.json["findings"]:
        found.setdefault((each["level"], each["subject"]), []).append(each["words"])
    assert result.err == ""
    assert result.json["ok"] is (result.code == 0) is not any(level == "fail" for level, _ in found)
    return Found(result.code, found)


def test_a_good_installation_is_well(made: Here) -> None:
    """Every look is taken, and nothing fails."""
    found = examine(made)
    assert found.code == 0
    for subject in ("python", "protection", "free space", "sync", "file", "log", "server", "schema", "durability"):
        found.assert_has("ok", subject)
    found.assert_has("ok", "damage", "none in 1 entries")
    found.assert_has("ok", "newest entry", "UTC")


def test_people_get_a_line_a_finding(made: Here) -> None:
    """With the level first, and the words in one column."""
    lines = made.run("doctor").out.splitlines()
    assert len(lines) > 10
    assert {line[:6] for line in lines} <= {"ok    ", "warn  ", "fail  "}
    assert {line[18:20] for line in lines} == {"  "}


def test_a_wallet_that_is_not_there_yet_is_not_made(folder: Path, here: Here) -> None:
    """That is no fault; a folder that is not there is one."""
    found = examine(here)
    assert found.code == 0
    found.assert_has("ok", "wallet", "made at the first start")
    examine(Here(folder / "no" / "wallet.db")).assert_has("fail", "folder", "create it")
    assert list(folder.iterdir()) == []


def test_what_can_be_no_wallet_file_is_told(folder: Path) -> None:
    """A folder, a pipe, a name that no file can have."""
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe")
    places = (("sub", "is a folder"), ("pipe", "not a file"), ("x" * 300, "too long"), ("/", "is a folder"))
    for name, words in places:
        result = Here(Path(name)).run("doctor", "--json")
        (found,) = [each for each in result.json["findings"] if each["level"] == "fail"]
        assert (result.code, found["subject"]) == (1, "wallet")
        assert words in found["words"]


def test_a_running_server_is_asked(db: Path) -> None:
    """It says whether it is ready, and the file is read beside it."""
    with serving(db, MINWALLET_MIN_FREE_MB="1"):
        Here(db).player()
        found = look(Here(db))
        found.assert_has("ok", "server", "is ready")
        found.assert_has("ok", "damage", "none in 1 entries")
    with serving(db, MINWALLET_MIN_FREE_MB="1000000000"):
        found = look(Here(db))
        assert found.failed == {"server"}
        found.assert_has("fail", "server", "is not ready", "new bets are not taken")


def test_a_server_that_does_not_answer_is_told() -> None:
    """By its process and address."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    desk = ControlEndpoint(77, f"http://127.0.0.1:{port}", "key", "http://127.0.0.1:8000", "")
    found = wallet.check_server(desk)
    assert found.level == "fail"
    assert "process 77" in found.words
    assert "does not answer" in found.words


def test_what_a_killed_server_left_is_read_and_kept(db: Path) -> None:
    """Its log and the log's index are left as they are for the next start."""
    with serving(db) as server:
        Here(db).player()
        server.process.kill()
        server.process.wait()
    db.with_name("wallet.db.owner").unlink()
    assert db.with_name("wallet.db-wal").stat().st_size > 0
    found = examine(Here(db))
    assert found.code == 0
    found.assert_has("ok", "damage", "none in 1 entries")
    with db.with_name("wallet.db-wal").open("r+b") as log:
        log.truncate(log.seek(0, os.SEEK_END) // 2)
    for _ in range(2):
        examine(Here(db)).assert_has("fail", "damage", "log is missing")


def test_files_that_others_can_use_are_named(made: Here, folder: Path) -> None:
    """With the command that closes them."""
    made.db.chmod(0o640)
    folder.chmod(0o777)
    (folder / ".env").write_text(f"MINWALLET_CALLBACK_KEY={LONG_KEY}\n")
    (folder / "minwallet.toml").write_text("port = 9000\n")
    found = examine(made)
    assert found.failed == {"file"}
    found.assert_has("fail", "file", f"chmod 600 {made.db}")
    found.assert_has("warn", "file", f"chmod go-w {folder}")
    assert len(found.words["warn", "settings"]) == 1  # the other has no secret
    found.assert_has("warn", "settings", "chmod 600 .env")
    (folder / ".env").chmod(0o600)
    assert ("warn", "settings") not in examine(made).words


def test_a_second_name_is_told(made: Here, folder: Path) -> None:
    """As two names have two logs."""
    (folder / "second.db").hardlink_to(made.db)
    found = examine(made)
    found.assert_has("fail", "file", "hard link")
    found.assert_has("fail", "wallet", "hard link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_told(made: Here) -> None:
    """minwallet should run as its owner."""
    os.chown(made.db, 1, -1)
    examine(made).assert_has("warn", "file", "belongs to", "as its owner")


def test_a_foreign_file_is_told(here: Here) -> None:
    """And all the rest is looked at, too."""
    with closing(sqlite3.connect(here.db)) as other, other:
        other.execute("CREATE TABLE notes (text)")
    here.db.chmod(0o600)
    found = examine(here)
    assert found.failed == {"wallet"}
    found.assert_has("fail", "wallet", "another program's database")
    here.db.write_bytes(b"no wallet at all" * 64)
    examine(here).assert_has("fail", "wallet", "not a wallet file")


def test_damage_is_found(made: Here) -> None:
    """Garbage in one page; and where a file is too long to be looked through, that is said."""
    with closing(sqlite3.connect(made.db)) as raw:
        (page,) = raw.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'transactions_by_id'").fetchone()
        (size,) = raw.execute("PRAGMA page_size").fetchone()
    with made.db.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)
    examine(made).assert_has("fail", "damage", "restore it from a backup")
    made.db.write_bytes(b"")
    examine(made).assert_has("ok", "schema", "brought up to date")


def test_a_file_too_long_for_a_quick_look_is_left_to_verify(made: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not looked at is not said to be sound."""
    monkeypatch.setattr(wallet, "LOOKED_WITHIN_S", 0.0)
    monkeypatch.setattr(integrity, "BATCH_SIZE", 1)
    examine(made).assert_has("ok", "damage", "what could be looked at", "verify")


def test_the_schema_is_held_against_the_program(made: Here, sound: Path) -> None:
    """An older one is brought up to date by a start; a newer one wants a newer program."""
    for version, level, subject, words in ((41, "fail", "wallet", "upgrade"), (1, "ok", "schema", "next start")):
        copy_wallet(sound, made.db)
        with closing(sqlite3.connect(made.db)) as raw:
            raw.execute(f"PRAGMA user_version = {version}")
        examine(made).assert_has(level, subject, words)


def test_a_log_that_another_program_has_switched_off_is_told(made: Here) -> None:
    """The next start switches it on again."""
    with closing(sqlite3.connect(made.db)) as raw:
        raw.execute("PRAGMA journal_mode = delete")
    examine(made).assert_has("warn", "durability", "journal_mode is delete")


def test_an_entry_from_the_future_is_told(made: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is slow now, or was fast then; and a year in which there was no minwallet is no year."""
    hour_ago = time.time() - 3600
    monkeypatch.setattr("minwallet.wallet.service.clock_ms", lambda: int(hour_ago * 1000))
    found = examine(made)
    assert found.failed == {"newest entry"}
    found.assert_has("fail", "newest entry", "yet to come", "the clock")
    monkeypatch.setattr("minwallet.wallet.service.clock_ms", lambda: 0)
    examine(made).assert_has("fail", "clock", "1970")


def test_a_clock_that_nobody_sets_is_told(tmp_path: Path) -> None:
    """Where systemd knows."""
    now_ms = int(time.time() * 1000)
    assert machine.check_clock(now_ms, tmp_path / "no").level == "ok"
    assert machine.check_clock(now_ms, tmp_path).level == "warn"
    (tmp_path / "synchronized").touch()
    assert machine.check_clock(now_ms, tmp_path).level == "ok"


def test_room_on_the_disk(made: Here) -> None:
    """Too little for bets fails, little warns."""
    free_mb = shutil.disk_usage(made.db.parent).free // 1_000_000
    found = examine(made, MINWALLET_MIN_FREE_MB="1000000000")
    assert found.failed == {"free space"}
    found.assert_has("fail", "free space", "MINWALLET_MIN_FREE_MB wants 1000000000")
    examine(made, MINWALLET_MIN_FREE_MB=str(free_mb // 2)).assert_has("warn", "free space", "make room")


@pytest.mark.parametrize(
    ("settings", "level", "words"),
    [
        ({"host": "0.0.0.0"}, "fail", "would let anyone move money"),
        ({"host": "0.0.0.0", "callback_key": LONG_KEY}, "warn", "--wallet-token"),
        ({"public_url": "https://w.example"}, "warn", "whoever reaches https://w.example"),
        ({"public_url": "http://w.example", "callback_key": LONG_KEY}, "warn", "not encrypted"),
        ({"callback_key": "short"}, "warn", "5 symbols and can be guessed"),
        ({"forwarded_allow": "*"}, "warn", "believes any caller"),
        ({"callback_key": LONG_KEY, "callback_allow": "10.0.0.0/8"}, "ok", "a key and an allow list"),
    ],
)
def test_protection_is_looked_at(made: Here, settings: dict[str, str], level: str, words: str) -> None:
    """What `serve` would refuse fails, and what is weak is told; no secret is."""
    found = examine(made, **{f"MINWALLET_{name.upper()}": value for name, value in settings.items()})
    found.assert_has(level, "protection", words)
    assert found.code == (1 if level == "fail" else 0)
    assert LONG_KEY not in str(found)


def test_providers_are_asked_for_their_games(made: Here) -> None:
    """One that lists games is well; whoever cannot be reached, or makes no sense, is told by its agent."""
    fish = Game("fish", {"en": "Blue Ocean"}, "https://g.example/fish")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with run_stub_provider() as good, run_stub_provider() as silly:
        good.answer_always(load_operator_service("vela").render_games([fish]))
        silly.answer_always(b"<html>")
        for name, url in (("good", good.url), ("silly", silly.url), ("gone", nobody)):
            made("agent", "add", name, "--host-id", f"h_{name}")
            made("agent", "set", name, "--service-url", url)
        found = examine(made)
    assert found.code == 0
    found.assert_has("ok", "provider", "agent good", "lists 1 games")
    found.assert_has("warn", "provider", "agent silly", "agent gone: cannot reach")


@pytest.mark.parametrize(("kind", "level"), [("nfs4", "fail"), ("tmpfs", "warn"), ("overlay", "warn"), ("ext4", "ok")])
def test_file_systems_that_lose_money_are_told(kind: str, level: str) -> None:
    """Over a network SQLite may lose it, and in memory the power does."""
    assert place.check_file_system(kind).level == level


@pytest.mark.parametrize(
    ("version", "level"), [("3.37.2", "fail"), ("3.38.0", "warn"), ("3.44.6", "ok"), ("3.51.3", "ok")]
)
def test_sqlite_is_looked_at(version: str, level: str) -> None:
    """Too old a one fails, and one with the bug of the log is told."""
    assert machine.check_sqlite(version).level == level


@pytest.mark.parametrize(
    ("ms", "level", "words"), [(0.01, "ok", "in memory"), (1, "ok", "1.00"), (40, "warn", "quicker")]
)
def test_a_slow_disk_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ms: float, level: str, words: str
) -> None:
    """And one that is too quick to be true."""
    monkeypatch.setattr(place, "measure_sync_ms", lambda *_, **__: ms)
    found = place.check_sync(tmp_path)
    assert found.level == level
    assert words in found.words


def test_few_open_files_are_told() -> None:
    """As connections need them."""
    assert machine.check_open_files(resource.RLIM_INFINITY).level == "ok"
    assert machine.check_open_files(DESIRED_OPEN_FILES).level == "ok"
    assert "keeps 896 connections" in machine.check_open_files(1024).words


def test_copies_should_be_there_and_not_old(made: Here, folder: Path) -> None:
    """A wallet without any is asked about, and so is one whose server has stopped to make them."""
    examine(made).assert_has("warn", "copies", "MINWALLET_BACKUP_TO")
    (copies := folder / "copies").mkdir()
    settings = {"MINWALLET_BACKUP_TO": str(copies)}
    examine(made, **settings).assert_has("warn", "copies", "there is none")
    (copies / f"{made.db.stem}-auto-20260101T000000Z.db").write_text("")
    examine(made, **settings).assert_has("warn", "copies", "minutes old", "log")
    (copies / format_backup_name(made.db.stem, time.time_ns() // 1_000_000, "auto-")).write_text("")
    examine(made, **settings).assert_has("ok", "copies", "2, the newest is")
    examine(made, MINWALLET_BACKUP_TO="gone").assert_has("fail", "copies", "cannot look at gone")
