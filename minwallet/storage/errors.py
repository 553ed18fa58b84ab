"""Faults of a store: each says whether what was asked for may have happened."""


class StoreError(Exception):
    """The store failed, and what it was asked for did not happen."""

    is_logged = False
    """Whether it has been told, as many calls may share one fault."""


class ConstraintViolation(StoreError):
    """A rule of the file itself refused the batch; another batch may well succeed."""


class DiskFull(StoreError):
    """The disk is full. The batch is void, and another one may well find room."""


class OutcomeUnknown(StoreError):
    """The commit failed: it may or may not be in the file. Only a restart, which recovers the file, finds out."""


class DatabaseUnusable(StoreError):
    """The file cannot be opened as a wallet; the message says why and what to do."""


class SchemaTooOld(DatabaseUnusable):
    """The file is of an older schema, and only its owner may bring it up to date."""


class DatabaseCorrupt(DatabaseUnusable):
    """The file has something in it that was never written, or lacks something that was."""

    def __init__(self, file: object, reason: str) -> None:
        super().__init__(f"{file} is damaged ({reason}); restore it from a backup")
