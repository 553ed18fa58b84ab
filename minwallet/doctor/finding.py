"""What one look has found."""

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """Well, to be thought about, or not to be left so."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """`words` say what was found, and what to do where all is not well."""

    level: Level
    subject: str
    words: str


def ok(subject: str, words: str) -> Finding:
    return Finding(Level.OK, subject, words)


def warn(subject: str, words: str) -> Finding:
    return Finding(Level.WARN, subject, words)


def fail(subject: str, words: str) -> Finding:
    return Finding(Level.FAIL, subject, words)
