"""Pages of the ledger: plain functions over a connection. Each looks at a bounded number of rows, whatever is asked."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from minwallet.ledger.audit import AccountRef
from minwallet.storage.sqlite import batch
from minwallet.storage.views import Filter, Listed, Page

MINUTE_MS = 60_000

LOOKED_AT = 10_000
"""In how many rows a page looks for what is wanted: some 20 ms, as whose they are is read from all over the file."""

OPEN_LOOKED_AT = 5_000
"""The same, where each row has to be held against others."""

# Every source names its rows by `seq`; their order of joining is fixed, so that a filter never makes a scan of it.
READ = f"""
    SELECT {batch.ENTRY}, g.name, w.player_id, a.currency
      FROM {{source}}
      CROSS JOIN id_spaces AS p ON p.space_id = t.space_id
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

ALL = "transactions AS t"

OF_ID = """
    (SELECT u.seq FROM id_spaces AS i CROSS JOIN transactions AS u ON u.space_id = i.space_id AND u.id = :id) AS found
    CROSS JOIN transactions AS t ON t.seq = found.seq
"""

OF_ROUND = """
    (SELECT u.seq FROM id_spaces AS i CROSS JOIN transactions AS u
         ON u.space_id = i.space_id AND u.id = :round AND u.round = u.id
      UNION ALL
     SELECT u.seq FROM id_spaces AS i CROSS JOIN transactions AS u
         ON u.space_id = i.space_id AND u.round = :round AND u.round <> u.id) AS found
    CROSS JOIN transactions AS t ON t.seq = found.seq
"""

OF_CHAIN = "json_each(:seqs) AS found CROSS JOIN transactions AS t ON t.seq = found.value"

READ_CHAIN = """
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

IS_OPEN = """
    t.kind = 'bet' AND t.state = 'applied'
    AND NOT EXISTS (SELECT 1 FROM transactions AS c WHERE c.space_id = t.space_id AND c.id = t.id AND c.part = 2)
    AND NOT EXISTS (
        SELECT 1 FROM transactions AS c WHERE c.space_id = t.space_id AND c.id = t.round AND c.round = c.id
            AND c.kind = 'win' AND c.seq > t.seq AND c.account_id = t.account_id
    )
    AND NOT EXISTS (
        SELECT 1 FROM transactions AS c WHERE c.space_id = t.space_id AND c.round = t.round AND c.round <> c.id
            AND c.kind = 'win' AND c.seq > t.seq AND c.account_id = t.account_id
    )
"""

COUNT_OPEN_ROUNDS = f"""
    SELECT count(*) FROM (
        SELECT DISTINCT t.space_id, t.account_id, t.round FROM transactions AS t WHERE t.seq > ? AND {IS_OPEN}
    )
"""  # noqa: S608 made of constants

FIRST_SINCE = """
    SELECT coalesce((SELECT min(first_seq) FROM minutes WHERE minute >= ?), s.last_seq + 1) FROM summed_up AS s
"""

LAST_UNTIL = """
    SELECT coalesce((SELECT max(t.seq) FROM transactions AS t WHERE t.seq > s.last_seq AND t.at_ms < ?),
                    (SELECT max(last_seq) FROM minutes WHERE minute <= ?), 0)
      FROM summed_up AS s
"""


class _Span(NamedTuple):
    """The rows from `first` to `last`."""

    first: int
    last: int


def read_page(db: sqlite3.Connection, wanted: Filter, before: int | None, limit: int) -> Page:
    if wanted.id is not None or wanted.round is not None:
        source = OF_ROUND if wanted.id is None else OF_ID
        rows = _read(db, source, wanted, _Span(0, _last(db, before)), limit)
        return Page(rows, rows[-1].entry.seq if len(rows) == limit else None)
    if wanted.player_id is not None:
        return _read_chain(db, wanted, before, limit)
    span = _span_of_time(db, wanted, before)
    return _read_back(db, wanted, span, limit, looked_at=LOOKED_AT)


def read_open_bets(db: sqlite3.Connection, agent: str | None, before: int | None, limit: int) -> Page:
    span = _Span(1, _last(db, before))
    return _read_back(db, Filter(agent=agent), span, limit, looked_at=OPEN_LOOKED_AT, also=IS_OPEN)


def count_open_rounds(db: sqlite3.Connection, among: int) -> int:
    (rounds,) = db.execute(COUNT_OPEN_ROUNDS, (_last(db, None) - among,)).fetchone()
    return int(rounds)


def read_news(db: sqlite3.Connection, wanted: Filter, after: int, limit: int) -> Page:
    span = _Span(after + 1, min(after + LOOKED_AT, _last(db, None)))
    rows = _read(db, ALL, wanted, span, limit, order="ASC")
    return Page(rows, rows[-1].entry.seq if len(rows) == limit else max(span.last, after))


def _read_back(
    db: sqlite3.Connection, wanted: Filter, span: _Span, limit: int, *, looked_at: int, also: str = "TRUE"
) -> Page:
    """The newest rows of the span that are wanted, or those among the newest so many."""
    window = _Span(max(span.first, span.last - looked_at + 1), span.last)
    rows = _read(db, ALL, wanted, window, limit, also=also)
    if len(rows) == limit:
        return Page(rows, rows[-1].entry.seq)
    return Page(rows, window.first if window.first > span.first else None)


def _read_chain(db: sqlite3.Connection, wanted: Filter, before: int | None, limit: int) -> Page:
    """A player's rows, of one agent or of all, are found from the accounts' last ones backwards."""
    span = _span_of_time(db, wanted, before)
    whose = {"agent": wanted.agent, "player_id": wanted.player_id, "currency": wanted.currency}
    found = db.execute(READ_CHAIN, {**whose, **span._asdict(), "looked_at": LOOKED_AT})
    seqs = [seq for (seq,) in found]
    rows = _read(db, OF_CHAIN, wanted, span, limit, seqs=json.dumps(seqs))
    if len(rows) == limit:
        return Page(rows, rows[-1].entry.seq)
    return Page(rows, seqs[-1] if len(seqs) == LOOKED_AT else None)


def _read(
    db: sqlite3.Connection,
    source: str,
    wanted: Filter,
    span: _Span,
    limit: int,
    *,
    order: str = "DESC",
    also: str = "TRUE",
    **more: object,
) -> list[Listed]:
    asked = {name: value for name, value in wanted._asdict().items() if value is not None}
    conditions = ["t.seq BETWEEN :first AND :last", *(CONDITIONS[name] for name in asked), also]
    statement = READ.format(source=source, conditions=" AND ".join(conditions), order=order)
    parameters: Mapping[str, Any] = {**asked, **span._asdict(), **more, "limit": limit}
    return [_listed(row) for row in db.execute(statement, parameters)]


def _listed(row: Sequence[Any]) -> Listed:
    return Listed(batch.make_entry(row), AccountRef._make(row[-3:]))


def _last(db: sqlite3.Connection, before: int | None) -> int:
    """The row that is looked at first: the one before `before`, or the newest."""
    (newest,) = db.execute("SELECT coalesce(max(seq), 0) FROM transactions").fetchone()
    return int(newest if before is None else min(before - 1, newest))


def _span_of_time(db: sqlite3.Connection, wanted: Filter, before: int | None) -> _Span:
    """Among which rows those of the wanted time are: by the minutes, and those not added up yet by themselves."""
    first, last = 1, _last(db, before)
    if wanted.since_ms is not None:
        (first,) = db.execute(FIRST_SINCE, (wanted.since_ms // MINUTE_MS,)).fetchone()
    if wanted.until_ms is not None:
        until = (wanted.until_ms, wanted.until_ms // MINUTE_MS)
        last = min(last, *db.execute(LAST_UNTIL, until).fetchone())
    return _Span(first, last)
