"""Checks of the automatic backups."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from stat import S_IRWXG, S_IRWXO, S_IWGRP, S_IWOTH

from minwallet.config import Settings, parse_duration
from minwallet.doctor.diagnosis import Diagnosis, fail, ok, warn
from minwallet.operations.maintenance import AUTO_PREFIX, find_backups, parse_backup_time_s
from minwallet.wallet.backup_status import OVERDUE_INTERVALS


def check_backups(settings: Settings, now_ms: int) -> Iterator[Diagnosis]:
    """Check that there are backups, and that the newest is not overdue."""
    folder = settings.backup_to
    if not folder:
        yield warn("backups", "the server makes none; set MINWALLET_BACKUP_TO, or run `minwallet backup` regularly")
        return
    try:
        backups = find_backups(Path(folder), settings.db.stem, now_ms)
    except OSError as error:
        yield fail("backups", f"cannot read {folder}: {error.strerror}; correct MINWALLET_BACKUP_TO")
        return
    if not backups:
        yield warn("backups", f"none in {folder} yet; start a server, which makes the first one")
    elif (age_s := now_ms // 1000 - parse_backup_time_s(backups[-1])) > OVERDUE_INTERVALS * parse_duration(
        settings.backup_every
    ):
        yield warn("backups", f"the newest, {backups[-1]}, is {age_s // 60} min old; check the server's log")
    else:
        yield ok("backups", f"{len(backups)}, the newest is {backups[-1]}")
    if Path(folder).stat().st_mode & (S_IWGRP | S_IWOTH):
        yield warn("backups", f"other users can replace the backups in {folder}; run: chmod go-w {shlex.quote(folder)}")
    if readable := [backup for backup in backups if backup.stat().st_mode & (S_IRWXG | S_IRWXO)]:
        yield warn(
            "backups",
            f"other users can read {len(readable)} of the backups, which contain all balances;"
            f" run: chmod 600 {shlex.quote(f'{folder}/{settings.db.stem}-{AUTO_PREFIX}')}*.db",
        )
