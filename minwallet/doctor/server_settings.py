"""The settings in force in a running server, and how those of a newly started one would differ."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx2

from minwallet.config import Setting, Settings, restore_settings
from minwallet.doctor.diagnosis import Diagnosis, ok, warn
from minwallet.storage.file_lock import ControlEndpoint, read_control_endpoint

TIMEOUT_S = 5.0

OWN_ORIGINS = ("--", "socket unit", "a free port")
"""The origins, or their beginnings, of values that belong to one start of a server, and not to its wallet."""

CALLBACK_KEY = "MINWALLET_CALLBACK_KEY"


class SettingsUnknown(Exception):
    """A server that does not report its settings. The message says why."""


class ServerSettings(NamedTuple):
    """The settings in force in a server. A secret is a placeholder of the same length."""

    endpoint: ControlEndpoint
    listed: Sequence[Setting]
    settings: Settings

    @property
    def server(self) -> str:
        return f"the server at {self.endpoint.serves} (process {self.endpoint.pid})"


class SettingDifference(NamedTuple):
    """A setting whose value in a newly started server would differ from the value in force."""

    in_force: Setting
    at_next_start: Setting


def read_server_settings(db: Path) -> ServerSettings | None:
    """Return the settings of the server that runs on the wallet file, or None if none runs.

    Raise SettingsUnknown if it does not report them.
    """
    endpoint = read_control_endpoint(db)
    if endpoint is None:
        return None
    try:
        response = httpx2.get(f"{endpoint.url}/settings", timeout=TIMEOUT_S, **endpoint.request_options)
        listed = [Setting(**each) for each in response.json()["settings"]]
        return ServerSettings(endpoint, listed, restore_settings(listed))
    except httpx2.ConnectError:
        return None  # It has ended, and its lock file is left over.
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        is_other_version = not isinstance(error, httpx2.HTTPError)
        reason = "it runs another version of minwallet; restart it" if is_other_version else f"{type(error).__name__}"
        raise SettingsUnknown(f"the server (process {endpoint.pid}) does not report its settings: {reason}") from error


def compare_with_server(settings: Settings) -> tuple[Settings, list[Diagnosis]]:
    """Return the settings in force: those of a running server, or else `settings`, those of a new one.

    The findings name the server, and each setting that differs between the two.
    """
    try:
        running = read_server_settings(settings.db)
    except SettingsUnknown as error:
        return settings, [warn("settings", f"{error}; the checks use those of a newly started server")]
    if running is None:
        return settings, []
    differences = [
        warn(
            "settings",
            f"{format_difference(each)}; write the right value into a file in the wallet's folder, and restart the"
            " server",
        )
        for each in find_differences(running, settings)
    ]
    # The file's path is the one of this command, because the server's may be relative to another folder.
    in_force = running.settings.model_copy(update={"db": settings.db})
    return in_force, [ok("settings", f"in force in {running.server}"), *differences]


def find_differences(running: ServerSettings, fresh: Settings) -> Iterator[SettingDifference]:
    """Yield each setting whose value in `fresh`, those of a newly started server, is another than the one in force."""
    # The lock file, which only the owner can read, has the callback key. So no secret crosses for the comparison.
    has_same_key = running.endpoint.calls.removeprefix(running.endpoint.serves) == fresh.callback_prefix
    for in_force, new in zip(running.listed, fresh.list_settings(), strict=True):
        is_equal = has_same_key if in_force.variable == CALLBACK_KEY else in_force.value == new.value
        is_of_one_start = in_force.variable == "MINWALLET_DB" or in_force.origin.startswith(OWN_ORIGINS)
        if not is_equal and not is_of_one_start:
            is_other_secret = in_force.value == new.value
            value = f"another secret of {len(fresh.callback_key)} characters" if is_other_secret else new.value
            yield SettingDifference(in_force, new._replace(value=value))


def format_difference(difference: SettingDifference) -> str:
    """Return both values with their sources, in words."""
    in_force, new = difference
    return f"{in_force.variable} in force: {_describe(in_force)}; in a newly started server: {_describe(new)}"


def _describe(setting: Setting) -> str:
    return f"{setting.value or 'not set'} ({setting.origin})"
