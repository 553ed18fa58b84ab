"""Control endpoint of a running server, through which the command line makes changes.

Only the server writes to the file while it runs. The endpoint listens on a separate loopback port, so it is not
reachable through the public address. It requires the random key from the lock file, which only the owner of the
database can read.
"""

import secrets

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from minwallet.operations.dispatch import execute
from minwallet.operations.errors import OperationFailure
from minwallet.operations.field_help import format_validation_error
from minwallet.operations.requests import Envelope
from minwallet.storage.errors import StoreError
from minwallet.wallet.service import Wallet
from minwallet.web.request_log import ACTOR


def create_control_routes(wallet: Wallet, port: int, key: str) -> list[Route]:
    """Return the route of `POST /control`, which answers on `port` only and requires `Authorization: Bearer KEY`.

    It answers 200 `{"done": {…}}`, 409 with an OperationFailure as a document, 422 `{"declined": [reason]}` for an
    invalid request, and 503 `{"failed": reason}` for a fault of the store. On another port or without the key it
    answers 404.
    """

    async def handle_control(request: Request) -> JSONResponse:
        authorization = request.headers.get("authorization", "").encode()
        is_control_port = (request.scope.get("server") or ("", None))[1] == port
        if not is_control_port or not secrets.compare_digest(authorization, f"Bearer {key}".encode()):
            return JSONResponse({"detail": "Not Found"}, 404)
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

    return [Route("/control", handle_control, methods=["POST"])]
