"""Assertions shared by the tests of the command line: the form of an error, and unchanged files."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import CommandResult

MINWALLET_SCRIPT = Path(sys.executable).with_name("minwallet")


def assert_error_line(result: CommandResult, code: int, *words: str) -> None:
    """Check for this code, an empty stdout, and one line on stderr with these words."""
    assert result.code == code, result
    assert result.out == ""
    assert "Traceback" not in result.err
    (line,) = result.err.splitlines()
    assert line.startswith("minwallet: "), line
    for word in words:
        assert word in line, line


def assert_usage_error(result: CommandResult, *words: str) -> None:
    """Check that the command ended with code 2 and explained its usage on stderr."""
    assert result.code == 2, result
    assert result.out == ""
    assert "Traceback" not in result.err
    assert "--help" in result.err
    for word in words:
        assert word in result.err, result.err


def split_cells(line: str) -> list[str]:
    """Return the cells of a table's row, which two or more spaces separate."""
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


@contextmanager
def assert_unchanged(folder: Path) -> Iterator[None]:
    """Check that the block creates, removes and writes nothing in the folder."""
    before = _read_contents(folder)
    yield
    assert _read_contents(folder) == before


def _read_contents(folder: Path) -> dict[str, bytes | None]:
    return {each.name: each.read_bytes() if each.is_file() else None for each in folder.iterdir()}
