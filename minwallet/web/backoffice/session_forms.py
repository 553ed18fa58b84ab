"""The forms for a player's sessions and for launch links; a token is shown only once, after its creation."""

from collections.abc import Mapping

from pydantic import ValidationError
from starlette.responses import Response
from starlette.routing import Route

from minwallet.operations.errors import OperationError
from minwallet.operations.requests import Reply, SessionEnd, SessionOpen
from minwallet.provider.game_catalogue import (
    TEST_ACCOUNT,
    LaunchAccount,
    LaunchOptions,
    build_launch_url,
    create_launcher,
)
from minwallet.storage.models import Player
from minwallet.web.backoffice.filters import parse_number
from minwallet.web.backoffice.forms import Form
from minwallet.web.backoffice.page import PageContext, PageRouter
from minwallet.web.backoffice.player_detail import PATH, PlayerForms, load_player, render_player, require_currency
from minwallet.web.backoffice.player_list import player_page_url


def routes(router: PageRouter) -> list[Route]:
    return [
        router.post(f"{PATH}/sessions", _open_session),
        router.post(f"{PATH}/sessions/{{session}}/end", _end_session),
        router.post(f"{PATH}/launch", _launch_game),
    ]


async def _open_session(context: PageContext) -> Response:
    player, fields = await load_player(context), await context.read_form()
    form = require_currency(Form(fields, {}), player)
    if form.errors:
        return await render_player(context, player, PlayerForms(session=form))
    try:
        session = await context.execute(_build_session_request(player, fields))
    except ValidationError as error:
        return await render_player(context, player, PlayerForms(session=form.with_validation_error(error)))
    except OperationError as failure:
        return await render_player(context, player, PlayerForms(session=form.with_failure(*failure.args)))
    return _render_new_session(context, player, session)


async def _end_session(context: PageContext) -> Response:
    player = await load_player(context)
    number = parse_number(context.request.path_params["session"]) or 0
    await context.execute(SessionEnd(agent=player.agent, player_id=player.player_id, session=number))
    return context.redirect(player_page_url(player.agent, player.player_id), f"Session {number} is revoked.")


async def _launch_game(context: PageContext) -> Response:
    player, fields = await load_player(context), await context.read_form()
    form = require_currency(Form(fields, {}), player)
    protocol, game, lang = (fields.get(name, "").strip() for name in ("protocol", "game", "lang"))
    try:
        LaunchOptions(protocol=protocol, game=game, lang=lang)
        if form.errors:
            return await render_player(context, player, PlayerForms(launch=form))
        launcher = await create_launcher(context.wallet.store, player.agent, protocol)
        build_launch_url(launcher, game, lang, TEST_ACCOUNT)
        session = await context.execute(_build_session_request(player, fields))
    except ValidationError as error:
        return await render_player(context, player, PlayerForms(launch=form.with_validation_error(error)))
    except OperationError as failure:
        return await render_player(context, player, PlayerForms(launch=form.with_failure(*failure.args)))
    account = LaunchAccount(player.player_id, session["currency"], session["token"])
    url = build_launch_url(launcher, game, lang, account)
    return _render_new_session(context, player, session, url)


def _build_session_request(player: Player, fields: Mapping[str, str]) -> SessionOpen:
    """Return the request of a form. Raise ValidationError if it is invalid."""
    currency, ttl_s = fields.get("currency") or None, parse_number(fields.get("ttl_s")) or 0
    return SessionOpen(agent=player.agent, player_id=player.player_id, currency=currency, ttl_s=ttl_s)


def _render_new_session(context: PageContext, player: Player, session: Reply, url: str = "") -> Response:
    path = player_page_url(player.agent, player.player_id)
    return context.render(
        "backoffice/session_created.html", player=player, player_url=path, session=session, launch_url=url
    )
