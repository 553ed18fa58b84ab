"""How the server is doing: `/healthz` says that it runs, `/readyz` that it can take money."""

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from minwallet.wallet.service import Wallet


def routes(wallet: Wallet, sqlite_version: str) -> list[Route]:
    async def healthz(request: Request) -> JSONResponse:
        del request
        return JSONResponse({"status": "ok"})

    async def readyz(request: Request) -> JSONResponse:
        del request
        reasons = [str(wallet.store.broken)] if wallet.store.broken else []
        found = {"ready": not reasons, "reasons": reasons, "sqlite": sqlite_version}
        return JSONResponse(found, 503 if reasons else 200)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]
