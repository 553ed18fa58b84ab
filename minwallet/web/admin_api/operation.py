"""An operation of the admin API: its route, its parameters, its response and its handler."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import Any, NamedTuple, TypeVar, cast, get_type_hints

from pydantic import BaseModel
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from minwallet.operations import dispatch
from minwallet.operations.errors import ErrorCode, OperationFailure
from minwallet.operations.requests import OperationRequest
from minwallet.storage.actors import name_key
from minwallet.storage.admin_store import ApiKey, KeyScope
from minwallet.wallet.service import Wallet
from minwallet.web.admin_api.problems import Problem
from minwallet.web.gateway.recent_calls import RecentCalls
from minwallet.web.health import HealthReport

T = TypeVar("T")


class ApiContext(NamedTuple):
    """The context that all operations share.

    `build_health_report` returns the server's state. `verify_lock` is held during a verification of the ledger, so that
    only one runs at a time. `recent_calls` has the newest provider calls.
    """

    wallet: Wallet
    build_health_report: Callable[[], HealthReport]
    verify_lock: asyncio.Lock
    recent_calls: RecentCalls


class ApiCaller(NamedTuple):
    """The caller of an operation: its key and its HTTP request."""

    api: ApiContext
    key: ApiKey
    http: HttpRequest

    @property
    def wallet(self) -> Wallet:
        return self.api.wallet

    async def execute(self, request: OperationRequest, response_type: type[T]) -> T:
        """Execute the request on behalf of the key. Return the reply as this TypedDict. Raise Problem if it fails."""
        reply = await dispatch.execute(self.wallet, request, name_key(self.key.name))
        if isinstance(reply, OperationFailure):
            raise Problem.from_failure(reply)
        return cast(T, reply)

    def require_agent(self, agent: str) -> None:
        """Raise Problem if the key does not cover this agent."""
        if self.key.agent not in (None, agent):
            raise Problem(ErrorCode.FORBIDDEN, f"key '{self.key.name}' covers agent {self.key.agent} only")


Handler = Callable[[ApiCaller, Any], Awaitable[Mapping[str, Any] | Response]]


@dataclass(frozen=True, eq=False)
class Operation:
    """One line of the table of operations.

    - `route` is a method and a path, such as `GET /agents/{name}`.
    - `params_type` is the model of all parameters. A field comes from the path if the path names it. Other fields come
      from the query of a GET or DELETE, and from the body of other methods. `fixed` fields are set by the table.
    - A field `agent` names the agent whose data it is: a key of one agent must not name another.
    - An operation with `all_agents_only` requires a key that covers all agents.
    - `response_type` is the type of the response, None for a stream of events.
    - `extra_problems` lists error codes beyond those that every operation has.
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
    extra_problems: tuple[ErrorCode, ...] = ()

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
    """Return an operation that executes its parameters as an OperationRequest without a handler of its own."""

    async def handle(caller: ApiCaller, request: OperationRequest) -> Mapping[str, Any]:
        return await caller.execute(request, dict[str, Any])

    return Operation(name, route, params_type, response_type, summary, _get_docstring(params_type), handle, **options)


def from_handler(route: str, handler: Handler, summary: str, **options: Any) -> Operation:  # noqa: ANN401 an Operation checks them
    """Return the operation of a handler `async def name(caller, params) -> response`.

    Its name, its types and its docstring become those of the operation.
    """
    hints = get_type_hints(handler)
    params_type, return_type = hints["params"], hints["return"]
    description = _get_docstring(handler) or _get_docstring(params_type)
    response_type = None if return_type is Response else return_type
    return Operation(handler.__name__, route, params_type, response_type, summary, description, handler, **options)


def _get_docstring(documented: object) -> str:
    """Return the docstring of the object itself, without inheritance from a base class."""
    return cleandoc(documented.__doc__ or "")
