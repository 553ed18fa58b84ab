"""One player: what there is, what happened, and what the operator can do about it."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from minwallet.ledger.money import format_amount
from minwallet.operations import limits, schemas
from minwallet.operations.errors import OperationError
from minwallet.operations.players import get_player
from minwallet.operations.requests import PlayerSetStatus, Transfer
from minwallet.protocols.registry import PROTOCOLS
from minwallet.provider.games import read_catalogue
from minwallet.storage.models import Player, PlayerStatus
from minwallet.storage.queries import EntryPage, Filter
from minwallet.web.backoffice.charts import Drawing, balance_chart
from minwallet.web.backoffice.filters import read_number
from minwallet.web.backoffice.forms import Form, read_amount
from minwallet.web.backoffice.frame import Frame, Visit
from minwallet.web.backoffice.players import path_of
from minwallet.web.formatting import format_money

PATH = "/admin/players/{agent}/{player_id}"

PAGE, SESSIONS_SHOWN, DRAWN = 25, 20, 200

LARGE = 1_000_00
"""What is at least so much is asked about once more, and so is every withdrawal; cents."""

NOTHING_TYPED = Form({}, {})

MOST_GAMES = 500
"""How many games are offered where one is typed."""


def routes(frame: Frame) -> list[Route]:
    return [
        frame.get(PATH, _show),
        frame.get(f"{PATH}/now", _show_now),
        frame.post(f"{PATH}/money", _move_money),
        frame.post(f"{PATH}/status", _set_status),
    ]


class Forms(NamedTuple):
    """The forms of the page, as they were typed."""

    money: Form = NOTHING_TYPED
    session: Form = NOTHING_TYPED
    launch: Form = NOTHING_TYPED
    limit: Form = NOTHING_TYPED
    exclusion: Form = NOTHING_TYPED


async def named_player(visit: Visit) -> Player:
    """The player that the address names; declines where there is none."""
    return await get_player(
        visit.wallet.store, visit.request.path_params["agent"], visit.request.path_params["player_id"]
    )


async def show_player(visit: Visit, player: Player, forms: Forms) -> Response:
    """The page of the player."""
    store = visit.wallet.store
    query = visit.request.query_params
    wanted = Filter(agent=player.agent, player_id=player.player_id)
    before = read_number(query.get("before"))
    known = await store.count_entries()
    page = await store.read_page(wanted, before, PAGE)
    catalogue = await read_catalogue(store, player.agent)
    now_ms = visit.wallet.clock_ms()
    sessions = await store.list_sessions(player.player_key, SESSIONS_SHOWN + 1)
    money = forms.money if forms.money.typed else Form({"reference": new_reference(now_ms)}, {})
    status = max(form.status for form in forms)
    return visit.render(
        "office/player.html",
        status,
        player=player,
        path=path_of(player.agent, player.player_id),
        charts=await _charts(visit, player),
        limits=await limits.read_player_limits(visit.wallet, player),
        spans=limits.PERIOD_LABELS,
        page=page,
        before=before,
        feed=feed_address(wanted, page, known),
        sessions=[schemas.build_session_response(row, now_ms) for row in sessions[:SESSIONS_SHOWN]],
        more_sessions=len(sessions) > SESSIONS_SHOWN,
        forms=forms._replace(money=money),
        protocols=tuple(PROTOCOLS),
        games=catalogue.games[:MOST_GAMES],
    )


def feed_address(wanted: Filter, page: EntryPage, known: int) -> str:
    """Where the stream is that goes on after the newest row of the page; `known` was the newest before it was read."""
    newest = max([known, *(row.entry.seq for row in page.rows[:1])])
    asked = {"agent": wanted.agent, "player": wanted.player_id, "after": newest, "of": "player"}
    return f"/admin/feed?{urlencode(asked)}"


def new_reference(now_ms: int) -> str:
    """A reference that nobody has used: whoever sends the same form twice moves money once."""
    return f"office-{datetime.fromtimestamp(now_ms / 1000, UTC):%Y%m%d}-{secrets.token_hex(4)}"


def need_currency(form: Form, player: Player) -> Form:
    """Where there are several, nobody shall get money in the wrong one for want of a choice."""
    currency, held = form.typed.get("currency"), [account[1] for account in player.accounts]
    if currency in held or (not currency and len(held) == 1):
        return form
    return form.but(currency=f"{player.player_id} has no {currency}." if currency else "Choose one.")


async def _show(visit: Visit) -> Response:
    """The page, or only the older rows that it asks for."""
    player, before = await named_player(visit), read_number(visit.request.query_params.get("before"))
    if visit.is_fragment and before is not None:
        page = await visit.wallet.store.read_page(Filter(player.agent, player.player_id), before, PAGE)
        return visit.render("office/player_older.html", page=page, path=path_of(player.agent, player.player_id))
    return await show_player(visit, player, Forms())


async def _show_now(visit: Visit) -> Response:
    """What the player holds now, for a page that is open while money moves."""
    player = await named_player(visit)
    found = await limits.read_player_limits(visit.wallet, player)
    charts = await _charts(visit, player)
    return visit.render(
        "office/player_now.html", player=player, charts=charts, limits=found, spans=limits.PERIOD_LABELS
    )


async def _charts(visit: Visit, player: Player) -> Sequence[Drawing]:
    """A drawing for each account that has moved."""
    read = visit.wallet.store.read_entries
    found = [balance_chart(await read([account[0]], DRAWN), account[1]) for account in player.accounts]
    return [drawing for drawing in found if drawing]


async def _move_money(visit: Visit) -> Response:
    player, typed = await named_player(visit), await visit.form()
    amount, form = read_amount(need_currency(Form(typed, {}), player), "amount")
    try:
        request = _read_transfer(player, typed, amount)
        if form.wrong:
            return await show_player(visit, player, Forms(money=form))
    except ValidationError as error:
        # An amount that is none is nothing, which is too little; the first complaint says more.
        form = Form(typed, {**form.misunderstood(error).wrong, **form.wrong})
        return await show_player(visit, player, Forms(money=form))
    if (request.operation == "withdraw" or amount >= LARGE) and typed.get("sure") != "yes":
        return _ask(visit, player, request)
    newest = await visit.wallet.store.count_entries()
    try:
        moved = await visit.perform(request)
    except OperationError as decline:
        return await show_player(visit, player, Forms(money=form.declined(*decline.args)))
    if moved["seq"] <= newest:
        message = f"This reference was used before, for entry {moved['seq']}; nothing moved now."
        return visit.redirect(path_of(player.agent, player.player_id), message, "note")
    done = "Deposited" if request.operation == "deposit" else "Withdrew"
    message = f"{done} {_words(request, moved['currency'])}; it is entry {moved['seq']}."
    return visit.redirect(path_of(player.agent, player.player_id), message)


def _read_transfer(player: Player, typed: Mapping[str, str], amount: int) -> Transfer:
    """What the form asks for. Raises ValidationError; 400 for what no form of ours says."""
    operation, part = typed.get("operation"), typed.get("part")
    if operation not in ("deposit", "withdraw") or part not in ("cash", "bonus"):
        raise HTTPException(400)
    asked = {
        "operation": operation,
        "agent": player.agent,
        "player_id": player.player_id,
        "currency": typed.get("currency") or None,
        "amount": amount,
        "bonus": part == "bonus",
        "reference": typed.get("reference", "").strip(),
        "reason": typed.get("reason", "").strip(),
    }
    return Transfer.model_validate(asked)


def _ask(visit: Visit, player: Player, request: Transfer) -> Response:
    """Show what is about to happen, and have it said once more."""
    account = next((each for each in player.accounts if each[1] == request.currency), player.accounts[0])
    held = account[3] if request.bonus else account[2]
    change = request.amount if request.operation == "deposit" else -request.amount
    return visit.render(
        "office/money_sure.html",
        player=player,
        path=path_of(player.agent, player.player_id),
        request=request,
        amount=format_amount(request.amount),
        words=_words(request, account[1]),
        currency=account[1],
        held=held,
        then=held + change,
    )


def _words(request: Transfer, currency: str) -> str:
    return f"{format_money(request.amount)} {currency} of {'bonus' if request.bonus else 'cash'}"


async def _set_status(visit: Visit) -> Response:
    player = await named_player(visit)
    status = (await visit.form()).get("status", "")
    asked = {"agent": player.agent, "player_id": player.player_id, "status": status}
    await visit.perform(PlayerSetStatus.model_validate(asked))
    blocks = status == PlayerStatus.BLOCKED
    message = f"{player.player_id} is {'blocked' if blocks else 'active again'}."
    return visit.redirect(path_of(player.agent, player.player_id), message)
