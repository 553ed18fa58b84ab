"""The overview: what there is, what happens, and whether all is well."""

from starlette.responses import Response
from starlette.routing import Route

from minwallet.wallet import totals
from minwallet.web.backoffice.frame import Frame, Visit


def routes(frame: Frame) -> list[Route]:
    return [frame.get("/admin", _show)]


async def _show(visit: Visit) -> Response:
    await totals.catch_up(visit.wallet.store)
    return visit.render("office/overview.html", holdings=await visit.wallet.store.read_holdings())
