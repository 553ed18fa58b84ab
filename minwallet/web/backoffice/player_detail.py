"""The page of one player: balances, ledger, and the operator's actions."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from minwallet.ledger.money import format_amount, parse_amount, parse_signed_amount
from minwallet.operations import limits, schemas
from minwallet.operations.errors import OperationError
from minwallet.operations.players import get_player
from minwallet.operations.requests import Adjustment, PlayerSetStatus, Transfer, TransferRequest
from minwallet.protocols.registry import list_protocols
from minwallet.provider.game_catalogue import read_game_catalogue
from minwallet.storage.models import Player, PlayerStatus
from minwallet.storage.queries import EntryPage, Filter
from minwallet.web.backoffice.charts import ChartView, build_balance_chart
from minwallet.web.backoffice.filters import parse_number
from minwallet.web.backoffice.forms import Form, parse_amount_field
from minwallet.web.backoffice.page import PageContext, PageRouter
from minwallet.web.backoffice.player_list import player_page_url
from minwallet.web.formatting import format_money, format_signed_money

PATH = "/admin/players/{agent}/{player_id}"

PAGE_SIZE, SESSIONS_SHOWN, CHART_ENTRIES = 25, 20, 200

CONFIRM_ABOVE_CENTS = 1_000_00
"""Deposits from this amount on need a confirmation, in cents; withdrawals and adjustments always do."""

DONE_TEXTS = {"deposit": "Deposited", "withdraw": "Withdrew", "adjust": "Adjusted by"}

EMPTY_FORM = Form({}, {})

MAX_GAMES = 500
"""The most games that the field of the game suggests."""


def routes(router: PageRouter) -> list[Route]:
    return [
        router.get(PATH, _render_player_page),
        router.get(f"{PATH}/now", _render_player_summary),
        router.post(f"{PATH}/money", _transfer_money),
        router.post(f"{PATH}/status", _set_status),
    ]


class PlayerForms(NamedTuple):
    """The forms of the page, as they were submitted."""

    money: Form = EMPTY_FORM
    adjustment: Form = EMPTY_FORM
    session: Form = EMPTY_FORM
    launch: Form = EMPTY_FORM
    limit: Form = EMPTY_FORM
    exclusion: Form = EMPTY_FORM


async def load_player(context: PageContext) -> Player:
    """Return the player that the address names. Raise OperationError if there is none."""
    return await get_player(
        context.wallet.store, context.request.path_params["agent"], context.request.path_params["player_id"]
    )


async def render_player(context: PageContext, player: Player, forms: PlayerForms) -> Response:
    """Return the page of the player; a form with errors is shown as submitted."""
    store = context.wallet.store
    query = context.request.query_params
    ledger_filter = Filter(agent=player.agent, player_id=player.player_id)
    before = parse_number(query.get("before"))
    known_seq = await store.ledger.count_entries()
    page = await store.ledger.read_page(ledger_filter, before, PAGE_SIZE)
    catalogue = await read_game_catalogue(store, player.agent)
    now_ms = context.wallet.clock_ms()
    sessions = await store.sessions.list_sessions(player.player_key, SESSIONS_SHOWN + 1)
    new_forms = {
        name: Form({"reference": generate_reference(now_ms)}, {})
        for name in ("money", "adjustment")
        if not getattr(forms, name).values
    }
    status = max(form.status for form in forms)
    return context.render(
        "backoffice/player.html",
        status,
        player=player,
        player_url=player_page_url(player.agent, player.player_id),
        charts=await _build_charts(context, player),
        limits=await limits.read_player_limits(context.wallet, player),
        spans=limits.PERIOD_LABELS,
        page=page,
        before=before,
        feed_url=build_feed_url(ledger_filter, page, known_seq),
        sessions=[schemas.build_session_response(row, now_ms) for row in sessions[:SESSIONS_SHOWN]],
        has_more_sessions=len(sessions) > SESSIONS_SHOWN,
        forms=forms._replace(**new_forms),
        protocols=list_protocols(),
        games=catalogue.games[:MAX_GAMES],
    )


def build_feed_url(ledger_filter: Filter, page: EntryPage, known_seq: int) -> str:
    """Return the address of the stream that follows the newest row of the page.

    `known_seq` was the newest entry of the ledger before the page was read. So the stream repeats rows rather than
    missing one that was committed in between.
    """
    newest = max([known_seq, *(row.entry.seq for row in page.rows[:1])])
    query = {"agent": ledger_filter.agent, "player": ledger_filter.player_id, "after": newest, "of": "player"}
    return f"/admin/feed?{urlencode(query)}"


def generate_reference(now_ms: int) -> str:
    """Return a new reference, so that sending the same form twice moves money once."""
    return f"office-{datetime.fromtimestamp(now_ms / 1000, UTC):%Y%m%d}-{secrets.token_hex(4)}"


def require_currency(form: Form, player: Player) -> Form:
    """Return the form, with an error if its currency is missing. A default could move money in the wrong currency."""
    currency, currencies = form.values.get("currency"), [account.currency for account in player.accounts]
    if currency in currencies or (not currency and len(currencies) == 1):
        return form
    return form.with_errors(
        currency=f"{player.player_id} has no account in {currency}." if currency else "Choose a currency."
    )


async def _render_player_page(context: PageContext) -> Response:
    """Return the page, or only older rows if the page requests them."""
    player, before = await load_player(context), parse_number(context.request.query_params.get("before"))
    if context.is_htmx_request and before is not None:
        page = await context.wallet.store.ledger.read_page(Filter(player.agent, player.player_id), before, PAGE_SIZE)
        return context.render(
            "backoffice/player_older_rows.html", page=page, player_url=player_page_url(player.agent, player.player_id)
        )
    return await render_player(context, player, PlayerForms())


async def _render_player_summary(context: PageContext) -> Response:
    """Return the current balances, charts and limits, which an open page reloads when money moves."""
    player = await load_player(context)
    player_limits = await limits.read_player_limits(context.wallet, player)
    charts = await _build_charts(context, player)
    return context.render(
        "backoffice/player_summary.html", player=player, charts=charts, limits=player_limits, spans=limits.PERIOD_LABELS
    )


async def _build_charts(context: PageContext, player: Player) -> Sequence[ChartView]:
    """Return a chart for each account with enough entries."""
    read = context.wallet.store.ledger.read_entries
    charts = [
        build_balance_chart(await read([account.account_id], CHART_ENTRIES), account.currency)
        for account in player.accounts
    ]
    return [chart for chart in charts if chart]


async def _transfer_money(context: PageContext) -> Response:
    player, fields = await load_player(context), await context.read_form()
    is_adjustment = fields.get("operation") == "adjust"
    parse = parse_signed_amount if is_adjustment else parse_amount
    amount, form = parse_amount_field(require_currency(Form(fields, {}), player), "amount", parse)

    async def show_errors(form: Form) -> Response:
        forms = PlayerForms(adjustment=form) if is_adjustment else PlayerForms(money=form)
        return await render_player(context, player, forms)

    try:
        request = _parse_transfer(player, fields, amount)
        if form.errors:
            return await show_errors(form)
    except ValidationError as error:
        # An invalid amount is read as 0, which is invalid too. The first error is more exact, so it wins.
        return await show_errors(Form(fields, {**form.with_validation_error(error).errors, **form.errors}))
    if (request.operation != "deposit" or amount >= CONFIRM_ABOVE_CENTS) and fields.get("sure") != "yes":
        return _render_transfer_confirmation(context, player, request)
    # An older entry in the result means that the reference was used before.
    newest = await context.wallet.store.ledger.count_entries()
    try:
        result = await context.execute(request)
    except OperationError as failure:
        return await show_errors(form.with_failure(*failure.args))
    if result["seq"] <= newest:
        message = f"This reference was already used by entry {result['seq']}. No money was moved now."
        return context.redirect(player_page_url(player.agent, player.player_id), message, "note")
    amount_text = _describe_amount(request, result["currency"])
    message = f"{DONE_TEXTS[request.operation]} {amount_text} (entry {result['seq']})."
    return context.redirect(player_page_url(player.agent, player.player_id), message)


def _parse_transfer(player: Player, typed: Mapping[str, str], amount: int) -> TransferRequest:
    """Return the request of the form. Raise ValidationError, or HTTPException 400 for values our page never sends."""
    operation, part = typed.get("operation"), typed.get("part")
    if operation not in DONE_TEXTS or part not in ("cash", "bonus"):
        raise HTTPException(400)
    fields = {
        "operation": operation,
        "agent": player.agent,
        "player_id": player.player_id,
        "currency": typed.get("currency") or None,
        "amount": amount,
        "bonus": part == "bonus",
        "reference": typed.get("reference", "").strip(),
        "reason": typed.get("reason", "").strip(),
    }
    return (Adjustment if operation == "adjust" else Transfer).model_validate(fields)


def _render_transfer_confirmation(context: PageContext, player: Player, request: TransferRequest) -> Response:
    """Return the page that shows the transfer and asks for a confirmation."""
    account = next((each for each in player.accounts if each.currency == request.currency), player.accounts[0])
    balance = account.bonus if request.bonus else account.cash
    change = -request.amount if request.operation == "withdraw" else request.amount
    return context.render(
        "backoffice/transfer_confirm.html",
        player=player,
        player_url=player_page_url(player.agent, player.player_id),
        request=request,
        amount=format_amount(request.amount),
        amount_text=_describe_amount(request, account.currency),
        currency=account.currency,
        balance=balance,
        balance_after=balance + change,
    )


def _describe_amount(request: TransferRequest, currency: str) -> str:
    format_cents = format_signed_money if request.operation == "adjust" else format_money
    return f"{format_cents(request.amount)} {currency} of {'bonus' if request.bonus else 'cash'}"


async def _set_status(context: PageContext) -> Response:
    player = await load_player(context)
    status = (await context.read_form()).get("status", "")
    fields = {"agent": player.agent, "player_id": player.player_id, "status": status}
    await context.execute(PlayerSetStatus.model_validate(fields))
    is_blocked = status == PlayerStatus.BLOCKED
    message = f"{player.player_id} is {'blocked' if is_blocked else 'active again'}."
    return context.redirect(player_page_url(player.agent, player.player_id), message)
