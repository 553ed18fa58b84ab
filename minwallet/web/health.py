"""Health of the server: `/healthz`, `/readyz`, and the report for the back office, the admin API and the metrics."""

import shutil
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from typing_extensions import TypedDict  # pydantic requires this one before Python 3.12

from minwallet import __version__
from minwallet.config import Settings
from minwallet.storage.database_files import companion_path
from minwallet.storage.sqlite_versions import has_wal_reset_bug
from minwallet.wallet.service import Wallet


class HealthReport(NamedTuple):
    """State of the server at one moment.

    `reasons` are as in Readiness. Sizes are in bytes; None means that the file does not exist or cannot be read.
    `backup_age_s` and `backup_interval_s` are None without automatic backups; the age is as in BackupStatus.
    """

    is_ready: bool
    reasons: tuple[str, ...]
    version: str
    sqlite_version: str
    has_reset_bug: bool
    file_bytes: int | None
    wal_bytes: int | None
    free_bytes: int | None
    backup_age_s: int | None
    backup_interval_s: int | None
    journal_days: int
    uptime_s: int


def build_health_report(wallet: Wallet, settings: Settings, sqlite_version: str, started_at_ms: int) -> HealthReport:
    """Return the report of this moment.

    Sizes come from `stat` only. To open and close the database file here would drop SQLite's POSIX locks on it.
    """
    readiness = check_readiness(wallet, sqlite_version)
    return HealthReport(
        is_ready=readiness["ready"],
        reasons=tuple(readiness["reasons"]),
        version=__version__,
        sqlite_version=sqlite_version,
        has_reset_bug=has_wal_reset_bug(sqlite_version),
        file_bytes=_read_file_bytes(settings.db),
        wal_bytes=_read_file_bytes(companion_path(settings.db, "-wal")),
        free_bytes=_read_free_bytes(settings.db),
        backup_age_s=wallet.backup_status.age_s,
        backup_interval_s=wallet.backup_status.interval_s or None,
        journal_days=settings.journal_days,
        uptime_s=max(wallet.clock_ms() - started_at_ms, 0) // 1000,
    )


def _read_file_bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _read_free_bytes(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path.absolute().parent).free
    except OSError:
        return None


class Readiness(TypedDict):
    """Answer of `/readyz`: `ready` is true if the wallet takes all calls, new bets too.

    `reasons` say why not. A wallet that is ready can have a reason too: its backups fail. The money is safe then, and a
    proxy should not take the server out of service.
    """

    ready: bool
    reasons: list[str]
    sqlite: str


def check_readiness(wallet: Wallet, sqlite_version: str) -> Readiness:
    """Return whether the wallet takes all calls: its store works, the server is not stopping, the disk has space.

    Failing backups are a reason that leaves it ready.
    """
    store_fault = str(wallet.store.failure or "")
    shutdown_reason = "the server is stopping" if wallet.commit_notifier.is_closed else ""
    blocking = [reason for reason in (store_fault, shutdown_reason, wallet.disk_space.shortage) if reason]
    reasons = [*blocking, *filter(None, [wallet.backup_status.problem])]
    return Readiness(ready=not blocking, reasons=reasons, sqlite=sqlite_version)


def create_health_routes(wallet: Wallet, sqlite_version: str) -> list[Route]:
    """Return `/healthz`, 200 while the process answers, and `/readyz`, 503 while the wallet is not ready."""

    async def handle_healthz(request: Request) -> JSONResponse:
        del request
        return JSONResponse({"status": "ok"})

    async def handle_readyz(request: Request) -> JSONResponse:
        del request
        readiness = check_readiness(wallet, sqlite_version)
        return JSONResponse(readiness, 200 if readiness["ready"] else 503)

    return [Route("/healthz", handle_healthz), Route("/readyz", handle_readyz)]
