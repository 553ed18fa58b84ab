"""The frame of all back office pages: sign-in, the origin of forms, and messages to the admin.

A page is a handler `async (context) -> Response`. `PageRouter.get` and `PageRouter.post` make its route, which requires
a signed-in admin. A form is accepted only from this server's own pages, and only with their CSRF token.
"""

import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Literal
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from minwallet.config import Settings
from minwallet.operations import dispatch
from minwallet.operations.admin_auth import AdminAuth
from minwallet.operations.credentials import derive_csrf_token
from minwallet.operations.errors import OperationError, OperationFailure
from minwallet.operations.field_help import format_validation_error
from minwallet.operations.requests import OperationRequest, Reply
from minwallet.storage.actors import name_admin
from minwallet.wallet.service import Wallet
from minwallet.web import templating
from minwallet.web.auth import COOKIE_NAME, HOME_PATH, SIGN_IN_PATH, is_same_origin, sanitize_redirect
from minwallet.web.dot_names import unescape_dot_names
from minwallet.web.gateway.recent_calls import RecentCalls
from minwallet.web.health import HealthReport, build_health_report
from minwallet.web.request_log import ACTOR

MAX_FORM_BYTES, MAX_FORM_FIELDS = 64 * 1024, 100

MAX_FLASHES = 200

FlashLevel = Literal["ok", "note", "error"]


class PageContext:
    """One request of a signed-in admin."""

    def __init__(self, router: "PageRouter", request: Request, admin: str, cookie: str) -> None:
        self.router = router
        self.request = request
        self.admin = admin
        self.cookie = cookie
        self.csrf = derive_csrf_token(cookie)
        self.wallet: Wallet = router.wallet
        self.settings: Settings = router.settings
        self._form: dict[str, str] | None = None

    @property
    def base_url(self) -> str:
        """Return the public address of this server, without a slash at its end."""
        return self.settings.public_url or str(self.request.base_url).rstrip("/")

    @property
    def is_htmx_request(self) -> bool:
        """Check if a page requests a part of itself by htmx."""
        return self.request.headers.get("hx-request") == "true"

    def render(self, template: str, status: int = 200, *, error: str = "", **context: object) -> Response:
        """Return the page with the message `error`, or with the one that the last `redirect` left."""
        # A part of a page has no place for the message, so it stays for the next whole page.
        flash = ("error", error) if error else None if self.is_htmx_request else self.router.pop_flash(self.csrf)
        return templating.render_response(
            template, status, None, admin=self.admin, csrf=self.csrf, flash=flash, **context
        )

    async def read_form(self) -> dict[str, str]:
        """Return the fields of the form. Raise HTTPException 4xx for a body that our pages never send."""
        if self._form is None:
            self._form = await read_form(self.request)
        return self._form

    async def execute(self, operation: OperationRequest) -> Reply:
        """Execute an operation in the name of this admin. Raise OperationError, which `_run_handler` shows."""
        reply = await dispatch.execute(self.wallet, operation, name_admin(self.admin))
        if isinstance(reply, OperationFailure):
            raise OperationError(*reply.reasons, code=reply.code)
        return reply

    def redirect(self, path: str, message: str = "", level: FlashLevel = "ok") -> Response:
        """Return a redirect to another page, which shows the message once."""
        if message:
            self.router.set_flash(self.csrf, level, message)
        return RedirectResponse(path, 303)


Handler = Callable[[PageContext], Awaitable[Response]]


class PageRouter:
    """The factory of page routes, with the state that all pages of one server share."""

    def __init__(self, wallet: Wallet, settings: Settings, sqlite_version: str, recent_calls: RecentCalls) -> None:
        self.wallet = wallet
        self.settings = settings
        self.recent_calls = recent_calls
        self._sqlite_version = sqlite_version
        self._started_at_ms = wallet.clock_ms()
        self.admin_auth = AdminAuth(wallet)
        self._flashes: OrderedDict[str, tuple[FlashLevel, str]] = OrderedDict()

    def get(self, path: str, handler: Handler) -> Route:
        """Return the route of a page; without a sign-in it redirects to the sign-in page."""

        async def handle_get(request: Request) -> Response:
            context = await self._authenticate(request)
            return _redirect_to_login(request) if context is None else await _run_handler(context, handler)

        return Route(path, handle_get, methods=["GET"])

    def post(self, path: str, handler: Handler) -> Route:
        """Return the route of a form that changes data; it checks origin, sign-in and CSRF token, in this order."""

        async def handle_post(request: Request) -> Response:
            self.require_same_origin(request)
            context = await self._authenticate(request)
            if context is None:
                raise HTTPException(401)
            csrf_token = (await context.read_form()).get("csrf", "")
            # A body may arrive slowly, and the session may have ended meanwhile.
            if await self._authenticate(request) is None:
                raise HTTPException(401)
            if not hmac.compare_digest(csrf_token.encode(), context.csrf.encode()):
                raise HTTPException(403)
            return await _run_handler(context, handler)

        return Route(path, handle_post, methods=["POST"])

    def check_health(self) -> HealthReport:
        """Return the health of the server."""
        return build_health_report(self.wallet, self.settings, self._sqlite_version, self._started_at_ms)

    def require_same_origin(self, request: Request) -> None:
        """Raise HTTPException 403 if the request comes from a page of another server."""
        if not is_same_origin(request, self.settings.public_url):
            raise HTTPException(403)

    def set_flash(self, csrf: str, level: FlashLevel, message: str) -> None:
        """Store a message for the next page of the admin with this CSRF token."""
        self._flashes[csrf] = (level, message)
        if len(self._flashes) > MAX_FLASHES:
            self._flashes.popitem(last=False)

    def pop_flash(self, csrf: str) -> tuple[FlashLevel, str] | None:
        return self._flashes.pop(csrf, None)

    async def _authenticate(self, request: Request) -> PageContext | None:
        cookie = request.cookies.get(COOKIE_NAME, "")
        admin = await self.admin_auth.find_by_cookie(cookie)
        if admin is None:
            return None
        request.scope[ACTOR] = name_admin(admin)
        return PageContext(self, request, admin, cookie)


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a urlencoded form. Raise HTTPException 4xx if it is malformed or has a field twice."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM_BYTES:
                raise HTTPException(413)
        fields = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS
        )
    except (ValueError, ClientDisconnect) as error:
        raise HTTPException(400) from error
    form = dict(fields)
    if len(form) != len(fields):
        raise HTTPException(400)
    return form


async def _run_handler(context: PageContext, handler: Handler) -> Response:
    """Return the handler's response, or a page with the reasons if the operation failed or the request is invalid."""
    context.request.scope["path_params"] = unescape_dot_names(context.request.path_params)
    try:
        return await handler(context)
    except OperationError as failure:
        return _render_failure(context, failure.code.status, list(failure.args))
    except ValidationError as error:
        return _render_failure(context, 400, [format_validation_error(error)])


def _render_failure(context: PageContext, status: int, reasons: list[str]) -> Response:
    title = {404: "Not found", 400: "Invalid request"}.get(status, "Request refused")
    referer = urlsplit(context.request.headers.get("referer", ""))
    back = sanitize_redirect(f"{referer.path}?{referer.query}" if referer.query else referer.path)
    return context.render("backoffice/operation_failed.html", status, title=title, reasons=reasons, back_url=back)


def _redirect_to_login(request: Request) -> Response:
    """Return a redirect to the sign-in page, which returns here; an htmx request reloads its page."""
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"hx-refresh": "true"})
    path = sanitize_redirect(f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path)
    next_query = f"?next={quote(path, safe='/')}" if path != HOME_PATH else ""
    return RedirectResponse(f"{SIGN_IN_PATH}{next_query}", 303)
