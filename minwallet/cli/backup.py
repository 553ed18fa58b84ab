"""`minwallet backup` and `minwallet restore`."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.ending import tidily
from minwallet.cli.link import database
from minwallet.cli.output import BadUsage, JsonFlag, NoOutput, Refused, counting, print_json, print_line
from minwallet.storage.file_lock import ControlEndpoint, DatabaseLock

if TYPE_CHECKING:
    from minwallet.operations.schemas import VerificationResult
    from minwallet.storage.sqlite.backup import ProgressCallback


def backup(
    context: typer.Context,
    dest: Annotated[
        Path, typer.Argument(metavar="DEST", help="A new file, or a folder, where it is named by the time.")
    ],
    as_json: JsonFlag = False,
) -> None:
    """Copy the wallet file, also while it is served. The copy is of one moment, and looked through."""
    with _explained(dest):
        _backup(database(context), dest, as_json=as_json)


def _backup(path: Path, dest: Path, *, as_json: bool) -> None:
    from minwallet.operations.maintenance import format_backup_name
    from minwallet.storage.sqlite.backup import back_up
    from minwallet.wallet.service import clock_ms

    copy = dest / format_backup_name(path.stem, clock_ms()) if dest.is_dir() else dest
    owner = DatabaseLock.acquire(path)
    try:
        with tidily(), counting("copying") as tell:
            back_up(path, copy, tell, is_served=isinstance(owner, ControlEndpoint))
    finally:
        if isinstance(owner, DatabaseLock):
            owner.release()
    size = copy.stat().st_size
    if as_json:
        print_json({"file": str(copy), "bytes": size})
    else:
        print_line(f"{path} is copied to {copy}, {size:,} bytes")


def restore(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A copy that `minwallet backup` made.")],
    as_json: JsonFlag = False,
) -> None:
    """Put a copy in the wallet file's place, once all of it is verified. What was there is kept under another name."""
    with _explained(source):
        _restore(database(context), source, as_json=as_json)


def _restore(path: Path, source: Path, *, as_json: bool) -> None:
    from minwallet.operations.maintenance import format_backup_name
    from minwallet.storage.sqlite.backup import copy_database, replace_database
    from minwallet.wallet.service import clock_ms

    if not source.is_file():
        raise BadUsage(f"there is no file {source}; name a copy that `minwallet backup` made")
    if path.exists() and source.samefile(path):
        raise BadUsage(f"{source} is the wallet file itself; name a copy of it")
    owner = DatabaseLock.acquire_or_fail(path)
    try:
        kept = path.with_name(format_backup_name(path.stem, clock_ms(), "before-"))
        with tidily(), counting("restoring") as tell, copy_database(source, path, tell, mode="ro") as copy:
            found = asyncio.run(_verify(copy, tell))
            if not found["ok"]:
                raise Refused([*found["problems"], f"{source} does not add up; nothing was changed"])
            is_kept = replace_database(copy, path, kept)
    finally:
        owner.release()
    if as_json:
        entries, accounts = found["entries"], found["accounts"]
        print_json(
            {"file": str(path), "entries": entries, "accounts": accounts, "kept": str(kept) if is_kept else None}
        )
    else:
        print_line(f"{path} is restored: {found['entries']} entries of {found['accounts']} accounts sum and chain up")
        if is_kept:
            print_line(f"what was there is kept as {kept}")


@contextmanager
def _explained(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NoOutput(f"cannot use {place}: {error.strerror}; choose another place") from error


async def _verify(copy: Path, tell: "ProgressCallback") -> "VerificationResult":
    """What a recomputation of the copy finds; it is brought up to date with it."""
    from minwallet.operations.verify import verify_ledger
    from minwallet.storage.sqlite import SqliteStore

    store = await SqliteStore.open(copy, create=False)
    try:
        return await verify_ledger(store, tell)
    finally:
        await store.close()
