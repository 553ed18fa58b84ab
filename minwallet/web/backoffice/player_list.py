"""The pages that list, search and add the players of an agent."""

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from pydantic import ValidationError
from starlette.responses import Response
from starlette.routing import Route

from minwallet.operations.errors import OperationError
from minwallet.operations.requests import PlayerAdd
from minwallet.operations.schemas import build_player_response
from minwallet.storage.models import PlayerFilter
from minwallet.web.backoffice.forms import Form, parse_amount_field
from minwallet.web.backoffice.page import PageContext, PageRouter
from minwallet.web.dot_names import escape_dot_name

PAGE_SIZE = 50

MAX_ID_LENGTH = 40


def routes(router: PageRouter) -> list[Route]:
    return [
        router.get("/admin/players", _render_player_list),
        router.get("/admin/players/new", _render_new_player_form),
        router.post("/admin/players/new", _add_player),
    ]


def player_page_url(agent: str, player_id: str) -> str:
    """Return the path of a player's page."""
    segments = [quote(escape_dot_name(name), safe="") for name in (agent, player_id)]
    return f"/admin/players/{'/'.join(segments)}"


async def list_agent_names(context: PageContext) -> Sequence[str]:
    """Return the names of all agents; the first is the default of a page."""
    return [agent.name for agent in await context.wallet.store.accounts.list_agents()]


def choose_agent(context: PageContext, agents: Sequence[str]) -> str:
    """Return the agent that the address names, or the first of `agents`."""
    name = context.request.query_params.get("agent", "")
    return name if name in agents else agents[0]


async def _render_player_list(context: PageContext) -> Response:
    query = context.request.query_params
    text, after = (query.get(name, "").strip()[:MAX_ID_LENGTH] for name in ("q", "after"))
    agents = await list_agent_names(context)
    agent = choose_agent(context, agents)
    now_ms = context.wallet.clock_ms()
    player_filter = PlayerFilter(agent, text)
    players = await context.wallet.store.accounts.search_players(player_filter, after, PAGE_SIZE + 1)
    shown = players[:PAGE_SIZE]
    search = {"agent": agent, "q": text}
    next_query = urlencode({**search, "after": shown[-1].player_id}) if len(players) > PAGE_SIZE else ""
    return context.render(
        "backoffice/players.html",
        agents=agents,
        agent=agent,
        search_text=text,
        after=after,
        players=[build_player_response(player, now_ms) for player in shown],
        player_page_url=player_page_url,
        first_query=urlencode(search),
        next_query=next_query,
    )


async def _render_new_player_form(context: PageContext) -> Response:
    agent = choose_agent(context, await list_agent_names(context))
    values = {"agent": agent, "player_id": context.request.query_params.get("player", "")}
    return await _render_player_form(context, Form(values, {}))


async def _add_player(context: PageContext) -> Response:
    form = Form(await context.read_form(), {})
    balance, form = parse_amount_field(form, "balance")
    bonus, form = parse_amount_field(form, "bonus")
    agent, player_id, currency = (form.values.get(name, "").strip() for name in ("agent", "player_id", "currency"))
    try:
        request = PlayerAdd(agent=agent, player_id=player_id, currency=currency, balance=balance, bonus=bonus)
        if form.errors:
            return await _render_player_form(context, form)
        await context.execute(request)
    except ValidationError as error:
        return await _render_player_form(context, form.with_validation_error(error))
    except OperationError as failure:
        return await _render_player_form(context, form.with_failure(*failure.args))
    return context.redirect(
        player_page_url(request.agent, request.player_id),
        f"{request.player_id} now has an account in {request.currency}.",
    )


async def _render_player_form(context: PageContext, form: Form) -> Response:
    return context.render("backoffice/player_new.html", form.status, agents=await list_agent_names(context), form=form)
