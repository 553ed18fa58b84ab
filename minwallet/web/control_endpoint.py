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

from minwallet.operations.dispatch import execute
from minwallet.operations.errors import OperationFailure
from minwallet.operations.field_help import format_validation_error
from minwallet.operations.requests import Envelope
from minwallet.storage.errors import StoreError
from minwallet.wallet.service import Wallet
from minwallet.web.gateway.connection_budget import HAS_CONTROL_KEY
from minwallet.web.health import create_health_routes


def create_control_app(wallet: Wallet, key: str, sqlite_version: str) -> Starlette:
    """Return the application of the control port: `POST /control` with `Authorization: Bearer KEY`, and `/readyz`.

    `/control` answers 200 `{"done": {…}}`, 409 with an OperationFailure as a document, 422 `{"declined": [reason]}` for
    an invalid request, and 503 `{"failed": reason}` for a fault of the store. Without the key it answers 404.
    """

    async def handle_control(request: Request) -> JSONResponse:
        authorization = request.headers.get("authorization", "").encode()
        if not secrets.compare_digest(authorization, f"Bearer {key}".encode()):
            return JSONResponse({"detail": "Not Found"}, 404, {"connection": "close"})
        request.scope[HAS_CONTROL_KEY] = True
        try:
            envelope = Envelope.model_validate_json(await request.body())
            reply = await execute(wallet, envelope.request, envelope.actor)
        except ValidationError as error:
            return JSONResponse({"declined": [format_validation_error(error)]}, 422)
        except StoreError as fault:
            return JSONResponse({"failed": str(fault)}, 503)
        if isinstance(reply, OperationFailure):
            return JSONResponse(reply.to_document(), 409)
        return JSONResponse({"done": reply})

    route = Route("/control", handle_control, methods=["POST"])
    return Starlette(routes=[route, *create_health_routes(wallet, sqlite_version)])
