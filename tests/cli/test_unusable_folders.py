"""Folders that cannot be used: deleted, circular, private. Commands print one line, never a traceback."""

import os
import pwd
from pathlib import Path

import pytest

from tests.cli.cli_assertions import assert_error_line
from tests.cli.permissions import needs_root
from tests.support import InProcessCli


@pytest.mark.parametrize("command", ["systemd", "player list"])
def test_a_deleted_current_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """A relative path has no meaning there."""
    (folder := tmp_path / "gone").mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert_error_line(InProcessCli(Path("wallet.db")).run(*command.split()), 3, "current folder was deleted")
    monkeypatch.chdir("/")


def test_a_unit_in_a_circular_folder_is_refused(tmp_path: Path) -> None:
    """The error names the folder."""
    (loop := tmp_path / "loop").symlink_to("loop")
    assert_error_line(InProcessCli(loop / "wallet.db").run("systemd"), 2, str(loop))


def test_a_demo_with_a_long_name_is_refused(tmp_path: Path) -> None:
    """As any other command."""
    assert_error_line(InProcessCli(tmp_path / ("x" * 300)).run("demo", "--no-browser"), 3, "too long")


@needs_root
def test_private_folders_are_reported(public_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This holds for the backup folder of a unit, for the wallet's own, and for a demo."""
    private = public_folder / "private"
    private.mkdir(mode=0o700)
    (own := public_folder / "own").mkdir()
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(own, nobody, -1)
    monkeypatch.setenv("HOME", str(own))
    os.seteuid(nobody)
    try:
        backup_to = {"MINWALLET_BACKUP_TO": str(private / "copies")}
        assert_error_line(InProcessCli(own / "wallet.db").run("systemd", **backup_to), 2, "cannot read the backup")
        assert InProcessCli(private / "wallet.db").run("systemd").code == 2
        assert_error_line(InProcessCli(private / "wallet.db").run("demo", "--no-browser"), 3, str(private))
    finally:
        os.seteuid(0)


@needs_root
def test_nobody_is_advised_to_create_a_wallet_as_root(public_folder: Path) -> None:
    """In root's folder, the error suggests another wallet file."""
    public_folder.chmod(0o755)
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        result = InProcessCli(public_folder / "wallet.db").run("player", "add", "ann", "--currency", "USD")
    finally:
        os.seteuid(0)
    assert_error_line(result, 3, "choose another place with --db")
    assert "sudo" not in result.err


@needs_root
def test_root_is_not_advised_to_give_its_home_away() -> None:
    """The wallet gets a folder of its own instead."""
    for folder in ("/", pwd.getpwuid(0).pw_dir):
        result = InProcessCli(Path(folder) / "wallet.db").run("systemd")
        assert "/var/lib/minwallet" in result.err
        assert "chown" not in result.err


def test_a_restore_needs_a_regular_file(cli: InProcessCli, tmp_path: Path) -> None:
    """The error says what the source is instead."""
    os.mkfifo(tmp_path / "pipe")
    assert_error_line(cli.run("restore", tmp_path), 2, "is a folder; name a file in it")
    assert_error_line(cli.run("restore", tmp_path / "pipe"), 2, "is not a regular file")


@needs_root
def test_an_unreadable_file_names_its_owner(public_folder: Path) -> None:
    """This holds for the wallet file and for a backup that is restored."""
    cli = InProcessCli(public_folder / "wallet.db")
    cli.add_player()
    public_folder.chmod(0o777)
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        assert_error_line(cli.run("player", "list"), 3, "run as its owner: sudo -u root")
        new = InProcessCli(public_folder / "new.db")
        assert_error_line(new.run("restore", cli.db), 3, "cannot open", str(cli.db), "run as its owner")
    finally:
        os.seteuid(0)
