"""The comparison of a command's output with a page.

Times, dates, tokens and the version differ from day to day, so any value of the same form matches. Any run of spaces
matches another, because the width of a column depends on its content.

A page shows the lists of an environment that has minwallet's own protocols only. So a line about another protocol of
this environment is ignored.
"""

import re
from collections.abc import Sequence

from tests.protocol_package import OTHER_PROTOCOLS

VARIABLE_PATTERNS = (
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)", "<moment>"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<date and time>"),
    (r"\d\d-\d\d-\d{4} \d\d:\d\d:\d\d", "<time and date>"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d", "<date and minute>"),
    (r"\d{4}-\d\d-\d\d", "<date>"),
    (r"\b[0-9a-f]{16,}\b", "<token>"),
    (r"\b[0-9a-f]{4,}(?=…)", "<token>"),
    (r"\bminwallet \d+\.\d+\.\d+", "minwallet <version>"),
    (r"[ \t]+", " "),
)

_OTHER_NAMES = "|".join(map(re.escape, OTHER_PROTOCOLS)) or "(?!)"  # which matches nothing

OTHER_PROTOCOL_LINES = re.compile(rf"^(?: *(?:{_OTHER_NAMES})  |protocol '(?:{_OTHER_NAMES})' ).*\n?", re.MULTILINE)
"""Lines that begin with one of these protocols."""


def matches_output(expected: Sequence[str], output: str) -> bool:
    """Return True if the lines match the whole output."""
    return _compile_pattern(expected).fullmatch(_normalize(OTHER_PROTOCOL_LINES.sub("", output))) is not None


def is_output_prefix(expected: Sequence[str], output: str) -> bool:
    """Return True if the lines match the output so far."""
    return _compile_pattern(expected).match(_normalize(OTHER_PROTOCOL_LINES.sub("", output))) is not None


def _compile_pattern(expected: Sequence[str]) -> re.Pattern[str]:
    return re.compile("".join(map(_line_pattern, _normalize("\n".join(expected)).splitlines())))


def _line_pattern(line: str) -> str:
    if line == "…":
        return r"(?:.*\n)*"
    return ".*".join(map(re.escape, line.split("…"))) + "\n"


def _normalize(text: str) -> str:
    """Return the lines without variable values, and without blank lines at both ends."""
    for shape, name in VARIABLE_PATTERNS:
        text = re.sub(shape, name, text)
    lines = [line.strip() for line in text.strip().splitlines()]
    return "".join(f"{line}\n" for line in lines)
