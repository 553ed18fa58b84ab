"""Texts of strangers on one line of a terminal or a log.

The id of a transaction is a number in some protocols, and may be any text in another one.
"""

import re
from json.encoder import encode_basestring_ascii

to_json_text = encode_basestring_ascii
"""Return a text as JSON, in quotes. `json.dumps` ends here too, and takes ten times as long."""

_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line separators, and the characters that change the direction of the text after them."""

_ONE_COLUMN = re.compile(r"""[^\s"'\\]*""")


def to_printable(text: str) -> str:
    """Return the text with escapes for characters that could move the cursor of a terminal, or reorder a line."""
    return _CONTROL_CHARACTER.sub(lambda found: repr(found[0])[1:-1], text)


def to_column(text: str) -> str:
    """Return the text as one column of a line: in quotes and escaped, unless it is printable without space or quote.

    So a text can neither add a column nor pretend to be one.
    """
    return text if text.isprintable() and _ONE_COLUMN.fullmatch(text) else to_json_text(text)
