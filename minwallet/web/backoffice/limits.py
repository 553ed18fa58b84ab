"""What protects a player: limits of deposits and losses are set, and players are excluded until a day."""

from collections.abc import Mapping

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from minwallet.ledger.limits import LimitKind
from minwallet.operations.errors import OperationError
from minwallet.operations.limits import PERIOD_LABELS, describe_exclusion
from minwallet.operations.requests import LimitSet, PlayerExclude, Reply
from minwallet.operations.timestamps import iso_to_minute
from minwallet.storage.models import Player
from minwallet.web.backoffice.forms import Form, read_amount
from minwallet.web.backoffice.frame import Frame, Visit
from minwallet.web.backoffice.player import PATH, Forms, named_player, need_currency, show_player
from minwallet.web.backoffice.players import path_of
from minwallet.web.formatting import format_money

VERBS = {LimitKind.DEPOSIT: "be given", LimitKind.LOSS: "lose"}


def routes(frame: Frame) -> list[Route]:
    return [
        frame.post(f"{PATH}/limits", _set_limit),
        frame.post(f"{PATH}/exclusion", _exclude),
    ]


async def _set_limit(visit: Visit) -> Response:
    player, typed = await named_player(visit), await visit.form()
    amount, form = read_amount(need_currency(Form(typed, {}), player), "amount")
    request = _read_limit(player, typed, amount if typed.get("amount", "").strip() else None)
    if form.wrong:
        return await show_player(visit, player, Forms(limit=form))
    reply = await visit.perform(request)
    return visit.redirect(path_of(player.agent, player.player_id), _tell(request, reply))


def _read_limit(player: Player, typed: Mapping[str, str], amount: int | None) -> LimitSet:
    """What the form asks for; 400 for what no form of ours says."""
    currency = typed.get("currency") or player.accounts[0][1]
    asked = {"kind": typed.get("kind"), "per": typed.get("per"), "currency": currency, "amount": amount}
    try:
        return LimitSet.model_validate({"agent": player.agent, "player_id": player.player_id, **asked})
    except ValidationError as error:
        raise HTTPException(400) from error


def _tell(request: LimitSet, reply: Reply) -> str:
    """What holds now, and what will."""
    account = next(each for each in reply["accounts"] if each["currency"] == request.currency)
    held = [each for each in account["limits"] if (each["kind"], each["per"]) == (request.kind, request.per)]
    may = f"{request.player_id} may {VERBS[request.kind]}"

    def words(amount: int | None) -> str:
        much = "any amount of" if amount is None else f"at most {format_money(amount)}"
        return f"{much} {request.currency} {PERIOD_LABELS[request.per]}"

    if not held:
        return f"{may} {words(None)}."
    (limit,) = held
    then = f"; from {iso_to_minute(limit['next_at'])} on {words(limit['next_amount'])}" if limit["next_at"] else ""
    return f"{may} {words(limit['amount'])}{then}."


async def _exclude(visit: Visit) -> Response:
    """Until the beginning of a day; the button that ends it names none."""
    player, typed = await named_player(visit), await visit.form()
    form, day = Form(typed, {}), typed.get("until", "").strip()
    try:
        until = None if typed.get("end") == "yes" else f"{day}T00:00:00Z"
        asked = PlayerExclude(agent=player.agent, player_id=player.player_id, until=until)
        reply = await visit.perform(asked)
    except ValidationError:
        return await show_player(visit, player, Forms(exclusion=form.but(until="Write the day like 2027-01-31.")))
    except OperationError as decline:
        return await show_player(visit, player, Forms(exclusion=form.declined(*decline.args)))
    return visit.redirect(path_of(player.agent, player.player_id), f"{'; '.join(describe_exclusion(reply))}.")
