"""What scripts may ask of the provider, in JSON: play rounds, misbehave, forget a row of the report."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from minwallet.demo.book import Played
from minwallet.demo.caller import NoAnswer, Sent
from minwallet.demo.croupier import Croupier, Seat, TurnedAway
from minwallet.demo.games import GAMES, MOST_STAKE, Game, find_game
from minwallet.demo.mischief import Aim, Plan, check_odds
from minwallet.demo.rounds import Ending
from minwallet.protocols.registry import PROTOCOLS

MOST_ROUNDS = 10_000
SHOWN_ROUNDS = 100
SHOWN_PLAYS = 12
"""Of how many rounds the answer to a play tells everything, the last ones."""


class _Bad(Exception):
    """The HTTP status, and what is wrong with the request."""


def routes(croupier: Croupier) -> list[Route]:
    """Everything below `/demo`."""

    async def play(request: Request) -> Response:
        fields = await _read(request)
        protocol = _one_of(fields, "protocol", list(PROTOCOLS))
        game = _game(fields)
        stake, rounds = _number(fields, "stake", 100, MOST_STAKE), _number(fields, "rounds", 1, MOST_ROUNDS)
        token = fields.get("token")
        if token is not None and (not isinstance(token, str) or not token):
            raise _Bad(422, "token: must be text; leave it out to play as a guest")
        choice = _one_of(fields, "choice", list(game.choices)) if "choice" in fields else None
        plan = _plan(fields)
        seat = await croupier.seat(protocol, token)
        played = await croupier.play_on(seat, game, stake, choice, rounds, plan=plan)
        return JSONResponse(_summary(seat, played))

    async def odds(request: Request) -> Response:
        if request.method == "PUT":
            try:
                croupier.odds = check_odds(await _read(request))
            except ValueError as error:
                raise _Bad(422, str(error)) from error
        return JSONResponse(croupier.odds)

    async def forget(request: Request) -> Response:
        ticket = request.path_params["ticket"]
        if not croupier.book.remove(ticket):
            raise _Bad(404, f"the report has no ticket {ticket:.40}")
        return Response(status_code=204)

    async def rounds(request: Request) -> Response:
        del request
        book = croupier.book
        last = [*book.ended, *book.pending.values()][-SHOWN_ROUNDS:]
        net = [{"player_id": who, "currency": money, "net": cents} for (who, money), cents in book.net.items()]
        shown = [_show(each) for each in last[::-1]]
        return JSONResponse({"seed": croupier.seed, "pending": len(book.pending), "net": net, "rounds": shown})

    return [
        Route("/demo/play", _guarded(play), methods=["POST"]),
        Route("/demo/mischief", _guarded(odds), methods=["GET", "PUT"]),
        Route("/demo/report/{ticket}", _guarded(forget), methods=["DELETE"]),
        Route("/demo/rounds", _guarded(rounds)),
    ]


def _guarded(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The same, with whatever stands in its way as a JSON error."""

    async def guarded(request: Request) -> Response:
        try:
            return await answer(request)
        except _Bad as bad:
            status, message = bad.args
        except TurnedAway as away:
            status, message = 403, str(away)
        except NoAnswer as silence:
            status, message = 502, str(silence)
        return JSONResponse({"error": message}, status)

    return guarded


def _summary(seat: Seat, played: list[Played]) -> dict[str, object]:
    """`staked`, `won` and `net` are of the rounds that are done; what is pending may still move money. `played` are the
    last rounds, the oldest first, with every call that was made for them.
    """
    done = [each for each in played if each.ending is Ending.DONE]
    endings = Counter(each.ending for each in played)
    return {
        "player_id": seat.player_id,
        "currency": seat.currency,
        "rounds": len(played),
        **{str(ending): endings[ending] for ending in Ending},
        "pending": endings[None],
        "staked": sum(each.play.stake for each in done),
        "won": sum(each.play.payout for each in done),
        "net": sum(each.net for each in done),
        "played": [{**_show(each), "calls": [_call(sent) for sent in each.sent]} for each in played[-SHOWN_PLAYS:]],
    }


def _show(played: Played) -> dict[str, object]:
    fields = {**played._asdict(), "play": played.play._asdict(), "ending": played.ending or "pending"}
    del fields["sent"]
    return {**fields, "net": played.net}


def _call(sent: Sent) -> dict[str, object]:
    """`answer` is the code that the provider heard, null for nothing, whatever the wallet's `reply` was."""
    return {
        "operation": sent.call.operation,
        "id": sent.id,
        "attempt": sent.attempt,
        "at_ms": sent.at_ms,
        "request": sent.request,
        "status": sent.status,
        "reply": sent.reply,
        "ms": sent.ms,
        "answer": sent.heard,
        "mischief": sent.mischief,
    }


async def _read(request: Request) -> dict[str, Any]:
    try:
        fields = await request.json()
    except (ValueError, RecursionError):
        raise _Bad(400, "the body is not JSON") from None
    if not isinstance(fields, dict):
        raise _Bad(400, "the body is not a JSON object")
    return fields


def _plan(fields: dict[str, Any]) -> Plan | None:
    """What holds for this play alone: `misbehave` has the odds by name, `at` may aim them at one call of a round, and
    with `lucky` the player wins.
    """
    is_lucky = fields.get("lucky", False)
    if not isinstance(is_lucky, bool):
        raise _Bad(422, "lucky: must be true or false")
    if "misbehave" not in fields:
        if "at" in fields or is_lucky:
            raise _Bad(422, "misbehave: must be odds by name where at or lucky is given; {} is none")
        return None
    wanted = fields["misbehave"]
    if not isinstance(wanted, dict):
        raise _Bad(422, 'misbehave: must be odds by name, such as {"lost-reply": 1}')
    try:
        odds = check_odds(wanted)
    except ValueError as error:
        raise _Bad(422, f"misbehave: {error}") from error
    return Plan(odds, Aim(_one_of(fields, "at", [*Aim])) if "at" in fields else None, is_lucky)


def _one_of(fields: dict[str, Any], name: str, choices: list[str]) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or value not in choices:
        raise _Bad(422, f"{name}: must be one of {', '.join(choices)}")
    return value


def _number(fields: dict[str, Any], name: str, default: int, most: int) -> int:
    value = fields.get(name, default)
    if type(value) is not int or not 1 <= value <= most:
        raise _Bad(422, f"{name}: must be a whole number from 1 to {most}")
    return value


def _game(fields: dict[str, Any]) -> Game:
    game = find_game(str(fields.get("game")))
    if game is None:
        raise _Bad(404, f"game: must be one of {', '.join(f'{game.code} ({game.number})' for game in GAMES)}")
    return game
