"""Damaged files: truncated, altered, or combined from different times, and files of other schemas.

A damaged copy is opened as a server opens it, and all balances are read. Either the file is reported as damaged, or
all balances are as before. If data that people read is different, `verify` reports it.
"""

import asyncio
import random
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from minwallet.ledger.commands import Balance
from minwallet.ledger.outcomes import BalanceShown
from minwallet.operations.verify import verify_ledger
from minwallet.storage.errors import DatabaseUnusable, StoreError
from minwallet.storage.models import AccountCommand
from minwallet.storage.sqlite import SqliteStore
from tests.faults.harness import create_players
from tests.faults.load_clients import LoadClients
from tests.support import InProcessCli, copy_wallet_file, running_server

PLAYERS, CALLS = 12, 80

PAGE_BYTES = 4096

HEAD_BYTES, FRAME_BYTES = 32, 24 + PAGE_BYTES


class WalletState(NamedTuple):
    """The contents of a file: the balances of all accounts, and all rows of the ledger."""

    balances: dict[int, tuple[int, int]]
    rows: list[tuple[object, ...]]


class WalletFiles(NamedTuple):
    """A closed file, an earlier state of it, and the same wallet as a killed server left it, with its log."""

    closed: Path
    earlier: Path
    killed: Path

    def read_state(self, file: Path) -> WalletState:
        """Return the contents of the undamaged file."""
        found = asyncio.run(_read_state(copy_wallet_file(file, file.parent / "looked-at.db")))
        assert isinstance(found, WalletState), found
        return found


def make_wallet_files(folder: Path) -> WalletFiles:
    """Create a wallet with some thousand rows, and the other files needed to damage it."""
    file, earlier, killed = (folder / f"{name}.db" for name in ("wallet", "earlier", "killed"))
    fleet = LoadClients(create_players(InProcessCli(file), PLAYERS), seed=1, clients=PLAYERS)
    with running_server(file) as server:
        asyncio.run(fleet.play(server.url, CALLS))
        assert server.stop() == 0
    shutil.copy(file, earlier)
    with running_server(file) as server:
        asyncio.run(fleet.play(server.url, CALLS))
        server.stop(signal.SIGKILL)
    copy_wallet_file(file, killed, "-wal", "-shm")
    with running_server(file) as server:
        assert server.stop() == 0
    return WalletFiles(file, earlier, killed)


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """Check `size` files, each damaged in one place."""
    counts: Counter[str] = Counter()
    victim, chance = make_wallet_files(folder), random.Random(seed)
    truth = victim.read_state(victim.closed)
    for number in range(size):
        name = chance.choice([*DAMAGES])
        whole = victim.killed if "log" in name else victim.closed
        copy = copy_wallet_file(whole, folder / "damaged.db", "-wal", "-shm")
        words = f"{name} ({number})"
        what = DAMAGES[name](copy, victim, chance)
        counts[f"{name}: {classify_damage(copy, truth, f'{words}, {what}')}"] += 1
    assert sum(number for how, number in counts.items() if "refused" in how) > size // 4, counts
    return counts


def classify_damage(file: Path, expected: WalletState, description: str) -> str:
    """Return how the damage was handled, as one word. Raise AssertionError if a wrong balance was returned or no
    check found the damage."""
    found = asyncio.run(_read_state(file))
    if isinstance(found, StoreError):
        is_named = "damaged" in str(found) or isinstance(found, DatabaseUnusable)
        assert is_named, f"{description}: the message does not say that the file is damaged: {found}"
        return "refused"
    wrong = {account: held for account, held in found.balances.items() if held != expected.balances.get(account)}
    if found.rows == expected.rows and not wrong and len(found.balances) == len(expected.balances):
        return "harmless"
    is_known = asyncio.run(_has_problems(file))
    assert is_known, f"{description}: no check found the damage"
    assert not wrong, f"{description}: a wrong balance was returned: {wrong}"
    return "named by verify"


async def _read_state(file: Path) -> WalletState | StoreError:
    """Serve the file as far as possible and return all balances, or return the error."""
    try:
        store = await SqliteStore.open(file, create=False, check=True)
    except StoreError as fault:
        return fault
    try:
        await store.finish_check()
        if store.failure:
            return store.failure
        return await _read_balances(store, file)
    except StoreError as fault:
        return fault
    finally:
        await store.close()


async def _read_balances(store: SqliteStore, file: Path) -> WalletState:
    accounts = [
        account_id for player in await store.accounts.list_players("default") for account_id, *_ in player.accounts
    ]
    balances = {}
    for account_id in accounts:
        shown = await store.dry_run(AccountCommand(Balance(), "wallet-v2", account_id, ids_per_currency=True), 0)
        assert isinstance(shown, BalanceShown)
        balances[account_id] = (shown.cash, shown.bonus)
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as db:
        db.text_factory = bytes  # damaged text may not be UTF-8
        return WalletState(balances, db.execute("SELECT * FROM transactions ORDER BY seq").fetchall())


async def _has_problems(file: Path) -> bool:
    """Return whether `verify` reports a problem."""
    store = await SqliteStore.open(file, create=False)
    try:
        return not (await verify_ledger(store))["ok"]
    except StoreError:
        return True
    finally:
        await store.close()


Damage = Callable[[Path, WalletFiles, random.Random], str]
"""Damages the file at this path at random, and returns a description."""


def _truncate(file: Path, victim: WalletFiles, chance: random.Random) -> str:
    size = file.stat().st_size
    pages = size // PAGE_BYTES
    left = chance.choice((chance.randrange(size), chance.randrange(pages) * PAGE_BYTES, chance.randrange(600)))
    # Only the log of a file that was truncated to nothing shows that it was not a new file.
    left = left if left or _wal_path(file).exists() else 1
    with file.open("r+b") as opened:
        opened.truncate(left)
    return f"{left} of {size} bytes left"


def _flip_bit(file: Path, victim: WalletFiles, chance: random.Random) -> str:
    place, bit = chance.randrange(file.stat().st_size), chance.randrange(8)
    with file.open("r+b") as opened:
        opened.seek(place)
        (byte,) = opened.read(1)
        opened.seek(place)
        opened.write(bytes([byte ^ 1 << bit]))
    return f"bit {bit} of byte {place}"


def _zero_page(file: Path, victim: WalletFiles, chance: random.Random) -> str:
    return _replace_page(file, chance, lambda _: bytes(PAGE_BYTES))


def _restore_stale_page(file: Path, victim: WalletFiles, chance: random.Random) -> str:
    """Replace a page by an earlier version of it."""
    earlier = victim.earlier.read_bytes()
    return _replace_page(file, chance, lambda page: earlier[page * PAGE_BYTES :][:PAGE_BYTES])


def _swap_page(file: Path, victim: WalletFiles, chance: random.Random) -> str:
    """Replace a page by another page."""
    pages, data = file.stat().st_size // PAGE_BYTES, file.read_bytes()
    other = chance.randrange(pages)
    return _replace_page(file, chance, lambda _: data[other * PAGE_BYTES :][:PAGE_BYTES])


def _replace_page(file: Path, chance: random.Random, content: Callable[[int], bytes]) -> str:
    page = chance.randrange(file.stat().st_size // PAGE_BYTES)
    with file.open("r+b") as opened:
        opened.seek(page * PAGE_BYTES)
        opened.write(content(page))
    return f"page {page}"


def _wal_path(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")


DAMAGES: dict[str, Damage] = {
    "cut": _truncate,
    "flipped": _flip_bit,
    "zeroed": _zero_page,
    "stale": _restore_stale_page,
    "swapped": _swap_page,
    "flipped log": lambda file, victim, chance: _flip_bit(_wal_path(file), victim, chance),
    "cut log": lambda file, victim, chance: _truncate(_wal_path(file), victim, chance),
    "flipped beside a log": _flip_bit,
    "cut beside a log": _truncate,
}
