"""Every setting and where it comes from, how the server is doing, and which versions it is made of."""

import platform
from importlib.metadata import version
from typing import NamedTuple

from starlette.responses import Response
from starlette.routing import Route

from minwallet.config import Settings
from minwallet.web.backoffice.frame import Frame, Visit

SECRETS = {"callback_key"}

PARTS = ("starlette", "uvicorn", "pydantic", "aiosqlite")
"""The libraries that a report of a problem should name."""


class Setting(NamedTuple):
    """`value` is "" where there is none; that of a secret says only that it is there."""

    variable: str
    value: str
    is_default: bool
    description: str


def routes(frame: Frame) -> list[Route]:
    return [frame.get("/admin/settings", _show)]


async def _show(visit: Visit) -> Response:
    return visit.render(
        "office/settings.html",
        settings=list_settings(visit.settings),
        health=visit.frame.examine(),
        python=platform.python_version(),
        libraries=[(name, version(name)) for name in PARTS],
    )


def list_settings(settings: Settings) -> list[Setting]:
    """All settings, in the order in which they are declared."""
    return [
        Setting(
            variable=f"MINWALLET_{name.upper()}",
            value=_show_value(name, getattr(settings, name)),
            is_default=name not in settings.model_fields_set,
            description=field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]


def _show_value(name: str, value: object) -> str:
    if name in SECRETS:
        return f"a secret of {len(str(value))} symbols" if value else ""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
