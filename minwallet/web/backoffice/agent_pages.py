"""The pages of agents: list, settings, and the addresses for connecting a provider."""

from urllib.parse import quote

from pydantic import ValidationError
from starlette.responses import Response
from starlette.routing import Route

from minwallet.operations.access_requests import (
    CallbackKeyAdd,
    CallbackKeyRevoke,
    ProtocolSecretAdd,
    ProtocolSecretRevoke,
)
from minwallet.operations.agents import get_agent
from minwallet.operations.errors import OperationError
from minwallet.operations.requests import AgentAdd, AgentSet
from minwallet.protocols.operator_service import ReportUnit
from minwallet.protocols.registry import list_protocols, load_protocol
from minwallet.provider.game_catalogue import GameCatalogue, read_game_catalogue
from minwallet.storage.models import Agent
from minwallet.web.backoffice.forms import Form
from minwallet.web.backoffice.integration import build_callback_addresses, build_integrations
from minwallet.web.backoffice.page import PageContext, PageRouter
from minwallet.web.dot_names import escape_dot_name

PATH, ADD_PATH = "/admin/agents", "/admin/add-agent"

NO_FORM = Form({}, {})

EDITABLE_SETTINGS = ("wallet_token", "host_id", "service_url", "game_url", "report_unit")


def routes(router: PageRouter) -> list[Route]:
    return [
        router.get(PATH, _render_agent_list),
        router.get(ADD_PATH, _render_new_agent_form),
        router.post(ADD_PATH, _add_agent),
        router.get(f"{PATH}/{{agent}}", _render_agent),
        router.post(f"{PATH}/{{agent}}", _update_agent),
        router.post(f"{PATH}/{{agent}}/callback-keys", _add_callback_key),
        router.post(f"{PATH}/{{agent}}/callback-keys/{{key}}/revoke", _revoke_callback_key),
        router.post(f"{PATH}/{{agent}}/protocol-secrets", _add_protocol_secret),
        router.post(f"{PATH}/{{agent}}/protocol-secrets/{{protocol}}/{{fingerprint}}/revoke", _revoke_protocol_secret),
    ]


def agent_page_url(name: str) -> str:
    """Return the path of an agent's page."""
    return f"{PATH}/{quote(escape_dot_name(name), safe='')}"


async def _render_agent_list(context: PageContext) -> Response:
    store = context.wallet.store
    catalogues = [(await read_game_catalogue(store, agent.name)) for agent in await store.accounts.list_agents()]
    return context.render("backoffice/agents.html", catalogues=catalogues, agent_page_url=agent_page_url)


async def _render_new_agent_form(context: PageContext) -> Response:
    return context.render("backoffice/agent_new.html", form=Form({}, {}))


async def _add_agent(context: PageContext) -> Response:
    form = Form(await context.read_form(), {})
    name, wallet_token, host_id = (form.values.get(each, "").strip() for each in ("name", "wallet_token", "host_id"))
    try:
        await context.execute(AgentAdd(name=name, wallet_token=wallet_token or None, host_id=host_id or None))
    except ValidationError as error:
        form = form.with_validation_error(error)
    except OperationError as failure:
        form = form.with_failure(*failure.args)
    else:
        return context.redirect(agent_page_url(name), f"Agent {name} added. Next: connect a provider.")
    return context.render("backoffice/agent_new.html", form.status, form=form)


async def _render_agent(context: PageContext) -> Response:
    catalogue = await read_game_catalogue(context.wallet.store, context.request.path_params["agent"])
    return await _render_agent_page(context, catalogue, _fill_settings_form(catalogue.agent))


def _fill_settings_form(agent: Agent) -> Form:
    return Form({name: _get_current(agent, name) for name in EDITABLE_SETTINGS}, {})


async def _update_agent(context: PageContext) -> Response:
    agent = await get_agent(context.wallet.store, context.request.path_params["agent"])
    form = Form(await context.read_form(), {})
    changed = {
        name: value
        for name in EDITABLE_SETTINGS
        if (value := _get_submitted(form, name)) not in (None, _get_current(agent, name))
    }
    try:
        if changed:
            await context.execute(AgentSet.model_validate({"name": agent.name, **changed}))
    except ValidationError as error:
        form = form.with_validation_error(error)
    except OperationError as failure:
        form = form.with_failure(*failure.args)
    else:
        message = f"Changed: {', '.join(name.replace('_', ' ') for name in changed)}." if changed else "No changes."
        return context.redirect(agent_page_url(agent.name), message, "ok" if changed else "note")
    return await _render_agent_page(context, await read_game_catalogue(context.wallet.store, agent.name), form)


async def _render_agent_page(
    context: PageContext, catalogue: GameCatalogue, form: Form, secret_form: Form = NO_FORM
) -> Response:
    settings, agent, accounts = context.settings, catalogue.agent, context.wallet.store.accounts
    secrets = await accounts.list_protocol_secrets(agent.agent_id)
    return context.render(
        "backoffice/agent.html",
        max(form.status, secret_form.status),
        agent=agent,
        catalogue=catalogue,
        report_cursor=await context.wallet.store.reports.find_report_cursor(agent.agent_id),
        integrations=build_integrations(
            catalogue,
            context.base_url + settings.callback_prefix,
            context.wallet.clock_ms(),
            require_wallet_token=settings.require_wallet_token,
            protocols=settings.protocols,
            protocols_with_secret={secret.protocol for secret in secrets if secret.revoked_at_ms is None},
        ),
        callback_keys=await accounts.list_callback_keys(agent.agent_id),
        protocol_secrets=secrets,
        signing_protocols=[name for name in list_protocols(settings.protocols) if load_protocol(name).signature],
        secret_form=secret_form,
        settings=settings,
        units=[str(unit) for unit in ReportUnit],
        form=form,
        page_url=agent_page_url(agent.name),
    )


async def _add_callback_key(context: PageContext) -> Response:
    agent = await get_agent(context.wallet.store, context.request.path_params["agent"])
    key = (await context.execute(CallbackKeyAdd(agent=agent.name)))["callback_key"]
    return context.render(
        "backoffice/callback_key_created.html",
        agent=agent,
        callback_key=key,
        addresses=build_callback_addresses(f"{context.base_url}/{key}", context.settings.protocols),
        page_url=agent_page_url(agent.name),
    )


async def _revoke_callback_key(context: PageContext) -> Response:
    agent = await get_agent(context.wallet.store, context.request.path_params["agent"])
    revoked = await context.execute(CallbackKeyRevoke(agent=agent.name, key_prefix=context.request.path_params["key"]))
    return context.redirect(agent_page_url(agent.name), f"Callback key {revoked['callback_key']} revoked.")


async def _add_protocol_secret(context: PageContext) -> Response:
    agent = await get_agent(context.wallet.store, context.request.path_params["agent"])
    submitted = await context.read_form()
    protocol, secret = submitted.get("protocol", ""), submitted.get("secret", "").strip()
    # Without the secret: the page that shows the form again must not contain it.
    form = Form({"protocol": protocol}, {})
    try:
        added = await context.execute(ProtocolSecretAdd(agent=agent.name, protocol=protocol, secret=secret))
    except ValidationError as error:
        form = form.with_validation_error(error)
    except OperationError as failure:
        form = form.with_failure(*failure.args)
    else:
        return context.redirect(agent_page_url(agent.name), f"Secret {added['fingerprint']} for {protocol} added.")
    catalogue = await read_game_catalogue(context.wallet.store, agent.name)
    return await _render_agent_page(context, catalogue, _fill_settings_form(agent), form)


async def _revoke_protocol_secret(context: PageContext) -> Response:
    agent = await get_agent(context.wallet.store, context.request.path_params["agent"])
    protocol, fingerprint = (context.request.path_params[name] for name in ("protocol", "fingerprint"))
    await context.execute(ProtocolSecretRevoke(agent=agent.name, protocol=protocol, fingerprint=fingerprint))
    return context.redirect(agent_page_url(agent.name), f"Secret {fingerprint} for {protocol} revoked.")


def _get_submitted(form: Form, name: str) -> str | None:
    value = form.values.get(name)
    return None if value is None else value.strip()


def _get_current(agent: Agent, name: str) -> str:
    return getattr(agent, name) or ""
