"""The comparison of a command's output with a page.

Times, dates, tokens and the version differ from day to day, so any value of the same form matches. Any run of spaces
matches another, because the width of a column depends on its content.
"""

import re
from collections.abc import Sequence

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


def matches_output(expected: Sequence[str], output: str) -> bool:
    """Return True if the lines match the whole output."""
    return _compile_pattern(expected).fullmatch(_normalize(output)) is not None


def is_output_prefix(expected: Sequence[str], output: str) -> bool:
    """Return True if the lines match the output so far."""
    return _compile_pattern(expected).match(_normalize(output)) is not None


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
