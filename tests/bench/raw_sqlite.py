"""The maximum rate of SQLite itself: one bet after the other in a loop, each read, written and committed."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tests.bench.sampling import Sample
from tests.bench.wrk import PLAYERS

SCHEMA = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE players (player INTEGER PRIMARY KEY, cash INTEGER NOT NULL);
    CREATE TABLE bets (id INTEGER PRIMARY KEY, player INTEGER NOT NULL, stake INTEGER NOT NULL, cash INTEGER NOT NULL);
"""


def run_sequential_bets(file: Path, seconds: float) -> Sample:
    """Run the bets on a new file."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.executescript(SCHEMA)
        with db:
            db.executemany("INSERT INTO players VALUES (?, ?)", [(player, 10**12) for player in range(PLAYERS)])
        started, bets = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            bets += 1
            db.execute("BEGIN IMMEDIATE")
            ((cash,),) = db.execute("SELECT cash FROM players WHERE player = ?", (0,)).fetchall()
            db.execute("UPDATE players SET cash = ? WHERE player = ?", (cash - 1, 0))
            db.execute("INSERT INTO bets VALUES (?, ?, ?, ?)", (bets, 0, 1, cash - 1))
            db.execute("COMMIT")
        return Sample(bets / (time.perf_counter() - started))
