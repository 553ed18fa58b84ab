"""Backups of a wallet file, and the replacement of a wallet file by a backup.

Rules

1. A backup has the state of one moment, whatever is written meanwhile.
2. A file with the name of a backup is complete, checked and durable. Unfinished ones have a name with TEMP_SUFFIX.
3. A backup is one file. It has no WAL, so it can be read where nothing may be written.
4. A restore can stop at any point, and be repeated. It never loses the replaced file.

Theory of operation: backup

1. Create the temporary file in the target's folder, as a rename works only within a file system. Its mode is 0600.
2. Begin a read transaction, and read once: only the first read fixes the snapshot. Check the free space.
3. Copy all pages inside that transaction, in steps that report progress.
4. Set `journal_mode = DELETE` in the temporary file, so that it needs no companions.
5. Check the temporary file, not the original: this detects damage of either.
6. Sync the file, rename it, sync the folder. Without the first sync, a power loss could leave the new name with old
   bytes; without the second, it could lose the name.

Theory of operation: restore (`replace_database`)

1. Sync the backup's copy, which lies beside the wallet file.
2. Give the old file and its WAL a second name (hard links), and sync the folder. From here on nothing can be lost.
3. Delete the companions under the first name. An old WAL beside a new file would be applied to it.
4. Rename the copy over the first name, and sync the folder.

A wallet file with two names is an unfinished restore. `path_checks.check_path` refuses to open it, so that no process
uses the old file without its WAL. The second name stays as the copy of the replaced file.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from minwallet.storage.database_files import (
    COMPANION_SUFFIXES,
    TEMP_SUFFIX,
    WAL_SUFFIXES,
    companion_path,
    copy_owner,
    fsync_path,
)
from minwallet.storage.errors import DatabaseUnusable
from minwallet.storage.sqlite.connection import (
    ReadAccess,
    check_schema,
    file_uri,
    open_database,
    translate_errors,
)
from minwallet.storage.sqlite.integrity import check_backup

ProgressCallback = Callable[[int, int], None]
"""Called with (done, total). An exception that it raises ends the work, and the temporary file is deleted."""

PAGES_PER_STEP = 1024

Reading = AbstractContextManager[ReadAccess]
"""The context in which a file can be read, and the way to do it (`read_access`)."""


def back_up(path: Path, target: Path, report_progress: ProgressCallback, reading: Reading) -> None:
    """Copy the wallet file, which `reading` checks, to `target`. Raise DatabaseUnusable if either cannot be used."""
    _check_backup_name(target)
    with copy_database(path, target, report_progress, reading) as temp_file:
        copy_owner(path, temp_file)
        try:
            fsync_path(temp_file)
            temp_file.rename(target)
            fsync_path(target.absolute().parent)
        except OSError as error:
            raise _make_write_error(target, error) from error


def _check_backup_name(target: Path) -> None:
    """Raise DatabaseUnusable if the target would be a companion of another wallet file, or has companions itself."""
    if target.name.endswith(COMPANION_SUFFIXES):
        raise DatabaseUnusable(f"{target} would belong to another wallet file; choose a name such as backup.db")
    for companion in ("", *COMPANION_SUFFIXES):
        if (existing := companion_path(target, companion)).exists():
            raise DatabaseUnusable(f"{existing} exists already; name a new file, or a folder")


def replace_database(backup: Path, path: Path, replaced: Path) -> bool:
    """Put the complete backup in the wallet file's place, and give the old file, if any, the name `replaced`.

    The new file has the owner and group of the old one, or else of the folder. Return True if there was an old file.
    The caller owns the wallet file, and has checked its place (`path_checks.check_place`).
    """
    has_replaced = False
    try:
        copy_owner(path if path.exists() else path.absolute().parent, backup)
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
            f"cannot replace {path}: {error.strerror}; check its folder, and restore again"
        ) from error
    return has_replaced


@contextmanager
def copy_database(path: Path, destination: Path, report_progress: ProgressCallback, reading: Reading) -> Iterator[Path]:
    """Yield a complete and checked copy of the file, in the folder of `destination` and with mode 0600.

    The caller syncs and renames it. Otherwise it is deleted at the end of the block.
    """
    with _create_temp_file(destination) as temp_file:
        with closing(sqlite3.connect(temp_file, isolation_level=None)) as target:
            with reading as access, closing(open_database(file_uri(path, access))) as db:
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
    db.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # BEGIN alone takes no snapshot.
    ((size,),) = db.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
    if size > shutil.disk_usage(temp_file.parent).free:
        raise DatabaseUnusable(
            f"not enough space in {temp_file.parent}: the backup has {size:,} bytes; choose another folder"
        )
    db.backup(target, pages=PAGES_PER_STEP, progress=lambda _, left, total: report_progress(total - left, total))
    db.execute("COMMIT")
    # The copy of a WAL database would create companions when it is read, even where nothing may be written.
    target.execute("PRAGMA journal_mode = DELETE")


def _make_write_error(target: Path, error: OSError) -> DatabaseUnusable:
    return DatabaseUnusable(f"cannot write {target}: {error.strerror}; choose another place")
