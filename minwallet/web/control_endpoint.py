"""Control endpoint of a running server, through which the command line makes changes.

Only the server writes to the file while it runs. The endpoint listens on a separate loopback port, so it is not
reachable through the public address. It requires the random key from the lock file, which only the owner of the
database can read. Any user of the machine can connect to the port; `connection_budget` says what such a stranger gets.
"""

import secrets

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from minwallet.config import Settings
from minwallet.operations.dispatch import execute
from minwallet.operations.errors import OperationFailure
from minwallet.operations.field_help import format_validation_error
from minwallet.operations.requests import Envelope
from minwallet.storage.actors import COMMAND_LINE
from minwallet.storage.errors import StoreError
from minwallet.wallet.service import Wallet
from minwallet.web.gateway.connection_budget import HAS_CONTROL_KEY
from minwallet.web.health import create_health_routes
from minwallet.web.request_log import ACTOR


def create_control_app(wallet: Wallet, key: str, settings: Settings, sqlite_version: str) -> Starlette:
    """Return the application of the control port: `POST /control` and `GET /settings`, and `/readyz` without the key.

    The key is sent as `Authorization: Bearer KEY`. Without it the answer is 404.

    `/control` answers 200 `{"done": {…}}`, 409 with an OperationFailure as a document, 422 `{"declined": [reason]}` for
    an invalid request, and 503 `{"failed": reason}` for a fault of the store. `/settings` answers `{"settings": […]}`
    with the settings in force, as `Settings.list_settings` returns them: without secrets.
    """

    def has_key(request: Request) -> bool:
        authorization = request.headers.get("authorization", "").encode()
        if not secrets.compare_digest(authorization, f"Bearer {key}".encode()):
            return False
        request.scope[HAS_CONTROL_KEY] = True
        return True

    async def handle_settings(request: Request) -> JSONResponse:
        if not has_key(request):
            return _reject()
        request.scope[ACTOR] = COMMAND_LINE
        return JSONResponse({"settings": [each._asdict() for each in settings.list_settings()]})

    async def handle_control(request: Request) -> JSONResponse:
        if not has_key(request):
            return _reject()
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

    routes = [Route("/control", handle_control, methods=["POST"]), Route("/settings", handle_settings, methods=["GET"])]
    return Starlette(routes=[*routes, *create_health_routes(wallet, sqlite_version)])


def _reject() -> JSONResponse:
    return JSONResponse({"detail": "Not Found"}, 404, {"connection": "close"})
