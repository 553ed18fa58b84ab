"""Checks of the installed protocols and the folder of their packages."""

from collections.abc import Collection, Iterator
from pathlib import Path
from stat import S_IWGRP, S_IWOTH

from minwallet.config import Settings
from minwallet.doctor.diagnosis import Diagnosis, fail, ok, warn
from minwallet.doctor.file_permissions import quote_path
from minwallet.protocols.protocol_checks import RESERVED_NAMES
from minwallet.protocols.registry import (
    find_plugins_folder,
    find_protocol_problems,
    is_installed,
    list_installed,
    list_protocols,
    load_protocol,
)


def check_protocols(settings: Settings) -> Iterator[Diagnosis]:
    """Check that each package with a protocol can be used, and that only its owner can change the plugins folder."""
    yield from _check_answered_protocols(settings)
    problems = find_protocol_problems()
    for problem in problems:
        correction = "" if problem.has_advice else "; correct or remove it"
        yield fail("protocols", f"{problem}{correction}, and restart the server")
    if not problems:
        names = [
            f"{each.package.protocol} ({each.package.distribution} {each.package.version})" for each in list_installed()
        ]
        yield ok("protocols", f"installed: {', '.join(names)}")
    folder = find_plugins_folder()
    for place in _list_writable_places(folder) if folder else ():
        yield warn(
            "protocols",
            f"other users can change {place}, whose code runs in the server; run: chmod -R go-w {quote_path(place)}",
        )


def _check_answered_protocols(settings: Settings) -> Iterator[Diagnosis]:
    for name in sorted({*settings.protocols} - {*list_protocols()}):
        yield fail("protocols", f"MINWALLET_PROTOCOLS names '{name}', which is not an installed protocol")
    names = list_protocols(settings.protocols)
    signed = [name for name in names if load_protocol(name).signature]
    unsigned = [name for name in names if name not in signed]
    if signed and unsigned and not (settings.callback_key or settings.callback_allow):
        yield warn(
            "protection",
            f"calls of {' and '.join(unsigned)} need no signature, and a session that was opened for a game of"
            f" {' or '.join(signed)} is valid for them too; set MINWALLET_PROTOCOLS={','.join(signed)} if no other"
            " provider calls, or protect the endpoints with MINWALLET_CALLBACK_KEY",
        )


def check_sources(sources: Collection[str]) -> Iterator[Diagnosis]:
    """Yield a warning for each protocol of the ledger's entries that is not installed."""
    for source in sources:
        if source not in RESERVED_NAMES and not is_installed(source):
            yield warn(
                "protocols",
                f"the ledger has entries of protocol '{source}', which is not installed; if its provider still makes"
                " calls, install its package again, because they get 404",
            )


def _list_writable_places(folder: Path) -> Iterator[Path]:
    """Yield the folder, and each entry of it, that other users can change."""
    try:
        places = [folder, *sorted(folder.iterdir())]
        yield from (place for place in places if place.stat().st_mode & (S_IWGRP | S_IWOTH))
    except OSError:
        return  # it is one of the problems of the registry
