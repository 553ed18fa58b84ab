"""The page Access: admins, the admin's own password, API keys and the audit log."""

from typing import NamedTuple
from urllib.parse import quote

from pydantic import ValidationError
from starlette.responses import Response
from starlette.routing import Route

from minwallet.operations.access_requests import AdminLink, AdminReset, KeyAdd, KeyRevoke
from minwallet.operations.admin_auth import TooManyAttempts
from minwallet.operations.credentials import MIN_PASSWORD_LENGTH, derive_csrf_token
from minwallet.operations.errors import OperationError
from minwallet.operations.requests import Reply
from minwallet.storage.admin_store import KeyScope
from minwallet.web.auth import AttemptLimiter, get_attempt_key, set_cookie
from minwallet.web.backoffice.audit_rows import describe_audit_record
from minwallet.web.backoffice.filters import parse_number
from minwallet.web.backoffice.forms import Form
from minwallet.web.backoffice.login_pages import BUSY_RETRY_AFTER_S
from minwallet.web.backoffice.page import PageContext, PageRouter
from minwallet.web.backoffice.player_list import list_agent_names

PATH = "/admin/access"

RECENT_ROWS, PAGE_SIZE = 10, 50

EMPTY_FORM = Form({}, {})


class AccessForms(NamedTuple):
    """The forms of the page; an empty one was not submitted."""

    key: Form = EMPTY_FORM
    link: Form = EMPTY_FORM
    password: Form = EMPTY_FORM


def routes(router: PageRouter) -> list[Route]:
    password_form = _PasswordForm(router)
    return [
        router.get(PATH, _render_access),
        router.get(f"{PATH}/audit-log", _render_audit_log),
        router.post(f"{PATH}/keys", _add_key),
        router.post(f"{PATH}/keys/{{name}}/revoke", _revoke_key),
        router.post(f"{PATH}/admins", _create_login_link),
        router.post(f"{PATH}/admins/{{name}}/reset", _reset_admin),
        router.post(f"{PATH}/password", password_form.change_password),
    ]


async def _render_access(context: PageContext) -> Response:
    return await _render_access_forms(context, AccessForms())


async def _render_access_forms(context: PageContext, forms: AccessForms) -> Response:
    store = context.wallet.store
    admins = await store.admin.list_admins()
    return context.render(
        "backoffice/access.html",
        max(form.status for form in forms),
        forms=forms,
        agents=await list_agent_names(context),
        keys=await store.admin.list_keys(),
        admins=admins,
        has_password=any(each.password for each in admins if each.name == context.admin),
        min_password_length=MIN_PASSWORD_LENGTH,
        rows=[describe_audit_record(each) for each in await store.admin.list_audit_records(None, RECENT_ROWS)],
        quote=lambda name: quote(name, safe=""),
    )


async def _render_audit_log(context: PageContext) -> Response:
    before = parse_number(context.request.query_params.get("before"))
    records = await context.wallet.store.admin.list_audit_records(before, PAGE_SIZE + 1)
    return context.render(
        "backoffice/audit_log.html",
        rows=[describe_audit_record(each) for each in records[:PAGE_SIZE]],
        next_cursor=records[PAGE_SIZE - 1].number if len(records) > PAGE_SIZE else None,
        is_first=before is None,
    )


async def _add_key(context: PageContext) -> Response:
    form = Form(await context.read_form(), {})
    fields = {name: form.values.get(name, "").strip() for name in ("name", "scope", "agent")}
    try:
        request = KeyAdd.model_validate(
            {**fields, "agent": fields["agent"] or None, "scope": _parse_scope(fields["scope"])}
        )
        key = await context.execute(request)
    except ValidationError as error:
        return await _render_access_forms(context, AccessForms(key=form.with_validation_error(error)))
    except OperationError as failure:
        return await _render_access_forms(context, AccessForms(key=form.with_failure(*failure.args)))
    return context.render("backoffice/api_key_created.html", key=key, api_url=f"{context.base_url}/admin/api/v1")


def _parse_scope(text: str) -> KeyScope | str:
    return KeyScope(text) if text in list(KeyScope) else text


async def _revoke_key(context: PageContext) -> Response:
    name = context.request.path_params["name"]
    await context.execute(KeyRevoke(name=name))
    return context.redirect(PATH, f"API key {name} revoked.")


async def _create_login_link(context: PageContext) -> Response:
    form = Form(await context.read_form(), {})
    try:
        link = await context.execute(AdminLink(name=form.values.get("name", "").strip()))
    except ValidationError as error:
        return await _render_access_forms(context, AccessForms(link=form.with_validation_error(error)))
    except OperationError as failure:
        return await _render_access_forms(context, AccessForms(link=form.with_failure(*failure.args)))
    return context.render("backoffice/login_link_created.html", link=link, url=context.base_url + link["path"])


async def _reset_admin(context: PageContext) -> Response:
    name = context.request.path_params["name"]
    reply = await context.execute(AdminReset(name=name))
    return context.redirect(
        PATH, " ".join([f"{name} is signed out and needs a new sign-in link.", *_list_ended(reply)])
    )


def _list_ended(reply: Reply) -> list[str]:
    """Return a sentence for each kind of access that a reset ended, or that a person has to judge."""
    player_sessions = reply["player_sessions_revoked"]
    lists = {
        "Links ended, for": reply["links_ended"],
        "API keys revoked": reply["keys_revoked"],
        "Callback keys revoked": reply["callback_keys_revoked"],
        "Protocol secrets revoked": reply["protocol_secrets_revoked"],
        "Sessions of players revoked": [str(player_sessions)] if player_sessions else [],
        f"Admins that {reply['name']} invited can still sign in": reply["admins_invited"],
        "API keys without a recorded maker still work": reply["keys_without_maker"],
    }
    return [f"{text}: {', '.join(names)}." for text, names in lists.items() if names]


class _PasswordForm:
    """The form that changes the admin's own password.

    It limits the attempts per admin. Otherwise a person at a signed-in browser could use it to guess the old password.
    """

    def __init__(self, router: PageRouter) -> None:
        self._admin_auth = router.admin_auth
        self._attempts = AttemptLimiter()

    async def change_password(self, context: PageContext) -> Response:
        """Set the password, and sign the admin in again with a new cookie."""
        fields = await context.read_form()
        form = Form({}, {})
        if fields.get("new", "") != fields.get("again", ""):
            return await _render_access_forms(
                context, AccessForms(password=form.with_errors(again="The two passwords differ."))
            )
        if wait_s := self._attempts.retry_after_s(context.admin):
            return await _render_access_forms(
                context, AccessForms(password=form.with_failure(f"Too many attempts. Try again in {wait_s} seconds."))
            )
        self._attempts.record(context.admin)
        try:
            login = await self._admin_auth.set_password(
                context.admin,
                context.cookie,
                fields.get("old", ""),
                fields.get("new", ""),
                get_attempt_key(context.request),
            )
        except TooManyAttempts:
            return await _render_access_forms(
                context,
                AccessForms(
                    password=form.with_failure(f"The server is busy. Try again in {BUSY_RETRY_AFTER_S} seconds.")
                ),
            )
        except OperationError as failure:
            return await _render_access_forms(context, AccessForms(password=form.with_failure(*failure.args)))
        self._attempts.reset(context.admin)
        # The new password ended the old sign-in, so the message must wait under the CSRF token of the new cookie.
        response = context.redirect(PATH)
        set_cookie(response, context.request, login.cookie, context.settings.public_url)
        message = "Your password is set. All your other sign-ins have ended."
        context.router.set_flash(derive_csrf_token(login.cookie), "ok", message)
        return response
