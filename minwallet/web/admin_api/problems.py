"""What an answer says that is no success: one shape for all of them (RFC 9457)."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Annotated, Literal, NotRequired, Self

from pydantic import Field
from starlette.responses import JSONResponse
from typing_extensions import TypedDict  # pydantic reads only this one's before Python 3.12

from minwallet.operations.errors import OperationFailure

API_PREFIX = "/admin/api/v1"

PROBLEM_MEDIA_TYPE = "application/problem+json"


class ProblemType(Enum):
    """What programs can tell apart: HTTP status, title, and what it means."""

    MALFORMED = 400, "Malformed request", "The body is not one JSON object, or names a field twice."
    UNAUTHORIZED = 401, "No valid key", "There is no key in the request, or it is unknown or was revoked."
    FORBIDDEN = 403, "Not allowed", "The key may only read, or does not reach this agent or the whole wallet."
    NOT_FOUND = 404, "Not found", "There is no such address, agent, player, account, session or transaction."
    METHOD_NOT_ALLOWED = 405, "Method not allowed", "The header `Allow` names the methods that this address has."
    TAKEN = 409, "Taken", "The name, the id or the reference is used already, for something else."
    INSUFFICIENT_FUNDS = 409, "Insufficient funds", "The player holds less than that."
    OUT_OF_RANGE = 409, "Out of range", "No balance can pass 2^63-1 cents."
    EXCLUDED = 409, "Player excluded", "The player is excluded, so nothing is deposited; `detail` says until when."
    LIMIT_REACHED = 409, "Limit reached", "It would pass a limit of deposits; `detail` says how much is left, or when."
    NOT_POSSIBLE = 409, "Not possible", "As things are this cannot be done; `detail` says what is missing."
    BUSY = 409, "Busy", "The same is under way already; ask again when it has ended."
    TOO_LONG = 413, "Too long", "The body is longer than 64 KiB."
    INVALID = 422, "Invalid request", "A field or a parameter is missing, unknown or wrong; `errors` names each."
    TOO_MANY = 429, "Too many readers", "As many follow the feed as may, or as this key may; try again later."
    BUG = 500, "Something broke", "This should not happen. The server's log says what did; please report it."
    UNAVAILABLE = 503, "Unavailable", "Nobody knows whether the change was made. Ask again, with the same reference."

    def __init__(self, status: int, title: str, description: str) -> None:
        self.status = status
        self.title = title
        self.description = description

    @property
    def code(self) -> str:
        return self.name.lower()

    @property
    def uri(self) -> str:
        """What `type` says; it leads to the words about it."""
        return f"{API_PREFIX}/docs#{self.code}"


class FieldError(TypedDict):
    """A field or parameter that will not do, by its `name` and where it was given."""

    where: Literal["path", "query", "header", "body"]
    name: str
    detail: str


class ProblemDetails(TypedDict):
    """What went wrong: `type` for programs, `detail` for people."""

    type: Annotated[str, Field(json_schema_extra={"enum": [cause.uri for cause in ProblemType]})]
    title: str
    status: int
    detail: str
    errors: NotRequired[list[FieldError]]


class Problem(Exception):
    """Ends a request; whoever answers it makes a response of this."""

    def __init__(
        self,
        problem_type: ProblemType,
        detail: str = "",
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or problem_type.description)
        self.problem_type = problem_type
        self.errors = errors
        self.headers = headers

    @classmethod
    def from_failure(cls, failure: OperationFailure) -> Self:
        """What the operator's desk declined."""
        return cls(ProblemType[failure.code.name], "; ".join(failure.reasons))

    def to_response(self) -> JSONResponse:
        details = ProblemDetails(
            type=self.problem_type.uri, title=self.problem_type.title, status=self.problem_type.status, detail=str(self)
        )
        if self.errors:
            details["errors"] = list(self.errors)
        return JSONResponse(details, self.problem_type.status, self.headers, PROBLEM_MEDIA_TYPE)
