"""`minwallet systemd`: units that systemd itself takes, and that name this installation."""

import os
import pwd
import re
import subprocess
from pathlib import Path

import pytest

from minwallet.app import GRACE_S
from minwallet.web.gateway.http_protocol import MAX_CONNECTIONS
from tests.cli.console import SCRIPT, assert_complaint
from tests.support import Here, Result, environment, need

pytestmark = pytest.mark.long

MOST_EXPOSED = 2.5
"""What `systemd-analyze security` may say; without any of the hardening it says 9.6."""


@pytest.fixture
def analyze() -> str:
    """What examines units."""
    need("SYSTEMD_REQUIRED", "systemd", "systemd-analyze")
    return "systemd-analyze"


def run(*command: object, cwd: Path | None = None, **settings: str) -> Result:
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment(**settings), capture_output=True, text=True, check=False
    )
    return Result(done.returncode, done.stdout, done.stderr)


def value(unit: str, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)


def test_systemd_takes_the_units(tmp_path: Path, analyze: str) -> None:
    """Whatever the folder is called: nothing in them is unknown or wrong, and the server has few rights."""
    folder = tmp_path / """50% of "my" wallet's"""
    folder.mkdir()
    program = tmp_path / "100% sure" / "minwallet"
    program.parent.mkdir()
    program.symlink_to(SCRIPT)
    units = [tmp_path / "minwallet.service", tmp_path / "minwallet.socket"]
    for unit, options in zip(units, ([], ["--socket"]), strict=True):
        printed = run("../100% sure/minwallet", "systemd", *options, cwd=folder)
        assert printed.code == 0, printed
        unit.write_text(printed.out)
    verified = run(analyze, "verify", "--recursive-errors=no", *units)
    said = "\n".join(line for line in verified.err.splitlines() if str(tmp_path) in line)
    assert (verified.code, said) == (0, ""), verified
    threshold = f"--threshold={MOST_EXPOSED * 10:.0f}"
    judged = run(analyze, "security", "--offline=true", threshold, "--no-pager", units[0])
    assert judged.code == 0, judged.out


def test_the_service_is_of_this_installation(here: Here, tmp_path: Path) -> None:
    """Program, file, folder and user are named in full; it writes in the folder alone, and stops as the server does."""
    (tmp_path / "money").mkdir()
    unit = run(SCRIPT, "--db", "money/../money/wallet.db", "systemd", "--user", "daemon", cwd=tmp_path).out
    assert value(unit, "ExecStart") == [f":{SCRIPT} --db {tmp_path}/money/wallet.db serve"]
    assert value(unit, "WorkingDirectory") == value(unit, "ReadWritePaths") == [f"{tmp_path}/money"]
    assert value(unit, "User") == ["daemon"]
    assert value(unit, "CacheDirectory") == []
    assert int(value(unit, "TimeoutStopSec")[0]) > GRACE_S
    assert int(value(unit, "LimitNOFILE")[0]) > MAX_CONNECTIONS
    mine = here.run("systemd")
    assert value(mine.out, "User") == [pwd.getpwuid(os.geteuid()).pw_name]


def test_one_file_has_a_cache_of_its_own(here: Here, tmp_path: Path) -> None:
    """A pex names itself in PEX, and unpacks itself where the service may write."""
    unit = here.run("systemd", PEX=str(tmp_path / "minwallet.pex")).out
    assert value(unit, "ExecStart")[0].startswith(f":{tmp_path}/minwallet.pex --db ")
    assert value(unit, "CacheDirectory") == ["minwallet"]
    assert value(unit, "Environment") == ["PEX_ROOT=%C/minwallet"]


def test_what_is_needed_is_not_hidden(here: Here) -> None:
    """Home folders are hidden from the server unless something of it lies in one."""
    assert value(here.run("systemd", PEX="/root/minwallet").out, "ProtectHome") == []


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [("127.0.0.1", "8000", "127.0.0.1:8000"), ("::1", "81", "[::1]:81"), ("localhost", "80", "127.0.0.1:80")],
)
def test_the_socket_is_where_the_server_would_listen(here: Here, host: str, port: str, address: str) -> None:
    """The settings say where."""
    unit = here.run("systemd", "--socket", MINWALLET_HOST=host, MINWALLET_PORT=port).out
    assert value(unit, "ListenStream") == [address]


def test_copies_may_be_written_elsewhere(tmp_path: Path) -> None:
    """The folder for them is the other one in which the service writes, and has to be there."""
    (tmp_path / "money").mkdir()
    here = Here(tmp_path / "money" / "wallet.db")
    copies = tmp_path / "copies"
    (tmp_path / "money" / "minwallet.toml").write_text(f'backup_to = "{copies}"\nport = 9000')
    assert ":9000" in here.run("systemd", "--socket").out
    assert_complaint(here.run("systemd"), 2, "no folder", "MINWALLET_BACKUP_TO")
    copies.mkdir()
    result = here.run("systemd", MINWALLET_PORT="7")
    unit = result.out
    assert result.err.startswith("MINWALLET_PORT is of your environment")
    assert value(unit, "ReadWritePaths") == [f"{here.db.parent} {copies}"]


def test_what_no_unit_can_say_is_refused(here: Here, db: Path) -> None:
    """A user or folder that is not there, a name for an address, a port that changes, an address without protection."""
    assert_complaint(here.run("systemd", "--user", "nobody-here"), 2, "nobody-here", "--user")
    assert_complaint(Here(db.parent / "none" / "wallet.db").run("systemd"), 2, "none", "--db")
    assert_complaint(Here(db.parent / "a\nb.db").run("systemd"), 2, "control characters")
    assert_complaint(here.run("systemd", PEX="/opt/'minwallet'"), 2, "quotes")
    key = {"MINWALLET_CALLBACK_KEY": "k"}
    assert_complaint(here.run("systemd", "--socket", MINWALLET_HOST="host.test", **key), 2, "MINWALLET_HOST")
    assert_complaint(here.run("systemd", "--socket", MINWALLET_PORT="0"), 2, "MINWALLET_PORT")
    assert_complaint(here.run("systemd", "--socket", MINWALLET_HOST="0.0.0.0"), 2, "MINWALLET_CALLBACK_KEY")
