"""Whose settings count: those of the wallet file's folder, and those in force in its server."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from minwallet.doctor import filesystem
from minwallet.storage.file_lock import read_control_endpoint
from tests.cli.cli_assertions import assert_error_line
from tests.cli.permissions import needs_root, permissions_apply
from tests.support import CommandResult, InProcessCli, Server, run_minwallet, running_server

KEY, OTHER_KEY = "0123456789abcdef_a_long_random_word", "0123456789abcdef_a_long_other__word"


class Folders(NamedTuple):
    """The wallet's folder, and the current folder, which is another one."""

    wallet: Path
    current: Path

    @property
    def cli(self) -> InProcessCli:
        return InProcessCli(self.wallet / "minwallet.db")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    """Change into a folder beside that of the wallet."""
    folders = Folders(tmp_path / "wallet", tmp_path / "current")
    for folder in folders:
        folder.mkdir()
    monkeypatch.chdir(folders.current)
    monkeypatch.setattr(filesystem, "SYNC_PROBE_S", 0.0)
    return folders


def _read_settings(result: CommandResult) -> dict[str, tuple[str, str]]:
    """Return value and source of each setting in the output of `config show --json`."""
    assert result.code == 0, result
    return {each["variable"]: (each["value"], each["origin"]) for each in result.json["settings"]}


def _doctor_words(cli: InProcessCli, subject: str) -> list[str]:
    """Return the level and the words of the doctor's findings with this subject."""
    findings = cli.run("doctor", "--json").json["findings"]
    return [f"{each['level']} {each['words']}" for each in findings if each["subject"] == subject]


def test_settings_come_from_the_folder_of_the_wallet_file(folders: Folders) -> None:
    """A wallet has the same settings wherever a command runs, also if a link or a variable names the file."""
    (folders.wallet / ".env").write_text(f"MINWALLET_CALLBACK_KEY={KEY}\n")
    (folders.wallet / "minwallet.toml").write_text("port = 9000\n")
    (link := folders.current / "link.db").symlink_to(folders.cli.db)
    for result in (
        folders.cli.run("config", "show", "--json"),
        InProcessCli(link).run("config", "show", "--json"),
        InProcessCli(Path("../wallet/minwallet.db")).run("config", "show", "--json"),
    ):
        found = _read_settings(result)
        assert result.err == ""
        assert found["MINWALLET_PORT"] == ("9000", f"{folders.wallet}/minwallet.toml")
        assert found["MINWALLET_CALLBACK_KEY"][1] == f"{folders.wallet}/.env"
    assert _doctor_words(folders.cli, "protection") == ["ok provider endpoints behind a callback key"]
    assert any(f"chmod 600 {folders.wallet}/.env" in words for words in _doctor_words(folders.cli, "settings"))
    (folders.wallet / "minwallet.toml").write_text("prot = 9000\n")
    refused = folders.cli.run("player", "list")
    assert_error_line(refused, 2, f"unknown setting 'prot' in {folders.wallet}/minwallet.toml")


def test_settings_of_the_current_folder_count_if_the_wallets_folder_has_none(folders: Folders) -> None:
    """A line on stderr says so. A `.env` of another program is none, an empty `minwallet.toml` is one."""
    (folders.wallet / ".env").write_text("OTHER=1\n")
    (folders.current / ".env").write_text("MINWALLET_PORT=7\n")
    result = folders.cli.run("config", "show", "--json")
    assert _read_settings(result)["MINWALLET_PORT"] == ("7", ".env")
    read_here = f"minwallet: settings are read from {folders.current}/.env, because {folders.wallet} has none\n"
    assert result.err == read_here
    assert folders.cli.run("player", "add", "alice", "--currency", "USD").err.count(read_here) == 1
    (folders.wallet / "minwallet.toml").touch()
    result = folders.cli.run("config", "show", "--json")
    assert _read_settings(result)["MINWALLET_PORT"] == ("8000", "default")
    assert result.err == (
        f"minwallet: the settings in {folders.current}/.env are ignored, because {folders.wallet} has its own\n"
    )


def test_equal_settings_in_both_folders_need_no_line(folders: Folders) -> None:
    """Nothing is lost then. A file that only names the wallet file is used, and needs no line either."""
    for folder in folders:
        (folder / "minwallet.toml").write_text(f'callback_key = "{KEY}"\nbackup_to = "backups"\n')
    result = folders.cli.run("config", "show", "--json")
    assert result.err == ""
    assert _read_settings(result)["MINWALLET_BACKUP_TO"][0] == f"{folders.wallet}/backups"
    (folders.current / "minwallet.toml").write_text('db = "../wallet/minwallet.db"\nport = 9000\n')
    differs = run_minwallet("config", "show", "--json", cwd=folders.current)
    assert differs.err.startswith(f"minwallet: the other settings in {folders.current}/minwallet.toml are ignored, ")
    (folders.current / "minwallet.toml").write_text('db = "../wallet/minwallet.db"\n')
    result = run_minwallet("config", "show", "--json", cwd=folders.current)
    assert result.err == ""
    found = _read_settings(result)
    assert found["MINWALLET_DB"] == ("../wallet/minwallet.db", "minwallet.toml")
    assert found["MINWALLET_BACKUP_TO"] == (f"{folders.wallet}/backups", f"{folders.wallet}/minwallet.toml")


@pytest.mark.parametrize(
    ("name", "value", "other"), [("callback_key", KEY, OTHER_KEY), ("callback_allow", "10.0.0.0/8", "::1")]
)
def test_a_protection_of_the_current_folder_is_not_lost(folders: Folders, name: str, value: str, other: str) -> None:
    """It is an error if the wallet's folder has settings without it. The value is not shown."""
    (folders.wallet / "minwallet.toml").write_text("port = 9000\n")
    (folders.current / ".env").write_text(f"MINWALLET_{name.upper()}={value}\n")
    place = (
        f"MINWALLET_{name.upper()} is set in {folders.current}/.env, but not in the wallet's folder {folders.wallet}"
    )
    for command in (["serve"], ["player", "list"], ["config", "show"]):
        refused = folders.cli.run(*command)
        assert_error_line(refused, 2, place)
        assert value not in refused.err
    kept = folders.cli.run("config", "show", **{f"MINWALLET_{name.upper()}": value})
    assert kept.code == 0, kept
    (folders.wallet / "minwallet.toml").write_text(f'{name} = "{other}"\n')
    assert "are ignored" in folders.cli.run("config", "show").err


@needs_root
def test_a_folder_that_this_user_may_not_enter_has_no_settings(folders: Folders) -> None:
    """So `sudo -u` works in a private home folder."""
    folders.cli("player", "add", "alice", "--currency", "USD")
    (folders.current / ".env").write_text("not a setting")
    folders.current.chmod(0o700)
    os.chown(folders.current, 12345, 12345)
    with permissions_apply():
        listed = folders.cli.run("player", "list")
    assert (listed.code, listed.err) == (0, ""), listed
    assert "alice" in listed.out


@needs_root
def test_a_server_does_not_start_without_a_file_that_it_may_not_read(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The callback key could be in it. Other commands say that they ignore the file."""
    folders.cli("player", "add", "alice", "--currency", "USD")
    (env := folders.wallet / ".env").write_text(f"MINWALLET_CALLBACK_KEY={KEY}\n")
    env.chmod(0o600)
    os.chown(env, 12345, 12345)
    words = f"cannot read the settings file '{env}': permission denied"
    with permissions_apply():
        listed = folders.cli.run("player", "list")
        assert (listed.code, "alice" in listed.out) == (0, True), listed
        assert listed.err.startswith(f"minwallet: {words}")
        checked = folders.cli.run("doctor")
        assert checked.code == 1
        assert words in checked.out
        for cwd in folders:
            monkeypatch.chdir(cwd)
            refused = folders.cli.run("serve", "--port", 0)
            assert refused.code == 2, refused
            assert_error_line(refused, 2, "could contain the callback key")


@pytest.fixture
def server(folders: Folders) -> Iterator[Server]:
    """Yield a server with settings from the wallet's folder and from its environment."""
    (folders.wallet / ".env").write_text(f"MINWALLET_CALLBACK_KEY={KEY}\n")
    settings = {"MINWALLET_JOURNAL_DAYS": "7", "MINWALLET_PUBLIC_URL": "https://w.example"}
    with running_server(folders.cli.db, **settings) as server:
        yield server


def test_the_settings_in_force_are_those_of_the_running_server(folders: Folders, server: Server) -> None:
    """`config show` and `doctor` show them, and what a newly started server would change. No secret is shown."""
    place = f"the server at {server.url} (process {server.process.pid})"
    (folders.wallet / ".env").write_text(f"MINWALLET_CALLBACK_KEY={OTHER_KEY}\nMINWALLET_MIN_FREE_MB=300\n")
    shown = folders.cli.run("config", "show", "--json")
    assert shown.json["server"] == {"pid": server.process.pid, "url": server.url}
    in_force = _read_settings(shown)
    assert in_force["MINWALLET_JOURNAL_DAYS"] == ("7", "environment")
    assert in_force["MINWALLET_MIN_FREE_MB"] == ("200", "default")
    assert in_force["MINWALLET_PORT"] == (server.url.rpartition(":")[2], "a free port")
    changed = [each["variable"] for each in shown.json["at_next_start"]]
    assert changed == [f"MINWALLET_{name}" for name in ("CALLBACK_KEY", "PUBLIC_URL", "JOURNAL_DAYS", "MIN_FREE_MB")]
    table = folders.cli.run("config", "show")
    assert table.out.startswith(f"in force in {place}:\n")
    assert table.out.count("a newly started server would use:") == 1
    first, key, _, days, free = _doctor_words(folders.cli, "settings")[-5:]
    assert first == f"ok in force in {place}"
    assert "in a newly started server: another secret of 35 characters" in key
    assert "another secret of 35 characters" in table.out
    assert days.startswith("warn MINWALLET_JOURNAL_DAYS in force: 7 (environment); in a newly started server: 30 (")
    assert "MINWALLET_MIN_FREE_MB in force: 200 (default); in a newly started server: 300 (" in free
    (folders.wallet / ".env").unlink()
    protection = _doctor_words(folders.cli, "protection")
    assert "ok provider endpoints behind a callback key" in protection
    assert folders.cli("admin", "link")["url"].startswith("https://w.example/admin/enter?")
    log = server.read_log()
    assert '"actor":"command line","address":"127.0.0.1","method":"GET","path":"/settings","status":200' in log
    for secret in (KEY, OTHER_KEY):
        assert secret not in shown.out + table.out + log


def test_settings_in_force_need_the_key_of_the_lock_file(folders: Folders, server: Server) -> None:
    """Other users of the machine can reach the port, and learn nothing. A server that was killed is not asked."""
    endpoint = read_control_endpoint(folders.cli.db)
    assert endpoint is not None
    for key in ("", "Bearer wrong"):
        answer = httpx2.get(f"{endpoint.url}/settings", headers={"authorization": key}, trust_env=False)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    server.stop(signal.SIGKILL)
    shown = folders.cli.run("config", "show", "--json")
    assert (shown.err, shown.json["server"], shown.json["at_next_start"]) == ("", None, [])
    assert _read_settings(shown)["MINWALLET_JOURNAL_DAYS"] == ("30", "default")


def test_the_service_uses_the_folder_of_the_wallet_file(folders: Folders) -> None:
    """`minwallet systemd` names each setting that the service would miss, and where it is set now."""
    (folders.current / ".env").write_text(f"MINWALLET_CALLBACK_KEY={KEY}\n")
    printed = folders.cli.run("systemd", "--user", "daemon", MINWALLET_PORT="7")
    assert f"WorkingDirectory={folders.wallet}\n" in printed.out
    advice = f"write it into {folders.wallet}/.env for the service"
    assert printed.err.splitlines() == [
        f"MINWALLET_PORT is set only in your environment; {advice}",
        f"MINWALLET_CALLBACK_KEY is set only in {folders.current}/.env; {advice}",
    ]
    (folders.wallet / ".env").write_text(f"MINWALLET_CALLBACK_KEY={KEY}\n")
    assert folders.cli.run("systemd", "--user", "daemon").err == ""
