"""The pages of the back office: templates, static files, and what every answer with a page in it carries.

Pages load nothing from elsewhere, and hold no script and no style of their own: the policy in `HEADERS` forbids it. So
in templates `style="…"`, `onclick`, `hx-on`, `js:` and conditions in `hx-trigger` do nothing; htmx's words without
code in them work.
"""

import gzip
import logging
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from minwallet import __version__
from minwallet.storage.errors import StoreError
from minwallet.web.formatting import (
    format_clock,
    format_day,
    format_duration,
    format_money,
    format_number,
    format_signed_money,
    format_size,
    format_time,
)

logger = logging.getLogger("minwallet")

STATIC_DIR, TEMPLATES_DIR = Path(__file__).parent / "static", Path(__file__).parent / "templates"

STATIC_PATH = "/admin/static"

NAVIGATION = (
    ("overview", "Overview", "/admin"),
    ("players", "Players", "/admin/players"),
    ("transactions", "Transactions", "/admin/transactions"),
    ("rounds", "Rounds", "/admin/rounds"),
    ("reconciliation", "Reconciliation", "/admin/reconciliation"),
    ("agents", "Agents", "/admin/agents"),
    ("access", "Access", "/admin/access"),
    ("settings", "Settings", "/admin/settings"),
)
"""The parts of the back office: what a page calls its part, what people read, and where it is."""

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    " object-src 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}

MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

ERROR_PAGES = {
    401: ("Sign in first", "This page is for people who have signed in."),
    403: ("Not allowed", "You may not do this, or the form was too old. Go back, load the page again, and try anew."),
    404: ("Nothing here", "There is no such page. It may have moved, or the address has a typo."),
    405: ("Not this way", "This address is not a page to look at."),
    413: ("Too long", "What was sent is longer than anything that is asked for here."),
    429: ("Too many attempts", "Wait a little, then try again."),
    500: ("Something broke", "This should not happen, and the server's log says what did. Please report it."),
    503: ("Not available", "The wallet cannot be read or changed at the moment. The server's log says why."),
}


class Asset(NamedTuple):
    """A static file as it is sent. `version` is the beginning of its SHA-256, for the address."""

    body: bytes
    gzip_body: bytes
    media_type: str
    version: str


class Series(TypedDict):
    """One line, or row of bars, of a chart; None where there is no value."""

    label: str
    values: Sequence[int | None]
    shape: Literal["line", "steps", "bars"]
    colour: Literal["accent", "in", "out", "soft"]


class Chart(TypedDict):
    """What the macro `chart` draws. `x` are seconds since 1970, rising; `money` says that the values are cents, and
    `days` that every x is the beginning of a UTC day.
    """

    x: Sequence[int]
    series: Sequence[Series]
    money: bool
    days: bool


@cache
def load_assets() -> Mapping[str, Asset]:
    """Every file a page may ask for, by name. They are few and small, and pressed once instead of for every reader."""
    assets = {}
    for path in sorted(STATIC_DIR.iterdir()):
        if media_type := MEDIA_TYPES.get(path.suffix):
            body = path.read_bytes()
            assets[path.name] = Asset(body, gzip.compress(body, mtime=0), media_type, sha256(body).hexdigest()[:12])
    return assets


def asset_url(name: str) -> str:
    """The address of a static file, which changes when the file does."""
    return f"{STATIC_PATH}/{name}?v={load_assets()[name].version}"


def _make_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES_DIR),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "money": format_money,
        "signed": format_signed_money,
        "time": format_time,
        "day": format_day,
        "number": format_number,
        "size": format_size,
        "duration": format_duration,
        "clock": format_clock,
        "asset": asset_url,
    }
    environment.globals |= {"version": __version__, "navigation": NAVIGATION}
    return environment


_environment = _make_environment()


def render_string(template: str, **context: object) -> str:
    """A template's text; a name that the template uses and nobody gave is an error."""
    return _environment.get_template(template).render(context)


def render_response(
    template: str, status: int = 200, headers: Mapping[str, str] | None = None, **context: object
) -> Response:
    """A template as an answer."""
    return HTMLResponse(render_string(template, **context), status, headers)


def create_pages_app(routes: Sequence[BaseRoute]) -> ASGIApp:
    """An application of pages, with the static files, the error pages and the headers; paths begin with `/admin`."""
    load_assets()  # now, and not while the first reader waits, and bets with him
    app = Starlette(
        routes=[Route(f"{STATIC_PATH}/{{name}}", _send_asset), *routes],
        # Event streams are left alone. The cookie never comes with a request that another site has made, so nobody
        # can learn from the length of pressed pages what is in them.
        middleware=[Middleware(GZipMiddleware, compresslevel=5)],
        exception_handlers={
            HTTPException: _render_error_page,
            StoreError: _render_error_page,
            Exception: _render_error_page,
        },
    )
    app.router.redirect_slashes = False
    return SecurityHeadersMiddleware(app)


class SecurityHeadersMiddleware:
    """An ASGI application whose answers carry `HEADERS` where they say nothing else, and are stored by nobody unless
    they say for how long.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


async def _send_asset(request: Request) -> Response:
    asset = load_assets().get(request.path_params["name"])
    if asset is None:
        raise HTTPException(404)
    is_current = request.query_params.get("v") == asset.version
    headers = {
        "cache-control": "public, max-age=31536000, immutable" if is_current else "no-cache",
        "vary": "accept-encoding",
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.gzip_body, 200, {**headers, "content-encoding": "gzip"}, asset.media_type)
    return Response(asset.body, 200, headers, asset.media_type)


async def _render_error_page(request: Request, error: Exception) -> Response:
    """The page for what went wrong."""
    if isinstance(error, StoreError):
        logger.error("%s: %s", request.url.path, error)
    status = error.status_code if isinstance(error, HTTPException) else 503 if isinstance(error, StoreError) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    title, text = ERROR_PAGES.get(status, ("That did not work", "The request makes no sense to this server."))
    return render_response("error.html", status, headers, title=title, text=text, code=status)
