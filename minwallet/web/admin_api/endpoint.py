"""One address of the admin API: the key first, then what is asked, then whoever does it; a problem for what fails."""

import logging
from collections.abc import Sequence

from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from minwallet.operations.errors import OperationError
from minwallet.storage import admin_store
from minwallet.storage.errors import StoreError
from minwallet.web.admin_api.asking import read
from minwallet.web.admin_api.bearer import find_key
from minwallet.web.admin_api.operation import Api, Caller, Operation
from minwallet.web.admin_api.problems import Cause, Problem

LONGEST_BODY = 64 * 1024

logger = logging.getLogger("minwallet")


nowhere = Problem(Cause.NOT_FOUND, "there is no such address").response()
"""What every address answers that is none."""

only_read = Problem(Cause.METHOD_NOT_ALLOWED, "this address has GET", headers={"allow": "GET"}).response()
"""What an address answers that has nothing but a document, to any other method."""


class Endpoint:
    """The operations of one path, as an ASGI application. No exception leaves it."""

    def __init__(self, api: Api, operations: Sequence[Operation]) -> None:
        self._api = api
        self._operations = {operation.method: operation for operation in operations}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        except Problem as problem:
            response = problem.response()
        except OperationError as decline:
            response = Problem.of(decline.failure).response()
        except StoreError as fault:
            logger.error("%s %s: %s", scope["method"], scope["path"], fault)
            response = Problem(Cause.UNAVAILABLE).response()
        except Exception:
            logger.exception("a request could not be answered; please report this as a bug")
            response = Problem(Cause.BUG).response()
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        operation = self._operations.get(request.method)
        if operation is None:
            allow = ", ".join(self._operations)
            raise Problem(Cause.METHOD_NOT_ALLOWED, f"this address has {allow}", headers={"allow": allow})
        key = await find_key(self._api.wallet.store, request)
        if key is None:
            offered = ' error="invalid_token"' if "authorization" in request.headers else ""
            raise Problem(Cause.UNAUTHORIZED, headers={"www-authenticate": f"Bearer{offered}"})
        _admit(key, operation)
        body = await _read_body(request) if operation.has_body else None
        asked = read(operation, request.path_params, request.query_params.multi_items(), body)
        caller = Caller(self._api, key, request)
        reply = await operation.handler(caller, _confine(caller, asked))
        return reply if isinstance(reply, Response) else JSONResponse(reply, operation.status)


def _admit(key: admin_store.ApiKey, operation: Operation) -> None:
    if operation.scope == admin_store.KeyScope.WRITE and key.scope != admin_store.KeyScope.WRITE:
        raise Problem(Cause.FORBIDDEN, f"the key {key.name} may only read")
    if operation.for_all and key.agent is not None:
        raise Problem(Cause.FORBIDDEN, f"the key {key.name} reaches agent {key.agent} only, and this is about all")


def _confine(caller: Caller, asked: BaseModel) -> BaseModel:
    """The same, about nobody but the key's own agent if it has one."""
    if "agent" not in type(asked).model_fields or caller.key.agent is None:
        return asked
    agent = asked.model_dump(include={"agent"})["agent"]
    if agent is None:
        return asked.model_copy(update={"agent": caller.key.agent})
    caller.reach(agent)
    return asked


async def _read_body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST_BODY:
            raise Problem(Cause.TOO_LONG)
    return body
