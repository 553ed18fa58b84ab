"""How a request that was understood is not carried out: raised where that is found, and a value at the desk's door."""

from enum import StrEnum
from typing import NamedTuple


class Why(StrEnum):
    """What programs can tell apart; the sentence beside it is for people."""

    NOT_FOUND = "not_found"
    TAKEN = "taken"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    OUT_OF_RANGE = "out_of_range"
    NOT_POSSIBLE = "not_possible"


class Decline(Exception):
    """Ends a request early; the desk turns it into a value. One reason an argument, each with what to do."""

    def __init__(self, *reasons: str, why: Why = Why.NOT_POSSIBLE) -> None:
        super().__init__(*reasons)
        self.why = why


class Declined(NamedTuple):
    """Why a request was not carried out, and what to do, in one line for each reason."""

    reasons: tuple[str, ...]
    why: Why
