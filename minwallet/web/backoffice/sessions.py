"""A player's sessions, and the links that open games for them. A token is shown once, on the page that made it."""

from collections.abc import Mapping

from pydantic import ValidationError
from starlette.responses import Response
from starlette.routing import Route

from minwallet.operations.errors import OperationError
from minwallet.operations.requests import Reply, SessionEnd, SessionOpen
from minwallet.provider.games import Launching, launch_url, read_catalogue
from minwallet.storage.models import Player
from minwallet.web.backoffice.filters import read_number
from minwallet.web.backoffice.forms import Form
from minwallet.web.backoffice.frame import Frame, Visit
from minwallet.web.backoffice.player import PATH, Forms, named_player, need_currency, show_player
from minwallet.web.backoffice.players import path_of


def routes(frame: Frame) -> list[Route]:
    return [
        frame.post(f"{PATH}/sessions", _open),
        frame.post(f"{PATH}/sessions/{{session}}/end", _end),
        frame.post(f"{PATH}/launch", _launch),
    ]


async def _open(visit: Visit) -> Response:
    player, typed = await named_player(visit), await visit.form()
    form = need_currency(Form(typed, {}), player)
    if form.wrong:
        return await show_player(visit, player, Forms(session=form))
    try:
        session = await visit.perform(_request(player, typed))
    except ValidationError as error:
        return await show_player(visit, player, Forms(session=form.misunderstood(error)))
    except OperationError as decline:
        return await show_player(visit, player, Forms(session=form.declined(*decline.args)))
    return _show_once(visit, player, session)


async def _end(visit: Visit) -> Response:
    player = await named_player(visit)
    number = read_number(visit.request.path_params["session"]) or 0
    await visit.perform(SessionEnd(agent=player.agent, player_id=player.player_id, session=number))
    return visit.redirect(path_of(player.agent, player.player_id), f"Session {number} is revoked.")


async def _launch(visit: Visit) -> Response:
    player, typed = await named_player(visit), await visit.form()
    form = need_currency(Form(typed, {}), player)
    catalogue = await read_catalogue(visit.wallet.store, player.agent)
    protocol, game, lang = (typed.get(name, "").strip() for name in ("protocol", "game", "lang"))
    try:
        Launching(protocol=protocol, game=game, lang=lang)
        if form.wrong:
            return await show_player(visit, player, Forms(launch=form))
        # Whatever is wrong with the game or a setting is said before there is a session.
        launch_url(catalogue, protocol, game, lang, "token")
        session = await visit.perform(_request(player, typed))
    except ValidationError as error:
        return await show_player(visit, player, Forms(launch=form.misunderstood(error)))
    except OperationError as decline:
        return await show_player(visit, player, Forms(launch=form.declined(*decline.args)))
    url = launch_url(catalogue, protocol, game, lang, session["token"])
    return _show_once(visit, player, session, url)


def _request(player: Player, typed: Mapping[str, str]) -> SessionOpen:
    """The session that a form asks for. Raises ValidationError."""
    currency, ttl_s = typed.get("currency") or None, read_number(typed.get("ttl_s")) or 0
    return SessionOpen(agent=player.agent, player_id=player.player_id, currency=currency, ttl_s=ttl_s)


def _show_once(visit: Visit, player: Player, session: Reply, url: str = "") -> Response:
    path = path_of(player.agent, player.player_id)
    return visit.render("office/session.html", player=player, path=path, session=session, url=url)
