"""The settings of a command."""

from typing import TYPE_CHECKING

import typer

from minwallet.cli.output import print_error

if TYPE_CHECKING:
    from minwallet.config import Settings

SHOWN_NOTICES = "minwallet.shown_notices"
"""The key of the notices that were printed, in the context of a command."""


def load_command_settings(context: typer.Context, **overrides: object) -> "Settings":
    """Return the settings of the wallet file that the command works on. Print their notices once, on stderr.

    `overrides` are as in `load_settings`; `db` is the option `--db` by default.
    """
    from minwallet.config import load_settings

    settings = load_settings(**{"db": context.find_root().params["db"], **overrides})
    shown = context.find_root().meta.setdefault(SHOWN_NOTICES, set())
    for notice in settings.notices:
        if notice not in shown:
            shown.add(notice)
            print_error(f"minwallet: {notice}")
    return settings
