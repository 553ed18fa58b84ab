"""The pages behind launch URLs: the page of a game, and the lobby with the games for guests."""

import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from minwallet.demo import game_html
from minwallet.demo.dealer import find_launched_game, get_operator_id, load_dealer
from minwallet.demo.game_rules import MAX_STAKE, DemoGame
from minwallet.demo.round_store import RoundRecord
from minwallet.demo.simulator import PlayerSession, RoundRunner, SessionRejected
from minwallet.demo.wallet_client import NoAnswer
from minwallet.ledger.money import format_amount, parse_amount
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import Launch

GUEST_COOKIE = "minwallet_guest"

SECURITY_HEADERS = {
    "cache-control": "no-store",
    # The page's address holds the player's token, so no link may pass it on.
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "x-content-type-options": "nosniff",
}


def routes(runner: RoundRunner, protocols: Sequence[str], host_id: str, wallet_token: str | None) -> list[Route]:
    """Return the routes: the lobby and the pages of the games, at the path of each protocol's dealer.

    A form posts to the address of its own page, because that address contains the session's token.
    """
    protocols_by_path: dict[str, list[str]] = {}
    for name in protocols:
        protocols_by_path.setdefault(load_dealer(name).game_path, []).append(name)
    operators = {
        name: get_operator_id(name, host_id, wallet_token) if _names_operator(name) else None for name in protocols
    }

    async def lobby(request: Request) -> Response:
        del request
        return HTMLResponse(game_html.render_lobby(protocols), headers=SECURITY_HEADERS)

    def build_page(candidates: Sequence[str]) -> Callable[[Request], Awaitable[Response]]:
        async def page(request: Request) -> Response:
            protocol, launch = _parse_launch(str(request.url), candidates)
            return await _handle_game_page(runner, request, protocol, launch, operators[protocol])

        return page

    pages = [
        Route(path, build_page(candidates), methods=["GET", "POST"]) for path, candidates in protocols_by_path.items()
    ]
    return [Route("/", lobby), *pages]


def _names_operator(protocol: str) -> bool:
    """Check if the launch URLs of the protocol contain the operator. Without it, the provider accepts all launches."""
    wire, launch = load_protocol(protocol), Launch("/play", "game", "en", "token", "operator", "player", "USD")
    try:
        return wire.parse_launch_url(wire.build_launch_url(launch)).agent == launch.agent
    except NotImplementedError:
        return False


def _parse_launch(url: str, protocols: Sequence[str]) -> tuple[str, Launch]:
    """Return the protocol of a launch URL and its content: the first in which the URL names a game of the provider.

    If the URL names no known game in any of them, return the first protocol in which it names any.
    """
    launches = []
    for name in protocols:
        with suppress(NotImplementedError):
            launches.append((name, load_protocol(name).parse_launch_url(url)))
    known = [each for each in launches if find_launched_game(*each)]
    named = [each for each in launches if each[1].game]
    return (known or named or [(protocols[0], Launch("", "", ""))])[0]


async def _handle_game_page(
    runner: RoundRunner, request: Request, protocol: str, launch: Launch, operator_id: str | None
) -> Response:
    game = find_launched_game(protocol, launch)
    if game is None:
        return RedirectResponse("/") if not launch.game else _refusal_response(404, "The provider has no such game.")
    if launch.token and operator_id not in (None, launch.agent):
        return _refusal_response(403, "The provider does not know the operator of this launch address.")
    guest = request.cookies.get(GUEST_COOKIE, "")
    if not re.fullmatch(r"guest-[0-9a-f]{16}", guest):
        guest = f"guest-{secrets.token_hex(8)}"
    try:
        session = await runner.open_session(
            protocol, launch.token, guest, player_id=launch.player_id, currency=launch.currency
        )
    except SessionRejected as error:
        return _refusal_response(403, f"You cannot play: {error}.")
    except NoAnswer as error:
        return _refusal_response(502, f"You cannot play now: {error}.")
    played, message = None, ""
    if request.method == "POST":
        played, message = await _play_from_form(runner, session, game, await request.body())
    response = HTMLResponse(
        game_html.render_game(game, launch.lang, session, played, message), headers=SECURITY_HEADERS
    )
    response.set_cookie(GUEST_COOKIE, guest, path=f"/{request.url.path.split('/')[1]}", httponly=True, samesite="lax")
    return response


async def _play_from_form(
    runner: RoundRunner, session: PlayerSession, game: DemoGame, body: bytes
) -> tuple[RoundRecord | None, str]:
    """Play the round of the form. Return its record, None if the form is invalid, and an error message or ""."""
    form = dict(parse_qsl(body.decode("ascii", "replace")))
    choice = form.get("choice", game.choices[0])
    try:
        stake = _parse_stake(form.get("stake", ""))
        if choice not in game.choices:
            raise ValueError(f"unknown bet {choice!r:.20}: use one of {', '.join(game.choices)}")
    except ValueError as error:
        return None, str(error)
    played = await runner.play_round(session, game, stake, choice)
    try:
        # Opening the session again reads the new balance from the wallet.
        await runner.open_session(
            session.protocol,
            session.token,
            session.player_id,
            player_id=session.player_id,
            currency=session.currency,
        )
    except (NoAnswer, SessionRejected) as error:
        return played, f"the balance above is from before the round: {error}"
    return played, ""


def _parse_stake(text: str) -> int:
    cents = parse_amount(text.strip())
    if not 1 <= cents <= MAX_STAKE:
        raise ValueError(f"invalid stake {text.strip()!r:.20}: must be from 0.01 to {format_amount(MAX_STAKE)}")
    return cents


def _refusal_response(status: int, message: str) -> Response:
    return HTMLResponse(game_html.render_refusal(message), status, headers=SECURITY_HEADERS)
