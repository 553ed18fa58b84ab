"""Tests of the checks of a wallet file's names, mounts, owner and permissions."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from minwallet.storage.errors import DatabaseUnusable, NotAWallet
from minwallet.storage.mounts import Mount, find_mount_point, parse_mountinfo
from minwallet.storage.sqlite import SqliteStore
from tests.cli.cli_assertions import assert_error_line
from tests.storage.store_helpers import Run
from tests.support import InProcessCli

MOUNTINFO = rb"""22 27 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
41 27 254:0 /a /srv/my\040wallet\011\134x\012\303\244.db rw shared:1 master:2 - ext4 /dev/vda rw - ro
42 27 0:50 / /net rw - fuse.sshfs host:/ rw
"""


@pytest.fixture
def cli(tmp_path: Path) -> InProcessCli:
    """Return the command line on a closed wallet with one player."""
    (tmp_path / "wallet").mkdir()
    cli = InProcessCli(tmp_path / "wallet" / "minwallet.db")
    cli.add_player()
    return cli


@contextmanager
def bind_mount(source: Path, target: Path) -> Iterator[None]:
    """Mount the source at the target. Skip the test where this user may not mount."""
    target.touch()
    mounted = subprocess.run(["mount", "--bind", source, target], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("this user may not mount")
    try:
        yield
    finally:
        subprocess.run(["umount", target], check=True)


def test_mountinfo_is_parsed() -> None:
    """Octal escapes and a variable number of fields are read."""
    assert [*parse_mountinfo(MOUNTINFO)] == [
        Mount(Path("/sys"), "sysfs"),
        Mount(Path("/"), "ext4"),
        Mount(Path("/srv/my wallet\t\\x\nä.db"), "ext4"),
        Mount(Path("/net"), "fuse.sshfs"),
    ]
    assert [*parse_mountinfo(b"")] == []


def test_a_system_without_mountinfo_has_no_mounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only Linux has the file."""
    monkeypatch.setattr("minwallet.storage.mounts.MOUNTINFO", tmp_path / "none")
    assert find_mount_point([Path("/")]) is None


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="only Linux has this file")
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal", ".owner"])
def test_a_file_that_is_mounted_alone_is_refused(cli: InProcessCli, suffix: str, tmp_path: Path) -> None:
    """Under its second name the wallet would have another log. Each command and `doctor` say so and change nothing."""
    other = InProcessCli(tmp_path / "second.db")
    if suffix:
        other.db.write_bytes(cli.db.read_bytes())
        other.db.chmod(0o600)
    (source := cli.db.with_name(f"minwallet.db{suffix}")).touch(0o600)
    backup = tmp_path / "backup.db"
    if not suffix:
        assert cli.run("backup", backup).code == 0
    before = source.read_bytes()
    with bind_mount(source, other.db.with_name(f"second.db{suffix}")):
        for command in (
            ("serve", "--port", "0"),
            ("verify",),
            ("player", "list"),
            ("deposit", "p1", "1"),
            ("backup", tmp_path / "new.db"),
            ("restore", backup if backup.exists() else cli.db),
        ):
            assert_error_line(other.run(*command), 3, f"second.db{suffix} is mounted as a single file", "folder")
        found = other.run("doctor")
        assert found.code == 1
        assert f"second.db{suffix} is mounted as a single file" in found.out
    assert source.read_bytes() == before


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_a_companion_is_a_file_of_its_own(cli: InProcessCli, suffix: str, tmp_path: Path) -> None:
    """SQLite would follow a link and write into another wallet's log."""
    companion = cli.db.with_name(f"minwallet.db{suffix}")
    companion.symlink_to(tmp_path / "elsewhere")
    assert_error_line(cli.run("verify"), 3, companion.name, "not a regular file")
    companion.unlink()
    os.mkfifo(companion)
    assert_error_line(cli.run("verify"), 3, companion.name, "not a regular file")
    assert companion.name in cli.run("doctor").out
    companion.unlink()
    (tmp_path / "elsewhere").touch()
    companion.hardlink_to(tmp_path / "elsewhere")
    assert_error_line(cli.run("verify"), 3, companion.name, "second name")


def test_a_folder_of_another_mount_namespace_is_refused(
    cli: InProcessCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run
) -> None:
    """Below /proc/PID/root of a container, SQLite and the lock would use two different folders."""
    monkeypatch.setattr("os.path.realpath", lambda path: str(tmp_path))
    with pytest.raises(DatabaseUnusable, match="another mount namespace"):
        run(SqliteStore.open(cli.db, create=False))


def test_a_folder_under_two_names_is_one_wallet(cli: InProcessCli, tmp_path: Path) -> None:
    """A link to the folder leads to the same log and the same lock file."""
    (tmp_path / "link").symlink_to(cli.db.parent)
    linked = InProcessCli(tmp_path / "link" / cli.db.name)
    linked.assert_ledger_valid()


def test_other_users_lose_access_to_the_wallet(cli: InProcessCli) -> None:
    """A file that was created elsewhere with open permissions is corrected when its owner opens it."""
    cli.db.chmod(0o664)
    cli.add_player()
    assert cli.db.stat().st_mode & 0o777 == 0o600


def test_permissions_of_another_programs_file_stay(cli: InProcessCli, run: Run) -> None:
    """Only a wallet is corrected."""
    cli.db.write_bytes(b"something else" * 100)
    cli.db.chmod(0o644)
    with pytest.raises(NotAWallet):
        run(SqliteStore.open(cli.db, create=True))
    assert cli.db.stat().st_mode & 0o777 == 0o644


def test_a_wallet_whose_permissions_cannot_be_corrected_is_refused(
    cli: InProcessCli, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    """The error says who can correct them."""
    cli.db.chmod(0o666)

    def refuse(path: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(DatabaseUnusable, match="run as its owner: chmod 600"):
        run(SqliteStore.open(cli.db, create=False))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_what_root_creates_belongs_to_the_service(cli: InProcessCli, tmp_path: Path) -> None:
    """Commands of root keep the wallet and its backups usable for the service's user."""
    for path in (cli.db.parent, cli.db):
        os.chown(path, 12345, 12346)
    cli.db.with_name("new.db").unlink(missing_ok=True)
    InProcessCli(cli.db.with_name("new.db")).add_player()
    assert cli.run("backup", tmp_path / "backup.db").code == 0
    assert cli.run("restore", tmp_path / "backup.db").code == 0
    for path in (*cli.db.parent.iterdir(), tmp_path / "backup.db"):
        status = path.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (12345, 12346, 0o600), path
