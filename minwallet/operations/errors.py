"""The errors of operations: an exception inside, a value at the edge, and one table of codes.

A function that cannot carry out a request raises OperationError. `dispatch.execute` returns it as an OperationFailure.
The reasons state facts and never name a command: a reader may be at a terminal, on a page or behind the admin API. The
CLI adds its hint by code and subject (`cli/hints.py`).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Self


class ErrorCode(StrEnum):
    """Why a request failed, for programs. `status` is the HTTP status, `heading` and `description` are for people.

    Operations raise NOT_FOUND and the codes with status 409, except BUSY. The admin API uses all.
    """

    status: int
    heading: str
    description: str

    MALFORMED = "malformed", 400, "Malformed request", "The body is not one JSON object, or contains a field twice."
    UNAUTHORIZED = "unauthorized", 401, "No valid key", "The request has no key, or the key is unknown or revoked."
    FORBIDDEN = (
        "forbidden",
        403,
        "Not allowed",
        "The key is read-only, or it does not cover this agent or the whole wallet.",
    )
    NOT_FOUND = (
        "not_found",
        404,
        "Not found",
        "The address, agent, callback key, protocol secret, player, account, session or transaction does not exist.",
    )
    METHOD_NOT_ALLOWED = (
        "method_not_allowed",
        405,
        "Method not allowed",
        "The header `Allow` lists the methods of this address.",
    )
    TAKEN = "taken", 409, "Taken", "The name, the id or the reference is already used for something else."
    INSUFFICIENT_FUNDS = "insufficient_funds", 409, "Insufficient funds", "The player has less than this amount."
    OUT_OF_RANGE = "out_of_range", 409, "Out of range", "A balance cannot exceed 2^63-1 cents."
    EXCLUDED = (
        "excluded",
        409,
        "Player excluded",
        "The player is excluded and cannot deposit; `detail` has the end of the exclusion.",
    )
    LIMIT_REACHED = (
        "limit_reached",
        409,
        "Limit reached",
        "The deposit would exceed a limit; `detail` has the remaining amount or the first day it is possible.",
    )
    NOT_POSSIBLE = "not_possible", 409, "Not possible", "The request cannot be carried out now; `detail` has the cause."
    BUSY = "busy", 409, "Busy", "The same work is already in progress; try again when it has ended."
    TOO_LONG = "too_long", 413, "Too long", "The body is longer than 64 KiB."
    INVALID = (
        "invalid",
        422,
        "Invalid request",
        "A field or parameter is missing, unknown or invalid; `errors` lists each.",
    )
    TOO_MANY = (
        "too_many",
        429,
        "Too many subscribers",
        "The feed has reached its maximum of subscribers, in total or for this key; try again later.",
    )
    BUG = (
        "bug",
        500,
        "Internal error",
        "A bug in the server: please report it, with the details from the server's log.",
    )
    UNAVAILABLE = (
        "unavailable",
        503,
        "Unavailable",
        "It is unknown whether the change was made. Repeat the request with the same reference.",
    )

    def __new__(cls, value: str, status: int, heading: str, description: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.status, member.heading, member.description = status, heading, description
        return member


class Subject(StrEnum):
    """The subject of a failure, by which a front end names the next step."""

    AGENT = "agent"
    PLAYER = "player"
    ACCOUNT = "account"
    CURRENCY = "currency"
    ENTRY = "entry"
    KEY = "key"
    CALLBACK_KEY = "callback_key"
    PROTOCOL_SECRET = "protocol_secret"  # noqa: S105 the word, no secret
    ADMIN = "admin"
    GAME_LIST = "game_list"
    GAME = "game"
    REPORT = "report"
    SETTING = "setting"
    PROVIDER = "provider"
    SERVICE = "service"


class OperationFailure(NamedTuple):
    """Why a request was not carried out. `data` names the subject, such as `{"agent": "default"}`."""

    reasons: tuple[str, ...]
    code: ErrorCode
    subject: Subject | None = None
    data: Mapping[str, str] = {}

    def to_document(self) -> dict[str, Any]:
        """Return the failure as JSON, for the control endpoint."""
        return {"declined": self.reasons, "code": self.code, "subject": self.subject, "data": self.data}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "OperationFailure":
        """Parse what `to_document` returned."""
        subject = document["subject"] and Subject(document["subject"])
        return cls(tuple(document["declined"]), _find_code(document["code"]), subject, document["data"])


class OperationError(Exception):
    """Ends a request early, with one or more reasons, one line each."""

    def __init__(
        self,
        *reasons: str,
        code: ErrorCode = ErrorCode.NOT_POSSIBLE,
        subject: Subject | None = None,
        **data: str,
    ) -> None:
        super().__init__(*reasons)
        self.failure = OperationFailure(reasons, code, subject, data)

    @property
    def code(self) -> ErrorCode:
        return self.failure.code


def _find_code(value: str) -> ErrorCode:
    return next(code for code in ErrorCode if code == value)
