"""The root address `/`: the back office for a browser, an index of this server's addresses for a program."""

import re
from collections.abc import Mapping, Sequence
from posixpath import commonpath

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from minwallet.config import Settings
from minwallet.protocols.registry import list_protocols, load_protocol
from minwallet.protocols.wire import list_routes
from minwallet.web.admin_api.docs_page import DOCS_PATH
from minwallet.web.admin_api.problems import API_PREFIX
from minwallet.web.auth import HOME_PATH

MASKED_KEY = "KEY"
"""The word in place of the callback key in addresses that are shown."""


def list_provider_paths(settings: Settings) -> dict[str, list[str]]:
    """Return the paths of each protocol's endpoints, with MASKED_KEY in place of the callback key."""
    prefix = f"/{MASKED_KEY}" if settings.callback_key else ""
    return {
        # A path may have several methods.
        name: list(
            dict.fromkeys(
                prefix + route.path
                for route in list_routes(load_protocol(name), require_wallet_token=settings.require_wallet_token)
            )
        )
        for name in list_protocols(settings.protocols)
    }


def list_addresses(settings: Settings, base_url: str) -> list[tuple[str, str]]:
    """Return the addresses for people, with their names: back office, API documentation, and each protocol's calls.

    A protocol with several paths has the beginning that they share.
    """
    provider = [(name, base_url + _join_paths(paths)) for name, paths in list_provider_paths(settings).items()]
    return [("back office", base_url + HOME_PATH), ("API docs", base_url + DOCS_PATH), *provider]


def _join_paths(paths: Sequence[str]) -> str:
    shared = commonpath(paths)
    return shared if shared in paths else f"{shared.rstrip('/')}/…"


def _accepts_html(accept: str) -> bool:
    """Return whether a header Accept names text/html and does not exclude it with the weight 0 (RFC 9110, 12.5.1)."""
    for each in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in each.split(";"))
        if media_type == "text/html":
            return not any(re.fullmatch(r"q\s*=\s*0(\.0*)?", parameter) for parameter in parameters)
    return False


def create_index_route(settings: Settings, *, has_demo: bool) -> Route:
    """Return the route of `/`. It names only what this server has. `has_demo` is true if it has the page `/demo`."""
    index: Mapping[str, object] = {
        "back_office": HOME_PATH,
        **({"demo": "/demo"} if has_demo else {}),
        "api": API_PREFIX,
        "api_docs": DOCS_PATH,
        "health": ["/healthz", "/readyz"],
        "metrics": "/metrics",
        "provider": list_provider_paths(settings),
    }

    async def show_index(request: Request) -> Response:
        headers = {"vary": "accept"}
        if _accepts_html(request.headers.get("accept", "")):
            return RedirectResponse(HOME_PATH, 303, headers)
        return JSONResponse(index, headers=headers)

    return Route("/", show_index, methods=["GET"])
