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

from minwallet.storage.base import UnusableFile
from minwallet.storage.files import BELONGINGS, LOG_AND_INDEX, PART, beside, sync
from minwallet.storage.sqlite.check import check_copy
from minwallet.storage.sqlite.connection import check_exists, check_place, check_schema, explained
from minwallet.storage.sqlite.log import check_log

Tell = Callable[[int, int], None]
"""Told how much is done, of how much; what it raises ends the work, and nothing is left behind."""

PAGES_AT_ONCE = 1024


def back_up(path: Path, copy: Path, tell: Tell, *, served: bool) -> None:
    """Copy the wallet file to the new file `copy`. UnusableFile says what is wrong with either.

    `served` says that a server has it; otherwise the caller owns it (`storage.owner`).
    """
    check_place(path)
    check_exists(path)
    if not served:
        check_log(path)
    _refuse_name(copy)
    with copied(path, copy, tell, mode="ro" if served else "rw") as part:
        try:
            sync(part)
            part.rename(copy)
            sync(copy.absolute().parent)
        except OSError as error:
            raise _cannot_write(copy, error) from error


def _refuse_name(copy: Path) -> None:
    """A copy must not become a part of another wallet, nor another wallet's log a part of it."""
    if copy.name.endswith(BELONGINGS):
        raise UnusableFile(f"{copy} would belong to another wallet file; choose a name such as copy.db")
    for companion in ("", *BELONGINGS):
        if (there := beside(copy, companion)).exists():
            raise UnusableFile(f"{there} exists already; name a new file, or a folder")


def put_in_place(copy: Path, path: Path, kept: Path) -> bool:
    """Put the copy, which is whole, in the wallet file's place; what was there, if anything, is named
    `kept`.

    The caller owns the file. As long as it has two names nobody serves it, so this may end anywhere and be done again.
    """
    is_kept = False
    try:
        sync(copy)
        for companion in ("", *LOG_AND_INDEX):
            if (old := beside(path, companion)).exists():
                beside(kept, companion).hardlink_to(old)
                is_kept = True
        sync(path.absolute().parent)
        for companion in LOG_AND_INDEX:
            beside(path, companion).unlink(missing_ok=True)
        copy.replace(path)
        sync(path.absolute().parent)
    except OSError as error:
        raise UnusableFile(f"cannot replace {path}: {error.strerror}; see to its folder, and restore again") from error
    return is_kept


@contextmanager
def copied(path: Path, copy: Path, tell: Tell, *, mode: str) -> Iterator[Path]:
    """A whole copy of the file, in the folder of `copy` and for its owner's eyes only. In the end it is gone, unless it
    has been synced and renamed.
    """
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with _new_file(copy) as part:
        with (
            closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db,
            closing(sqlite3.connect(part, isolation_level=None)) as target,
        ):
            explained(lambda db: _copy(db, path, target, part, tell), path)(db)
            explained(lambda target: check_copy(target, path, tell), path)(target)
        yield part


@contextmanager
def _new_file(copy: Path) -> Iterator[Path]:
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{copy.name}.", suffix=PART, dir=copy.absolute().parent)
    except OSError as error:
        raise _cannot_write(copy, error) from error
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
    finally:
        for companion in ("", *BELONGINGS):
            beside(part, companion).unlink(missing_ok=True)


def _copy(db: sqlite3.Connection, path: Path, target: sqlite3.Connection, copy: Path, tell: Tell) -> None:
    if check_schema(db, path) == 0:
        raise UnusableFile(f"{path} is empty; there is nothing to copy")
    db.execute("PRAGMA query_only = 1")
    db.execute("BEGIN")
    db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    ((size,),) = db.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
    if size > shutil.disk_usage(copy.parent).free:
        raise UnusableFile(f"there is no room for {size:,} bytes in {copy.parent}; choose another place")
    db.backup(target, pages=PAGES_AT_ONCE, progress=lambda _, left, total: tell(total - left, total))
    db.execute("COMMIT")
    # One file, without companions, which can be looked at where nothing may be written.
    target.execute("PRAGMA journal_mode = DELETE")


def _cannot_write(copy: Path, error: OSError) -> UnusableFile:
    return UnusableFile(f"cannot write {copy}: {error.strerror}; choose another place")
