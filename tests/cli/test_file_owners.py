"""The owner of a wallet's files: what root creates belongs to the owner of the wallet file."""

import os
import pwd
from pathlib import Path

import pytest

from tests.cli.cli_assertions import assert_error_line
from tests.cli.test_doctor import run_doctor
from tests.cli.test_systemd import unit_values
from tests.support import InProcessCli, running_server

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")

OWNER = pwd.getpwnam("daemon")

OTHER_UID = pwd.getpwnam("nobody").pw_uid


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change into an empty folder of another user."""
    (folder := tmp_path / "wallet").mkdir(mode=0o700)
    os.chown(folder, OWNER.pw_uid, OWNER.pw_gid)
    monkeypatch.chdir(folder)
    return folder


def read_owners(folder: Path) -> dict[str, tuple[int, int]]:
    """Return user and group of all files and folders, without the tests' own logs."""
    files = [each for each in folder.rglob("*") if each.suffix != ".log"]
    return {each.name: (each.stat().st_uid, each.stat().st_gid) for each in files}


def test_what_root_creates_belongs_to_the_owner(folder: Path) -> None:
    """A new file belongs to the folder's owner, and what is beside it to its own: the service can use everything."""
    cli = InProcessCli(folder / "wallet.db")
    cli("player", "add", "ann", "--currency", "USD", "--balance", "100")
    with running_server(cli.db, MINWALLET_BACKUP_TO=str(folder / "backups")):
        cli("deposit", "ann", "1")
        cli("backup", folder / "backup.db")
        cli.run("export", "players", folder / "players.csv")
        served = read_owners(folder)
    cli("restore", folder / "backup.db")
    cli.run("export", "players", folder / "players.csv")
    owners = served | read_owners(folder)
    assert {"wallet.db-wal", "wallet.db-shm", "wallet.db.owner", "backups", "backup.db"} < owners.keys()
    assert any(name.startswith("wallet-before-") for name in owners)
    assert {name for name, owner in owners.items() if owner != (OWNER.pw_uid, OWNER.pw_gid)} == set()


def test_doctor_compares_the_owners(folder: Path) -> None:
    """A companion, a folder or a unit of another user is a failure, with the command that corrects it."""
    cli = InProcessCli(folder / "wallet.db")
    cli("agent", "add", "brand2")
    unit = folder / "minwallet.service"
    settings = {"SYSTEMD_UNIT_PATH": str(folder)}
    unit.write_text(cli.run("systemd").out)
    assert "file" not in run_doctor(cli, **settings).failed
    unit.write_text(cli.run("systemd", "--user", "nobody").out)
    cli.db.with_name("wallet.db-shm").touch(mode=0o600)
    os.chown(folder, OTHER_UID, -1)
    found = run_doctor(cli, **settings)
    found.assert_has("fail", "file", f"chown --reference={cli.db} {cli.db}-shm", f"chown daemon {folder}")
    found.assert_has(
        "fail", "file", f"{unit} runs minwallet as user nobody", "User=daemon", f"chown -R nobody {folder}"
    )
    unit.write_text(unit.read_text().replace("User=nobody\n", ""))
    run_doctor(cli, **settings).assert_has("fail", "file", "as user root")
    (folder / "minwallet.service.d").mkdir()
    (folder / "minwallet.service.d" / "user.conf").write_text("[Service]\nUser=daemon\n")
    assert str(unit) not in str(run_doctor(cli, **settings).words)


def test_the_service_runs_as_the_owner(folder: Path) -> None:
    """For root it is the owner of the wallet file, or of its folder before there is one. Root gets a warning."""
    cli = InProcessCli(folder / "wallet.db")
    printed = cli.run("systemd")
    assert (unit_values(printed.out, "User"), printed.err) == (["daemon"], "")
    cli("agent", "add", "brand2")
    assert unit_values(cli.run("systemd").out, "User") == ["daemon"]
    os.chown(cli.db, 0, 0)
    printed = cli.run("systemd")
    assert unit_values(printed.out, "User") == ["root"]
    assert "run as root" in printed.err
    assert "--user NAME" in printed.err


def test_a_denied_permission_names_the_user_to_run_as(public_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the path and the command, for a file as for a folder that cannot be seen."""
    cli = InProcessCli(public_folder / "wallet.db")
    cli("agent", "add", "brand2")
    for each in (cli.db, public_folder):
        os.chown(each, OWNER.pw_uid, OWNER.pw_gid)
    monkeypatch.chdir("/")
    commands = (["player", "list"], ["deposit", "ann", "1"], ["verify"], ["tail", "--agent", "none"])
    for command in commands:
        cli.run(*command)  # Imports everything. The other user may not be able to read this Python.
    for mode in (0o755, 0o700):
        public_folder.chmod(mode)
        for command in commands:
            os.seteuid(OTHER_UID)
            try:
                result = cli.run(*command)
            finally:
                os.seteuid(0)
            assert_error_line(result, 3, f"'{cli.db}'", "ermission denied", "as its owner: sudo -u daemon minwallet …")
