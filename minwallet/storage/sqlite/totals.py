"""What the ledger adds up to: plain functions over a connection.

SQLite adds up rows of one kind, in two halves of 32 bits that are put together where numbers have no end, as a sum over
many players may pass what it can count to.
"""

import sqlite3
from typing import NamedTuple

from minwallet.ledger.entries import Kind, State
from minwallet.storage.sqlite.views import MINUTE_MS
from minwallet.storage.views import Heading, Holding, Minute, Total

DAY_MS = 24 * 3600 * 1000


def _halves(cents: str) -> str:
    return f"sum(({cents}) >> 32), sum(({cents}) & 4294967295)"


def _whole(high: int, low: int) -> int:
    return (high << 32) + low


# A result need not name the game, which then is that of its bet.
ADD_UP = f"""
    SELECT t.at_ms / {DAY_MS}, t.space_id, a.currency,
           iif(t.game IS NULL AND t.part = 1, (SELECT b.game FROM transactions AS b
                WHERE b.space_id = t.space_id AND b.id = t.id AND b.part = 0), t.game),
           t.kind, t.state, count(*),
           {_halves("t.stake")}, {_halves("t.payout")}, {_halves("t.amount + t.bonus_amount")}
      FROM transactions AS t CROSS JOIN accounts AS a ON a.account_id = t.account_id
     WHERE t.seq BETWEEN ? AND ?
     GROUP BY 1, 2, 3, 4, 5, 6
"""  # noqa: S608 made of constants

COUNT_MINUTES = f"""
    SELECT at_ms / {MINUTE_MS}, min(seq), max(seq),
           count(*) FILTER (WHERE kind IN ('bet', 'betwin') AND state = 'applied')
      FROM transactions WHERE seq BETWEEN ? AND ? GROUP BY 1
"""  # noqa: S608 made of constants

COLUMNS = ", ".join(Total._fields)

FIND_TOTAL = f"""
    SELECT {COLUMNS} FROM totals WHERE day = ? AND agent_id = ? AND currency = ? AND protocol = ? AND game = ?
"""  # noqa: S608 the columns are a constant

KEEP_TOTAL = (
    f"INSERT OR REPLACE INTO totals (day, agent_id, currency, protocol, game, {COLUMNS}) VALUES ({', '.join('?' * 14)})"  # noqa: S608 the columns are a constant
)

KEEP_MINUTE = """
    INSERT INTO minutes (minute, first_seq, last_seq, bets) VALUES (?, ?, ?, ?)
    ON CONFLICT (minute) DO UPDATE SET last_seq = excluded.last_seq, bets = bets + excluded.bets
"""

READ_TOTALS = f"""
    SELECT day, g.name, currency, protocol, game, {COLUMNS} FROM totals JOIN agents AS g USING (agent_id)
     WHERE day >= :since AND day < :until AND (:agent IS NULL OR g.name = :agent)
     ORDER BY 1, 2, 3, 4, 5
"""  # noqa: S608 the columns are a constant

# One currency after the other: sorting all accounts by currency takes longer than looking at them once for each.
READ_HELD = f"""
    SELECT count(*), {_halves("cash")}, {_halves("bonus")} FROM accounts WHERE currency = ?
"""  # noqa: S608 made of constants

READ_NEWER = f"""
    SELECT a.currency, {_halves("t.amount + t.bonus_amount")}
      FROM transactions AS t JOIN accounts AS a USING (account_id)
     WHERE t.seq > (SELECT last_seq FROM summed_up) GROUP BY 1
"""  # noqa: S608 made of constants

Place = tuple[int, int, str, str, str]
"""Where a total is kept: day, agent_id, currency, protocol, game."""


class Sums(NamedTuple):
    """What the rows after `after`, as far as `last`, come to."""

    after: int
    last: int
    totals: dict[Place, Total]
    minutes: list[tuple[int, int, int, int]]


def add_up(db: sqlite3.Connection, limit: int) -> Sums:
    """Add up the next rows. They never change, so this needs no write transaction, and no bet waits for it."""
    after, newest = db.execute(
        "SELECT last_seq, (SELECT coalesce(max(seq), 0) FROM transactions) FROM summed_up"
    ).fetchone()
    span = (after + 1, last := min(after + limit, newest))
    spaces = {row[0]: row[1:] for row in db.execute("SELECT space_id, agent_id, protocol FROM id_spaces")}
    totals: dict[Place, Total] = {}
    for day, space_id, currency, game, kind, state, rows, s1, s2, p1, p2, m1, m2 in db.execute(ADD_UP, span):
        agent_id, protocol = spaces[space_id]
        sums = {"stake": _whole(s1, s2), "payout": _whole(p1, p2), "moved": _whole(m1, m2)}
        place = (day, agent_id, currency, protocol, game or "")
        totals[place] = totals.get(place, Total()).plus(Total.of(Kind(kind), State(state), rows=rows, **sums))
    return Sums(after, last, totals, db.execute(COUNT_MINUTES, span).fetchall())


def keep(db: sqlite3.Connection, sums: Sums) -> None:
    """Keep the sums, unless another has kept those of the same rows. The caller holds the write transaction."""
    followed = db.execute("UPDATE summed_up SET last_seq = ? WHERE last_seq = ?", (sums.last, sums.after))
    if followed.rowcount:
        _add(db, sums.totals)
        db.executemany(KEEP_MINUTE, sums.minutes)


def _add(db: sqlite3.Connection, new: dict[Place, Total]) -> None:
    moved: dict[str, int] = {}
    for place, total in new.items():
        known = db.execute(FIND_TOTAL, place).fetchone()
        whole = total.plus(Total(*map(int, known))) if known else total
        db.execute(KEEP_TOTAL, (*place, *map(str, whole)))
        moved[place[2]] = moved.get(place[2], 0) + total.moved
    for currency, cents in _read_moved(db).items():
        moved[currency] = moved.get(currency, 0) + cents
    db.executemany("INSERT OR REPLACE INTO moved VALUES (?, ?)", [(name, str(cents)) for name, cents in moved.items()])


def _read_moved(db: sqlite3.Connection) -> dict[str, int]:
    return {currency: int(cents) for currency, cents in db.execute("SELECT currency, cents FROM moved")}


def read_totals(
    db: sqlite3.Connection, since_day: int, until_day: int, agent: str | None
) -> list[tuple[Heading, Total]]:
    rows = db.execute(READ_TOTALS, {"since": since_day, "until": until_day, "agent": agent})
    return [(Heading(*row[:5]), Total(*map(int, row[5:]))) for row in rows]


def read_minutes(db: sqlite3.Connection, since_ms: int) -> list[Minute]:
    asked = (since_ms // MINUTE_MS,)
    rows = db.execute("SELECT minute, bets FROM minutes WHERE minute >= ? ORDER BY minute", asked)
    return [Minute(minute * MINUTE_MS, bets) for minute, bets in rows]


def read_holdings(db: sqlite3.Connection) -> list[Holding]:
    """One read transaction, so that rows and balances are of the same moment."""
    db.execute("BEGIN")
    try:
        moved = _read_moved(db)
        for currency, high, low in db.execute(READ_NEWER):
            moved[currency] = moved.get(currency, 0) + _whole(high, low)
        currencies = db.execute("SELECT DISTINCT currency FROM accounts ORDER BY 1").fetchall()
        return [_hold(db, currency, moved.get(currency, 0)) for (currency,) in currencies]
    finally:
        db.execute("COMMIT")


def _hold(db: sqlite3.Connection, currency: str, moved: int) -> Holding:
    accounts, cash_high, cash_low, bonus_high, bonus_low = db.execute(READ_HELD, (currency,)).fetchone()
    return Holding(currency, accounts, _whole(cash_high, cash_low), _whole(bonus_high, bonus_low), moved)
