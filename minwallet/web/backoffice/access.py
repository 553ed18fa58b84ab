"""Who may do what: keys of the admin API, who signs in here, one's own password, and the record of who did what."""

from typing import NamedTuple
from urllib.parse import quote

from pydantic import ValidationError
from starlette.responses import Response
from starlette.routing import Route

from minwallet.operations.admin_auth import TooManyAttempts
from minwallet.operations.credentials import MIN_PASSWORD_LENGTH, derive_csrf_token
from minwallet.operations.errors import OperationError
from minwallet.operations.requests import AdminLink, AdminReset, KeyAdd, KeyRevoke
from minwallet.storage.admin_store import KeyScope
from minwallet.web.auth import AttemptLimiter, get_attempt_key, set_cookie
from minwallet.web.backoffice.filters import read_number
from minwallet.web.backoffice.forms import Form
from minwallet.web.backoffice.frame import Frame, Visit
from minwallet.web.backoffice.players import agent_names
from minwallet.web.backoffice.record import tell
from minwallet.web.backoffice.sign_in import BUSY_S

PATH = "/admin/access"

NEWEST, PAGE = 10, 50

NOTHING = Form({}, {})


class Forms(NamedTuple):
    """The forms of the page, as far as something was typed into them."""

    key: Form = NOTHING
    link: Form = NOTHING
    password: Form = NOTHING


def routes(frame: Frame) -> list[Route]:
    own = _Password(frame)
    return [
        frame.get(PATH, _show),
        frame.get(f"{PATH}/record", _show_record),
        frame.post(f"{PATH}/keys", _add_key),
        frame.post(f"{PATH}/keys/{{name}}/revoke", _revoke_key),
        frame.post(f"{PATH}/admins", _make_link),
        frame.post(f"{PATH}/admins/{{name}}/reset", _reset),
        frame.post(f"{PATH}/password", own.change),
    ]


async def _show(visit: Visit) -> Response:
    return await _render(visit, Forms())


async def _render(visit: Visit, forms: Forms) -> Response:
    store = visit.wallet.store
    admins = await store.list_admins()
    return visit.render(
        "office/access.html",
        max(form.status for form in forms),
        forms=forms,
        agents=await agent_names(visit),
        keys=await store.list_keys(),
        admins=admins,
        has_password=any(each.password for each in admins if each.name == visit.admin),
        shortest=MIN_PASSWORD_LENGTH,
        rows=[tell(each) for each in await store.list_audit_records(None, NEWEST)],
        quote=lambda name: quote(name, safe=""),
    )


async def _show_record(visit: Visit) -> Response:
    before = read_number(visit.request.query_params.get("before"))
    found = await visit.wallet.store.list_audit_records(before, PAGE + 1)
    return visit.render(
        "office/record.html",
        rows=[tell(each) for each in found[:PAGE]],
        following=found[PAGE - 1].number if len(found) > PAGE else None,
        is_first=before is None,
    )


async def _add_key(visit: Visit) -> Response:
    form = Form(await visit.form(), {})
    typed = {name: form.typed.get(name, "").strip() for name in ("name", "scope", "agent")}
    try:
        asked = KeyAdd.model_validate({**typed, "agent": typed["agent"] or None, "scope": _scope(typed["scope"])})
        key = await visit.perform(asked)
    except ValidationError as error:
        return await _render(visit, Forms(key=form.misunderstood(error)))
    except OperationError as decline:
        return await _render(visit, Forms(key=form.declined(*decline.args)))
    return visit.render("office/key.html", key=key, api=f"{visit.base_url}/admin/api/v1")


def _scope(text: str) -> KeyScope | str:
    return KeyScope(text) if text in list(KeyScope) else text


async def _revoke_key(visit: Visit) -> Response:
    name = visit.request.path_params["name"]
    await visit.perform(KeyRevoke(name=name))
    return visit.redirect(PATH, f"The key {name} is revoked.")


async def _make_link(visit: Visit) -> Response:
    form = Form(await visit.form(), {})
    try:
        link = await visit.perform(AdminLink(name=form.typed.get("name", "").strip()))
    except ValidationError as error:
        return await _render(visit, Forms(link=form.misunderstood(error)))
    return visit.render("office/link.html", link=link, url=visit.base_url + link["path"])


async def _reset(visit: Visit) -> Response:
    name = visit.request.path_params["name"]
    await visit.perform(AdminReset(name=name))
    return visit.redirect(PATH, f"{name} is signed out, and needs a new link to sign in.")


class _Password:
    """One's own password. Whoever finds a signed-in browser shall not guess the old one here."""

    def __init__(self, frame: Frame) -> None:
        self._admins = frame.admins
        self._tries = AttemptLimiter()

    async def change(self, visit: Visit) -> Response:
        typed = await visit.form()
        form = Form({}, {})
        if typed.get("new", "") != typed.get("again", ""):
            return await _render(visit, Forms(password=form.but(again="It is not the same as above.")))
        if wait_s := self._tries.retry_after_s(visit.admin):
            return await _render(visit, Forms(password=form.declined(f"Too many attempts; wait {wait_s} seconds.")))
        self._tries.record(visit.admin)
        try:
            entered = await self._admins.set_password(
                visit.admin, typed.get("old", ""), typed.get("new", ""), get_attempt_key(visit.request)
            )
        except TooManyAttempts:
            return await _render(visit, Forms(password=form.declined(f"Too busy; wait {BUSY_S} seconds.")))
        except OperationError as decline:
            return await _render(visit, Forms(password=form.declined(*decline.args)))
        self._tries.reset(visit.admin)
        response = visit.redirect(PATH)
        set_cookie(response, visit.request, entered.cookie)
        done = "Your password is set. You are signed out everywhere else."
        visit.frame.leave_flash(derive_csrf_token(entered.cookie), "ok", done)
        return response
