"""Files that a command reads or writes, and may not: one error in the same words everywhere."""

from pathlib import Path

import pytest

from tests.cli.cli_assertions import assert_error_line, assert_unchanged
from tests.cli.permissions import needs_root, permissions_apply
from tests.support import InProcessCli


@needs_root
@pytest.mark.parametrize("command", ["seed FILE", "import FILE FILE"])
def test_a_file_to_read_is_denied_missing_or_a_folder(cli: InProcessCli, tmp_path: Path, command: str) -> None:
    """The exit code is 2, and no wallet file is created."""
    (denied := tmp_path / "denied").write_text("player_id,currency,balance\n")
    denied.chmod(0)
    for file, reason in ((denied, "permission denied"), (tmp_path / "none", "no such file"), (tmp_path, "is a folder")):
        with assert_unchanged(tmp_path), permissions_apply():
            refused = cli.run(*command.replace("FILE", str(file)).split())
        assert_error_line(refused, 2, f"cannot read '{file}': ", reason)


@needs_root
def test_a_file_to_write_need_not_be_readable(cli: InProcessCli, tmp_path: Path) -> None:
    """An export replaces it. A place where this user cannot write is exit code 3."""
    cli("player", "add", "ann", "--currency", "USD")
    (denied := tmp_path / "denied.csv").touch(mode=0)
    (folder := tmp_path / "folder").mkdir(mode=0)
    with permissions_apply():
        assert cli.run("export", "players", denied).code == 0
        assert_error_line(
            cli.run("export", "players", folder / "x"), 3, f"cannot write '{folder}/x': permission denied"
        )
        assert_error_line(cli.run("backup", folder), 3, str(folder), "ermission denied; choose another place")
    assert denied.read_text().startswith("agent,player_id")
