"""Copies of a wallet file, and a copy in the place of one.

A copy is of one moment, whatever is written meanwhile: it is made inside one read transaction. It is looked through, on
the disk, and there under its name with all of it or not at all. It has no companions: what was in the log is in it.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from minwallet.storage.database_files import COMPANION_SUFFIXES, TEMP_SUFFIX, WAL_SUFFIXES, companion_path, fsync_path
from minwallet.storage.errors import DatabaseUnusable
from minwallet.storage.sqlite.connection import check_exists, check_path, check_schema, translate_errors
from minwallet.storage.sqlite.integrity import check_backup
from minwallet.storage.sqlite.wal import check_wal

ProgressCallback = Callable[[int, int], None]
"""Told how much is done, of how much; what it raises ends the work, and nothing is left behind."""

PAGES_PER_STEP = 1024


def back_up(path: Path, target: Path, report_progress: ProgressCallback, *, is_served: bool) -> None:
    """Copy the wallet file to the new file `copy`. DatabaseUnusable says what is wrong with either.

    `is_served` says that a server has it; otherwise the caller owns it (`storage.owner`).
    """
    check_path(path)
    check_exists(path)
    if not is_served:
        check_wal(path)
    _check_backup_name(target)
    with copy_database(path, target, report_progress, mode="ro" if is_served else "rw") as temp_file:
        try:
            fsync_path(temp_file)
            temp_file.rename(target)
            fsync_path(target.absolute().parent)
        except OSError as error:
            raise _make_write_error(target, error) from error


def _check_backup_name(target: Path) -> None:
    """A copy must not become a part of another wallet, nor another wallet's log a part of it."""
    if target.name.endswith(COMPANION_SUFFIXES):
        raise DatabaseUnusable(f"{target} would belong to another wallet file; choose a name such as copy.db")
    for companion in ("", *COMPANION_SUFFIXES):
        if (existing := companion_path(target, companion)).exists():
            raise DatabaseUnusable(f"{existing} exists already; name a new file, or a folder")


def replace_database(backup: Path, path: Path, replaced: Path) -> bool:
    """Put the copy, which is whole, in the wallet file's place; what was there, if anything, is named
    `replaced`.

    The caller owns the file. As long as it has two names nobody serves it, so this may end anywhere and be done again.
    """
    has_replaced = False
    try:
        fsync_path(backup)
        for companion in ("", *WAL_SUFFIXES):
            if (old := companion_path(path, companion)).exists():
                companion_path(replaced, companion).hardlink_to(old)
                has_replaced = True
        fsync_path(path.absolute().parent)
        for companion in WAL_SUFFIXES:
            companion_path(path, companion).unlink(missing_ok=True)
        backup.replace(path)
        fsync_path(path.absolute().parent)
    except OSError as error:
        raise DatabaseUnusable(
            f"cannot replace {path}: {error.strerror}; see to its folder, and restore again"
        ) from error
    return has_replaced


@contextmanager
def copy_database(path: Path, destination: Path, report_progress: ProgressCallback, *, mode: str) -> Iterator[Path]:
    """A whole copy of the file, in the folder of `copy` and for its owner's eyes only. In the end it is gone, unless it
    has been synced and renamed.
    """
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with _create_temp_file(destination) as temp_file:
        with (
            closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db,
            closing(sqlite3.connect(temp_file, isolation_level=None)) as target,
        ):
            translate_errors(lambda db: _copy_pages(db, path, target, temp_file, report_progress), path)(db)
            translate_errors(lambda target: check_backup(target, path, report_progress), path)(target)
        yield temp_file


@contextmanager
def _create_temp_file(destination: Path) -> Iterator[Path]:
    try:
        descriptor, name = tempfile.mkstemp(
            prefix=f".{destination.name}.", suffix=TEMP_SUFFIX, dir=destination.absolute().parent
        )
    except OSError as error:
        raise _make_write_error(destination, error) from error
    os.close(descriptor)
    temp_file = Path(name)
    try:
        yield temp_file
    finally:
        for companion in ("", *COMPANION_SUFFIXES):
            companion_path(temp_file, companion).unlink(missing_ok=True)


def _copy_pages(
    db: sqlite3.Connection, path: Path, target: sqlite3.Connection, temp_file: Path, report_progress: ProgressCallback
) -> None:
    if check_schema(db, path) == 0:
        raise DatabaseUnusable(f"{path} is empty; there is nothing to copy")
    db.execute("PRAGMA query_only = 1")
    db.execute("BEGIN")
    db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    ((size,),) = db.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
    if size > shutil.disk_usage(temp_file.parent).free:
        raise DatabaseUnusable(f"there is no room for {size:,} bytes in {temp_file.parent}; choose another place")
    db.backup(target, pages=PAGES_PER_STEP, progress=lambda _, left, total: report_progress(total - left, total))
    db.execute("COMMIT")
    # One file, without companions, which can be looked at where nothing may be written.
    target.execute("PRAGMA journal_mode = DELETE")


def _make_write_error(target: Path, error: OSError) -> DatabaseUnusable:
    return DatabaseUnusable(f"cannot write {target}: {error.strerror}; choose another place")
