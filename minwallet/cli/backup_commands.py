"""`minwallet backup` and `minwallet restore`."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.dispatch import announce_new_wallet, database_path, reading
from minwallet.cli.options import JsonOption
from minwallet.cli.output import (
    CommandRefused,
    OutputError,
    UsageError,
    describe_os_error,
    format_count,
    format_verified,
    print_json,
    print_line,
    progress_bar,
    truncate,
)
from minwallet.cli.signals import handle_termination
from minwallet.storage.errors import DatabaseCorrupt, DatabaseUnusable, NotAWallet, SchemaChanged
from minwallet.storage.file_lock import DatabaseLock

if TYPE_CHECKING:
    from minwallet.operations.schemas import VerificationResult
    from minwallet.storage.sqlite.backup import ProgressCallback
    from minwallet.storage.sqlite.carry_over import Restored


def backup(
    context: typer.Context,
    dest: Annotated[
        Path,
        typer.Argument(metavar="DEST", readable=False, help="A new file, or a folder for a file named after the time."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Write a backup of the wallet file.

    A server may be running: the backup is the complete state of one moment. The command checks it for damage.

    Example: minwallet backup wallet-backup.db
    """
    with _explain_os_errors(dest):
        _write_backup(database_path(context), dest, as_json=as_json)


def _write_backup(path: Path, dest: Path, *, as_json: bool) -> None:
    from minwallet.operations.maintenance import format_backup_name
    from minwallet.storage.sqlite.backup import back_up
    from minwallet.wallet.service import clock_ms

    backup_path = dest / format_backup_name(path.stem, clock_ms()) if dest.is_dir() else dest
    with handle_termination(), progress_bar("backing up") as report_progress:
        back_up(path, backup_path, report_progress, reading(path))
    size = backup_path.stat().st_size
    if as_json:
        print_json({"file": str(backup_path), "bytes": size})
    else:
        print_line(f"backup written: {backup_path} ({size:,} bytes)")


def restore(
    context: typer.Context,
    source: Annotated[
        Path, typer.Argument(metavar="SRC", readable=False, help="A backup that `minwallet backup` wrote.")
    ],
    as_it_was: Annotated[
        bool,
        typer.Option("--as-it-was", help="Carry nothing over from the replaced file, and keep all admin sessions."),
    ] = False,
    other_wallet: Annotated[
        bool, typer.Option("--other-wallet", help="Replace a wallet even with a backup of another one.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Replace the wallet file with a backup.

    Stop the server first. The command verifies the whole backup, and keeps the previous wallet file under another name.
    Keys, sessions and passwords that were revoked or changed after the backup, and blocks, exclusions, limits and
    wallet tokens of agents are carried over. All admin sessions and sign-in links end.

    Example: minwallet restore wallet-backup.db
    """
    with _explain_os_errors(source):
        _restore_backup(database_path(context), source, as_it_was=as_it_was, other_wallet=other_wallet, as_json=as_json)


def _restore_backup(path: Path, source: Path, *, as_it_was: bool, other_wallet: bool, as_json: bool) -> None:
    from minwallet.storage.sqlite.backup import copy_database, replace_database
    from minwallet.storage.sqlite.carry_over import finish_restore
    from minwallet.storage.sqlite.path_checks import check_place
    from minwallet.wallet.service import clock_ms

    if source.is_dir():
        raise UsageError(f"'{source}' is a folder; name a file in it")
    if source.exists() and not source.is_file():
        raise UsageError(f"'{source}' is not a regular file; name a backup that `minwallet backup` wrote")
    if not source.is_file():
        raise UsageError(f"no such file '{source}'; name a backup that `minwallet backup` wrote")
    if path.exists() and source.samefile(path):
        raise UsageError(f"'{source}' is the wallet file itself; name a backup of it")
    owner = DatabaseLock.acquire_or_fail(path)
    try:
        check_place(path)
        previous_path = _choose_previous_path(path)
        with (
            handle_termination(),
            progress_bar("restoring") as report_progress,
            _explain_unusable_backup(source),
            copy_database(source, path, report_progress, reading(source, is_backup=True)) as copy,
        ):
            verification = asyncio.run(_verify_backup(copy, report_progress))
            if not verification["ok"]:
                raise CommandRefused(
                    [*verification["problems"], f"verification of '{source}' failed; nothing was changed"]
                )
            if not other_wallet:
                _require_same_wallet(source, copy, path)
            restored = finish_restore(copy, path, clock_ms(), as_it_was=as_it_was)
            has_previous = replace_database(copy, path, previous_path)
    finally:
        owner.release()
    if not has_previous:
        announce_new_wallet(path)
    if as_json:
        entries, accounts = verification["entries"], verification["accounts"]
        print_json(
            {
                "file": str(path),
                "entries": entries,
                "accounts": accounts,
                "kept": str(previous_path) if has_previous else None,
                **restored._asdict(),
            }
        )
        return
    print_line(f"restored {path}: verified {format_verified(verification['entries'], verification['accounts'])}")
    if has_previous:
        print_line(f"previous wallet file kept: {previous_path}")
    for line in _describe_access(restored):
        print_line(line)


def _require_same_wallet(source: Path, copy: Path, path: Path) -> None:
    """Raise CommandRefused if the copy of `source` is of another wallet than the file at `path`."""
    from minwallet.storage.sqlite.carry_over import find_foreign_wallet

    if counts := find_foreign_wallet(copy, path):
        before, after = (format_count(each, "account") for each in counts)
        raise CommandRefused(
            [
                f"'{source}' is a backup of another wallet: none of the ledger entries of {path} is in it"
                f" ({before} in the wallet file, {after} in the backup); to replace the wallet, add --other-wallet"
            ]
        )


def _describe_access(restored: "Restored") -> Iterator[str]:
    """Yield what a restore did to keys, sessions, restrictions and admins, and who has access now."""
    for name, texts in restored.carried_over.items():
        yield f"carried over from the previous file: {name}: {', '.join(truncate(texts))}"
    for name, texts in restored.dropped.items():
        yield f"only in the previous file, and not carried over: {name}: {', '.join(truncate(texts))}"
    if restored.problem:
        yield f"nothing was carried over from the previous file: {restored.problem}"
        yield "check keys, admins, sessions, blocks, exclusions, limits and wallet tokens before you start the server"
    yield f"live API keys: {', '.join(restored.api_keys) or 'none'}"
    yield f"live callback keys: {', '.join(restored.callback_keys) or 'none'}"
    yield f"live protocol secrets: {', '.join(restored.protocol_secrets) or 'none'}"
    yield f"admins: {', '.join(restored.admins) or 'none'}"


@contextmanager
def _explain_os_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot use '{path}': {describe_os_error(error)}; choose another place") from error


@contextmanager
def _explain_unusable_backup(source: Path) -> Iterator[None]:
    """Replace advice about the wallet file, which does not help if the backup itself is unusable."""
    try:
        yield
    except SchemaChanged as error:
        raise CommandRefused(
            [*error.changes, f"the schema of '{source}' was changed by another program; nothing was changed here"]
        ) from error
    except NotAWallet as error:
        raise DatabaseUnusable(f"{source} is {error.reason}; name a backup that `minwallet backup` wrote") from error
    except DatabaseCorrupt as error:
        raise DatabaseUnusable(f"the backup {source} is damaged ({error.reason}); restore another backup") from error


async def _verify_backup(copy: Path, report_progress: "ProgressCallback") -> "VerificationResult":
    """Return the result of a full verification of the backup. Opening it migrates it to the current schema."""
    from minwallet.operations.verify import verify_ledger
    from minwallet.storage.sqlite import SqliteStore

    store = await SqliteStore.open(copy, create=False)
    try:
        return await verify_ledger(store, report_progress)
    finally:
        await store.close()


def _choose_previous_path(path: Path) -> Path:
    """Return a free name for the file that a restore replaces. Two restores may happen within the same second."""
    from minwallet.operations.maintenance import format_backup_name
    from minwallet.wallet.service import clock_ms

    now_ms = clock_ms()
    while (previous := path.with_name(format_backup_name(path.stem, now_ms, "before-"))).exists():
        now_ms += 1000
    return previous
