"""The pages of the back office: templates, static files, and what every answer with a page in it carries.

Pages load nothing from elsewhere, and hold no script and no style of their own: the policy in `HEADERS` forbids it. So
in templates `style="…"`, `onclick`, `hx-on`, `js:` and conditions in `hx-trigger` do nothing; htmx's words without
code in them work.
"""

import gzip
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
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

logger = logging.getLogger("minwallet")

STATIC, TEMPLATES = Path(__file__).parent / "static", Path(__file__).parent / "templates"

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

HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    " object-src 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

ERRORS = {
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
    zipped: bytes
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
    for path in sorted(STATIC.iterdir()):
        if media_type := TYPES.get(path.suffix):
            body = path.read_bytes()
            assets[path.name] = Asset(body, gzip.compress(body, mtime=0), media_type, sha256(body).hexdigest()[:12])
    return assets


def show_money(cents: int) -> str:
    """`123450` as `1,234.50`, `-5` as `0.05` after a minus sign."""
    sign = "\N{MINUS SIGN}" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100:,}.{abs(cents) % 100:02d}"


def show_change(cents: int) -> str:
    """The same with a plus before what came in."""
    return f"+{show_money(cents)}" if cents > 0 else show_money(cents)


def show_time(moment: int | str) -> Markup:
    """Milliseconds since 1970, or ISO 8601 with a zone, as a `<time>` in UTC to the second."""
    at = datetime.fromtimestamp(moment / 1000, UTC) if isinstance(moment, int) else datetime.fromisoformat(moment)
    at = at.astimezone(UTC)
    return Markup('<time datetime="{:%Y-%m-%dT%H:%M:%SZ}">{:%Y-%m-%d} {:%H:%M:%S}</time>').format(at, at, at)


def show_clock(at_ms: int) -> Markup:
    """The time of day as a `<time>` in UTC to the second."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return Markup('<time datetime="{:%Y-%m-%dT%H:%M:%SZ}">{:%H:%M:%S}</time>').format(at, at)


def show_day(moment_ms: int) -> Markup:
    """Milliseconds since 1970 as the `<time>` of a UTC day."""
    at = datetime.fromtimestamp(moment_ms / 1000, UTC)
    return Markup('<time datetime="{0:%Y-%m-%d}">{0:%Y-%m-%d}</time>').format(at)


def show_number(number: int) -> str:
    """`1234567` as `1,234,567`."""
    return f"{number:,}"


def show_size(size: int) -> str:
    """Bytes as `12.5 MB`."""
    if size < 1000:
        return f"{size} bytes"
    amount, unit = float(size), ""
    for unit in ("kB", "MB", "GB", "TB"):  # noqa: B007 the last one is as large as it gets
        amount /= 1000
        if amount < 999.95:
            break
    return f"{amount:.1f} {unit}"


def show_duration(seconds: int) -> str:
    """Seconds as `3 days`, `5 hours`, `12 minutes`: whole ones of the largest there are."""
    for name, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= size or size == 1:
            number = seconds // size
            return f"{number} {name}" if number == 1 else f"{number} {name}s"
    raise AssertionError(seconds)


def locate_asset(name: str) -> str:
    """The address of a static file, which changes when the file does."""
    return f"{STATIC_PATH}/{name}?v={load_assets()[name].version}"


def _make_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "money": show_money,
        "signed": show_change,
        "time": show_time,
        "day": show_day,
        "number": show_number,
        "size": show_size,
        "duration": show_duration,
        "clock": show_clock,
        "asset": locate_asset,
    }
    environment.globals |= {"version": __version__, "navigation": NAVIGATION}
    return environment


_environment = _make_environment()


def fill(template: str, **context: object) -> str:
    """A template's text; a name that the template uses and nobody gave is an error."""
    return _environment.get_template(template).render(context)


def render(template: str, status: int = 200, headers: Mapping[str, str] | None = None, **context: object) -> Response:
    """A template as an answer."""
    return HTMLResponse(fill(template, **context), status, headers)


def create_site(routes: Sequence[BaseRoute]) -> ASGIApp:
    """An application of pages, with the static files, the error pages and the headers; paths begin with `/admin`."""
    load_assets()  # now, and not while the first reader waits, and bets with him
    site = Starlette(
        routes=[Route(f"{STATIC_PATH}/{{name}}", _send_asset), *routes],
        # Event streams are left alone. The cookie never comes with a request that another site has made, so nobody
        # can learn from the length of pressed pages what is in them.
        middleware=[Middleware(GZipMiddleware, compresslevel=5)],
        exception_handlers={HTTPException: _explain, StoreError: _explain, Exception: _explain},
    )
    site.router.redirect_slashes = False
    return PageHeaders(site)


class PageHeaders:
    """An ASGI application whose answers carry `HEADERS` where they say nothing else, and are stored by nobody unless
    they say for how long.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
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
        return Response(asset.zipped, 200, {**headers, "content-encoding": "gzip"}, asset.media_type)
    return Response(asset.body, 200, headers, asset.media_type)


async def _explain(request: Request, error: Exception) -> Response:
    """The page for what went wrong."""
    if isinstance(error, StoreError):
        logger.error("%s: %s", request.url.path, error)
    status = error.status_code if isinstance(error, HTTPException) else 503 if isinstance(error, StoreError) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    title, text = ERRORS.get(status, ("That did not work", "The request makes no sense to this server."))
    return render("error.html", status, headers, title=title, text=text, code=status)
