"""Execution of requests: by the running server, or in this process if no server runs on the wallet file.

Only one process writes to a wallet file: the owner of its lock. A command therefore first tries to take the lock. If a
server has it, the command sends the request to the server's control endpoint. A query never changes the file, so this
process answers it from the file itself, even while a server runs, or where it cannot write.
"""

import asyncio
import getpass
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from minwallet.cli.command_settings import load_command_settings
from minwallet.cli.hints import format_failure
from minwallet.cli.output import CommandRefused, print_error
from minwallet.operations.errors import OperationFailure
from minwallet.storage.actors import COMMAND_LINE
from minwallet.storage.database_files import companion_path, is_visible
from minwallet.storage.errors import DatabaseNotFound, DatabaseUnusable, NotAWallet, StoreError
from minwallet.storage.file_lock import LOCK_TIMEOUT_S, ControlEndpoint, DatabaseLock
from minwallet.storage.store import Store

if TYPE_CHECKING:
    from minwallet.operations.requests import OperationRequest, Reply
    from minwallet.storage.sqlite import SqliteStore
    from minwallet.storage.sqlite.connection import ReadAccess

T = TypeVar("T")

RESPONSE_TIMEOUT_S = 600


class ServerDidNotAnswer(StoreError):
    """No reply of the server to a request that it may have carried out. `reason` is the message without advice."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; it may have made the change, so check before you repeat the command")
        self.reason = reason


def database_path(context: typer.Context) -> Path:
    """Return the path of the wallet file: the option `--db`, otherwise the setting."""
    return load_command_settings(context).db


def require_not_lost(context: typer.Context) -> None:
    """Raise DatabaseLost if the wallet file is missing, but has automatic backups. See `check_not_lost`."""
    from minwallet.operations.maintenance import check_not_lost

    settings = load_command_settings(context)
    check_not_lost(settings.db, settings.backup_to)


def execute(context: typer.Context, request: "OperationRequest", *, create: bool = False) -> "Reply":
    """Execute the request in the process that owns the wallet file.

    If the file is missing and `create` is true, create it and say so. Raise DatabaseLost if it has backups.
    """
    if create:
        require_not_lost(context)
    return execute_on_file(database_path(context), request, create=create, on_created=announce_new_wallet)


def execute_on_file(
    path: Path,
    request: "OperationRequest",
    *,
    create: bool = False,
    on_created: Callable[[Path], None] = lambda _: None,
) -> "Reply":
    """Execute the request in the process that owns the file at this path. See `execute`."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while isinstance(owner := DatabaseLock.acquire(path), ControlEndpoint):
        reply = _send_to_server(owner, request)
        if reply is not None:
            return reply
        if time.monotonic() > deadline:
            raise StoreError(f"the server (process {owner.pid}) owns {path} but does not answer; check its log")
        # The server is starting or stopping. A retry finds its endpoint, or the lock free.
        time.sleep(0.05)
    try:
        return asyncio.run(_execute_locally(path, request, create=create, on_created=on_created))
    finally:
        owner.release()


def announce_new_wallet(path: Path) -> None:
    """Say on stderr where a new wallet file is. In the wrong folder it is not the one that was meant."""
    print_error(f"created new wallet {path.absolute()}")


def query(context: typer.Context, request: "OperationRequest") -> "Reply":
    """Answer a request that changes nothing from the wallet file."""
    return query_file(database_path(context), request)


def query_file(path: Path, request: "OperationRequest") -> "Reply":
    """Answer a request that changes nothing from the file at this path."""
    from minwallet.operations.dispatch import execute
    from minwallet.wallet.service import Wallet

    async def work(store: Store) -> "Reply":
        return _raise_if_failed(await execute(Wallet(store), request, _current_actor()))

    return run_with_store_at(path, work)


def require_running_server(context: typer.Context) -> ControlEndpoint:
    """Return the endpoint of the server that runs on the wallet file. Raise DatabaseUnusable if none does."""
    path = database_path(context).absolute()
    owner = DatabaseLock.acquire_for_reading(path)
    if isinstance(owner, ControlEndpoint):
        return owner
    if owner:
        owner.release()
    if not is_visible(path):
        raise DatabaseNotFound(path)
    raise DatabaseUnusable(f"no server runs on {path}; start one in another terminal: minwallet --db {path} serve")


def run_with_store(context: typer.Context, work: Callable[["SqliteStore"], Awaitable[T]]) -> T:
    """Return the result of `work`, which only reads the wallet file. A server may be running on it."""
    return run_with_store_at(database_path(context), work)


def run_with_store_at(path: Path, work: Callable[["SqliteStore"], Awaitable[T]]) -> T:
    """Return the result of `work`, which only reads the file at this path. A server may be running on it."""
    from minwallet.storage.sqlite import SqliteStore

    with reading(path) as access:
        return asyncio.run(_run_and_close(SqliteStore.open_read_only(path, access), work))


@contextmanager
def reading(path: Path, *, is_backup: bool = False) -> "Iterator[ReadAccess]":
    """Yield the way to read the file within the block, which changes nothing (`read_access`).

    With `is_backup`, the file may be where no wallet file may be, such as on a network disk, and have several names.
    Raise DatabaseUnusable if the file cannot be read.
    """
    from minwallet.storage.sqlite.path_checks import check_exists, check_path, check_permission
    from minwallet.storage.sqlite.read_access import choose_access

    owner = DatabaseLock.acquire_for_reading(path)
    is_served, is_locked = isinstance(owner, ControlEndpoint), isinstance(owner, DatabaseLock)
    try:
        if not is_backup:
            check_path(path)
        check_exists(path)
        check_permission(path)
        if not is_served and path.stat().st_size == 0 and not companion_path(path, "-wal").exists():
            raise NotAWallet(path, "empty: not a wallet file")
        with choose_access(path, is_served=is_served, is_locked=is_locked) as access:
            yield access
    finally:
        if isinstance(owner, DatabaseLock):
            owner.release()


@contextmanager
def following(path: Path) -> "Iterator[ReadAccess]":
    """Yield the way to read the file for long, without the lock: a server may start and write within the block.

    Where this user cannot write, the file is read as `reading` does.
    """
    from minwallet.storage.sqlite.connection import ReadAccess
    from minwallet.storage.sqlite.path_checks import check_exists
    from minwallet.storage.sqlite.read_access import remove_empty_wal
    from minwallet.storage.sqlite.wal import check_wal

    owner = DatabaseLock.acquire_for_reading(path)
    if owner is None:
        with reading(path) as access:
            yield access
        return
    if isinstance(owner, ControlEndpoint):
        yield ReadAccess.SERVED
        return
    try:
        check_exists(path)
        # SQLite rebuilds the index of a WAL with commits, which the next start needs to detect lost ones.
        check_wal(path)
    finally:
        owner.release()
    try:
        yield ReadAccess.WITH_WAL
    finally:
        with suppress(DatabaseUnusable):  # Another command uses the file now, and its WAL too.
            owner = DatabaseLock.acquire(path)
            if isinstance(owner, DatabaseLock):
                remove_empty_wal(path)
                owner.release()


async def _execute_locally(
    path: Path, request: "OperationRequest", *, create: bool, on_created: Callable[[Path], None]
) -> "Reply":
    from minwallet.operations.dispatch import execute
    from minwallet.storage.sqlite import SqliteStore
    from minwallet.wallet.service import Wallet

    is_new = create and not is_visible(path)
    async with Wallet(await SqliteStore.open(path, create=create, check=True)) as wallet:
        if is_new:
            on_created(path)
        return _raise_if_failed(await execute(wallet, request, _current_actor()))


async def _run_and_close(opening: "Awaitable[SqliteStore]", work: Callable[["SqliteStore"], Awaitable[T]]) -> T:
    store = await opening
    try:
        return await work(store)
    finally:
        await store.close()


def _send_to_server(endpoint: ControlEndpoint, request: "OperationRequest") -> "Reply | None":
    """Return the server's reply, or None if the server does not listen yet or any more."""
    import httpx2

    from minwallet.operations.requests import Envelope

    try:
        response = httpx2.post(
            f"{endpoint.url}/control",
            content=Envelope(actor=_current_actor(), request=request).model_dump_json(),
            timeout=httpx2.Timeout(RESPONSE_TIMEOUT_S, connect=5),
            **endpoint.request_options,
        )
    except httpx2.ConnectError:
        return None
    except httpx2.HTTPError as error:
        reason = f"the server (process {endpoint.pid}) did not answer: {str(error) or type(error).__name__}"
        raise ServerDidNotAnswer(reason) from error
    try:
        document = response.json()
    except ValueError as error:
        raise StoreError(
            f"the server (process {endpoint.pid}) failed with HTTP {response.status_code}; check its log"
        ) from error
    if response.status_code == 200:
        done: Reply = document["done"]
        return done
    if response.status_code == 422:
        # The request was valid here, so the server has other requests: it was started before an update.
        raise StoreError(f"the server (process {endpoint.pid}) runs another version of minwallet; restart it")
    if "code" in document:
        raise CommandRefused(format_failure(OperationFailure.from_document(document)))
    if "failed" in document:
        raise StoreError(document["failed"])
    return None


def _current_actor() -> str:
    """Return the author of a change for the audit log: the command line and the user of the machine."""
    try:
        return f"{COMMAND_LINE} ({getpass.getuser()})"
    except (KeyError, OSError):
        return COMMAND_LINE


def _raise_if_failed(reply: "Reply | OperationFailure") -> "Reply":
    if isinstance(reply, OperationFailure):
        raise CommandRefused(format_failure(reply))
    return reply
