"""The SQL of totals.

`aggregate_totals` reads a batch of new entries, sums them, and stores the sums in a transaction of its own. The update
of `totals_progress` is conditional on its old value, so a batch is never added twice.

A sum over many players can exceed 64 bits. So SQLite sums the high and the low 32 bits separately, Python joins them,
and the tables store totals as text.
"""

import sqlite3
from collections.abc import Iterator
from operator import itemgetter
from typing import NamedTuple

from minwallet.ledger.entries import Kind, State
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.time_units import DAY_MS, MINUTE_MS
from minwallet.storage.queries import CurrencyBalance, DailyTotalKey, MinuteCount, OrphanWins, Total
from minwallet.storage.sqlite.subject import SqliteSubject, reads


def _sum_halves(cents: str) -> str:
    """Return the SQL of the two sums, of 0 over no rows."""
    return f"coalesce(sum(({cents}) >> 32), 0), coalesce(sum(({cents}) & 4294967295), 0)"


def _join_halves(high: int, low: int) -> int:
    return (high << 32) + low


# A result without a game has the game of its bet. A rollback has the kind of its target, "orphan" for a win without a
# bet.
AGGREGATE_ROWS = f"""
    SELECT t.at_ms / {DAY_MS}, t.scope_id, a.currency,
           iif(t.game IS NULL AND t.role = 1, (SELECT b.game FROM transactions AS b
                WHERE b.scope_id = t.scope_id AND b.id = t.id AND b.role = 0), t.game),
           t.kind, t.state,
           iif(t.kind = 'rollback', (SELECT iif(b.state = 'orphan', b.state, b.kind) FROM transactions AS b
                WHERE b.scope_id = t.scope_id AND b.id = t.reference AND b.role = 0), NULL),
           count(*),
           {_sum_halves("t.stake")}, {_sum_halves("t.payout")}, {_sum_halves("t.amount + t.bonus_amount")}
      FROM transactions AS t CROSS JOIN accounts AS a ON a.account_id = t.account_id
     WHERE t.seq BETWEEN ? AND ? AND t.kind <> 'round_rollback'
     GROUP BY 1, 2, 3, 4, 5, 6, 7
"""  # noqa: S608 made of constants

# The rollbacks of rounds, with the game of the round, and two sums over its earlier entries: of the wins without a bet,
# and of all entries but wins. A rollback counts as its target.
READ_ROUND_ROLLBACKS = f"""
    WITH rollbacks AS (
        SELECT * FROM transactions WHERE seq BETWEEN ? AND ? AND kind = 'round_rollback'
    ), members AS (
        SELECT r.seq AS rollback_seq, t.* FROM rollbacks AS r CROSS JOIN transactions AS t
            ON t.scope_id = r.scope_id AND t.id = r.round AND t.round = t.id
         WHERE t.account_id = r.account_id AND t.seq < r.seq
        UNION ALL
        SELECT r.seq, t.* FROM rollbacks AS r CROSS JOIN transactions AS t
            ON t.scope_id = r.scope_id AND t.round = r.round AND t.round <> t.id
         WHERE t.account_id = r.account_id AND t.seq < r.seq
    )
    SELECT r.at_ms / {DAY_MS}, r.scope_id, a.currency, max(m.game), r.state, r.amount + r.bonus_amount,
           {_sum_halves("iif('orphan' IN (m.state, coalesce(b.state, '')), m.amount, 0)")},
           {_sum_halves("iif('win' IN (m.kind, coalesce(b.kind, '')), 0, m.amount + m.bonus_amount)")}
      FROM rollbacks AS r
      CROSS JOIN accounts AS a ON a.account_id = r.account_id
      LEFT JOIN members AS m ON m.rollback_seq = r.seq
      LEFT JOIN transactions AS b ON b.scope_id = m.scope_id AND b.id = m.reference AND b.role = 0
     GROUP BY r.seq
"""  # noqa: S608 made of constants

COUNT_MINUTES = f"""
    SELECT at_ms / {MINUTE_MS}, min(seq), max(seq),
           count(*) FILTER (WHERE kind IN ('bet', 'betwin') AND state = 'applied')
      FROM transactions WHERE seq BETWEEN ? AND ? GROUP BY 1
"""  # noqa: S608 made of constants

TOTAL_COLUMNS = ", ".join(Total._fields)

FIND_TOTAL = f"""
    SELECT {TOTAL_COLUMNS} FROM totals WHERE day = ? AND agent_id = ? AND currency = ? AND protocol = ? AND game = ?
"""  # noqa: S608 the columns are a constant

SAVE_TOTAL = f"""
    INSERT OR REPLACE INTO totals (day, agent_id, currency, protocol, game, {TOTAL_COLUMNS})
    VALUES ({", ".join("?" * (5 + len(Total._fields)))})
"""  # noqa: S608 the columns are a constant

SAVE_MINUTE_COUNT = """
    INSERT INTO minutes (minute, first_seq, last_seq, bets) VALUES (?, ?, ?, ?)
    ON CONFLICT (minute) DO UPDATE SET last_seq = excluded.last_seq, bets = bets + excluded.bets
"""

READ_TOTALS = f"""
    SELECT day, g.name, currency, protocol, game, {TOTAL_COLUMNS} FROM totals JOIN agents AS g USING (agent_id)
     WHERE day >= :since AND day < :until AND (:agent IS NULL OR g.name = :agent)
     ORDER BY 1, 2, 3, 4, 5
"""  # noqa: S608 the columns are a constant

# The rows that are not aggregated yet follow the totals. A rollback may be in a later row than its win.
READ_ORPHAN_WINS = """
    SELECT currency, orphan_wins, orphan_paid FROM totals WHERE orphan_wins > 0 OR orphan_paid <> '0'
     UNION ALL
    SELECT a.currency, 1, t.payout FROM transactions AS t JOIN accounts AS a USING (account_id)
     WHERE t.seq > (SELECT last_seq FROM totals_progress) AND t.state = 'orphan'
     UNION ALL
    SELECT a.currency, 0, t.amount FROM transactions AS t JOIN accounts AS a USING (account_id)
     WHERE t.seq > (SELECT last_seq FROM totals_progress) AND t.kind = 'rollback' AND 'orphan' = (
               SELECT b.state FROM transactions AS b
                WHERE b.scope_id = t.scope_id AND b.id = t.reference AND b.role = 0)
"""

# Run once per currency. GROUP BY would sort all accounts, which takes longer than one scan for each currency.
SUM_BALANCES = f"""
    SELECT count(*), {_sum_halves("cash")}, {_sum_halves("bonus")} FROM accounts WHERE currency = ?
"""  # noqa: S608 made of constants

SUM_NEWER_ROWS = f"""
    SELECT a.currency, {_sum_halves("t.amount + t.bonus_amount")}
      FROM transactions AS t JOIN accounts AS a USING (account_id)
     WHERE t.seq > (SELECT last_seq FROM totals_progress) GROUP BY 1
"""  # noqa: S608 made of constants


class _TotalRowKey(NamedTuple):
    """The key of a row in `totals`."""

    day: int
    agent_id: int
    currency: str
    protocol: str
    game: str


class TotalsDelta(NamedTuple):
    """The sums over the rows after `after_seq`, up to `last_seq`."""

    after_seq: int
    last_seq: int
    totals: dict[_TotalRowKey, Total]
    minutes: list[tuple[int, int, int, int]]


def aggregate_rows(db: sqlite3.Connection, limit: int) -> TotalsDelta:
    """Return the sums over up to `limit` further rows."""
    after, newest = db.execute(
        "SELECT last_seq, (SELECT coalesce(max(seq), 0) FROM transactions) FROM totals_progress"
    ).fetchone()
    span = (after + 1, last := min(after + limit, newest))
    scopes = {row[0]: row[1:] for row in db.execute("SELECT scope_id, agent_id, protocol FROM id_scopes")}
    totals: dict[_TotalRowKey, Total] = {}
    for day, scope_id, currency, game, total in (*_sum_rows(db, span), *_split_round_rollbacks(db, span)):
        agent_id, protocol = scopes[scope_id]
        key = _TotalRowKey(day, agent_id, currency, protocol, game or "")
        totals[key] = totals.get(key, Total()).plus(total)
    return TotalsDelta(after, last, totals, db.execute(COUNT_MINUTES, span).fetchall())


_SubTotal = tuple[int, int, str, str | None, Total]
"""The total of some rows, after their day, scope_id, currency and game."""


def _sum_rows(db: sqlite3.Connection, span: tuple[int, int]) -> Iterator[_SubTotal]:
    """Yield the totals of all rows but the rollbacks of rounds."""
    for *key, kind, state, target, rows, s1, s2, p1, p2, m1, m2 in db.execute(AGGREGATE_ROWS, span):
        moved = _join_halves(m1, m2)
        total = Total.from_rows(
            Kind(kind),
            State(state),
            rows=rows,
            stake=_join_halves(s1, s2),
            payout=_join_halves(p1, p2),
            moved=moved,
            taken_back=moved if target in (Kind.WIN, State.ORPHAN) else None,
            orphan_taken_back=moved if target == State.ORPHAN else 0,
        )
        day, scope_id, currency, game = key
        yield day, scope_id, currency, game, total


def _split_round_rollbacks(db: sqlite3.Connection, span: tuple[int, int]) -> Iterator[_SubTotal]:
    """Yield the totals of the rollbacks of rounds. Each is one net movement, of stakes returned and wins taken back."""
    for *key, state, moved, o1, o2, s1, s2 in db.execute(READ_ROUND_ROLLBACKS, span):
        orphan_won, staked = _join_halves(o1, o2), -_join_halves(s1, s2)
        # It may have taken less than the wins, as a balance never becomes negative.
        taken_back = moved - staked
        total = Total.from_rows(
            Kind.ROUND_ROLLBACK,
            State(state),
            rows=1,
            stake=0,
            payout=0,
            moved=moved,
            taken_back=taken_back,
            orphan_taken_back=max(taken_back, -orphan_won),
        )
        day, scope_id, currency, game = key
        yield day, scope_id, currency, game, total


def save_totals(db: sqlite3.Connection, delta: TotalsDelta) -> None:
    """Store the sums, unless these rows are stored already. The caller holds the write transaction."""
    update = db.execute("UPDATE totals_progress SET last_seq = ? WHERE last_seq = ?", (delta.last_seq, delta.after_seq))
    if update.rowcount:
        _add_totals(db, delta.totals)
        db.executemany(SAVE_MINUTE_COUNT, delta.minutes)


def _add_totals(db: sqlite3.Connection, new: dict[_TotalRowKey, Total]) -> None:
    moved: dict[str, int] = {}
    for key, total in new.items():
        known = db.execute(FIND_TOTAL, key).fetchone()
        whole = total.plus(Total(*map(int, known))) if known else total
        db.execute(SAVE_TOTAL, (*key, *map(str, whole)))
        moved[key.currency] = moved.get(key.currency, 0) + total.moved
    for currency, cents in _read_currency_totals(db).items():
        moved[currency] = moved.get(currency, 0) + cents
    rows = [(currency, str(cents)) for currency, cents in moved.items()]
    db.executemany("INSERT OR REPLACE INTO currency_totals VALUES (?, ?)", rows)


def _read_currency_totals(db: sqlite3.Connection) -> dict[str, int]:
    return {currency: int(cents) for currency, cents in db.execute("SELECT currency, cents FROM currency_totals")}


def read_totals(
    db: sqlite3.Connection, since_day: int, until_day: int, agent: str | None
) -> list[tuple[DailyTotalKey, Total]]:
    rows = db.execute(READ_TOTALS, {"since": since_day, "until": until_day, "agent": agent})
    return [(DailyTotalKey(*row[:5]), Total(*map(int, row[5:]))) for row in rows]


def read_minute_counts(db: sqlite3.Connection, since_ms: int) -> list[MinuteCount]:
    parameters = (since_ms // MINUTE_MS,)
    rows = db.execute("SELECT minute, bets FROM minutes WHERE minute >= ? ORDER BY minute", parameters)
    return [MinuteCount(minute * MINUTE_MS, bets) for minute, bets in rows]


def read_orphan_wins(db: sqlite3.Connection) -> list[OrphanWins]:
    db.execute("BEGIN")
    try:
        rows = db.execute(READ_ORPHAN_WINS).fetchall()
        (last_seq,) = db.execute("SELECT last_seq FROM totals_progress").fetchone()
        rollbacks = list(_split_round_rollbacks(db, (last_seq + 1, MAX_CENTS)))
    finally:
        db.execute("COMMIT")
    rows += [(currency, 0, total.orphan_paid) for _, _, currency, _, total in rollbacks if total.orphan_paid]
    found: dict[str, OrphanWins] = {}
    for currency, wins, paid in sorted(rows, key=itemgetter(0)):
        total = found.get(currency, OrphanWins(currency, 0, 0))
        found[currency] = OrphanWins(currency, total.wins + wins, total.paid + int(paid))
    return list(found.values())


def read_currency_balances(db: sqlite3.Connection) -> list[CurrencyBalance]:
    """Return the balances. One read transaction, so that entries and balances are of the same moment."""
    db.execute("BEGIN")
    try:
        moved = _read_currency_totals(db)
        for currency, high, low in db.execute(SUM_NEWER_ROWS):
            moved[currency] = moved.get(currency, 0) + _join_halves(high, low)
        currencies = db.execute("SELECT DISTINCT currency FROM accounts ORDER BY 1").fetchall()
        return [_read_currency_balance(db, currency, moved.get(currency, 0)) for (currency,) in currencies]
    finally:
        db.execute("COMMIT")


def _read_currency_balance(db: sqlite3.Connection, currency: str, moved: int) -> CurrencyBalance:
    accounts, cash_high, cash_low, bonus_high, bonus_low = db.execute(SUM_BALANCES, (currency,)).fetchone()
    return CurrencyBalance(
        currency, accounts, _join_halves(cash_high, cash_low), _join_halves(bonus_high, bonus_low), moved
    )


class SqliteTotalsStore(SqliteSubject):
    """The `TotalsStore` over SQLite."""

    read_totals = reads(read_totals)
    read_minute_counts = reads(read_minute_counts)
    read_orphan_wins = reads(read_orphan_wins)
    read_currency_balances = reads(read_currency_balances)

    async def aggregate_totals(self, limit: int) -> int:
        # Entries never change, so summing them needs no write transaction, and no bet waits for it.
        delta = await self._executor.read(lambda db: aggregate_rows(db, limit))
        if delta.last_seq > delta.after_seq:
            await self._executor.write(lambda db: save_totals(db, delta))
        return delta.last_seq - delta.after_seq
