"""The provider's services for operators of vela: the game list and the report."""

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from minwallet.demo.game_rules import GAMES
from minwallet.demo.round_store import RoundStore
from minwallet.protocols.operator_service import Game, ServiceError
from minwallet.protocols.registry import load_operator_service
from minwallet.protocols.vela_service import INVALID_HOST_ID, REQUIRED_FIELD


def routes(store: RoundStore, host_id: str) -> list[Route]:
    """Return the routes of the specification's sections "Game List" and "User Report"."""
    service = load_operator_service("vela")

    def games(request: Request) -> bytes:
        base = str(request.base_url).rstrip("/")
        return service.render_games([Game(game.code, game.titles, f"{base}/play/{game.code}") for game in GAMES])

    def report(request: Request) -> bytes:
        # An empty key starts at the first page, like "0".
        key = request.query_params.get("key") or "0"
        if not re.fullmatch(r"[0-9]{1,20}", key):
            return service.render_error(ServiceError(REQUIRED_FIELD, f"invalid key {key!r:.40}: use a page's key or 0"))
        return service.render_report(store.read_report_page(int(key)))

    async def answer(request: Request) -> Response:
        given = request.query_params.get("host_id")
        if not given:
            body = service.render_error(ServiceError(REQUIRED_FIELD, "Required field cannot be empty"))
        elif given != host_id:
            body = service.render_error(ServiceError(INVALID_HOST_ID, "Invalid Host ID"))
        else:
            body = {"games": games, "report": report}[service.routes[request.url.path]](request)
        return Response(body, media_type="application/json")

    return [Route(path, answer) for path in service.routes]
