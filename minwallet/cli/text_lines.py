"""The lines of a text file that a command reads: UTF-8, or one error that names the file and the byte."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from minwallet.cli.output import UsageError, describe_os_error

STDIN = Path("-")

UNWANTED_FORMATS = {
    b"\x1f\x8b": "a gzip file; decompress it first with gunzip",
    b"PK\x03\x04": "an Excel workbook or another zip archive; save the sheet as CSV in UTF-8",
    b"\xff\xfe": "UTF-16 text; save it in UTF-8",
    b"\xfe\xff": "UTF-16 text; save it in UTF-8",
    b"SQLite format 3\0": "a database; name a text file",
}
"""Kinds of files by their first bytes, with the advice."""


def name_file(file: Path) -> str:
    """Return the name of the file for messages."""
    return "standard input" if file == STDIN else f"'{file}'"


def iter_text_lines(file: Path) -> Iterator[str]:
    """Yield the lines of the file, or of stdin for `-`, with their ends. Skip a byte order mark.

    Raise UsageError if the file cannot be read, or at the first byte that is not text in UTF-8.
    """
    with _open_file(file) as stream:
        yield from _decode_lines(stream, file)


def read_text(file: Path, max_bytes: int) -> str | None:
    """Return the text of the file, or of stdin for `-`, without a byte order mark. Return None if it is too long.

    Raise UsageError as `iter_text_lines` does. The file may be endless, so only the beginning of a long one is read.
    """
    with _open_file(file) as stream:
        content = stream.read(max_bytes + 1)
    return "".join(_decode_lines(io.BytesIO(content), file)) if len(content) <= max_bytes else None


@contextmanager
def _open_file(file: Path) -> Iterator[BinaryIO]:
    """Open the file, or stdin for `-`. Raise UsageError if that fails, or a read within the block."""
    try:
        if file == STDIN:
            if sys.stdin is None:
                raise UsageError("cannot read standard input: it is closed")
            yield sys.stdin.buffer
        else:
            with file.open("rb") as stream:
                yield stream
    except OSError as error:
        raise UsageError(f"cannot read {name_file(file)}: {describe_os_error(error)}") from error


def _decode_lines(stream: BinaryIO, file: Path) -> Iterator[str]:
    for number, line in enumerate(stream, 1):
        if number == 1:
            for start, kind in UNWANTED_FORMATS.items():
                if line.startswith(start):
                    raise UsageError(f"cannot read {name_file(file)}: the first bytes are those of {kind}")
        text = _decode_line(line, number, file)
        # A file of an old Mac is one line until here. `StringIO` splits at all line ends, and keeps them.
        yield from io.StringIO(text, newline="")


def _decode_line(line: bytes, number: int, file: Path) -> str:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        # For a line with a byte order mark, the position counts from behind the mark.
        position = line.index(error.object) + error.start
        problem = f"0x{line[position]:02x} is not UTF-8; save the file in UTF-8 (it may be Windows-1252 now)"
        raise _build_error(file, number, position, problem) from error
    if "\0" in text:
        problem = "NUL is not text; save the file in UTF-8 (it may be UTF-16 now)"
        raise _build_error(file, number, line.index(b"\0"), problem)
    return text


def _build_error(file: Path, line_number: int, position: int, problem: str) -> UsageError:
    return UsageError(f"cannot read {name_file(file)}, line {line_number}, byte {position + 1}: {problem}")
