"""What every page of the back office stands in: who is signed in, where a form came from, and what is told.

A page is a handler `async (context) -> Response`. `PageRouter.get` and `.post` make its route, and let nobody in who is
not signed in; a form is taken only from this server's own pages, with the word that only they know.
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
from minwallet.operations.errors import ErrorCode, OperationError, OperationFailure
from minwallet.operations.field_help import format_validation_error
from minwallet.operations.requests import OperationRequest as Asked
from minwallet.operations.requests import Reply
from minwallet.wallet.service import Wallet
from minwallet.web import templating
from minwallet.web.auth import COOKIE_NAME, HOME_PATH, SIGN_IN_PATH, is_same_origin, sanitize_redirect
from minwallet.web.health import HealthReport, build_health_report

MAX_FORM_BYTES, MAX_FORM_FIELDS = 64 * 1024, 100

MAX_FLASHES = 200

STATUS_BY_ERROR_CODE = {ErrorCode.NOT_FOUND: 404}
"""Everything else that is declined is 409."""

FlashLevel = Literal["ok", "note", "error"]


class PageContext:
    """One request of somebody who is signed in."""

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
        """The address under which the world reaches this server, without a slash at its end."""
        return self.settings.public_url or str(self.request.base_url).rstrip("/")

    @property
    def is_htmx_request(self) -> bool:
        """Whether a page asks for a part of itself, rather than a person for a page."""
        return self.request.headers.get("hx-request") == "true"

    def render(self, template: str, status: int = 200, *, error: str = "", **context: object) -> Response:
        """The page, with what is to be told: `error`, or what the last `redirect` left."""
        flash = ("error", error) if error else None if self.is_htmx_request else self.router.pop_flash(self.csrf)
        return templating.render_response(
            template, status, None, admin=self.admin, csrf=self.csrf, flash=flash, **context
        )

    async def read_form(self) -> dict[str, str]:
        """The fields of the form that was sent; 4xx for what no page of ours sends."""
        if self._form is None:
            self._form = await read_form(self.request)
        return self._form

    async def execute(self, operation: Asked) -> Reply:
        """Have the request carried out, as this admin's doing. Raises OperationError, which the frame shows."""
        reply = await dispatch.execute(self.wallet, operation, f"admin {self.admin}")
        if isinstance(reply, OperationFailure):
            raise OperationError(*reply.reasons, code=reply.code)
        return reply

    def redirect(self, path: str, message: str = "", level: FlashLevel = "ok") -> Response:
        """Go on to another page, on which the message is shown once."""
        if message:
            self.router.set_flash(self.csrf, level, message)
        return RedirectResponse(path, 303)


Handler = Callable[[PageContext], Awaitable[Response]]


class PageRouter:
    """Makes the routes of pages. Everything else that the pages of one server share is here, too."""

    def __init__(self, wallet: Wallet, settings: Settings, sqlite_version: str) -> None:
        self.wallet = wallet
        self.settings = settings
        self._sqlite_version = sqlite_version
        self._started_at_ms = wallet.clock_ms()
        self.admin_auth = AdminAuth(wallet)
        self._flashes: OrderedDict[str, tuple[FlashLevel, str]] = OrderedDict()

    def get(self, path: str, handler: Handler) -> Route:
        """A page to look at."""

        async def handle_get(request: Request) -> Response:
            context = await self._authenticate(request)
            return _redirect_to_login(request) if context is None else await _run_handler(context, handler)

        return Route(path, handle_get, methods=["GET"])

    def post(self, path: str, handler: Handler) -> Route:
        """A form that changes something."""

        async def handle_post(request: Request) -> Response:
            self.require_same_origin(request)
            context = await self._authenticate(request)
            if context is None:
                raise HTTPException(401)
            csrf_token = (await context.read_form()).get("csrf", "")
            if not hmac.compare_digest(csrf_token.encode(), context.csrf.encode()):
                raise HTTPException(403)
            return await _run_handler(context, handler)

        return Route(path, handle_post, methods=["POST"])

    def check_health(self) -> HealthReport:
        """How the server is doing."""
        return build_health_report(self.wallet, self.settings, self._sqlite_version, self._started_at_ms)

    def require_same_origin(self, request: Request) -> None:
        """403 for what no page of this server has sent."""
        if not is_same_origin(request, self.settings.public_url):
            raise HTTPException(403)

    def set_flash(self, csrf: str, level: FlashLevel, message: str) -> None:
        """Keep a message for the next page of whoever has this word."""
        self._flashes[csrf] = (level, message)
        if len(self._flashes) > MAX_FLASHES:
            self._flashes.popitem(last=False)

    def pop_flash(self, csrf: str) -> tuple[FlashLevel, str] | None:
        return self._flashes.pop(csrf, None)

    async def _authenticate(self, request: Request) -> PageContext | None:
        cookie = request.cookies.get(COOKIE_NAME, "")
        admin = await self.admin_auth.find_by_cookie(cookie)
        return PageContext(self, request, admin, cookie) if admin else None


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a urlencoded form, none of them twice."""
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
    """What the handler says; a request that was declined, or makes no sense, is told to whoever made it."""
    try:
        return await handler(context)
    except OperationError as decline:
        return _render_failure(context, STATUS_BY_ERROR_CODE.get(decline.code, 409), list(decline.args))
    except ValidationError as error:
        return _render_failure(context, 400, [format_validation_error(error)])


def _render_failure(context: PageContext, status: int, reasons: list[str]) -> Response:
    referer = urlsplit(context.request.headers.get("referer", ""))
    back = sanitize_redirect(f"{referer.path}?{referer.query}" if referer.query else referer.path)
    return context.render("backoffice/operation_failed.html", status, reasons=reasons, back_url=back)


def _redirect_to_login(request: Request) -> Response:
    """Sign in first, then come back here. A page that asks for a part of itself is loaded anew, and so gets there."""
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"hx-refresh": "true"})
    path = sanitize_redirect(f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path)
    next_query = f"?next={quote(path, safe='/')}" if path != HOME_PATH else ""
    return RedirectResponse(f"{SIGN_IN_PATH}{next_query}", 303)
