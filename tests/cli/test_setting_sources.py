"""The sources of the settings: no setting gets lost on its way to the program."""

from pathlib import Path

import pytest

from tests.cli.cli_assertions import assert_error_line
from tests.support import CommandResult, InProcessCli, ServerDidNotStart, running_server

KEY = "0123456789abcdef_a_long_random_word"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change into an empty folder, where the command looks for its files."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _show_config(**environment: str) -> CommandResult:
    return InProcessCli(Path("x.db")).run("config", "show", "--json", **environment)


def _read_values(**environment: str) -> dict[str, str]:
    result = _show_config(**environment)
    assert result.code == 0, result
    return {each["variable"]: each["value"] for each in result.json["settings"]}


def _assert_refused(*words: str, **environment: str) -> None:
    result = _show_config(**environment)
    assert_error_line(result, 2, *words)
    assert KEY not in result.err


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f'MINWALLET_CALLBACK_KEY="{KEY}', "quotes"),
        (f"MINWALLET_CALLBACK_KEY='{KEY}", "quotes"),
        (f'MINWALLET_CALLBACK_KEY="{KEY}"x', "quotes"),
        (f"MINWALLET_CALLBACK_KEY {KEY}", "no '='"),
        (f"MINWALLET_CALLBACK_KEY: {KEY}", "no '='"),
        ("MINWALLET_CALLBACK_KEY", "no '='"),
        ("some words without sense", "no '='"),
        (f"={KEY}", "quotes"),
        (f'OTHER="open\nMINWALLET_CALLBACK_KEY={KEY}\nLAST="', "quotes"),
    ],
)
def test_a_line_that_cannot_be_parsed_is_an_error(folder: Path, line: str, reason: str) -> None:
    """The message has the file and the line, and not the text of the line, which may contain the key."""
    (folder / ".env").write_text(f"\n# the key\n\n{line}\nMINWALLET_PORT=1\n")
    _assert_refused("cannot parse .env line 4", reason)


def test_every_command_refuses_an_unparsable_file(folder: Path) -> None:
    """The server does not start, and no other command runs with half of the settings."""
    (folder / ".env").write_text(f'MINWALLET_CALLBACK_KEY="{KEY}\n')
    for command in (["serve"], ["doctor"], ["player", "list"], ["config", "show"], ["systemd"]):
        assert_error_line(InProcessCli(Path("x.db")).run(*command), 2, "cannot parse .env line 1")
    assert [file.name for file in folder.iterdir()] == [".env"]


def test_the_server_does_not_start_with_a_misspelt_variable(folder: Path) -> None:
    """The unit of a service has such a variable in `Environment=`. Its log has one line."""
    with (
        pytest.raises(ServerDidNotStart) as failure,
        running_server(folder / "wallet.db", MINWALLET_CALBACK_KEY=KEY),
    ):
        pass
    result = failure.value.result
    assert_error_line(result, 2, "unknown setting 'MINWALLET_CALBACK_KEY' in the environment", "CALLBACK_KEY?")


@pytest.mark.parametrize(
    ("text", "line"),
    [(b"MINWALLET_HOST=\xff", 1), (b"A=1\nB=2\n# \xe9\n", 3), (f"A={KEY}\n".encode("utf-16"), 1)],
)
def test_text_that_is_not_utf_8_is_an_error(folder: Path, text: bytes, line: int) -> None:
    """The message has the file and the line."""
    for file in (".env", "minwallet.toml"):
        (folder / file).write_bytes(text)
        _assert_refused(f"cannot read {file}: not UTF-8 text in line {line}")
        (folder / file).unlink()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MINWALLET_CALLBACK_KEYS", "MINWALLET_CALLBACK_KEY"),
        ("MINWALLET_PROT", "MINWALLET_PORT"),
        ("minwallet_callback_kye", "MINWALLET_CALLBACK_KEY"),
        ("MINWALET_CALLBACK_KEY", "MINWALLET_CALLBACK_KEY"),
        ("MIN_WALLET_DB", "MINWALLET_DB"),
        ("MINWALLET-CALLBACK-KEY", "MINWALLET_CALLBACK_KEY"),
        ("_MINWALLET_CALLBACK_KEY", "MINWALLET_CALLBACK_KEY"),
        ("\ufeff\ufeffMINWALLET_PORT", "MINWALLET_PORT"),
        ("MINWALLET_CALLBAC\u212a_KEY", "MINWALLET_CALLBACK_KEY"),
        ("MINWALLET_SOMETHING_ELSE", "use one of MINWALLET_DB, MINWALLET_HOST"),
        ("MINWALLET_", "use one of"),
    ],
)
def test_an_unknown_name_is_an_error(folder: Path, name: str, meant: str) -> None:
    """In the environment and in `.env`. The message suggests the nearest name."""
    _assert_refused("unknown setting", "in the environment", meant, **{name: "7"})
    (folder / ".env").write_text(f"A=1\n{name}=7\n")
    _assert_refused("unknown setting", "in .env line 2", meant)


def test_a_value_in_an_unknown_name_is_not_shown(folder: Path) -> None:
    """After a wrong separator the key is part of what looks like the name."""
    (folder / ".env").write_text(f"MINWALLET_CALLBACK_KEY:{KEY}==\n")
    _assert_refused("unknown setting 'MINWALLET_CALLBACK_KEY…' in .env line 1")
    (folder / ".env").write_text(f'"MINWALLET_CALLBACK_KEY"={KEY}\n')
    _assert_refused("did you mean MINWALLET_CALLBACK_KEY?")


@pytest.mark.parametrize(
    ("name", "meant"), [("Port", "port"), ("MINWALLET_PORT", "port"), ("callback-key", "callback_")]
)
def test_an_unknown_key_in_toml_is_an_error(folder: Path, name: str, meant: str) -> None:
    """The names are those of the reference, in lower case."""
    (folder / "minwallet.toml").write_text(f"{name} = 7\n")
    _assert_refused(f"unknown setting '{name}'", "in minwallet.toml", f"did you mean {meant}")


def test_variables_of_other_programs_are_ignored(folder: Path) -> None:
    """Also those of the shell's completion, and those that have a setting's last word."""
    (folder / ".env").write_text("OTHER_PORT=1\nKEY='two\nlines'\nexport EMPTY=\n")
    others = {"_MINWALLET_COMPLETE": "", "DB": "x", "WALLET_DB": "x", "MYWALLET_DB": "x"}
    assert _read_values(**others, PGHOST="x", MINWALLETS="x")["MINWALLET_PORT"] == "8000"


def test_upper_and_lower_case_name_the_same_variable(folder: Path) -> None:
    """Two spellings in one source are an error. Between two sources the usual order counts."""
    assert _read_values(minwallet_port="7")["MINWALLET_PORT"] == "7"
    _assert_refused("MINWALLET_PORT is given twice in the environment", minwallet_port="7", MINWALLET_PORT="8")
    (folder / ".env").write_text("minwallet_port=9")
    assert _read_values(Minwallet_Port="7")["MINWALLET_PORT"] == "7"
    (folder / ".env").write_text(f"MINWALLET_CALLBACK_KEY={KEY}\n\nMINWALLET_CALLBACK_KEY=\n")
    _assert_refused("MINWALLET_CALLBACK_KEY is given twice in .env: lines 1 and 3")
    (folder / ".env").unlink()
    (folder / "minwallet.toml").write_text("port = 1\nport = 2\n")
    _assert_refused("invalid TOML in minwallet.toml", "line 2")


@pytest.mark.parametrize("file", [".env", "minwallet.toml"])
def test_a_file_that_cannot_be_read_is_an_error(folder: Path, file: str) -> None:
    """A folder, or a link whose target is missing: the settings in it would be lost."""
    path = folder / file
    path.mkdir()
    _assert_refused(f"cannot read the settings file '{file}': Is a directory")
    path.rmdir()
    path.symlink_to("secret")
    _assert_refused(f"cannot read the settings file '{file}': No such file")
    (folder / "secret").write_text("")
    assert _read_values()["MINWALLET_PORT"] == "8000"


def test_a_byte_order_mark_is_ignored(folder: Path) -> None:
    """Some editors write one, and the first name would be unknown."""
    (folder / ".env").write_text("\ufeffMINWALLET_PORT=7\r\nMINWALLET_JOURNAL_DAYS=8\r\n")
    (folder / "minwallet.toml").write_text('\ufeffhost = "::1"\n')
    values = _read_values()
    assert [values[f"MINWALLET_{name}"] for name in ("PORT", "JOURNAL_DAYS", "HOST")] == ["7", "8", "::1"]


@pytest.mark.parametrize("name", ["CALLBACK_KEY", "CALLBACK_ALLOW"])
def test_an_empty_protection_does_not_hide_another(folder: Path, name: str) -> None:
    """A variable that is empty by mistake must not open what the file protects. Elsewhere empty means none."""
    value = "a" if name == "CALLBACK_KEY" else "10.0.0.0/8"
    (folder / ".env").write_text(f"MINWALLET_{name}={value}\n")
    _assert_refused(f"MINWALLET_{name} is empty in the environment but set in .env", **{f"MINWALLET_{name}": ""})
    (folder / ".env").write_text(f"MINWALLET_{name}=\n")
    assert _read_values(**{f"MINWALLET_{name}": ""})[f"MINWALLET_{name}"] == ""
    (folder / "minwallet.toml").write_text(f"{name.lower()} = '{value}'\n")
    _assert_refused(f"MINWALLET_{name} is empty in .env but set in minwallet.toml")
    assert _read_values(**{f"MINWALLET_{name}": value})[f"MINWALLET_{name}"] != ""


def test_a_reference_to_an_unset_variable_is_an_error(folder: Path) -> None:
    """It would be replaced by nothing."""
    (folder / ".env").write_text("MINWALLET_CALLBACK_KEY=${WALLET_SECRET}\n")
    _assert_refused("MINWALLET_CALLBACK_KEY in .env line 1 refers to the variable 'WALLET_SECRET', which is not set")
    _assert_refused("WALLET_SECRET", WALLET_SECRET="")
    assert _read_values(WALLET_SECRET=KEY)["MINWALLET_CALLBACK_KEY"] == f"a secret of {len(KEY)} characters"
    (folder / ".env").write_text("PLACE=/tmp\nMINWALLET_BACKUP_TO=${PLACE}/backups${SUFFIX:-}\n")
    assert _read_values()["MINWALLET_BACKUP_TO"] == "/tmp/backups"
    (folder / ".env").write_text(f"MINWALLET_CALLBACK_KEY=${{WALLET_SECRET}}\nWALLET_SECRET={KEY}\n")
    _assert_refused("refers to the variable 'WALLET_SECRET', which is not set above it")


def test_a_truth_value_is_true_or_false(folder: Path) -> None:
    """Any other word is an error."""
    assert _read_values(MINWALLET_REQUIRE_WALLET_TOKEN="true")["MINWALLET_REQUIRE_WALLET_TOKEN"] == "true"
    _assert_refused("invalid value 'perhaps': must be true or false", MINWALLET_REQUIRE_WALLET_TOKEN="perhaps")
    (folder / "minwallet.toml").write_text("require_wallet_token = true\n")
    assert _read_values()["MINWALLET_REQUIRE_WALLET_TOKEN"] == "true"
