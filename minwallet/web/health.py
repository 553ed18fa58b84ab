"""How the server is doing, for people: what it needs attention for, and how large things have become."""

import shutil
from pathlib import Path
from typing import NamedTuple

from minwallet import __version__
from minwallet.config import Settings
from minwallet.storage.database_files import companion_path
from minwallet.storage.sqlite_versions import has_wal_reset_bug
from minwallet.wallet.service import Wallet
from minwallet.web import ops


class Health(NamedTuple):
    """`reasons` say why the wallet cannot take money; there are none while it can. Sizes are bytes, None for what there
    is not.
    """

    reasons: tuple[str, ...]
    version: str
    sqlite_version: str
    has_reset_bug: bool
    file_bytes: int | None
    wal_bytes: int | None
    free_bytes: int | None
    journal_days: int
    uptime_s: int

    @property
    def is_ready(self) -> bool:
        return not self.reasons


def examine(wallet: Wallet, settings: Settings, sqlite_version: str, started_at_ms: int) -> Health:
    """How it is now. Files are asked for their sizes only; opening one would break SQLite's locks."""
    return Health(
        reasons=tuple(ops.check(wallet, sqlite_version)["reasons"]),
        version=__version__,
        sqlite_version=sqlite_version,
        has_reset_bug=has_wal_reset_bug(sqlite_version),
        file_bytes=_size(settings.db),
        wal_bytes=_size(companion_path(settings.db, "-wal")),
        free_bytes=_free(settings.db),
        journal_days=settings.journal_days,
        uptime_s=max(wallet.clock_ms() - started_at_ms, 0) // 1000,
    )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _free(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path.absolute().parent).free
    except OSError:
        return None
