"""Where a command is carried out: at the running server, which alone writes, or here where none runs."""

import asyncio
import getpass
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from minwallet.cli.output import Refused
from minwallet.operations.errors import OperationFailure
from minwallet.storage.errors import DatabaseUnusable, StoreError
from minwallet.storage.file_lock import LOCK_TIMEOUT_S, ControlEndpoint, DatabaseLock
from minwallet.storage.store import Store

if TYPE_CHECKING:
    from minwallet.operations.requests import OperationRequest, Reply
    from minwallet.storage.sqlite import SqliteStore

T = TypeVar("T")

ANSWER_WITHIN_S = 600


def database(context: typer.Context) -> Path:
    """The wallet file: `--db`, or the setting."""
    from minwallet.config import load_settings

    return load_settings(db=context.find_root().params["db"]).db


def change(context: typer.Context, request: "OperationRequest", *, create: bool = False) -> "Reply":
    """Have the request carried out by whoever owns the file. `create` makes the file where there is none."""
    return change_file(database(context), request, create=create)


def change_file(path: Path, request: "OperationRequest", *, create: bool = False) -> "Reply":
    """The same, for the file at this path."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while isinstance(owner := DatabaseLock.acquire(path), ControlEndpoint):
        reply = _ask(owner, request)
        if reply is not None:
            return reply
        if time.monotonic() > deadline:
            raise StoreError(f"the server (process {owner.pid}) owns {path} but does not answer; see what it logs")
        time.sleep(0.05)
    try:
        return asyncio.run(_perform_here(path, request, create=create))
    finally:
        owner.release()


def read(context: typer.Context, request: "OperationRequest") -> "Reply":
    """Answer a request that changes nothing, from the file itself."""
    return read_file(database(context), request)


def read_file(path: Path, request: "OperationRequest") -> "Reply":
    """The same, for the file at this path."""
    from minwallet.operations.dispatch import execute
    from minwallet.wallet.service import Wallet

    async def work(store: Store) -> "Reply":
        return _unwrap(await execute(Wallet(store), request, _actor()))

    return with_store_of(path, work)


def running_server(context: typer.Context) -> ControlEndpoint:
    """The server that runs on the wallet file; DatabaseUnusable where none does."""
    path = database(context)
    owner = DatabaseLock.acquire(path)
    if isinstance(owner, ControlEndpoint):
        return owner
    owner.release()
    raise DatabaseUnusable(f"no server runs on {path}; start one in another terminal: minwallet --db {path} serve")


def with_store(context: typer.Context, work: Callable[["SqliteStore"], Awaitable[T]]) -> T:
    """What `work` finds in the file, which it only reads; a server may run on it meanwhile."""
    return with_store_of(database(context), work)


def with_store_of(path: Path, work: Callable[["SqliteStore"], Awaitable[T]]) -> T:
    """The same, for the file at this path."""
    from minwallet.storage.sqlite import SqliteStore

    owner = DatabaseLock.acquire(path)
    if isinstance(owner, ControlEndpoint):
        return asyncio.run(_read(SqliteStore.open_read_only(path), work))
    try:
        return asyncio.run(_read(SqliteStore.open(path, create=False), work))
    finally:
        owner.release()


async def _perform_here(path: Path, request: "OperationRequest", *, create: bool) -> "Reply":
    from minwallet.operations.dispatch import execute
    from minwallet.storage.sqlite import SqliteStore
    from minwallet.wallet.service import Wallet

    async with Wallet(await SqliteStore.open(path, create=create, check=True)) as wallet:
        return _unwrap(await execute(wallet, request, _actor()))


async def _read(opening: "Awaitable[SqliteStore]", work: Callable[["SqliteStore"], Awaitable[T]]) -> T:
    store = await opening
    try:
        return await work(store)
    finally:
        await store.close()


def _ask(desk: ControlEndpoint, request: "OperationRequest") -> "Reply | None":
    """The server's answer, or None where nobody listens (any more, or yet)."""
    import httpx2

    from minwallet.operations.requests import Envelope

    try:
        response = httpx2.post(
            f"{desk.url}/control",
            content=Envelope(actor=_actor(), request=request).model_dump_json(),
            headers={"authorization": f"Bearer {desk.key}"},
            timeout=httpx2.Timeout(ANSWER_WITHIN_S, connect=5),
            trust_env=False,
        )
    except httpx2.ConnectError:
        return None
    except httpx2.HTTPError as error:
        raise StoreError(
            f"the server (process {desk.pid}) did not answer: {str(error) or type(error).__name__};"
            " the change may have been made, so look before you repeat it"
        ) from error
    try:
        document = response.json()
    except ValueError as error:
        raise StoreError(f"the server (process {desk.pid}) failed with {response.status_code}; see its log") from error
    if response.status_code == 200:
        done: Reply = document["done"]
        return done
    if "declined" in document:
        raise Refused(document["declined"])
    if "failed" in document:
        raise StoreError(document["failed"])
    return None


def _actor() -> str:
    """Whose doing a change on the command line is: the user of the machine."""
    try:
        return f"command line ({getpass.getuser()})"
    except (KeyError, OSError):
        return "command line"


def _unwrap(reply: "Reply | OperationFailure") -> "Reply":
    if isinstance(reply, OperationFailure):
        raise Refused(reply.lines)
    return reply
