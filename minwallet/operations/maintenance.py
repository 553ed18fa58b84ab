"""Maintenance while the server runs: automatic backups, pruning of the journal and aggregation of the totals.

Each runs in small steps between the provider's calls. A step that fails is logged and repeated later: a store that has
failed reports that to the calls that move money.
"""

import asyncio
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from minwallet.ledger.time_units import DAY_MS
from minwallet.operations.timestamps import FILE_TIME_PATTERN, format_file_time, parse_file_time_s
from minwallet.storage.database_files import temp_files
from minwallet.storage.errors import DatabaseLost
from minwallet.storage.store import Store
from minwallet.wallet.backup_status import BackupStatus
from minwallet.wallet.periodic import run_periodically

MakeBackup = Callable[[Path, Callable[[int, int], None]], None]
"""Makes the backup with this path, and calls the callback with the pages done and the pages in total. An exception
from the callback ends the backup."""

AUTO_PREFIX = "auto-"
"""Distinguishes the server's own backups from those that people make, which are never removed."""

RETRY_INTERVAL_S = 60
"""The pause after a failed backup, unless the interval between backups is shorter."""

PRUNE_BATCH_SIZE = 1_000
"""How many journal records one transaction deletes: it takes a few ms, for which a bet may have to wait."""

PRUNE_PAUSE_S, PRUNE_INTERVAL_S = 0.1, 3600

AGGREGATION_BATCH_SIZE = 10_000
"""How many rows one step adds to the totals. It takes some tens of ms, and no bet waits for it."""

AGGREGATION_PAUSE_S, AGGREGATION_INTERVAL_S = 0.02, 1.0

MAX_AGGREGATION_BATCHES = 20
"""How many batches a reader of the totals waits for. A file whose totals are further behind catches up later."""


class _BackupCancelled(Exception):
    """The end of a backup that was cancelled, raised by its progress callback."""


async def run_backups(
    make_backup: MakeBackup,
    folder: Path,
    stem: str,
    *,
    interval_s: int,
    keep: int,
    clock_ms: Callable[[], int],
    status: BackupStatus,
) -> None:
    """Back up whenever the newest backup is `interval_s` old, and keep the newest `keep`, until cancelled.

    The age is read from the backup's name, so a restarted server does not make another backup too early. Record the
    newest backup, and each failed attempt, in `status`.
    """
    status.interval_s = interval_s

    async def back_up_if_due() -> float:
        try:
            pause_s = await back_up()
        except Exception:
            status.has_failed = True
            raise
        status.has_failed = False
        return pause_s

    async def back_up() -> float:
        backups = await asyncio.to_thread(find_backups, folder, stem, clock_ms())
        status.newest_s = parse_backup_time_s(backups[-1]) if backups else None
        age_s = interval_s if status.newest_s is None else clock_ms() // 1000 - status.newest_s
        if 0 <= age_s < interval_s:
            return interval_s - age_s
        await asyncio.to_thread(_remove_temp_files, folder, stem)
        await _make_backup(make_backup, folder / format_backup_name(stem, clock_ms(), AUTO_PREFIX))
        await asyncio.to_thread(_remove_old_backups, folder, stem, keep, clock_ms())
        # The next call computes the pause from the new backup's name.
        return 0

    await run_periodically("the backup", back_up_if_due, interval_s, retry_s=min(interval_s, RETRY_INTERVAL_S))


async def _make_backup(make_backup: MakeBackup, path: Path) -> None:
    stopped = threading.Event()

    def report_progress(done: int, total: int) -> None:
        del done, total
        if stopped.is_set():
            raise _BackupCancelled

    try:
        await asyncio.to_thread(make_backup, path, report_progress)
    finally:
        # A thread cannot be cancelled: the backup ends with its next call of report_progress.
        stopped.set()


def format_backup_name(stem: str, now_ms: int, label: str = "") -> str:
    """Return the file name of a backup made now. Names sort in order of time, in UTC."""
    return f"{stem}-{label}{format_file_time(now_ms)}.db"


def parse_backup_time_s(path: Path) -> int:
    """Return when the backup was made, in seconds since 1970 UTC, according to its name."""
    return parse_file_time_s(path.stem[-16:])


def find_backups(folder: Path, stem: str, now_ms: int) -> list[Path]:
    """Return the backups that a server made, the oldest first. Ignore files with other names, or from the future."""
    newest = folder / format_backup_name(stem, now_ms, AUTO_PREFIX)
    return [path for path in _list_backups(folder, stem) if path <= newest]


def _list_backups(folder: Path, stem: str) -> list[Path]:
    pattern = re.compile(rf"{re.escape(stem)}-{AUTO_PREFIX}{FILE_TIME_PATTERN}\.db")
    return sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name) and path.is_file())


def check_not_lost(db: Path, backup_to: str) -> None:
    """Raise DatabaseLost if the wallet file is missing, but the backup folder has automatic backups of it.

    A new wallet under this name would push them out of the rotation, one with each new backup.
    """
    try:
        db.stat()
    except FileNotFoundError:
        folder = Path(backup_to).absolute()
        with suppress(OSError):  # A folder that cannot be read cannot be rotated either.
            if backup_to and (backups := _list_backups(folder, db.stem)):
                raise DatabaseLost(db.absolute(), backups[-1]) from None
    except OSError:
        pass  # The file may exist. Opening it finds the reason.


def _remove_temp_files(folder: Path, stem: str) -> None:
    """Delete the unfinished backups of a server that was killed. Only the server makes files with these names."""
    for path in temp_files(folder, f"{stem}-{AUTO_PREFIX}"):
        path.unlink(missing_ok=True)


def _remove_old_backups(folder: Path, stem: str, keep: int, now_ms: int) -> None:
    for path in find_backups(folder, stem, now_ms)[:-keep]:
        path.unlink(missing_ok=True)


async def run_pruning(store: Store, days: int, clock_ms: Callable[[], int]) -> None:
    """Delete journal records older than `days`, immediately and then every hour, until cancelled.

    The journal is bounded: it forgets the calls' texts after some days. The ledger is never pruned.
    """

    async def prune() -> float:
        pruned = await store.ledger.prune_journal(clock_ms() - days * DAY_MS, PRUNE_BATCH_SIZE)
        return PRUNE_PAUSE_S if pruned == PRUNE_BATCH_SIZE else PRUNE_INTERVAL_S

    await run_periodically("pruning the journal", prune, PRUNE_INTERVAL_S)


async def run_aggregation(store: Store) -> None:
    """Add new rows to the totals, a batch at a time, until cancelled."""

    async def aggregate() -> float:
        done = await store.totals.aggregate_totals(AGGREGATION_BATCH_SIZE)
        return AGGREGATION_PAUSE_S if done == AGGREGATION_BATCH_SIZE else AGGREGATION_INTERVAL_S

    await run_periodically("adding up the totals", aggregate, AGGREGATION_INTERVAL_S)


async def aggregate_newest(store: Store) -> None:
    """Add the newest rows to the totals, so that a reader sees what has just happened."""
    for _ in range(MAX_AGGREGATION_BATCHES):
        if await store.totals.aggregate_totals(AGGREGATION_BATCH_SIZE) < AGGREGATION_BATCH_SIZE:
            return
