"""CSV for people: no cell is a formula in any spreadsheet, and numbers stay numbers."""

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minwallet
from minwallet.operations.spreadsheet import format_csv

SIGNS = "=+-@\u2212\uff1d\uff0b\uff0d\uff20"


def write_cell(text: str) -> str:
    """Return the cell that a program reads from the written file."""
    ((cell,),) = csv.reader(io.StringIO(format_csv([[text]]), newline=""))
    return cell


@pytest.mark.parametrize("start", ["", " ", "\u00a0", "a;", "a,", "a\t", "a\n", "a\r\n", "a; ", 'a;"', ";;"])
@pytest.mark.parametrize("sign", SIGNS)
def test_a_formula_gets_an_apostrophe(start: str, sign: str) -> None:
    """This holds at the start of a cell and after each separator that a spreadsheet may split at."""
    assert write_cell(f"{start}{sign}1+1") == f"{start}'{sign}1+1"


@pytest.mark.parametrize("text", ["-5.00", "-5", "12", "a=1", "a-b", "2026-01-02T03:04:05Z", 'a,"b"', "a;b=1", ""])
def test_other_text_is_unchanged(text: str) -> None:
    """A negative number stays a number."""
    assert write_cell(text) == text


@pytest.mark.parametrize("blank", "\t\r\n")
def test_a_cell_that_begins_with_a_control_character_gets_an_apostrophe(blank: str) -> None:
    """Some spreadsheets skip it and run the rest."""
    assert "'" in write_cell(f"{blank}1")


def test_empty_and_numeric_cells() -> None:
    """None is an empty cell, and lines end as asked."""
    assert format_csv([["a", None, -5]]) == "a,,-5\r\n"
    assert format_csv([["a"]], line_end="\n") == "a\n"


@given(st.text(alphabet=f"a1 ;,\t\n\"'{SIGNS}", max_size=12), st.sampled_from(";,\t"))
def test_no_separator_reveals_a_formula(text: str, separator: str) -> None:
    """This holds for each separator, and for programs that know no quotation marks."""
    for piece in re.split(f"[{separator}\r\n]", format_csv([[text]])):
        cell = piece.strip("\" '")
        # A neutralised cell keeps its apostrophe right before the sign, which the strip above has removed.
        assert not cell.startswith(tuple(SIGNS)) or f"'{cell[0]}" in piece or re.fullmatch(r"-[0-9.]+", text)


def test_all_csv_is_written_by_one_of_two_writers() -> None:
    """One is for people. The other one is the exact export, which `minwallet import` reads."""
    package = Path(minwallet.__file__).parent
    writers = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        if re.search(r"csv\.(writer|DictWriter)", file.read_text())
    }
    assert writers == {"operations/spreadsheet.py", "cli/export.py"}
