"""What an operation of the admin API is: what is asked, what is answered, and who does it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import Any, NamedTuple, TypeVar, cast, get_type_hints

from pydantic import BaseModel
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from minwallet.operations import dispatch
from minwallet.operations.errors import OperationFailure
from minwallet.operations.requests import OperationRequest
from minwallet.storage.admin_store import ApiKey, KeyScope
from minwallet.wallet.service import Wallet
from minwallet.web.admin_api.problems import Problem, ProblemType
from minwallet.web.health import HealthReport

T = TypeVar("T")


class ApiContext(NamedTuple):
    """What all operations share. `build_health_report` returns the server's state. `verify_lock` is held while the
    ledger is verified, so that one caller at a time can ask for it.
    """

    wallet: Wallet
    build_health_report: Callable[[], HealthReport]
    verify_lock: asyncio.Lock


class Caller(NamedTuple):
    """Who asks, and where."""

    api: ApiContext
    key: ApiKey
    http: HttpRequest

    @property
    def wallet(self) -> Wallet:
        return self.api.wallet

    async def execute(self, request: OperationRequest, response_type: type[T]) -> T:
        """Have the desk carry this out, on record under the key's name, and answer in this shape, which is a TypedDict.

        A Problem says why it was not done.
        """
        reply = await dispatch.execute(self.wallet, request, f"key {self.key.name}")
        if isinstance(reply, OperationFailure):
            raise Problem.from_failure(reply)
        return cast(T, reply)

    def require_agent(self, agent: str) -> None:
        """A Problem where the key does not reach this agent."""
        if self.key.agent not in (None, agent):
            raise Problem(ProblemType.FORBIDDEN, f"the key {self.key.name} reaches agent {self.key.agent} only")


Handler = Callable[[Caller, Any], Awaitable[Mapping[str, Any] | Response]]


@dataclass(frozen=True, eq=False)
class Operation:
    """One line of the table: its name, where it is, what is asked, what is answered, what it is for, and who does it.

    `route` is a method and a path. `asked` is the model of all that a caller gives: the fields that the path names are
    there, the others in the query of a GET or a DELETE, or in the body of the others; what is `fixed`, nobody gives. A
    field `agent` is whose data it is: a key of one agent reaches no other's, nor anything that is `for_all`.
    `reply` is the shape of the answer, None for a stream of events. `extra_problems` names the
    problems beyond those that every operation has.
    """

    name: str
    route: str
    params_type: type[BaseModel]
    response_type: type | None
    summary: str
    description: str
    handler: Handler
    status: int = 200
    fixed: Mapping[str, str] = field(default_factory=dict)
    all_agents_only: bool = False
    extra_problems: tuple[ProblemType, ...] = ()

    @property
    def method(self) -> str:
        return self.route.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.route.partition(" ")[2]

    @property
    def scope(self) -> KeyScope:
        return KeyScope.READ if self.method == "GET" else KeyScope.WRITE

    @property
    def has_body(self) -> bool:
        return self.method in ("POST", "PUT", "PATCH")


def passthrough(
    name: str,
    route: str,
    params_type: type[BaseModel],
    response_type: type,
    summary: str,
    **options: Any,  # noqa: ANN401 an Operation checks them
) -> Operation:
    """What the operator's desk does as it is asked."""

    async def handle(caller: Caller, request: OperationRequest) -> Mapping[str, Any]:
        return await caller.execute(request, dict[str, Any])

    return Operation(name, route, params_type, response_type, summary, _get_docstring(params_type), handle, **options)


def from_handler(route: str, handler: Handler, summary: str, **options: Any) -> Operation:  # noqa: ANN401 an Operation checks them
    """What a function does, whose name, types and docstring say the rest: `async def name(caller, asked) -> reply`."""
    hints = get_type_hints(handler)
    params_type, return_type = hints["params"], hints["return"]
    description = _get_docstring(handler) or _get_docstring(params_type)
    response_type = None if return_type is Response else return_type
    return Operation(handler.__name__, route, params_type, response_type, summary, description, handler, **options)


def _get_docstring(documented: object) -> str:
    """Its own docstring, and none that it has from a model it is made of."""
    return cleandoc(documented.__doc__ or "")
