"""The methods of a store that each run one function over a connection.

The SQL of a subject (accounts, ledger, totals, …) is a module of plain functions over a `sqlite3.Connection`. Such a
function can be called inside a larger transaction, and a test can call it directly. At the end of the module a class
lists the functions that the store offers, and where each of them runs:

    class SqliteAdminStore(SqliteSubject):
        add_key = writes(add_key)
        list_keys = reads(list_keys)

`store.admin.list_keys()` then runs `list_keys(db)` on the thread of a connection.
"""

import sqlite3
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Executor(Protocol):
    """The part of the engine that runs functions over its connections."""

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T: ...

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T: ...


class SqliteSubject:
    """The base of the classes that offer one subject of the store."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor


def reads(
    query: Callable[Concatenate[sqlite3.Connection, P], T],
) -> Callable[Concatenate[SqliteSubject, P], Coroutine[Any, Any, T]]:
    """Return a method that runs `query` on the connection that reads for people."""

    async def method(self: SqliteSubject, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._executor.read(lambda db: query(db, *args, **kwargs))

    return method


def writes(
    change: Callable[Concatenate[sqlite3.Connection, P], T],
) -> Callable[Concatenate[SqliteSubject, P], Coroutine[Any, Any, T]]:
    """Return a method that runs `change` in a transaction of its own on the connection that writes."""

    async def method(self: SqliteSubject, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._executor.write(lambda db: change(db, *args, **kwargs))

    return method
