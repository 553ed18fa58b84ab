"""The ASGI endpoint of a path: authenticates, parses, calls the handler, and turns every failure into a problem."""

import logging
from collections.abc import Sequence

from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from minwallet.operations.errors import ErrorCode, OperationError
from minwallet.storage import admin_store
from minwallet.storage.errors import StoreError
from minwallet.web.admin_api.authentication import find_api_key
from minwallet.web.admin_api.operation import ApiCaller, ApiContext, Operation
from minwallet.web.admin_api.parsing import parse_request
from minwallet.web.admin_api.problems import Problem
from minwallet.web.dot_names import unescape_dot_names

MAX_REQUEST_BYTES = 64 * 1024

logger = logging.getLogger("minwallet")


not_found = Problem(ErrorCode.NOT_FOUND, "unknown address").to_response()
"""The response of an unknown address."""

method_not_allowed = Problem(
    ErrorCode.METHOD_NOT_ALLOWED, "this address only supports GET", headers={"allow": "GET"}
).to_response()
"""The response of a document's address to any method but GET."""


class ApiEndpoint:
    """An ASGI application with the operations of one path. It handles all exceptions."""

    def __init__(self, api: ApiContext, operations: Sequence[Operation]) -> None:
        self._api = api
        self._operations = {operation.method: operation for operation in operations}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._handle_request(request)
        except ClientDisconnect:
            return
        except Problem as problem:
            response = problem.to_response()
        except OperationError as error:
            response = Problem.from_failure(error.failure).to_response()
        except StoreError as fault:
            logger.error("%s %s: %s", scope["method"], scope["route"].path, fault)
            response = Problem(ErrorCode.UNAVAILABLE).to_response()
        except Exception:
            logger.exception("%s %s failed; please report this as a bug", scope["method"], scope["route"].path)
            response = Problem(ErrorCode.BUG).to_response()
        await response(scope, receive, send)

    async def _handle_request(self, request: Request) -> Response:
        operation = self._operations.get(request.method)
        if operation is None:
            allow = ", ".join(self._operations)
            raise Problem(ErrorCode.METHOD_NOT_ALLOWED, f"this address only supports {allow}", headers={"allow": allow})
        key = await self._require_key(request)
        authorize(key, operation)
        body = None
        if operation.has_body:
            body = await _read_body(request)
            # A body may arrive slowly, and the key may have been revoked meanwhile.
            await self._require_key(request)
        path_params = unescape_dot_names(request.path_params)
        params = parse_request(operation, path_params, request.query_params.multi_items(), body)
        caller = ApiCaller(self._api, key, request)
        reply = await operation.handler(caller, scope_to_agent(caller, params))
        return reply if isinstance(reply, Response) else JSONResponse(reply, operation.status)

    async def _require_key(self, request: Request) -> admin_store.ApiKey:
        """Return the key of the request. Raise Problem if there is none, or it is unknown or revoked."""
        key = await find_api_key(self._api.wallet.store, request)
        if key is None:
            bearer_error = ' error="invalid_token"' if "authorization" in request.headers else ""
            raise Problem(ErrorCode.UNAUTHORIZED, headers={"www-authenticate": f"Bearer{bearer_error}"})
        return key


def authorize(key: admin_store.ApiKey, operation: Operation) -> None:
    """Raise Problem if the key must not use this operation."""
    if operation.scope == admin_store.KeyScope.WRITE and key.scope != admin_store.KeyScope.WRITE:
        raise Problem(ErrorCode.FORBIDDEN, f"key '{key.name}' is read-only")
    if operation.all_agents_only and key.agent is not None:
        raise Problem(
            ErrorCode.FORBIDDEN, f"key '{key.name}' covers agent {key.agent} only; this operation is about all agents"
        )


def scope_to_agent(caller: ApiCaller, params: BaseModel) -> BaseModel:
    """Return the parameters limited to the key's agent. Raise Problem if they name another agent."""
    if "agent" not in type(params).model_fields or caller.key.agent is None:
        return params
    agent = params.model_dump(include={"agent"})["agent"]
    if agent is None:
        return params.model_copy(update={"agent": caller.key.agent})
    caller.require_agent(agent)
    return params


async def _read_body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_REQUEST_BYTES:
            raise Problem(ErrorCode.TOO_LONG)
    return body
