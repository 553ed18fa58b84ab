"""What a command printed, held against what a page says it prints.

Moments, dates, tokens and the version differ from day to day, so any of the same shape will do; so will any run of
spaces, since columns are as wide as what is in them.
"""

import re
from collections.abc import Sequence

SHAPES = (
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


def is_what_came(expected: Sequence[str], came: str) -> bool:
    """Whether these lines, and no others, say what came."""
    return _pattern(expected).fullmatch(_normal(came)) is not None


def has_begun(expected: Sequence[str], came: str) -> bool:
    """Whether what came so far begins with these lines."""
    return _pattern(expected).match(_normal(came)) is not None


def _pattern(expected: Sequence[str]) -> re.Pattern[str]:
    return re.compile("".join(map(_line, _normal("\n".join(expected)).splitlines())))


def _line(line: str) -> str:
    if line == "…":
        return r"(?:.*\n)*"
    return ".*".join(map(re.escape, line.split("…"))) + "\n"


def _normal(text: str) -> str:
    """Lines without what differs from day to day, and without blank lines around them."""
    for shape, name in SHAPES:
        text = re.sub(shape, name, text)
    lines = [line.strip() for line in text.strip().splitlines()]
    return "".join(f"{line}\n" for line in lines)
