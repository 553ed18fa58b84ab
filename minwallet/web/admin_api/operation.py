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
from minwallet.web.admin_api.problems import Cause, Problem
from minwallet.web.health import Health

T = TypeVar("T")


class Api(NamedTuple):
    """What all operations share. `examine` tells how the server is doing; `verifying` is held while the ledger is
    recomputed, which one caller at a time may ask for.
    """

    wallet: Wallet
    examine: Callable[[], Health]
    verifying: asyncio.Lock


class Caller(NamedTuple):
    """Who asks, and where."""

    api: Api
    key: ApiKey
    http: HttpRequest

    @property
    def wallet(self) -> Wallet:
        return self.api.wallet

    async def perform(self, request: OperationRequest, shape: type[T]) -> T:
        """Have the desk carry this out, on record under the key's name, and answer in this shape, which is a TypedDict.

        A Problem says why it was not done.
        """
        reply = await dispatch.execute(self.wallet, request, f"key {self.key.name}")
        if isinstance(reply, OperationFailure):
            raise Problem.of(reply)
        return cast(T, reply)

    def reach(self, agent: str) -> None:
        """A Problem where the key does not reach this agent."""
        if self.key.agent not in (None, agent):
            raise Problem(Cause.FORBIDDEN, f"the key {self.key.name} reaches agent {self.key.agent} only")


Handler = Callable[[Caller, Any], Awaitable[Mapping[str, Any] | Response]]


@dataclass(frozen=True, eq=False)
class Operation:
    """One line of the table: its name, where it is, what is asked, what is answered, what it is for, and who does it.

    `at` is a method and a path. `asked` is the model of all that a caller gives: the fields that the path names are
    there, the others in the query of a GET or a DELETE, or in the body of the others; what is `fixed`, nobody gives. A
    field `agent` is whose data it is: a key of one agent reaches no other's, nor anything that is `for_all`.
    `reply` is the shape of the answer, None for a stream of events. `may` names what else can go wrong than what always
    can.
    """

    name: str
    at: str
    asked: type[BaseModel]
    reply: type | None
    summary: str
    description: str
    handler: Handler
    status: int = 200
    fixed: Mapping[str, str] = field(default_factory=dict)
    for_all: bool = False
    may: tuple[Cause, ...] = ()

    @property
    def method(self) -> str:
        return self.at.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.at.partition(" ")[2]

    @property
    def scope(self) -> KeyScope:
        return KeyScope.READ if self.method == "GET" else KeyScope.WRITE

    @property
    def has_body(self) -> bool:
        return self.method in ("POST", "PUT", "PATCH")


def by_desk(
    name: str,
    at: str,
    asked: type[BaseModel],
    reply: type,
    summary: str,
    **more: Any,  # noqa: ANN401 an Operation checks them
) -> Operation:
    """What the operator's desk does as it is asked."""

    async def perform(caller: Caller, request: OperationRequest) -> Mapping[str, Any]:
        return await caller.perform(request, dict[str, Any])

    return Operation(name, at, asked, reply, summary, _words_of(asked), perform, **more)


def by_handler(at: str, handler: Handler, summary: str, **more: Any) -> Operation:  # noqa: ANN401 an Operation checks them
    """What a function does, whose name, types and docstring say the rest: `async def name(caller, asked) -> reply`."""
    hints = get_type_hints(handler)
    asked, reply = hints["asked"], hints["return"]
    description = _words_of(handler) or _words_of(asked)
    shape = None if reply is Response else reply
    return Operation(handler.__name__, at, asked, shape, summary, description, handler, **more)


def _words_of(thing: object) -> str:
    """Its own docstring, and none that it has from a model it is made of."""
    return cleandoc(thing.__doc__ or "")
