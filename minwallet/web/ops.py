"""How the server is doing: `/healthz` says that it runs, `/readyz` that it can take money."""

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from typing_extensions import TypedDict  # pydantic reads only this one's before Python 3.12

from minwallet.wallet.service import Wallet


class Health(TypedDict):
    """`ready` says that money can be taken, new bets too; `reasons` why not."""

    ready: bool
    reasons: list[str]
    sqlite: str


def check(wallet: Wallet, sqlite_version: str) -> Health:
    """How the wallet is doing right now."""
    broken = str(wallet.store.failure or "")
    stopping = "the server is stopping" if wallet.commit_notifier.is_closed else ""
    reasons = [reason for reason in (broken, stopping, wallet.disk_space.shortage) if reason]
    return Health(ready=not reasons, reasons=reasons, sqlite=sqlite_version)


def routes(wallet: Wallet, sqlite_version: str) -> list[Route]:
    async def healthz(request: Request) -> JSONResponse:
        del request
        return JSONResponse({"status": "ok"})

    async def readyz(request: Request) -> JSONResponse:
        del request
        found = check(wallet, sqlite_version)
        return JSONResponse(found, 200 if found["ready"] else 503)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]
