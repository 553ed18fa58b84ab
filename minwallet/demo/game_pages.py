"""The pages behind launch URLs: the page of a game, and the lobby with the games for guests."""

import re
import secrets
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from minwallet.demo import game_html
from minwallet.demo.game_rules import MAX_STAKE, DemoGame, find_game
from minwallet.demo.round_store import RoundRecord
from minwallet.demo.simulator import PlayerSession, RoundRunner, SessionRejected
from minwallet.demo.wallet_client import NoAnswer
from minwallet.ledger.money import format_amount, parse_amount
from minwallet.protocols.registry import load_protocol

GUEST_COOKIE = "minwallet_guest"

SECURITY_HEADERS = {
    "cache-control": "no-store",
    # The page's address holds the player's token, so no link may pass it on.
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "x-content-type-options": "nosniff",
}


def routes(runner: RoundRunner, host_id: str, wallet_token: str | None) -> list[Route]:
    """Return the routes: `/play/GAME` for vela, `/play?gameID=…` for wallet-v2.

    A form posts to the address of its own page, because that address contains the session's token.
    """
    operators = {"vela": host_id, "wallet-v2": wallet_token}

    async def lobby(request: Request) -> Response:
        del request
        return HTMLResponse(game_html.render_lobby(), headers=SECURITY_HEADERS)

    async def vela(request: Request) -> Response:
        return await _handle_game_page(runner, request, "vela", operators)

    async def wallet_v2(request: Request) -> Response:
        return await _handle_game_page(runner, request, "wallet-v2", operators)

    both = ["GET", "POST"]
    return [Route("/", lobby), Route("/play", wallet_v2, methods=both), Route("/play/{game}", vela, methods=both)]


async def _handle_game_page(
    runner: RoundRunner, request: Request, protocol: str, operators: dict[str, str | None]
) -> Response:
    launch = load_protocol(protocol).parse_launch_url(str(request.url))
    game = find_game(launch.game)
    if game is None:
        return RedirectResponse("/") if not launch.game else _refusal_response(404, "The provider has no such game.")
    if launch.token and operators[protocol] not in (None, launch.agent):
        return _refusal_response(403, "The provider does not know the operator of this launch address.")
    guest = request.cookies.get(GUEST_COOKIE, "")
    if not re.fullmatch(r"guest-[0-9a-f]{16}", guest):
        guest = f"guest-{secrets.token_hex(8)}"
    try:
        session = await runner.open_session(protocol, launch.token, guest)
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
    response.set_cookie(GUEST_COOKIE, guest, path="/play", httponly=True, samesite="lax")
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
        await runner.open_session(session.protocol, session.token, session.player_id)
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
