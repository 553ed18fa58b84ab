"""The players of an agent: found by a part of their id, and added."""

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from pydantic import ValidationError
from starlette.responses import Response
from starlette.routing import Route

from minwallet.operations.errors import OperationError
from minwallet.operations.requests import PlayerAdd
from minwallet.web.backoffice.forms import Form, read_amount
from minwallet.web.backoffice.frame import Frame, Visit

PAGE = 50

LONGEST_ID = 40


def routes(frame: Frame) -> list[Route]:
    return [
        frame.get("/admin/players", _list),
        frame.get("/admin/players/new", _show_form),
        frame.post("/admin/players/new", _add),
    ]


def path_of(agent: str, player_id: str) -> str:
    """Where the page of a player is."""
    return f"/admin/players/{quote(agent, safe='')}/{quote(player_id, safe='')}"


async def agent_names(visit: Visit) -> Sequence[str]:
    """The first is what is looked at where nobody chose."""
    return [agent.name for agent in await visit.wallet.store.list_agents()]


def choose_agent(visit: Visit, agents: Sequence[str]) -> str:
    """The one of these that the address names, or the first where it names none."""
    name = visit.request.query_params.get("agent", "")
    return name if name in agents else agents[0]


async def _list(visit: Visit) -> Response:
    query = visit.request.query_params
    text, after = (query.get(name, "").strip()[:LONGEST_ID] for name in ("q", "after"))
    agents = await agent_names(visit)
    agent = choose_agent(visit, agents)
    found = await visit.wallet.store.search_players(agent, text, after, PAGE + 1)
    shown = found[:PAGE]
    asked = {"agent": agent, "q": text}
    following = urlencode({**asked, "after": shown[-1].player_id}) if len(found) > PAGE else ""
    return visit.render(
        "office/players.html",
        agents=agents,
        agent=agent,
        text=text,
        after=after,
        players=shown,
        path_of=path_of,
        first=urlencode(asked),
        following=following,
    )


async def _show_form(visit: Visit) -> Response:
    agent = choose_agent(visit, await agent_names(visit))
    typed = {"agent": agent, "player_id": visit.request.query_params.get("player", "")}
    return await _render_form(visit, Form(typed, {}))


async def _add(visit: Visit) -> Response:
    form = Form(await visit.form(), {})
    balance, form = read_amount(form, "balance")
    bonus, form = read_amount(form, "bonus")
    agent, player_id, currency = (form.typed.get(name, "").strip() for name in ("agent", "player_id", "currency"))
    try:
        request = PlayerAdd(agent=agent, player_id=player_id, currency=currency, balance=balance, bonus=bonus)
        if form.wrong:
            return await _render_form(visit, form)
        await visit.perform(request)
    except ValidationError as error:
        return await _render_form(visit, form.misunderstood(error))
    except OperationError as decline:
        return await _render_form(visit, form.declined(*decline.args))
    return visit.redirect(path_of(request.agent, request.player_id), f"{request.player_id} now has {request.currency}.")


async def _render_form(visit: Visit, form: Form) -> Response:
    return visit.render("office/player_new.html", form.status, agents=await agent_names(visit), form=form)
