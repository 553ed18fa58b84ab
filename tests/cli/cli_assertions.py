"""What the command line's tests share: how a complaint has to look, and what has to stay as it was."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import CommandResult

MINWALLET_SCRIPT = Path(sys.executable).with_name("minwallet")


def assert_error_line(result: CommandResult, code: int, *words: str) -> None:
    """The command ended with this code and one line on stderr that has these words, and said nothing on stdout."""
    assert result.code == code, result
    assert result.out == ""
    assert "Traceback" not in result.err
    (line,) = result.err.splitlines()
    assert line.startswith("minwallet: "), line
    for word in words:
        assert word in line, line


def assert_usage_error(result: CommandResult, *words: str) -> None:
    """The command made no sense: code 2, and stderr says how it is used."""
    assert result.code == 2, result
    assert result.out == ""
    assert "Traceback" not in result.err
    assert "--help" in result.err
    for word in words:
        assert word in result.err, result.err


def split_cells(line: str) -> list[str]:
    """A table's row, as the words between two or more spaces."""
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


@contextmanager
def assert_unchanged(folder: Path) -> Iterator[None]:
    """Nothing in the folder is made, removed or written by the block."""
    before = _read_contents(folder)
    yield
    assert _read_contents(folder) == before


def _read_contents(folder: Path) -> dict[str, bytes | None]:
    return {each.name: each.read_bytes() if each.is_file() else None for each in folder.iterdir()}
