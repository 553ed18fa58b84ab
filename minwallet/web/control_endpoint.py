"""Control endpoint of a running server: the command line makes changes through it, and reads the newest provider calls.

Only the server writes to the file while it runs. The endpoint listens on a separate loopback port, so it is not
reachable through the public address. It requires the random key from the lock file, which only the owner of the
database can read. Any user of the machine can connect to the port; `connection_budget` says what such a stranger gets.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from minwallet.config import Settings
from minwallet.operations.dispatch import execute
from minwallet.operations.errors import OperationFailure
from minwallet.operations.field_help import format_validation_error
from minwallet.operations.requests import Envelope
from minwallet.storage.actors import COMMAND_LINE
from minwallet.storage.errors import StoreError
from minwallet.wallet.feed import CommitNotifier
from minwallet.wallet.service import Wallet
from minwallet.web.gateway.connection_budget import HAS_CONTROL_KEY
from minwallet.web.gateway.recent_calls import MAX_CALLS, RecentCalls, RecordedCall, render_calls
from minwallet.web.health import create_health_routes
from minwallet.web.request_log import ACTOR

Handler = Callable[[Request], Awaitable[Response]]

FOLLOW_INTERVAL_S, HEARTBEAT_S = 0.2, 2
"""The time between two looks for new calls, and between two empty lines, which show that the command has gone."""


def create_control_app(
    wallet: Wallet, key: str, settings: Settings, sqlite_version: str, recent_calls: RecentCalls
) -> Starlette:
    """Return the application of the control port: `POST /control`, `GET /settings`, `GET /calls` and `/readyz`.

    All but `/readyz` need `Authorization: Bearer KEY`, and answer 404 without it.

    `/control` answers 200 `{"done": {…}}`, 409 with an OperationFailure as a document, 422 `{"declined": [reason]}` for
    an invalid request, and 503 `{"failed": reason}` for a fault of the store. `/settings` answers `{"settings": […]}`
    with the settings in force, as `Settings.list_settings` returns them: without secrets.

    `/calls` answers one JSON document per line for each of the newest `limit` provider calls, oldest first, with
    `failed=1` only those that failed. With `follow=1` later calls follow, and empty lines as heartbeats.
    """

    async def handle_control(request: Request) -> Response:
        try:
            envelope = Envelope.model_validate_json(await request.body())
            request.scope[ACTOR] = envelope.actor
            reply = await execute(wallet, envelope.request, envelope.actor)
        except ValidationError as error:
            return JSONResponse({"declined": [format_validation_error(error)]}, 422)
        except StoreError as fault:
            return JSONResponse({"failed": str(fault)}, 503)
        if isinstance(reply, OperationFailure):
            return JSONResponse(reply.to_document(), 409)
        return JSONResponse({"done": reply})

    async def send_settings(_: Request) -> Response:
        return JSONResponse({"settings": [each._asdict() for each in settings.list_settings()]})

    async def send_calls(request: Request) -> Response:
        query = request.query_params
        lines = _stream_calls(
            recent_calls,
            wallet.commit_notifier,
            limit=int(query["limit"]),
            only_failed=query.get("failed") == "1",
            is_following=query.get("follow") == "1",
        )
        return StreamingResponse(lines, media_type="application/x-ndjson")

    routes = [
        Route("/control", _require_key(key, handle_control), methods=["POST"]),
        Route("/settings", _require_key(key, send_settings), methods=["GET"]),
        Route("/calls", _require_key(key, send_calls), methods=["GET"]),
    ]
    return Starlette(routes=[*routes, *create_health_routes(wallet, sqlite_version)])


def _require_key(key: str, handle: Handler) -> Handler:
    """Return the handler for requests with this key. All others are answered with 404."""

    async def handle_with_key(request: Request) -> Response:
        authorization = request.headers.get("authorization", "").encode()
        if not secrets.compare_digest(authorization, f"Bearer {key}".encode()):
            return JSONResponse({"detail": "Not Found"}, 404, {"connection": "close"})
        request.scope[HAS_CONTROL_KEY], request.scope[ACTOR] = True, COMMAND_LINE
        try:
            return await handle(request)
        except ClientDisconnect:
            # The command was stopped before it sent all of its request. This answer is not received.
            return Response(status_code=400)

    return handle_with_key


async def _stream_calls(
    recent_calls: RecentCalls, notifier: CommitNotifier, *, limit: int, only_failed: bool, is_following: bool
) -> AsyncIterator[str]:
    """Yield the newest calls as JSON lines, oldest first, and then the new ones until the server stops."""
    number, calls = recent_calls.newest_number, recent_calls.read(limit, only_failed=only_failed)
    yield await _format_calls(calls) or "\n"
    quiet_s = 0.0
    while is_following and not notifier.is_closed:
        await asyncio.sleep(FOLLOW_INTERVAL_S)
        quiet_s += FOLLOW_INTERVAL_S
        if recent_calls.newest_number > number:
            calls = recent_calls.read(MAX_CALLS, only_failed=only_failed, after=number)
            number = recent_calls.newest_number
            if calls:
                yield await _format_calls(calls)
                quiet_s = 0.0
        if quiet_s >= HEARTBEAT_S:
            yield "\n"
            quiet_s = 0.0


async def _format_calls(calls: Sequence[RecordedCall]) -> str:
    return "".join(f"{json.dumps(call)}\n" for call in reversed(await render_calls(calls)))
