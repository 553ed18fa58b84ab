"""Looks at an installation and its wallet file, and says line by line what is well and what to do about the rest.

It changes nothing: a file that a server has is only read, and one that nobody has is left as it was found, with its
companions. What cannot be looked at is a finding like any other, so that the other looks are taken all the same.
"""

from collections.abc import Iterator

from minwallet.config import Settings
from minwallet.doctor.copies import look_at_copies
from minwallet.doctor.files import look_at_files, look_at_settings_files
from minwallet.doctor.finding import Finding, Level, ok
from minwallet.doctor.machine import look_at_machine
from minwallet.doctor.place import find_unusable, look_at_place
from minwallet.doctor.protection import look_at_agents, look_at_protection
from minwallet.doctor.providers import look_at_providers
from minwallet.doctor.wallet import look_at_wallet

__all__ = ["Finding", "Level", "examine"]


def examine(settings: Settings, sqlite_version: str, now_ms: int, timeout_s: float) -> Iterator[Finding]:
    """One look after the other. Providers have `timeout_s` for their answers."""
    yield from look_at_machine(sqlite_version, now_ms)
    yield from look_at_settings_files()
    yield from look_at_protection(settings)
    if unusable := find_unusable(settings.db):
        yield unusable
        return
    yield from look_at_place(settings)
    yield from look_at_copies(settings, now_ms)
    if not settings.db.exists():
        yield ok("wallet", f"there is no file {settings.db} yet; it is made at the first start")
        return
    if settings.db.is_file():
        yield from look_at_files(settings.db)
    findings, agents = look_at_wallet(settings.db, now_ms)
    yield from findings
    yield from look_at_agents(settings, agents)
    yield from look_at_providers(agents, timeout_s)
