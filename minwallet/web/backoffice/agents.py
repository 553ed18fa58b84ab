"""The operators served by this wallet: their settings, and how each connects a provider."""

from urllib.parse import quote

from pydantic import ValidationError
from starlette.responses import Response
from starlette.routing import Route

from minwallet.operations.agents import get_agent
from minwallet.operations.errors import OperationError
from minwallet.operations.requests import AgentAdd, AgentSet
from minwallet.protocols.operator_service import ReportUnit
from minwallet.provider.games import Catalogue, read_catalogue
from minwallet.storage.models import Agent
from minwallet.web.backoffice.connect import connections
from minwallet.web.backoffice.forms import Form
from minwallet.web.backoffice.frame import Frame, Visit

PATH, ADD_PATH = "/admin/agents", "/admin/add-agent"

SETTINGS = ("wallet_token", "host_id", "service_url", "game_url", "report_unit")


def routes(frame: Frame) -> list[Route]:
    return [
        frame.get(PATH, _list),
        frame.get(ADD_PATH, _show_form),
        frame.post(ADD_PATH, _add),
        frame.get(f"{PATH}/{{agent}}", _show),
        frame.post(f"{PATH}/{{agent}}", _change),
    ]


def path_of(name: str) -> str:
    """Where the page of an agent is."""
    return f"{PATH}/{quote(name, safe='')}"


async def _list(visit: Visit) -> Response:
    store = visit.wallet.store
    agents = [(await read_catalogue(store, agent.name)) for agent in await store.list_agents()]
    return visit.render("office/agents.html", catalogues=agents, path_of=path_of)


async def _show_form(visit: Visit) -> Response:
    return visit.render("office/agent_new.html", form=Form({}, {}))


async def _add(visit: Visit) -> Response:
    form = Form(await visit.form(), {})
    name, wallet_token, host_id = (form.typed.get(each, "").strip() for each in ("name", "wallet_token", "host_id"))
    try:
        await visit.perform(AgentAdd(name=name, wallet_token=wallet_token or None, host_id=host_id or None))
    except ValidationError as error:
        form = form.misunderstood(error)
    except OperationError as decline:
        form = form.declined(*decline.args)
    else:
        return visit.redirect(path_of(name), f"Agent {name} is added. Next, connect a provider.")
    return visit.render("office/agent_new.html", form.status, form=form)


async def _show(visit: Visit) -> Response:
    catalogue = await read_catalogue(visit.wallet.store, visit.request.path_params["agent"])
    typed = {name: getattr(catalogue.agent, name) or "" for name in SETTINGS}
    return await _render(visit, catalogue, Form(typed, {}))


async def _change(visit: Visit) -> Response:
    agent = await get_agent(visit.wallet.store, visit.request.path_params["agent"])
    form = Form(await visit.form(), {})
    changed = {name: value for name in SETTINGS if (value := _typed(form, name)) not in (None, _kept(agent, name))}
    try:
        if changed:
            await visit.perform(AgentSet.model_validate({"name": agent.name, **changed}))
    except ValidationError as error:
        form = form.misunderstood(error)
    except OperationError as decline:
        form = form.declined(*decline.args)
    else:
        done = f"Changed: {', '.join(name.replace('_', ' ') for name in changed)}." if changed else "Nothing to change."
        return visit.redirect(path_of(agent.name), done, "ok" if changed else "note")
    return await _render(visit, await read_catalogue(visit.wallet.store, agent.name), form)


async def _render(visit: Visit, catalogue: Catalogue, form: Form) -> Response:
    settings, agent = visit.settings, catalogue.agent
    return visit.render(
        "office/agent.html",
        form.status,
        agent=agent,
        catalogue=catalogue,
        mark=await visit.wallet.store.find_report_cursor(agent.agent_id),
        connections=connections(catalogue, visit.base_url + settings.callback_prefix, visit.wallet.clock_ms()),
        settings=settings,
        units=[str(unit) for unit in ReportUnit],
        form=form,
        path=path_of(agent.name),
    )


def _typed(form: Form, name: str) -> str | None:
    value = form.typed.get(name)
    return None if value is None else value.strip()


def _kept(agent: Agent, name: str) -> str:
    return getattr(agent, name) or ""
