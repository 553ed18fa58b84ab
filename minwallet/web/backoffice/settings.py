"""Every setting and where it comes from, how the server is doing, and which versions it is made of."""

import platform
from importlib.metadata import version

from starlette.responses import Response
from starlette.routing import Route

from minwallet.web.backoffice.frame import Frame, Visit

PARTS = ("starlette", "uvicorn", "pydantic", "aiosqlite")
"""The libraries that a report of a problem should name."""


def routes(frame: Frame) -> list[Route]:
    return [frame.get("/admin/settings", _show)]


async def _show(visit: Visit) -> Response:
    return visit.render(
        "office/settings.html",
        settings=visit.settings.listed(),
        health=visit.frame.examine(),
        python=platform.python_version(),
        libraries=[(name, version(name)) for name in PARTS],
    )
