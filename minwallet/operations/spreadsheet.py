"""CSV for people, who open it in a spreadsheet. Every such file is written here.

A spreadsheet runs a cell that begins with one of a few signs as a formula, and the formula may send data away. Ids,
game codes and names come from outside, so any of them may begin like this. The spreadsheet also chooses the separator:
with decimal commas it splits at `;`, even between quotation marks if they do not begin the cell. So a formula is
neutralised at the start of a cell and after each separator in it.

`minwallet export` is not for people: `minwallet import` reads it back, so its values are exact.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)

_FORMULA = re.compile(r"""(?<![^;,\t\r\n])([\s"']*)([=+\-@\u2212\uff1d\uff0b\uff0d\uff20])""")
"""A sign that begins a formula, with the blanks and quotation marks after the separator or the start of the cell.

Some spreadsheets skip blanks, and accept full-width signs and the minus sign.
"""


def format_csv(rows: Iterable[Sequence[object]], *, line_end: str = "\r\n") -> str:
    """Return the rows as CSV (RFC 4180) that no spreadsheet runs. None is an empty cell."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator=line_end)
    writer.writerows([_neutralise(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return stream.getvalue()


def _neutralise(text: str) -> str:
    """Return the text with an apostrophe before each formula. A number such as -5.00 is none."""
    if _NUMBER.fullmatch(text):
        return text
    safe = _FORMULA.sub(r"\1'\2", text)
    return f"'{safe}" if safe.startswith(("\t", "\r", "\n")) else safe
