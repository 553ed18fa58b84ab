"""The SQL of filtered pages of the ledger.

A page searches a bounded number of rows, whatever the filter, so no page takes long. The source of the rows depends on
the filter: an id or a round uses its index, a player the chains of the accounts, and everything else a range of `seq`.
Times are translated into such a range by the table `minutes`, so that entries need no index by time.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.time_units import MINUTE_MS
from minwallet.storage.queries import EntryPage, Filter, OwnedEntry
from minwallet.storage.sqlite import entry_rows
from minwallet.storage.sqlite.histories import IS_ROLLED_BACK

MAX_SCANNED_ROWS = 10_000
"""The number of rows that a page searches, about 20 ms: the owners of the rows are spread all over the file."""

MAX_SCANNED_OPEN_ROWS = 5_000
"""The same for open bets, where each row is compared with others."""

# Every source yields rows of `transactions` as `t`. CROSS JOIN fixes the order of the loops, so that no filter makes
# SQLite scan another table.
READ_ENTRIES = f"""
    SELECT {entry_rows.ENTRY_SELECT_LIST}, g.name, w.player_id, a.currency
      FROM {{source}}
      CROSS JOIN id_scopes AS p ON p.scope_id = t.scope_id
      CROSS JOIN accounts AS a ON a.account_id = t.account_id
      CROSS JOIN players AS w ON w.player_key = a.player_key
      CROSS JOIN agents AS g ON g.agent_id = w.agent_id
     WHERE {{conditions}} ORDER BY t.seq {{order}} LIMIT :limit
"""  # noqa: S608 the columns are a constant

CONDITIONS = {
    "agent": "g.name = :agent",
    "player_id": "w.player_id = :player_id",
    "currency": "a.currency = :currency",
    "protocol": "p.protocol = :protocol",
    "kind": "t.kind = :kind",
    "state": "t.state = :state",
    "game": "t.game = :game",
    "round": "t.round = :round",
    "id": "t.id = :id",
    "since_ms": "t.at_ms >= :since_ms",
    "until_ms": "t.at_ms < :until_ms",
}

FROM_ALL = "transactions AS t"

FROM_ID = """
    (SELECT u.seq FROM id_scopes AS i CROSS JOIN transactions AS u ON u.scope_id = i.scope_id AND u.id = :id) AS found
    CROSS JOIN transactions AS t ON t.seq = found.seq
"""

# The entry whose id names the round is found by its id, all others by the index of rounds.
FROM_ROUND = """
    (SELECT u.seq FROM id_scopes AS i CROSS JOIN transactions AS u
         ON u.scope_id = i.scope_id AND u.id = :round AND u.round = u.id
      UNION ALL
     SELECT u.seq FROM id_scopes AS i CROSS JOIN transactions AS u
         ON u.scope_id = i.scope_id AND u.round = :round AND u.round <> u.id) AS found
    CROSS JOIN transactions AS t ON t.seq = found.seq
"""

FROM_SEQS = "json_each(:seqs) AS found CROSS JOIN transactions AS t ON t.seq = found.value"

READ_PLAYER_SEQS = """
    WITH RECURSIVE chain (seq, previous_seq) AS (
        SELECT t.seq, t.previous_seq
          FROM agents AS g
          CROSS JOIN players AS w ON w.agent_id = g.agent_id
          CROSS JOIN accounts AS a ON a.player_key = w.player_key
          CROSS JOIN transactions AS t ON t.seq = a.last_seq
         WHERE w.player_id = :player_id
           AND (:agent IS NULL OR g.name = :agent) AND (:currency IS NULL OR a.currency = :currency)
        UNION ALL
        SELECT t.seq, t.previous_seq FROM chain JOIN transactions AS t ON t.seq = chain.previous_seq
         WHERE t.seq >= :first ORDER BY 1 DESC
    )
    SELECT seq FROM chain WHERE seq BETWEEN :first AND :last LIMIT :looked_at
"""

# True if the entry `c` settles the bet `t`, which is in the same round: a later win that stands, or the round's end.
_SETTLES = f"""
    c.account_id = t.account_id AND c.seq > t.seq
    AND (c.kind IN ('round_end', 'round_rollback') OR (c.kind = 'win' AND NOT {IS_ROLLED_BACK.replace("t.", "c.")}))
"""

# Not cancelled, not wholly rolled back, not settled. Several subqueries, as each can use an index.
IS_OPEN_BET = f"""
    t.kind = 'bet' AND t.state = 'applied'
    AND NOT EXISTS (SELECT 1 FROM transactions AS c WHERE c.scope_id = t.scope_id AND c.id = t.id AND c.role = 2)
    AND NOT {IS_ROLLED_BACK}
    AND NOT EXISTS (
        SELECT 1 FROM transactions AS c WHERE c.scope_id = t.scope_id AND c.id = t.round AND c.round = c.id
            AND {_SETTLES}
    )
    AND NOT EXISTS (
        SELECT 1 FROM transactions AS c WHERE c.scope_id = t.scope_id AND c.round = t.round AND c.round <> c.id
            AND {_SETTLES}
    )
"""  # noqa: S608 made of constants

COUNT_OPEN_ROUNDS = f"""
    SELECT count(*) FROM (
        SELECT DISTINCT t.scope_id, t.account_id, t.round FROM transactions AS t WHERE t.seq > ? AND {IS_OPEN_BET}
    )
"""  # noqa: S608 made of constants

# `minutes` covers the entries up to `totals_progress.last_seq`. The few newer ones are searched themselves.
FIND_FIRST_SEQ_SINCE = """
    SELECT coalesce((SELECT min(first_seq) FROM minutes WHERE minute >= ?), s.last_seq + 1) FROM totals_progress AS s
"""

FIND_LAST_SEQ_UNTIL = """
    SELECT coalesce((SELECT max(t.seq) FROM transactions AS t WHERE t.seq > s.last_seq AND t.at_ms < ?),
                    (SELECT max(last_seq) FROM minutes WHERE minute <= ?), 0)
      FROM totals_progress AS s
"""


class _SeqRange(NamedTuple):
    """The rows from `first` to `last`, both included."""

    first: int
    last: int


def read_page(db: sqlite3.Connection, entry_filter: Filter, before: int | None, limit: int) -> EntryPage:
    if entry_filter.id is not None or entry_filter.round is not None:
        source = FROM_ROUND if entry_filter.id is None else FROM_ID
        rows = _select_entries(db, source, entry_filter, _SeqRange(0, _find_last_seq(db, before)), limit)
        return EntryPage(rows, rows[-1].entry.seq if len(rows) == limit else None)
    if entry_filter.player_id is not None:
        return _read_player_page(db, entry_filter, before, limit)
    seq_range = _find_seq_range(db, entry_filter, before)
    return _read_newest_first(db, entry_filter, seq_range, limit, max_rows=MAX_SCANNED_ROWS)


def read_open_bets(db: sqlite3.Connection, agent: str | None, before: int | None, limit: int) -> EntryPage:
    seq_range = _SeqRange(1, _find_last_seq(db, before))
    return _read_newest_first(
        db, Filter(agent=agent), seq_range, limit, max_rows=MAX_SCANNED_OPEN_ROWS, condition=IS_OPEN_BET
    )


def count_open_rounds(db: sqlite3.Connection, newest_rows: int) -> int:
    (rounds,) = db.execute(COUNT_OPEN_ROUNDS, (_find_last_seq(db, None) - newest_rows,)).fetchone()
    return int(rounds)


def read_entries_after(db: sqlite3.Connection, entry_filter: Filter, after: int, limit: int) -> EntryPage:
    seq_range = _SeqRange(after + 1, min(after + MAX_SCANNED_ROWS, _find_last_seq(db, None)))
    rows = _select_entries(db, FROM_ALL, entry_filter, seq_range, limit, order="ASC")
    return EntryPage(rows, rows[-1].entry.seq if len(rows) == limit else max(seq_range.last, after))


def _read_newest_first(
    db: sqlite3.Connection,
    entry_filter: Filter,
    seq_range: _SeqRange,
    limit: int,
    *,
    max_rows: int,
    condition: str = "TRUE",
) -> EntryPage:
    """Return the newest matching rows of the range, searching its newest `max_rows` rows."""
    window = _SeqRange(max(seq_range.first, seq_range.last - max_rows + 1), seq_range.last)
    rows = _select_entries(db, FROM_ALL, entry_filter, window, limit, condition=condition)
    if len(rows) == limit:
        return EntryPage(rows, rows[-1].entry.seq)
    return EntryPage(rows, window.first if window.first > seq_range.first else None)


def _read_player_page(db: sqlite3.Connection, entry_filter: Filter, before: int | None, limit: int) -> EntryPage:
    """Return the rows of a player id, at one agent or all, by following the chains of the accounts backwards."""
    seq_range = _find_seq_range(db, entry_filter, before)
    player = {"agent": entry_filter.agent, "player_id": entry_filter.player_id, "currency": entry_filter.currency}
    found = db.execute(READ_PLAYER_SEQS, {**player, **seq_range._asdict(), "looked_at": MAX_SCANNED_ROWS})
    seqs = [seq for (seq,) in found]
    rows = _select_entries(db, FROM_SEQS, entry_filter, seq_range, limit, seqs=json.dumps(seqs))
    if len(rows) == limit:
        return EntryPage(rows, rows[-1].entry.seq)
    return EntryPage(rows, seqs[-1] if len(seqs) == MAX_SCANNED_ROWS else None)


def _select_entries(
    db: sqlite3.Connection,
    source: str,
    entry_filter: Filter,
    seq_range: _SeqRange,
    limit: int,
    *,
    order: str = "DESC",
    condition: str = "TRUE",
    **extra_parameters: object,
) -> list[OwnedEntry]:
    criteria = {name: value for name, value in entry_filter._asdict().items() if value is not None}
    conditions = ["t.seq BETWEEN :first AND :last", *(CONDITIONS[name] for name in criteria), condition]
    statement = READ_ENTRIES.format(source=source, conditions=" AND ".join(conditions), order=order)
    parameters: Mapping[str, Any] = {**criteria, **seq_range._asdict(), **extra_parameters, "limit": limit}
    return [_make_owned_entry(row) for row in db.execute(statement, parameters)]


def _make_owned_entry(row: Sequence[Any]) -> OwnedEntry:
    *columns, agent, player_id, currency = row
    return OwnedEntry(entry_rows.make_entry(columns), AccountRef(agent, player_id, currency))


def _find_last_seq(db: sqlite3.Connection, before: int | None) -> int:
    """Return the `seq` of the row before `before`. None returns the newest."""
    (newest,) = db.execute("SELECT coalesce(max(seq), 0) FROM transactions").fetchone()
    return int(newest if before is None else min(before - 1, newest))


def _find_seq_range(db: sqlite3.Connection, entry_filter: Filter, before: int | None) -> _SeqRange:
    """Return the rows that can have the filter's times. It may be wider than the times, but never narrower."""
    first, last = 1, _find_last_seq(db, before)
    if entry_filter.since_ms is not None:
        (first,) = db.execute(FIND_FIRST_SEQ_SINCE, (entry_filter.since_ms // MINUTE_MS,)).fetchone()
    if entry_filter.until_ms is not None:
        until = (entry_filter.until_ms, entry_filter.until_ms // MINUTE_MS)
        last = min(last, *db.execute(FIND_LAST_SEQ_UNTIL, until).fetchone())
    return _SeqRange(first, last)
