"""The provider's services for operators: the game list and the report of each protocol that has them."""

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from minwallet.demo.dealer import build_game_base, load_dealer
from minwallet.demo.game_rules import GAMES
from minwallet.demo.round_store import RoundStore
from minwallet.protocols.operator_service import Game, OperatorServiceProtocol, ServiceError
from minwallet.protocols.registry import load_operator_service
from minwallet.protocols.wire import HttpRequest


def routes(store: RoundStore, host_id: str, protocols: tuple[str, ...]) -> list[Route]:
    """Return the routes of the services of these protocols, each of which has one."""
    found = []
    for protocol in protocols:
        service = load_operator_service(protocol)
        found += [Route(path, _build_handler(protocol, service, store, host_id)) for path in service.routes]
    return found


def _build_handler(
    protocol: str, service: OperatorServiceProtocol, store: RoundStore, host_id: str
) -> Callable[[Request], Awaitable[Response]]:
    dealer = load_dealer(protocol)

    def render_games(base: str) -> bytes:
        return service.render_games(
            [Game(dealer.get_game_id(game), game.titles, build_game_base(dealer, base, game)) for game in GAMES]
        )

    def render_report(key: str) -> bytes:
        # All keys of this provider are numbers. Any other one starts at the first page.
        is_number = re.fullmatch(r"[0-9]{1,20}", key)
        return service.render_report(store.read_report_page(protocol, int(key) if is_number else 0))

    async def answer(request: Request) -> Response:
        path = request.url.path
        asked = service.parse_request(HttpRequest(request.method, path, request.url.query.encode()))
        if isinstance(asked, ServiceError):
            body = service.render_error(asked)
        elif asked.host_id != host_id:
            body = service.render_error(service.unknown_operator)
        elif service.routes[path] == "games":
            body = render_games(str(request.base_url).rstrip("/"))
        else:
            body = render_report(asked.key)
        return Response(body, media_type="application/json")

    return answer
