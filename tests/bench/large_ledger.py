"""A wallet file after a few busy months, for measuring: `python -m tests.bench.large_ledger FILE`. The ledger is
valid, with the hashes that the wallet would write, so `minwallet verify` succeeds. It is only generated faster: the
entries do not update their accounts one by one, and nothing is synced before the end. The players are those of the
benchmark, `bench_0` and so on. Each has a session whose token is the player's id."""

import argparse
import asyncio
import random
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from rich.progress import Progress

from minwallet.ledger.entries import Kind, State, chain_entry
from minwallet.ledger.snapshot import Account
from minwallet.storage.models import NewAccount
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.sessions import build_new_session

INITIAL_CASH = 10**9
GAMES = [str(1000 + number) for number in range(40)]
DAYS = 60
FIRST_ID = 1_000_000_000
"""Providers' ids grow. What the bench bets from 2,000,000,000 on comes after all of these, in the text's order too."""

BATCH_SIZE = 50_000

INSERT_ROWS = """
    INSERT INTO transactions (seq, at_ms, account_id, previous_seq, scope_id, role, kind, id, round, game, detail,
                              stake, payout, amount, bonus_amount, cash_after, bonus_after, state, refusal, hash)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

Row = tuple[Any, ...]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--players", type=int, default=100_000)
    options = arguments.parse_args()
    if options.file.exists():
        sys.exit(f"{options.file} is there already")
    now_ms = time.time_ns() // 1_000_000
    with Progress() as progress:

        def counted(what: str, total: int) -> Callable[[int], None]:
            task = progress.add_task(what, total=total)
            return lambda done: progress.update(task, completed=done)

        asyncio.run(create_accounts(options.file, options.players, now_ms - DAYS * 24 * 3600 * 1000))
        add_rows(options.file, options.rows, now_ms, counted("rows", options.rows))
        asyncio.run(aggregate_totals(options.file, counted("sums", options.rows)))


async def create_accounts(file: Path, players: int, at_ms: int) -> None:
    new_accounts = [
        NewAccount("default", name, "USD", INITIAL_CASH, 0, build_new_session(name, None))
        for name in (f"bench_{number}" for number in range(players))
    ]
    store = await SqliteStore.open(file, create=True)
    try:
        opened = await store.accounts.create_accounts(new_accounts, at_ms)
        assert opened.accounts == players, opened
    finally:
        await store.close()


def add_rows(file: Path, rows: int, until_ms: int, progress: Callable[[int], None]) -> None:
    """Add entries until the ledger has this number of them; the newest is from now."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        # The file is useless if the generator is interrupted, so nothing needs to be durable.
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        generator = LedgerGenerator(db, rows, until_ms)
        made = generator.generate_rows()
        with without_account_trigger(db):
            while some := list(islice(made, BATCH_SIZE)):
                db.executemany(INSERT_ROWS, some)
                progress(some[-1][0])
            heads = [(each.cash, each.head, each.last_seq, each.account_id) for each in generator.accounts]
            db.executemany("UPDATE accounts SET cash = ?, head = ?, last_seq = ? WHERE account_id = ?", heads)
        db.execute("PRAGMA journal_mode = WAL")


@contextmanager
def without_account_trigger(db: sqlite3.Connection) -> Iterator[None]:
    """Open a transaction in which an entry does not update its account."""
    name = "transactions_move_their_account"
    ((trigger,),) = db.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (name,))
    db.execute("BEGIN")
    db.execute(f"DROP TRIGGER {name}")
    yield
    db.execute(trigger)
    db.execute("COMMIT")


async def aggregate_totals(file: Path, progress: Callable[[int], None]) -> None:
    store = await SqliteStore.open(file, create=False)
    try:
        done = 0
        while step := await store.totals.aggregate_totals(BATCH_SIZE):
            done += step
            progress(done)
    finally:
        await store.close()


class LedgerGenerator:
    """The accounts and their entries: bets of random players, of which some win and few are cancelled."""

    def __init__(self, db: sqlite3.Connection, rows: int, until_ms: int) -> None:
        accounts = db.execute("SELECT account_id, cash, bonus, head, last_seq FROM accounts ORDER BY account_id")
        self.accounts = [Account(*row) for row in accounts]
        first_row = "SELECT seq, at_ms FROM transactions ORDER BY seq DESC LIMIT 1"
        self._seq, self._since_ms = db.execute(first_row).fetchone()
        self._rows, self._step_ms = rows, (until_ms - self._since_ms) / (rows - self._seq)
        self._id_scopes = {
            "wallet-v2": _insert_id_scope(db, "wallet-v2", "USD"),
            "vela": _insert_id_scope(db, "vela", ""),
        }
        self._began_at = self._seq

    def generate_rows(self) -> Iterator[Row]:
        return islice(self._generate_rounds(), self._rows - self._seq)

    def _generate_rounds(self) -> Iterator[Row]:
        chance = random.Random(1)
        id_ = FIRST_ID
        while True:
            id_ += chance.randint(1, 3)
            index, luck, bet = chance.randrange(len(self.accounts)), chance.random(), str(id_)
            protocol = "vela" if index % 5 == 0 else "wallet-v2"
            stake, game = chance.randint(1, 500), GAMES[index % len(GAMES)]
            payout = stake * 2 if luck < 0.4 else 0
            yield self._build_row(index, protocol, 0, (Kind.BET, bet, bet, game, None, stake, 0), -stake)
            if luck > 0.995:
                yield self._build_row(index, protocol, 2, (Kind.CANCEL, bet, bet, game, None, 0, 0), stake)
            elif protocol == "vela" and luck < 0.98:
                yield self._build_row(index, protocol, 1, (Kind.WIN, bet, bet, None, None, 0, payout), payout)
            elif payout:
                id_ += 1
                yield self._build_row(index, protocol, 0, (Kind.WIN, str(id_), bet, game, None, 0, payout), payout)

    def _build_row(self, index: int, protocol: str, role: int, fields: tuple[Any, ...], amount: int) -> Row:
        """Build the account's next entry, and update the account. `what` are the fields from `kind` to `payout`."""
        account = self.accounts[index]
        self._seq += 1
        at_ms = self._since_ms + int((self._seq - self._began_at) * self._step_ms)
        effect = (amount, 0, account.cash + amount, account.bonus, State.APPLIED, None)
        entry = chain_entry(
            (self._seq, at_ms, account.account_id, account.last_seq, protocol, *fields, *effect), account.head
        )
        self.accounts[index] = Account(account.account_id, entry.cash_after, entry.bonus_after, entry.hash, entry.seq)
        return (*entry[:4], self._id_scopes[protocol], role, str(entry.kind), *entry[6:16], "applied", None, entry.hash)


def _insert_id_scope(db: sqlite3.Connection, protocol: str, currency: str) -> int:
    add = "INSERT INTO id_scopes (agent_id, protocol, currency) VALUES (1, ?, ?) RETURNING scope_id"
    ((scope_id,),) = db.execute(add, (protocol, currency))
    return int(scope_id)


if __name__ == "__main__":
    main()
