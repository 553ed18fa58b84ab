"""How a request that was understood is not carried out: raised where that is found, and a value at the desk's door."""

from enum import StrEnum
from typing import NamedTuple


class ErrorCode(StrEnum):
    """What programs can tell apart; the sentence beside it is for people."""

    NOT_FOUND = "not_found"
    TAKEN = "taken"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    OUT_OF_RANGE = "out_of_range"
    EXCLUDED = "excluded"
    LIMIT_REACHED = "limit_reached"
    NOT_POSSIBLE = "not_possible"


class OperationFailure(NamedTuple):
    """Why a request was not carried out, in one line for each reason; `hint` is what to do about it at a terminal."""

    reasons: tuple[str, ...]
    code: ErrorCode
    hint: str = ""

    @property
    def lines(self) -> list[str]:
        """What a terminal shows."""
        *others, last = self.reasons
        return [*others, f"{last}; {self.hint}" if self.hint else last]


class OperationError(Exception):
    """Ends a request early; the desk turns it into a value. One reason an argument."""

    def __init__(self, *reasons: str, code: ErrorCode = ErrorCode.NOT_POSSIBLE, hint: str = "") -> None:
        super().__init__(*reasons)
        self.failure = OperationFailure(reasons, code, hint)

    @property
    def code(self) -> ErrorCode:
        return self.failure.code
