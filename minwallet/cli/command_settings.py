"""The settings of a command."""

from typing import TYPE_CHECKING

import typer

from minwallet.cli.output import print_error

if TYPE_CHECKING:
    from minwallet.config import Settings
    from minwallet.doctor.server_settings import ServerSettings

SHOWN_NOTICES = "minwallet.shown_notices"
"""The key of the notices that were printed, in the context of a command."""


def load_command_settings(context: typer.Context, *, is_server: bool = False, **overrides: object) -> "Settings":
    """Return the settings of the wallet file that the command works on. Print their notices once, on stderr.

    `overrides` are as in `load_settings`; `db` is the option `--db` by default. With `is_server`, raise SettingsError
    for a settings file that this user may not read. Other commands ignore it, and a notice says so.
    """
    from minwallet.config import load_settings

    settings = load_settings(**{"db": context.find_root().params["db"], **overrides})
    if is_server:
        settings.require_readable_files()
    shown = context.find_root().meta.setdefault(SHOWN_NOTICES, set())
    for notice in settings.notices:
        if notice not in shown:
            shown.add(notice)
            print_error(f"minwallet: {notice}")
    return settings


def ask_server(settings: "Settings") -> "ServerSettings | None":
    """Return what is in force in the server that runs on the wallet file of these settings, or None.

    Print a line on stderr if the server does not report its settings.
    """
    from minwallet.doctor.server_settings import SettingsUnknown, read_server_settings

    try:
        return read_server_settings(settings.db)
    except SettingsUnknown as error:
        print_error(f"minwallet: {error}; the settings of a newly started server are used")
        return None
