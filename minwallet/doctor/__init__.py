"""Looks at an installation and its wallet file, and says line by line what is well and what to do about the rest.

It changes nothing: a file that a server has is only read, and one that nobody has is left as it was found, with its
companions. What cannot be looked at is a finding like any other, so that the other looks are taken all the same.
"""

from collections.abc import Iterator

from minwallet.config import Settings
from minwallet.doctor.backups import check_backups
from minwallet.doctor.exposure import check_agent_tokens, check_exposure
from minwallet.doctor.file_permissions import check_files, check_settings_files
from minwallet.doctor.filesystem import check_disk, find_unusable_path
from minwallet.doctor.finding import Finding, Level, ok
from minwallet.doctor.host import check_host
from minwallet.doctor.providers import check_providers
from minwallet.doctor.wallet_file import check_wallet

__all__ = ["Finding", "Level", "run_checks"]


def run_checks(settings: Settings, sqlite_version: str, now_ms: int, timeout_s: float) -> Iterator[Finding]:
    """One look after the other. Providers have `timeout_s` for their answers."""
    yield from check_host(sqlite_version, now_ms)
    yield from check_settings_files()
    yield from check_exposure(settings)
    if unusable := find_unusable_path(settings.db):
        yield unusable
        return
    yield from check_disk(settings)
    yield from check_backups(settings, now_ms)
    if not settings.db.exists():
        yield ok("wallet", f"there is no file {settings.db} yet; it is made at the first start")
        return
    if settings.db.is_file():
        yield from check_files(settings.db)
    findings, agents = check_wallet(settings.db, now_ms)
    yield from findings
    yield from check_agent_tokens(settings, agents)
    yield from check_providers(agents, timeout_s)
