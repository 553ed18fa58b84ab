"""Checks of an installation and its wallet file. Each finding is one line, with advice if something is wrong.

The checks change nothing. They only read a file that a server owns. They leave a file without a server as they found
it, with its companions. A check that cannot run is a finding too, so that the other checks still run. While a server
runs, the settings that are checked are those in force in the server.
"""

from collections.abc import Iterator

from minwallet.config import Settings
from minwallet.doctor.backups import check_backups, check_missing_wallet
from minwallet.doctor.diagnosis import Diagnosis, Level
from minwallet.doctor.exposure import check_agent_tokens, check_exposure
from minwallet.doctor.file_permissions import check_files, check_settings_files
from minwallet.doctor.filesystem import check_disk, find_unusable_path
from minwallet.doctor.host import check_host
from minwallet.doctor.protocols import check_protocols
from minwallet.doctor.providers import check_providers
from minwallet.doctor.server_settings import compare_with_server
from minwallet.doctor.wallet_file import check_wallet

__all__ = ["Diagnosis", "Level", "run_checks"]


def run_checks(settings: Settings, sqlite_version: str, now_ms: int, timeout_s: float) -> Iterator[Diagnosis]:
    """Run all checks and yield their findings. Wait up to `timeout_s` for each provider.

    `settings` are those of a newly started server.
    """
    yield from check_host(sqlite_version, now_ms)
    yield from check_settings_files(settings.files)
    in_force, findings = compare_with_server(settings)
    yield from findings
    yield from check_exposure(in_force)
    yield from check_protocols(in_force)
    if unusable := find_unusable_path(settings.db):
        yield unusable
        return
    yield from check_disk(in_force)
    yield from check_backups(in_force, now_ms)
    if not settings.db.exists():
        yield check_missing_wallet(settings)
        return
    if settings.db.is_file():
        yield from check_files(settings.db)
    findings, agents = check_wallet(settings.db, now_ms)
    yield from findings
    yield from check_agent_tokens(in_force, agents)
    yield from check_providers(agents, timeout_s)
