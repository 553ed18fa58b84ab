"""The page Settings: all settings with their sources, the server's health, and the versions in use."""

import platform
from importlib.metadata import version

from starlette.responses import Response
from starlette.routing import Route

from minwallet.web.backoffice.page import PageContext, PageRouter

REPORTED_LIBRARIES = ("starlette", "uvicorn", "pydantic", "aiosqlite")
"""The libraries whose versions a bug report should name."""


def routes(router: PageRouter) -> list[Route]:
    return [router.get("/admin/settings", _render_settings)]


async def _render_settings(context: PageContext) -> Response:
    return context.render(
        "backoffice/settings.html",
        settings=context.settings.list_settings(),
        health=context.router.check_health(),
        python_version=platform.python_version(),
        libraries=[(name, version(name)) for name in REPORTED_LIBRARIES],
    )
