"""What every page of the back office stands in: who is signed in, where a form came from, and what is told.

A page is a handler `async (visit) -> Response`. `Frame.get` and `Frame.post` make its route, and let nobody in who is
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
from minwallet.operations.requests import OperationRequest as Asked
from minwallet.operations.requests import Reply, format_validation_error
from minwallet.wallet.service import Wallet
from minwallet.web import templating
from minwallet.web.auth import COOKIE_NAME, HOME_PATH, SIGN_IN_PATH, is_same_origin, sanitize_redirect
from minwallet.web.health import HealthReport, build_health_report

LONGEST_FORM, MOST_FIELDS = 64 * 1024, 100

MOST_FLASHES = 200

STATUS = {ErrorCode.NOT_FOUND: 404}
"""Everything else that is declined is 409."""

Tone = Literal["ok", "note", "error"]


class Visit:
    """One request of somebody who is signed in."""

    def __init__(self, frame: "Frame", request: Request, admin: str, cookie: str) -> None:
        self.frame = frame
        self.request = request
        self.admin = admin
        self.cookie = cookie
        self.csrf = derive_csrf_token(cookie)
        self.wallet: Wallet = frame.wallet
        self.settings: Settings = frame.settings
        self._form: dict[str, str] | None = None

    @property
    def base_url(self) -> str:
        """The address under which the world reaches this server, without a slash at its end."""
        return self.settings.public_url or str(self.request.base_url).rstrip("/")

    @property
    def is_fragment(self) -> bool:
        """Whether a page asks for a part of itself, rather than a person for a page."""
        return self.request.headers.get("hx-request") == "true"

    def render(self, template: str, status: int = 200, *, error: str = "", **context: object) -> Response:
        """The page, with what is to be told: `error`, or what the last `redirect` left."""
        flash = ("error", error) if error else None if self.is_fragment else self.frame.take_flash(self.csrf)
        return templating.render_response(
            template, status, None, admin=self.admin, csrf=self.csrf, flash=flash, **context
        )

    async def form(self) -> dict[str, str]:
        """The fields of the form that was sent; 4xx for what no page of ours sends."""
        if self._form is None:
            self._form = await read_form(self.request)
        return self._form

    async def perform(self, asked: Asked) -> Reply:
        """Have the request carried out, as this admin's doing. Raises OperationError, which the frame shows."""
        reply = await dispatch.execute(self.wallet, asked, f"admin {self.admin}")
        if isinstance(reply, OperationFailure):
            raise OperationError(*reply.reasons, code=reply.code)
        return reply

    def redirect(self, path: str, message: str = "", tone: Tone = "ok") -> Response:
        """Go on to another page, on which the message is shown once."""
        if message:
            self.frame.leave_flash(self.csrf, tone, message)
        return RedirectResponse(path, 303)


Handler = Callable[[Visit], Awaitable[Response]]


class Frame:
    """Makes the routes of pages. Everything else that the pages of one server share is here, too."""

    def __init__(self, wallet: Wallet, settings: Settings, sqlite_version: str) -> None:
        self.wallet = wallet
        self.settings = settings
        self._sqlite_version = sqlite_version
        self._started_at_ms = wallet.clock_ms()
        self.admins = AdminAuth(wallet)
        self._flashes: OrderedDict[str, tuple[Tone, str]] = OrderedDict()

    def get(self, path: str, handler: Handler) -> Route:
        """A page to look at."""

        async def look(request: Request) -> Response:
            visit = await self._welcome(request)
            return _to_sign_in(request) if visit is None else await _answer(visit, handler)

        return Route(path, look, methods=["GET"])

    def post(self, path: str, handler: Handler) -> Route:
        """A form that changes something."""

        async def change(request: Request) -> Response:
            self.refuse_foreign(request)
            visit = await self._welcome(request)
            if visit is None:
                raise HTTPException(401)
            offered = (await visit.form()).get("csrf", "")
            if not hmac.compare_digest(offered.encode(), visit.csrf.encode()):
                raise HTTPException(403)
            return await _answer(visit, handler)

        return Route(path, change, methods=["POST"])

    def examine(self) -> HealthReport:
        """How the server is doing."""
        return build_health_report(self.wallet, self.settings, self._sqlite_version, self._started_at_ms)

    def refuse_foreign(self, request: Request) -> None:
        """403 for what no page of this server has sent."""
        if not is_same_origin(request, self.settings.public_url):
            raise HTTPException(403)

    def leave_flash(self, csrf: str, tone: Tone, message: str) -> None:
        """Keep a message for the next page of whoever has this word."""
        self._flashes[csrf] = (tone, message)
        if len(self._flashes) > MOST_FLASHES:
            self._flashes.popitem(last=False)

    def take_flash(self, csrf: str) -> tuple[Tone, str] | None:
        return self._flashes.pop(csrf, None)

    async def _welcome(self, request: Request) -> Visit | None:
        cookie = request.cookies.get(COOKIE_NAME, "")
        admin = await self.admins.find_by_cookie(cookie)
        return Visit(self, request, admin, cookie) if admin else None


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a urlencoded form, none of them twice."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > LONGEST_FORM:
                raise HTTPException(413)
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except (ValueError, ClientDisconnect) as error:
        raise HTTPException(400) from error
    form = dict(fields)
    if len(form) != len(fields):
        raise HTTPException(400)
    return form


async def _answer(visit: Visit, handler: Handler) -> Response:
    """What the handler says; a request that was declined, or makes no sense, is told to whoever made it."""
    try:
        return await handler(visit)
    except OperationError as decline:
        return _refuse(visit, STATUS.get(decline.code, 409), list(decline.args))
    except ValidationError as error:
        return _refuse(visit, 400, [format_validation_error(error)])


def _refuse(visit: Visit, status: int, reasons: list[str]) -> Response:
    came_from = urlsplit(visit.request.headers.get("referer", ""))
    back = sanitize_redirect(f"{came_from.path}?{came_from.query}" if came_from.query else came_from.path)
    return visit.render("office/declined.html", status, reasons=reasons, back=back)


def _to_sign_in(request: Request) -> Response:
    """Sign in first, then come back here. A page that asks for a part of itself is loaded anew, and so gets there."""
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"hx-refresh": "true"})
    path = sanitize_redirect(f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path)
    following = f"?next={quote(path, safe='/')}" if path != HOME_PATH else ""
    return RedirectResponse(f"{SIGN_IN_PATH}{following}", 303)
