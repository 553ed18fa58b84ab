"""The pages for signing in, by a one-time link or by name and password, and for signing out."""

from collections import OrderedDict
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from minwallet.operations.admin_auth import TooManyAttempts
from minwallet.storage.actors import name_admin
from minwallet.web import templating
from minwallet.web.auth import (
    HOME_PATH,
    SIGN_IN_PATH,
    AttemptLimiter,
    clear_cookie,
    get_attempt_key,
    sanitize_redirect,
    set_cookie,
    would_drop_cookie,
)
from minwallet.web.backoffice.page import PageContext, PageRouter, read_form
from minwallet.web.request_log import ACTOR

MAX_NAME_WAIT_S = 60
"""The longest wait per name. Someone who guesses passwords of a name delays its owner too, so it is short."""

MAX_NAME_LENGTH = 40
"""The longest name of an admin; the limiter stores no more of a longer one."""

BUSY_RETRY_AFTER_S = 5

ORIGIN_ONLY_REFERRER = {"referrer-policy": "strict-origin"}

MAX_KNOWN_LOGINS = 1_000
"""The most pairs of name and address that are remembered after a sign-in with a password."""


def routes(router: PageRouter) -> list[Route]:
    login_pages = LoginPages(router)
    return [
        Route("/admin/enter", login_pages.render_link, methods=["GET"]),
        Route("/admin/enter", login_pages.consume_link, methods=["POST"]),
        Route(SIGN_IN_PATH, login_pages.render_form, methods=["GET"]),
        Route(SIGN_IN_PATH, login_pages.check_password, methods=["POST"]),
        router.post("/admin/sign-out", _sign_out),
    ]


class LoginPages:
    """The pages for people who are not signed in.

    Without a cookie the forms have no CSRF token, so the pages check the request's origin instead.
    """

    def __init__(self, router: PageRouter) -> None:
        self._router = router
        self._admin_auth = router.admin_auth
        self._public_url = router.settings.public_url
        self._attempts_by_address = AttemptLimiter()
        self._attempts_by_name = AttemptLimiter(MAX_NAME_WAIT_S)
        self._link_attempts = AttemptLimiter()
        self._known_logins: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def render_link(self, request: Request) -> Response:
        """Return a page with a button only. A program that opens the link before the person, such as a preview in a
        chat, does not consume it.
        """
        token = request.query_params.get("token", "")
        return templating.render_response(
            "backoffice/login_link.html", headers=ORIGIN_ONLY_REFERRER, token=token, error=""
        )

    async def consume_link(self, request: Request) -> Response:
        """Sign in with the link's token; return 403 if it is not valid any more, 429 after too many attempts."""
        self._router.require_same_origin(request)
        if would_drop_cookie(request, self._public_url):
            return self._render_https_required()
        address = get_attempt_key(request)
        if wait_s := self._link_attempts.retry_after_s(address):
            return _render_too_many_attempts(wait_s)
        self._link_attempts.record(address)
        login = await self._admin_auth.sign_in_with_link((await read_form(request)).get("token", ""), address)
        if login is None:
            error = "This link is invalid, used or expired."
            return templating.render_response(
                "backoffice/login_link.html", 403, ORIGIN_ONLY_REFERRER, token="", error=error
            )
        self._link_attempts.reset(address)
        request.scope[ACTOR] = name_admin(login.admin)
        return self._redirect_signed_in(request, login.cookie, HOME_PATH)

    async def render_form(self, request: Request) -> Response:
        next_path = sanitize_redirect(request.query_params.get("next", HOME_PATH))
        return templating.render_response("backoffice/sign_in.html", name="", next_path=next_path, error="")

    async def check_password(self, request: Request) -> Response:
        """Sign in with name and password; return 403 if they are wrong, 429 after too many attempts."""
        self._router.require_same_origin(request)
        if would_drop_cookie(request, self._public_url):
            return self._render_https_required()
        form = await read_form(request)
        name, next_path = form.get("name", "").strip(), sanitize_redirect(form.get("next", ""))
        address, key = get_attempt_key(request), name[:MAX_NAME_LENGTH]
        # An address that has signed in with this name does not wait for the name. So guesses from elsewhere cannot keep
        # the admin out.
        is_known = (key, address) in self._known_logins
        if wait_s := max(
            self._attempts_by_address.retry_after_s(address),
            0 if is_known else self._attempts_by_name.retry_after_s(key),
        ):
            return _render_too_many_attempts(wait_s)
        # Recorded before the check and reset after a success, so that parallel attempts count too.
        self._attempts_by_address.record(address)
        if not is_known:
            self._attempts_by_name.record(key)
        try:
            login = await self._admin_auth.sign_in_with_password(name, form.get("password", ""), address)
        except TooManyAttempts:
            return _render_too_many_attempts(BUSY_RETRY_AFTER_S)
        # The log gets the name of an admin only, because people type passwords into the wrong field.
        if admin := login.admin if login else await self._admin_auth.find_admin_name(name):
            request.scope[ACTOR] = name_admin(admin)
        if login is None:
            error = "Wrong name or password."
            return templating.render_response(
                "backoffice/sign_in.html", 403, name=name, next_path=next_path, error=error
            )
        self._attempts_by_address.reset(address)
        self._attempts_by_name.reset(key)
        self._known_logins[key, address] = None
        if len(self._known_logins) > MAX_KNOWN_LOGINS:
            self._known_logins.popitem(last=False)
        return self._redirect_signed_in(request, login.cookie, next_path)

    def _redirect_signed_in(self, request: Request, cookie: str, path: str) -> Response:
        response = RedirectResponse(path, 303)
        set_cookie(response, request, cookie, self._public_url)
        return response

    def _render_https_required(self) -> Response:
        text = f"Over plain HTTP your browser would not keep the sign-in. Sign in at {self._public_url}{SIGN_IN_PATH}"
        return templating.render_response("error.html", 403, title="HTTPS required", text=text, code=403)


async def _sign_out(context: PageContext) -> Response:
    await context.router.admin_auth.sign_out(context.admin, context.cookie)
    response = RedirectResponse(f"{SIGN_IN_PATH}?out=1", 303)
    clear_cookie(response, context.request, context.settings.public_url)
    return response


def _render_too_many_attempts(wait_s: int) -> Response:
    retry_at = datetime.now(UTC) + timedelta(seconds=wait_s)
    return templating.render_response(
        "backoffice/too_many_attempts.html",
        429,
        {"retry-after": str(wait_s)},
        wait_s=wait_s,
        retry_at=f"{retry_at:%H:%M:%S}",
    )
