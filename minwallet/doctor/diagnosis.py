"""The result of one check."""

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """The severity: fine, a risk, or a failure."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Diagnosis(NamedTuple):
    """A result with its level. `words` state the result, and for a problem what to do."""

    level: Level
    subject: str
    words: str


def ok(subject: str, words: str) -> Diagnosis:
    return Diagnosis(Level.OK, subject, words)


def warn(subject: str, words: str) -> Diagnosis:
    return Diagnosis(Level.WARN, subject, words)


def fail(subject: str, words: str) -> Diagnosis:
    return Diagnosis(Level.FAIL, subject, words)
