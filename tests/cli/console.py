"""What the command line's tests share: commands inside this process, and how a complaint has to look."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from minwallet.cli.main import main
from tests.support import Cli, Result, environment

SCRIPT = Path(sys.executable).with_name("minwallet")


class Here(Cli):
    """The same command line without a process of its own, for what many commands need to be tried for."""

    def run(self, *arguments: object, **settings: str) -> Result:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        command = ["minwallet", "--db", str(self.db), *map(str, arguments)]
        with (
            patch.object(sys, "argv", command),
            patch.dict(os.environ, environment(**settings), clear=True),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = _code_of_main()
        return Result(code, _text(out), _text(err))


def assert_complaint(result: Result, code: int, *words: str) -> None:
    """The command ended with this code and one line on stderr that has these words, and said nothing on stdout."""
    assert result.code == code, result
    assert result.out == ""
    assert "Traceback" not in result.err
    (line,) = result.err.splitlines()
    assert line.startswith("minwallet: "), line
    for word in words:
        assert word in line, line


def assert_usage(result: Result, *words: str) -> None:
    """The command made no sense: code 2, and stderr says how it is used."""
    assert result.code == 2, result
    assert result.out == ""
    assert "Traceback" not in result.err
    assert "--help" in result.err
    for word in words:
        assert word in result.err, result.err


def cells(line: str) -> list[str]:
    """A table's row, as the words between two or more spaces."""
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Nothing in the folder is made, removed or written by the block."""
    before = _contents(folder)
    yield
    assert _contents(folder) == before


def _contents(folder: Path) -> dict[str, bytes | None]:
    return {each.name: each.read_bytes() if each.is_file() else None for each in folder.iterdir()}


def _code_of_main() -> int:
    with pytest.raises(SystemExit) as ended:
        main()
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return code or 0


def _text(stream: io.TextIOWrapper) -> str:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()
