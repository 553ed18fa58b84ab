"""Templates, static files, error pages and security headers of the back office.

Pages load nothing from other servers, and contain no inline script or style: the policy in `SECURITY_HEADERS` forbids
it. So `style="…"`, `onclick`, `hx-on`, `js:` and conditions in `hx-trigger` have no effect in templates. Attributes
of htmx without code work.
"""

import gzip
import logging
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
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
    ("calls", "Calls", "/admin/calls"),
    ("reconciliation", "Reconciliation", "/admin/reconciliation"),
    ("agents", "Agents", "/admin/agents"),
    ("access", "Access", "/admin/access"),
    ("settings", "Settings", "/admin/settings"),
)
"""Sections of the back office: the name in the code, the label, the path."""

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
    401: ("Sign in first", "This page requires a sign-in."),
    403: ("Not allowed", "You may not do this, or the form was too old. Go back, reload the page, and try again."),
    404: ("Page not found", "This page does not exist. It may have moved, or the address has a typo."),
    405: ("Method not allowed", "This address does not accept this kind of request. Start from the overview."),
    413: ("Request too long", "The request is longer than the forms of this site allow."),
    429: ("Too many attempts", "Wait a minute, then try again."),
    500: ("Internal error", "This is a bug. The server's log has the details; please report it."),
    503: ("Not available", "The wallet cannot be read or changed at the moment. The server's log has the reason."),
}


class Asset(NamedTuple):
    """A static file or document, plain and compressed. `version` is the beginning of its SHA-256, for the URL."""

    body: bytes
    gzip_body: bytes
    media_type: str
    version: str


class Series(TypedDict):
    """One line or row of bars of a chart. None in `values` means no value."""

    label: str
    values: Sequence[int | None]
    shape: Literal["line", "steps", "bars"]
    colour: Literal["accent", "in", "out", "soft"]


class Chart(TypedDict):
    """Data of the macro `chart`. `x` are seconds since 1970 UTC, rising.

    With `money` the values are cents. With `days` each x is the beginning of a UTC day.
    """

    x: Sequence[int]
    series: Sequence[Series]
    money: bool
    days: bool


@cache
def load_assets() -> Mapping[str, Asset]:
    """Read and compress all static files once; return them by name. They are few and small."""
    assets = {}
    for path in sorted(STATIC_DIR.iterdir()):
        if media_type := MEDIA_TYPES.get(path.suffix):
            assets[path.name] = build_asset(path.read_bytes(), media_type)
    return assets


def build_asset(body: bytes, media_type: str) -> Asset:
    """Compress a body that is sent often."""
    return Asset(body, gzip.compress(body, mtime=0), media_type, sha256(body).hexdigest()[:12])


def build_asset_response(asset: Asset, request: Request, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    """Return the response with the asset, compressed if the client accepts that."""
    headers = {**headers, "vary": "accept-encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.gzip_body, 200, {**headers, "content-encoding": "gzip"}, asset.media_type)
    return Response(asset.body, 200, headers, asset.media_type)


def asset_url(name: str) -> str:
    """Return the URL of a static file. It changes with the content, so browsers may cache it for a year."""
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
    """Render a template to text. Raise UndefinedError if it uses a name that is not in `context`."""
    return _environment.get_template(template).render(context)


def render_response(
    template: str, status: int = 200, headers: Mapping[str, str] | None = None, **context: object
) -> Response:
    """Render a template to an HTML response."""
    return HTMLResponse(render_string(template, **context), status, headers)


def create_pages_app(routes: Sequence[BaseRoute]) -> ASGIApp:
    """Return the application of these pages, with static files, error pages and security headers, below `/admin`."""
    load_assets()  # at the start, because compression would hold up the event loop at the first page
    app = Starlette(
        routes=[Route(f"{STATIC_PATH}/{{name}}", _send_asset), *routes],
        # GZipMiddleware skips event streams. Compression could reveal secrets by the length of an answer (BREACH) if
        # another site caused the request. The cookie is SameSite=Strict, so such a request gets no private page.
        middleware=[Middleware(GZipMiddleware, compresslevel=5)],
        exception_handlers={
            HTTPException: _render_error_page,
            StoreError: _render_error_page,
            Exception: _render_error_page,
        },
    )
    # A wrong path is 404, with or without a slash at its end.
    app.router.redirect_slashes = False
    return SecurityHeadersMiddleware(app)


class SecurityHeadersMiddleware:
    """ASGI middleware that adds SECURITY_HEADERS and `Cache-Control: no-store` where an answer has no own value."""

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
    # Only the current version may be cached for a year. An old URL gets the new content, so it must not be cached.
    is_current = request.query_params.get("v") == asset.version
    cache_control = "public, max-age=31536000, immutable" if is_current else "no-cache"
    return build_asset_response(asset, request, {"cache-control": cache_control})


async def _render_error_page(request: Request, error: Exception) -> Response:
    """Render the error page. Log a StoreError; uvicorn logs the exception of a bug."""
    if isinstance(error, StoreError):
        logger.error("%s: %s", request.scope["route"].path, error)
    status = error.status_code if isinstance(error, HTTPException) else 503 if isinstance(error, StoreError) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    title, text = ERROR_PAGES.get(status, ("Invalid request", "The server cannot process this request."))
    return render_response("error.html", status, headers, title=title, text=text, code=status)
