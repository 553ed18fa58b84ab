"""Error responses of the admin API: problem details, as RFC 9457 defines them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NotRequired, Self

from pydantic import Field
from starlette.responses import JSONResponse
from typing_extensions import TypedDict  # pydantic reads only this one's before Python 3.12

from minwallet.operations.errors import ErrorCode, OperationFailure

API_PREFIX = "/admin/api/v1"

PROBLEM_MEDIA_TYPE = "application/problem+json"


def problem_uri(code: ErrorCode) -> str:
    """Return the `type` of a problem, which links to its description in the documentation."""
    return f"{API_PREFIX}/docs#{code}"


class FieldError(TypedDict):
    """An invalid field or parameter: its `name`, and `where` it was given."""

    where: Literal["path", "query", "header", "body"]
    name: str
    detail: str


class ProblemDetails(TypedDict):
    """Why a request failed: `type` for programs, `detail` for people."""

    type: Annotated[str, Field(json_schema_extra={"enum": [problem_uri(code) for code in ErrorCode]})]
    title: str
    status: int
    detail: str
    errors: NotRequired[list[FieldError]]


class Problem(Exception):
    """Ends a request with an error response. `detail` defaults to the code's description."""

    def __init__(
        self,
        code: ErrorCode,
        detail: str = "",
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or code.description)
        self.code = code
        self.errors = errors
        self.headers = headers

    @classmethod
    def from_failure(cls, failure: OperationFailure) -> Self:
        """Return the problem for an operation that failed."""
        return cls(failure.code, "; ".join(failure.reasons))

    def to_response(self) -> JSONResponse:
        details = ProblemDetails(
            type=problem_uri(self.code), title=self.code.heading, status=self.code.status, detail=str(self)
        )
        if self.errors:
            details["errors"] = list(self.errors)
        return JSONResponse(details, self.code.status, self.headers, PROBLEM_MEDIA_TYPE)
