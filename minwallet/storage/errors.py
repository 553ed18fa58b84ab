"""The errors of a store. The class of an error says whether the change may have happened."""

import shlex
from collections.abc import Sequence
from pathlib import Path


class StoreError(Exception):
    """The store failed, and the change did not happen."""

    is_logged = False
    """True if the error is logged, or if the end of the server will report it. Many calls may share one error."""


class CommandFault(StoreError):
    """One command of the batch caused a fault, and the batch did not happen. It may succeed without that command."""


class ConstraintViolation(CommandFault):
    """A constraint of the schema rejected a value of the batch, or SQLite cannot store it."""


class DiskFull(StoreError):
    """The disk is full. The batch is void, and another batch may find space."""


class OutcomeUnknown(StoreError):
    """The commit failed, and its changes may or may not be in the file. Only the recovery at a restart finds out."""


class DatabaseUnusable(StoreError):
    """The file cannot be opened as a wallet. The message says why and what to do."""


class DatabaseNotFound(DatabaseUnusable):
    """The path has no file."""

    def __init__(self, path: object) -> None:
        super().__init__(f"no wallet file at {path}")
        self.path = path


class DatabaseLost(DatabaseUnusable):
    """The path has no file, but automatic backups of it exist."""

    def __init__(self, path: Path, newest_backup: Path) -> None:
        command = f"minwallet --db {shlex.quote(str(path))} restore {shlex.quote(str(newest_backup))}"
        super().__init__(
            f"no wallet file at {path}, but automatic backups of it are in {newest_backup.parent}; restore the newest:"
            f" {command} — or move them away to start a new wallet"
        )


class LockUnavailable(DatabaseUnusable):
    """This user cannot create a lock file beside the wallet file. A command that only reads needs none."""


class SchemaTooOld(DatabaseUnusable):
    """The file has an older schema, and only the process that owns it may migrate it."""


class NotAWallet(DatabaseUnusable):
    """The file is not a wallet. `reason` says what it is instead."""

    def __init__(self, file: object, reason: str) -> None:
        super().__init__(f"{file} is {reason}; choose another file with --db")
        self.reason = reason


class DatabaseCorrupt(DatabaseUnusable):
    """The file contains data that was never written, or lacks data that was. `reason` says which."""

    def __init__(self, file: object, reason: str) -> None:
        super().__init__(f"{file} is damaged ({reason}); restore it from a backup")
        self.reason = reason


class SchemaChanged(DatabaseUnusable):
    """Another program changed the schema of the file. `changes` name the tables, indexes, triggers and views."""

    def __init__(self, file: object, changes: Sequence[str]) -> None:
        super().__init__(
            f"the schema of {file} was changed by another program ({'; '.join(changes)}); restore it from a backup"
        )
        self.changes = changes
