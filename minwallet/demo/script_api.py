"""The provider's JSON API for scripts: play rounds, set the faults, list rounds, remove a row from the report."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from minwallet.demo.dealer import list_played_protocols
from minwallet.demo.faults import FaultPlan, FaultTarget, validate_fault_rates
from minwallet.demo.game_rules import GAMES, MAX_STAKE, DemoGame, find_game
from minwallet.demo.round_policy import RoundEnding
from minwallet.demo.round_store import RoundRecord
from minwallet.demo.simulator import PlayerSession, RoundRunner, SessionRejected
from minwallet.demo.wallet_client import CallRecord, NoAnswer

MAX_ROUNDS = 10_000
MAX_LISTED_ROUNDS = 100
MAX_DETAILED_ROUNDS = 12
"""The number of rounds, the last ones, that the reply to a play lists with all their calls."""


class _BadRequest(Exception):
    """An invalid request, with the HTTP status and a message."""


def routes(runner: RoundRunner) -> list[Route]:
    """Return the routes below `/demo`."""

    async def play_rounds(request: Request) -> Response:
        fields = await _read_json_object(request)
        protocol = _parse_choice(fields, "protocol", list(list_played_protocols()))
        game = _parse_game(fields)
        stake, rounds = _parse_number(fields, "stake", 100, MAX_STAKE), _parse_number(fields, "rounds", 1, MAX_ROUNDS)
        token = fields.get("token")
        if token is not None and (not isinstance(token, str) or not token):
            raise _BadRequest(422, "token: must be a non-empty string; omit it to play as a guest")
        choice = _parse_choice(fields, "choice", list(game.choices)) if "choice" in fields else None
        plan = _parse_fault_plan(fields)
        player_id, currency = _parse_text(fields, "player_id"), _parse_text(fields, "currency")
        session = await runner.open_session(protocol, token, player_id=player_id, currency=currency)
        played = await runner.play_rounds(session, game, stake, choice, rounds, plan=plan)
        return JSONResponse(_render_summary(session, played))

    async def read_or_set_fault_rates(request: Request) -> Response:
        if request.method == "PUT":
            try:
                runner.fault_rates = validate_fault_rates(await _read_json_object(request))
            except ValueError as error:
                raise _BadRequest(422, str(error)) from error
        return JSONResponse(runner.fault_rates)

    async def delete_ticket(request: Request) -> Response:
        ticket = request.path_params["ticket"]
        if not runner.store.remove_ticket(ticket):
            raise _BadRequest(404, f"the report has no ticket {ticket!r:.40}")
        return Response(status_code=204)

    async def list_rounds(request: Request) -> Response:
        del request
        store = runner.store
        last = [*store.completed, *store.pending.values()][-MAX_LISTED_ROUNDS:]
        net = [
            {"player_id": player_id, "currency": currency, "net": cents}
            for (player_id, currency), cents in store.net_changes.items()
        ]
        shown = [_render_round(each) for each in last[::-1]]
        return JSONResponse({"seed": runner.seed, "pending": len(store.pending), "net": net, "rounds": shown})

    return [
        Route("/demo/play", _render_errors(play_rounds), methods=["POST"]),
        Route("/demo/faults", _render_errors(read_or_set_fault_rates), methods=["GET", "PUT"]),
        Route("/demo/report/{ticket}", _render_errors(delete_ticket), methods=["DELETE"]),
        Route("/demo/rounds", _render_errors(list_rounds)),
    ]


def _render_errors(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a handler so that its errors become a JSON object with an `error` message."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except _BadRequest as bad:
            status, message = bad.args
        except SessionRejected as error:
            status, message = 403, str(error)
        except NoAnswer as error:
            status, message = 502, str(error)
        return JSONResponse({"error": message}, status)

    return guarded


def _render_summary(session: PlayerSession, played: list[RoundRecord]) -> dict[str, object]:
    """Return the reply to a play.

    `staked`, `won` and `net` count completed rounds; a pending round may still move money. `played` lists the last
    rounds, the oldest first, with all their calls.
    """
    done = [each for each in played if each.ending is RoundEnding.DONE]
    endings = Counter(each.ending for each in played)
    return {
        "player_id": session.player_id,
        "currency": session.currency,
        "rounds": len(played),
        **{str(ending): endings[ending] for ending in RoundEnding},
        "pending": endings[None],
        "staked": sum(each.play.stake for each in done),
        "won": sum(each.play.payout for each in done),
        "net": sum(each.net for each in done),
        "played": [
            {**_render_round(each), "calls": [_render_call(sent) for sent in each.sent]}
            for each in played[-MAX_DETAILED_ROUNDS:]
        ],
    }


def _render_round(played: RoundRecord) -> dict[str, object]:
    fields = {**played._asdict(), "play": played.play._asdict(), "ending": played.ending or "pending"}
    del fields["sent"]
    return {**fields, "net": played.net}


def _render_call(sent: CallRecord) -> dict[str, object]:
    """Return the call in JSON fields.

    `reply` is what the wallet sent. `answer` is the code that the provider received, null if the reply was lost.
    """
    return {
        "operation": sent.call.operation,
        "id": sent.id,
        "ids": sent.ids,
        "attempt": sent.attempt,
        "at_ms": sent.at_ms,
        "request": sent.request,
        "status": sent.status,
        "reply": sent.reply,
        "ms": sent.ms,
        "answer": sent.received_code,
        "faults": sent.faults,
    }


async def _read_json_object(request: Request) -> dict[str, Any]:
    try:
        fields = await request.json()
    except (ValueError, RecursionError):
        raise _BadRequest(400, "the body is not JSON") from None
    if not isinstance(fields, dict):
        raise _BadRequest(400, "the body is not a JSON object")
    return fields


def _parse_fault_plan(fields: dict[str, Any]) -> FaultPlan | None:
    """Return the faults of this play alone, or None without `faults`.

    `faults` has probabilities by name, `at` restricts them to one call of a round, and `lucky` makes the player win.
    """
    is_lucky = fields.get("lucky", False)
    if not isinstance(is_lucky, bool):
        raise _BadRequest(422, "lucky: must be true or false")
    if "faults" not in fields:
        if "at" in fields or is_lucky:
            raise _BadRequest(422, "faults: is required with at or lucky; use {} for no faults")
        return None
    given_rates = fields["faults"]
    if not isinstance(given_rates, dict):
        raise _BadRequest(422, 'faults: must be an object of probabilities by name, such as {"lost-reply": 1}')
    try:
        rates = validate_fault_rates(given_rates)
    except ValueError as error:
        raise _BadRequest(422, f"faults: {error}") from error
    return FaultPlan(
        rates, FaultTarget(_parse_choice(fields, "at", [*FaultTarget])) if "at" in fields else None, is_lucky
    )


def _parse_choice(fields: dict[str, Any], name: str, choices: list[str]) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or value not in choices:
        raise _BadRequest(422, f"{name}: must be one of {', '.join(choices)}")
    return value


def _parse_text(fields: dict[str, Any], name: str) -> str:
    """Return an optional text, "" without it. Protocols whose requests name the account may need it."""
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise _BadRequest(422, f"{name}: must be text")
    return value


def _parse_number(fields: dict[str, Any], name: str, default: int, maximum: int) -> int:
    value = fields.get(name, default)
    if type(value) is not int or not 1 <= value <= maximum:
        raise _BadRequest(422, f"{name}: must be a whole number from 1 to {maximum}")
    return value


def _parse_game(fields: dict[str, Any]) -> DemoGame:
    game = find_game(str(fields.get("game")))
    if game is None:
        raise _BadRequest(404, f"game: must be one of {', '.join(f'{game.code} ({game.number})' for game in GAMES)}")
    return game
