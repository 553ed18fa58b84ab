"""`minwallet systemd`: units that systemd accepts and that name this installation."""

import os
import pwd
import re
import subprocess
from pathlib import Path

import pytest

from minwallet.app import SHUTDOWN_GRACE_S
from minwallet.cli import systemd
from minwallet.web.gateway.connection_budget import MAX_CONNECTIONS
from tests.cli.cli_assertions import MINWALLET_SCRIPT, assert_error_line
from tests.support import CommandResult, InProcessCli, clean_environment, require_programs

pytestmark = pytest.mark.long

MAX_EXPOSURE = 2.5
"""What `systemd-analyze security` may say; without any of the hardening it says 9.6."""


@pytest.fixture
def analyze() -> str:
    """Return the path of the program that checks units."""
    require_programs("SYSTEMD_REQUIRED", "systemd", "systemd-analyze")
    return "systemd-analyze"


def run_script(*command: object, cwd: Path | None = None, **settings: str) -> CommandResult:
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=clean_environment(**settings), capture_output=True, text=True, check=False
    )
    return CommandResult(done.returncode, done.stdout, done.stderr)


def unit_values(unit: str, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)


def test_systemd_accepts_the_units(tmp_path: Path, analyze: str) -> None:
    """In a folder of any name, the units have no unknown or wrong line, and the server has few rights."""
    folder = tmp_path / """50% of "my" wallet's"""
    folder.mkdir()
    program = tmp_path / "100% sure" / "minwallet"
    program.parent.mkdir()
    program.symlink_to(MINWALLET_SCRIPT)
    units = [tmp_path / "minwallet.service", tmp_path / "minwallet.socket"]
    for unit, options in zip(units, ([], ["--socket"]), strict=True):
        printed = run_script("../100% sure/minwallet", "systemd", *options, cwd=folder)
        assert printed.code == 0, printed
        unit.write_text(printed.out)
    verified = run_script(analyze, "verify", "--recursive-errors=no", *units)
    said = "\n".join(line for line in verified.err.splitlines() if str(tmp_path) in line)
    assert (verified.code, said) == (0, ""), verified
    threshold = f"--threshold={MAX_EXPOSURE * 10:.0f}"
    judged = run_script(analyze, "security", "--offline=true", threshold, "--no-pager", units[0])
    assert judged.code == 0, judged.out


def test_the_service_is_of_this_installation(cli: InProcessCli, tmp_path: Path) -> None:
    """Program, file, folder and user are absolute. The service writes in the folder only, and stops like the server."""
    (tmp_path / "money").mkdir()
    unit = run_script(
        MINWALLET_SCRIPT, "--db", "money/../money/wallet.db", "systemd", "--user", "daemon", cwd=tmp_path
    ).out
    assert unit_values(unit, "ExecStart") == [f":{MINWALLET_SCRIPT} --db {tmp_path}/money/wallet.db serve"]
    assert unit_values(unit, "WorkingDirectory") == unit_values(unit, "ReadWritePaths") == [f"{tmp_path}/money"]
    assert unit_values(unit, "User") == ["daemon"]
    assert unit_values(unit, "CacheDirectory") == []
    assert int(unit_values(unit, "TimeoutStopSec")[0]) > SHUTDOWN_GRACE_S
    assert int(unit_values(unit, "LimitNOFILE")[0]) > MAX_CONNECTIONS
    mine = cli.run("systemd")
    assert unit_values(mine.out, "User") == [pwd.getpwuid(os.geteuid()).pw_name]


def test_one_file_has_a_cache_of_its_own(cli: InProcessCli, tmp_path: Path) -> None:
    """A pex has its path in PEX, and unpacks itself into a folder that the service can write."""
    unit = cli.run("systemd", PEX=str(tmp_path / "minwallet.pex")).out
    assert unit_values(unit, "ExecStart")[0].startswith(f":{tmp_path}/minwallet.pex --db ")
    assert unit_values(unit, "CacheDirectory") == ["minwallet"]
    assert unit_values(unit, "Environment") == ["PEX_ROOT=%C/minwallet"]


def test_what_is_needed_is_not_hidden(cli: InProcessCli) -> None:
    """Home folders are hidden, unless the server needs a file in one."""
    assert unit_values(cli.run("systemd", PEX="/root/minwallet").out, "ProtectHome") == []


def test_a_plugins_folder_is_not_hidden(cli: InProcessCli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its packages the server would start without their protocols."""
    monkeypatch.setattr(systemd, "PROTECTED_HOMES", ("/protocols",))
    assert unit_values(cli.run("systemd").out, "ProtectHome") == ["yes"]
    assert unit_values(cli.run("systemd", MINWALLET_PLUGINS="/protocols/x").out, "ProtectHome") == []


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [("127.0.0.1", "8000", "127.0.0.1:8000"), ("::1", "81", "[::1]:81"), ("localhost", "80", "127.0.0.1:80")],
)
def test_the_socket_is_where_the_server_would_listen(cli: InProcessCli, host: str, port: str, address: str) -> None:
    """The address comes from the settings."""
    unit = cli.run("systemd", "--socket", MINWALLET_HOST=host, MINWALLET_PORT=port).out
    assert unit_values(unit, "ListenStream") == [address]


def test_the_service_can_write_to_the_backup_folder(tmp_path: Path) -> None:
    """The backup folder must exist."""
    (tmp_path / "money").mkdir()
    cli = InProcessCli(tmp_path / "money" / "wallet.db")
    copies = tmp_path / "copies"
    (tmp_path / "money" / "minwallet.toml").write_text(f'backup_to = "{copies}"\nport = 9000')
    assert ":9000" in cli.run("systemd", "--socket").out
    assert_error_line(cli.run("systemd"), 2, "no such backup folder", "MINWALLET_BACKUP_TO")
    copies.mkdir()
    result = cli.run("systemd", MINWALLET_PORT="7")
    unit = result.out
    assert result.err.startswith("MINWALLET_PORT is set only in your environment")
    assert unit_values(unit, "ReadWritePaths") == [f"{cli.db.parent} {copies}"]


def test_invalid_values_of_a_unit_are_refused(cli: InProcessCli, db: Path) -> None:
    """This holds for an unknown user or folder, a host name, port 0, and a public address without protection."""
    assert_error_line(cli.run("systemd", "--user", "nobody-here"), 2, "nobody-here", "--user")
    assert_error_line(InProcessCli(db.parent / "none" / "wallet.db").run("systemd"), 2, "none", "--db")
    assert_error_line(InProcessCli(db.parent / "a\nb.db").run("systemd"), 2, "control characters")
    assert_error_line(cli.run("systemd", PEX="/opt/'minwallet'"), 2, "quotes")
    key = {"MINWALLET_CALLBACK_KEY": "k"}
    assert_error_line(cli.run("systemd", "--socket", MINWALLET_HOST="host.test", **key), 2, "MINWALLET_HOST")
    assert_error_line(cli.run("systemd", "--socket", MINWALLET_PORT="0"), 2, "MINWALLET_PORT")
    assert_error_line(cli.run("systemd", "--socket", MINWALLET_HOST="0.0.0.0"), 2, "MINWALLET_CALLBACK_KEY")
