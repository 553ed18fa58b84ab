"""`minwallet config show`, and the order of the settings' sources."""

from pathlib import Path

import pytest

from tests.cli.cli_assertions import assert_error_line, split_cells
from tests.support import InProcessCli

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change into an empty folder, where the command looks for its files."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _read_origins(cli: InProcessCli, **settings: str) -> dict[str, tuple[str, str]]:
    result = cli.run("config", "show", "--json", **settings)
    assert result.code == 0, result
    return {each["variable"]: (each["value"], each["origin"]) for each in result.json["settings"]}


def test_each_setting_has_a_source(folder: Path) -> None:
    """The order is option, environment, .env, minwallet.toml, default."""
    (folder / "minwallet.toml").write_text(
        'host = "127.0.0.9"\nport = 1\njournal_days = 1\ncallback_allow = ["10.0.0.0/8"]'
    )
    (folder / ".env").write_text("MINWALLET_PORT=2\nMINWALLET_JOURNAL_DAYS=2\nMINWALLET_DB=other.db\n")
    found = _read_origins(InProcessCli(Path("mine.db")), MINWALLET_JOURNAL_DAYS="3", MINWALLET_DB="third.db")
    assert found["MINWALLET_DB"] == ("mine.db", "--db")
    assert found["MINWALLET_JOURNAL_DAYS"] == ("3", "environment")
    assert found["MINWALLET_PORT"] == ("2", ".env")
    assert found["MINWALLET_HOST"] == ("127.0.0.9", "minwallet.toml")
    assert found["MINWALLET_CALLBACK_ALLOW"] == ("10.0.0.0/8", "minwallet.toml")
    assert found["MINWALLET_MIN_FREE_MB"] == ("200", "default")


def test_a_secret_is_not_shown() -> None:
    """The table and the JSON show only its length."""
    for options in ([], ["--json"]):
        result = InProcessCli(Path("x.db")).run("config", "show", *options, MINWALLET_CALLBACK_KEY="s3cr3t_w0rd")
        assert "s3cr3t_w0rd" not in result.out
        assert "a secret of 11 characters" in result.out


def test_the_table_has_value_and_source(folder: Path) -> None:
    """The table has one line per setting."""
    lines = [split_cells(line) for line in InProcessCli(Path("x.db")).run("config", "show").out.splitlines()]
    assert lines[:2] == [["setting", "value", "source"], ["MINWALLET_DB", "x.db", "--db"]]
    assert not list(folder.iterdir())


def test_an_unknown_name_in_env_is_an_error(folder: Path) -> None:
    """Otherwise an allow list could be missing unnoticed. Variables of other programs are ignored."""
    (folder / ".env").write_text("OTHER_THING=1\nMINWALLET_CALLBACK_ALOW=10.0.0.0/8\n")
    assert_error_line(
        InProcessCli(Path("x.db")).run("config", "show"), 2, "unknown setting 'MINWALLET_CALLBACK_ALOW' in .env"
    )
    (folder / ".env").write_text("OTHER_THING=1\nminwallet_port=7\n")
    assert _read_origins(InProcessCli(Path("x.db")))["MINWALLET_PORT"] == ("7", ".env")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"port = ", "invalid TOML in minwallet.toml"),
        (b"prot = 8000", "unknown setting 'prot' in minwallet.toml"),
        (b'port = "many"', "minwallet.toml: port: invalid number 'many': must be an integer"),
        (
            b'backup_to = "~/bk"',
            "minwallet.toml: backup_to: invalid path '~/bk': ~ is not replaced here; write",
        ),
        (b'backup_every = "9s"', "invalid interval '9s': must be 10s or more"),
        (b"port = 70000", "minwallet.toml: port: invalid number '70000': must be at most 65535"),
        (b"[server]\nport = 1", "unknown setting 'server' in minwallet.toml"),
        (b"callback_allow = 7", "minwallet.toml: callback_allow: "),
        (b"callback_allow = ['x']", "minwallet.toml: callback_allow: "),
        (b'host = "\xff"', "cannot read minwallet.toml: not UTF-8 text"),
    ],
)
def test_an_invalid_settings_file_is_an_error(folder: Path, text: bytes, words: str) -> None:
    """Every command reports it in one line that names the file."""
    (folder / "minwallet.toml").write_bytes(text)
    for command in (["config", "show"], ["player", "list"]):
        assert_error_line(InProcessCli(Path("x.db")).run(*command), 2, words)
