"""Checks of the automatic backups."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from stat import S_IRWXG, S_IRWXO, S_IWGRP, S_IWOTH

from minwallet.config import Settings, parse_duration
from minwallet.doctor.diagnosis import Diagnosis, fail, ok, warn
from minwallet.doctor.file_permissions import can_write
from minwallet.operations.maintenance import AUTO_PREFIX, check_not_lost, find_backups, parse_backup_time_s
from minwallet.storage.database_files import is_visible, user_name
from minwallet.storage.errors import DatabaseLost
from minwallet.wallet.backup_status import OVERDUE_INTERVALS


def check_missing_wallet(settings: Settings) -> Diagnosis:
    """Check that the wallet file, which does not exist, is not lost."""
    try:
        check_not_lost(settings.db, settings.backup_to)
    except DatabaseLost as lost:
        return fail("wallet", str(lost))
    return ok("wallet", f"{settings.db} does not exist yet; the first start creates it")


def check_backups(settings: Settings, now_ms: int) -> Iterator[Diagnosis]:
    """Check that there are backups, and that the newest is not overdue."""
    folder = settings.backup_to
    if not folder:
        yield warn("backups", "the server makes none; set MINWALLET_BACKUP_TO, or run `minwallet backup` regularly")
        return
    try:
        backups = find_backups(Path(folder), settings.db.stem, now_ms)
    except FileNotFoundError:
        yield fail(
            "backups",
            f"the folder {folder} does not exist; create it, or restart the server, which does so at its start",
        )
        return
    except OSError as error:
        yield fail("backups", f"cannot read {folder}: {error.strerror}; correct the folder's owner and permissions")
        return
    if not backups:
        yield warn("backups", f"none in {folder} yet; start a server, which makes the first one")
    elif (age_s := now_ms // 1000 - parse_backup_time_s(backups[-1])) > OVERDUE_INTERVALS * parse_duration(
        settings.backup_every
    ):
        yield warn("backups", f"the newest, {backups[-1]}, is {age_s // 60} min old; check the server's log")
    else:
        yield ok("backups", f"{len(backups)}, the newest is {backups[-1]}")
    uid = settings.db.stat().st_uid if is_visible(settings.db) else os.geteuid()
    if not can_write(uid, Path(folder).stat()):
        yield fail(
            "backups",
            f"user {user_name(uid)}, the owner of the wallet, cannot write in {folder}; correct the folder's owner and"
            " permissions",
        )
    if Path(folder).stat().st_mode & (S_IWGRP | S_IWOTH):
        yield warn("backups", f"other users can replace the backups in {folder}; run: chmod go-w {shlex.quote(folder)}")
    if readable := [backup for backup in backups if backup.stat().st_mode & (S_IRWXG | S_IRWXO)]:
        yield warn(
            "backups",
            f"other users can read {len(readable)} of the backups, which contain all balances;"
            f" run: chmod 600 {shlex.quote(f'{folder}/{settings.db.stem}-{AUTO_PREFIX}')}*.db",
        )
