"""The forms of responsible gaming on a player's page: limits on deposits and losses, and exclusion."""

from collections.abc import Mapping

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from minwallet.ledger.limits import LimitKind
from minwallet.operations.errors import OperationError
from minwallet.operations.limits import COOLING_OFF_TEXT, PERIOD_LABELS, check_exclusion_end, describe_exclusion
from minwallet.operations.requests import LimitSet, PlayerExclude, Reply
from minwallet.operations.timestamps import format_iso, iso_to_minute, parse_timestamp
from minwallet.storage.models import Player
from minwallet.web.backoffice.forms import Form, parse_amount_field
from minwallet.web.backoffice.page import PageContext, PageRouter
from minwallet.web.backoffice.player_detail import PATH, PlayerForms, load_player, render_player, require_currency
from minwallet.web.backoffice.player_list import player_page_url
from minwallet.web.formatting import format_money

LIMIT_VERBS = {LimitKind.DEPOSIT: "deposit", LimitKind.LOSS: "lose"}


def routes(router: PageRouter) -> list[Route]:
    return [
        router.post(f"{PATH}/limits", _set_limit),
        router.post(f"{PATH}/exclusion", _exclude_player),
    ]


async def _set_limit(context: PageContext) -> Response:
    player, fields = await load_player(context), await context.read_form()
    amount, form = parse_amount_field(require_currency(Form(fields, {}), player), "amount")
    request = _parse_limit(player, fields, amount if fields.get("amount", "").strip() else None)
    if form.errors:
        return await render_player(context, player, PlayerForms(limit=form))
    reply = await context.execute(request)
    return context.redirect(player_page_url(player.agent, player.player_id), _describe_limit(request, reply))


def _parse_limit(player: Player, values: Mapping[str, str], amount: int | None) -> LimitSet:
    """Return the request of the form. Raise HTTPException 400 for values that our page never sends."""
    currency = values.get("currency") or player.accounts[0].currency
    fields = {"kind": values.get("kind"), "per": values.get("per"), "currency": currency, "amount": amount}
    try:
        return LimitSet.model_validate({"agent": player.agent, "player_id": player.player_id, **fields})
    except ValidationError as error:
        raise HTTPException(400) from error


def _describe_limit(request: LimitSet, reply: Reply) -> str:
    """Return a sentence about the current limit and its pending change."""
    account = next(each for each in reply["accounts"] if each["currency"] == request.currency)
    limits = [each for each in account["limits"] if (each["kind"], each["per"]) == (request.kind, request.per)]
    subject = f"{request.player_id} may {LIMIT_VERBS[request.kind]}"

    def describe_amount(amount: int | None) -> str:
        bound = "any amount of" if amount is None else f"up to {format_money(amount)}"
        return f"{bound} {request.currency} {PERIOD_LABELS[request.per]}"

    if not limits:
        return f"{subject} {describe_amount(None)}."
    (limit,) = limits
    change = (
        f"; from {iso_to_minute(limit['next_at'])} on {describe_amount(limit['next_amount'])}"
        if limit["next_at"]
        else ""
    )
    return f"{subject} {describe_amount(limit['amount'])}{change}."


async def _exclude_player(context: PageContext) -> Response:
    """Exclude the player until the start of a day, after a confirmation. The button that ends it sends no day."""
    player, fields = await load_player(context), await context.read_form()
    form, day = Form(fields, {}), fields.get("until", "").strip()
    try:
        until = None if fields.get("end") == "yes" else f"{day}T00:00:00Z"
        request = PlayerExclude(agent=player.agent, player_id=player.player_id, until=until)
        check_exclusion_end(request, context.wallet.clock_ms())
        if until and fields.get("sure") != "yes":
            return _render_exclusion_confirmation(context, player, day)
        reply = await context.execute(request)
    except ValidationError:
        return await render_player(
            context, player, PlayerForms(exclusion=form.with_errors(until="Use a date such as 2027-01-31."))
        )
    except OperationError as failure:
        return await render_player(context, player, PlayerForms(exclusion=form.with_failure(*failure.args)))
    return context.redirect(player_page_url(player.agent, player.player_id), f"{'; '.join(describe_exclusion(reply))}.")


def _render_exclusion_confirmation(context: PageContext, player: Player, day: str) -> Response:
    """Return the page that shows the exclusion and asks for a confirmation."""
    until, current_end_ms = f"{day}T00:00:00Z", player.find_exclusion_end(context.wallet.clock_ms())
    return context.render(
        "backoffice/exclusion_confirm.html",
        player=player,
        player_url=player_page_url(player.agent, player.player_id),
        day=day,
        until=until,
        excluded_until=format_iso(current_end_ms),
        is_shorter=current_end_ms is not None and parse_timestamp(until) < current_end_ms,
        warning=COOLING_OFF_TEXT,
    )
