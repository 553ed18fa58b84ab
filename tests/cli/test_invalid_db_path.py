"""`--db` with an invalid path is refused in one line with code 3, and nothing is changed."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.cli_assertions import assert_error_line, assert_unchanged
from tests.support import Cli, InProcessCli, running_server

pytestmark = pytest.mark.long

COMMANDS = ["player list", "agent add x", "deposit ann 1", "verify"]


def _make_database(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return path


def _make_wallet(path: Path) -> Path:
    cli = InProcessCli(path)
    cli("player", "add", "ann", "--currency", "USD", "--balance", "10")
    return path


def _make_text_file(path: Path) -> Path:
    path.write_text("Dear diary, this is not a database, but it is longer than the header of one would be. " * 20)
    return path


def _make_garbage(path: Path) -> Path:
    path.write_bytes(bytes(range(255, -1, -1)) * 64)
    return path


def _make_truncated_wallet(path: Path) -> Path:
    whole = _make_wallet(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def _make_newer_wallet(path: Path) -> Path:
    return _make_database(_make_wallet(path), "PRAGMA user_version = 99")


def _make_foreign_database(path: Path) -> Path:
    return _make_database(path, "CREATE TABLE notes (text)", "INSERT INTO notes VALUES ('mine')")


def _make_folder(path: Path) -> Path:
    path.mkdir()
    return path


def _make_pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def _make_hard_linked_wallet(path: Path) -> Path:
    path.with_name("other.db").hardlink_to(_make_wallet(path))
    return path


INVALID_PATHS: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "a folder": (_make_folder, ["is a folder", "--db"]),
    "a folder that is missing": (lambda path: path / "wallet.db", ["No such file or directory", "--db"]),
    "a text file": (_make_text_file, ["not a wallet file", "--db"]),
    "garbage": (_make_garbage, ["not a wallet file", "--db"]),
    "a file cut in half": (_make_truncated_wallet, ["damaged", "backup"]),
    "a newer wallet": (_make_newer_wallet, ["newer minwallet", "99", "upgrade"]),
    "another program's database": (_make_foreign_database, ["another program's database", "--db"]),
    "a folder of the system": (lambda _: Path("/proc/x.db"), ["/proc/x.db", "--db"]),
    "another folder of the system": (lambda _: Path("/sys/x.db"), ["/sys/x.db", "--db"]),
    "no file": (_make_pipe, ["not a regular file", "--db"]),
    "a file with two names": (_make_hard_linked_wallet, ["second name", "copy"]),
    "a name too long": (lambda path: path.with_name("x" * 300), ["too long", "--db"]),
}


@pytest.mark.parametrize("place", INVALID_PATHS)
def test_a_wrong_place_is_refused(tmp_path: Path, db: Path, place: str) -> None:
    """This holds for commands that read, that write, and that create a file."""
    make, words = INVALID_PATHS[place]
    path = make(db)
    with assert_unchanged(tmp_path):
        for command in COMMANDS:
            assert_error_line(InProcessCli(path).run(*command.split(), "--json"), 3, str(path), *words)


@pytest.mark.parametrize("place", ["a folder that is missing", "a text file", "a file cut in half", "a newer wallet"])
def test_a_server_does_not_start_in_a_wrong_place(tmp_path: Path, db: Path, place: str) -> None:
    """It prints the reason."""
    make, words = INVALID_PATHS[place]
    path = make(db)
    with assert_unchanged(tmp_path):
        assert_error_line(Cli(path).run("serve", "--port", 0), 3, str(path), *words)


def test_a_process_that_was_refused_ends_quietly(db: Path) -> None:
    """It prints nothing after the reason, every time."""
    _make_text_file(db)
    for _ in range(3):
        assert_error_line(Cli(db).run("player", "list"), 3, "not a wallet file")


@pytest.mark.parametrize("name", ["", ".", "/", "..", "some/.."])
def test_a_path_without_a_name_is_a_folder(name: str) -> None:
    """It is refused like a folder. An empty name, which a variable without a value gives, is named as such."""
    for command in COMMANDS:
        result = InProcessCli(Path()).run("--db", name, *command.split())
        assert_error_line(result, 3, "--db", *(["the name of the wallet file is empty"] if not name else []))


@pytest.mark.parametrize("command", ["player list", "player show ann", "deposit ann 1", "session list ann", "verify"])
def test_only_commands_that_add_create_a_file(cli: InProcessCli, tmp_path: Path, command: str) -> None:
    """Other commands report the missing file and how to create it."""
    with assert_unchanged(tmp_path):
        assert_error_line(cli.run(*command.split()), 3, str(cli.db), "no wallet file", "--db", "serve")


def test_an_empty_file_becomes_a_wallet(cli: InProcessCli) -> None:
    """`touch` makes such a file. Until a command adds something, it is no wallet, and nothing verifies it."""
    cli.db.touch()
    for command in ("player list", "verify", "backup copy.db"):
        assert_error_line(cli.run(*command.split()), 3, "is empty: not a wallet file")
    assert cli.read_balances(cli.add_player()) == (10_000, 0)


def test_any_valid_file_name_works(tmp_path: Path) -> None:
    """This holds for spaces, letters of any script, and special characters of URIs."""
    cli = InProcessCli(tmp_path / "ein Bücher?mode=ro#100%25.db")
    player = cli.add_player()
    with running_server(cli.db) as server:
        assert server.cli.read_balances(player) == (10_000, 0)
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".db", ".log"]


def test_a_symbolic_link_is_its_target(tmp_path: Path, db: Path) -> None:
    """Both names lead to the same wallet and server. A link without a target is where a file is created."""
    link = tmp_path / "link.db"
    link.symlink_to(db)
    player = InProcessCli(link).add_player()
    with running_server(db):
        assert_error_line(Cli(link).run("serve", "--port", 0), 3, str(db), "is served by process")
        assert InProcessCli(link)("deposit", player, "1")["cash"] == 10_100
    assert InProcessCli(db).read_balances(player) == (10_100, 0)
    assert link.is_symlink()
    assert not db.is_symlink()


def test_a_circular_link_is_refused(db: Path) -> None:
    """A link must not lead to itself."""
    db.symlink_to(db.name)
    for command in COMMANDS:
        assert_error_line(InProcessCli(db).run(*command.split()), 3, str(db), "leads to itself", "--db")


def test_only_the_owner_can_read_the_file(cli: InProcessCli) -> None:
    """A new file has mode 0600."""
    cli.add_player()
    assert cli.db.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in cli.db.parent.iterdir()] == [cli.db.name]
