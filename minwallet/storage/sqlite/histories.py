"""The histories of transaction ids and the summaries of rounds, on which `batch` decides commands."""

import sqlite3
from collections.abc import Sequence

from pydantic_core import from_json, to_json

from minwallet.ledger.snapshot import Round, TransactionHistory
from minwallet.storage.sqlite.entry_rows import ENTRY_SELECT_LIST, EntryColumns, make_entry

# Shared, as most commands have a new id and most rounds are not read.
NO_HISTORY, NO_ROUND = TransactionHistory(), Round()

_ENTRY_OF_SCOPE = ENTRY_SELECT_LIST.replace("p.protocol", "i.protocol")

# The entries with an id in the scope `i`, each after its role, and the rollbacks that refer to the id; NULL for none.
# Most ids have none, and looking for them is faster than making an empty array. `json()` is for SQLite 3.54, which
# passes JSON of a subquery on as text.
HISTORY = f"""
    json((
        SELECT json_group_array(json_array(t.role, {_ENTRY_OF_SCOPE}))
          FROM transactions AS t WHERE t.scope_id = i.scope_id AND t.id = {{id}}
    )),
    CASE WHEN EXISTS (SELECT 1 FROM transactions AS t WHERE t.scope_id = i.scope_id AND t.reference = {{id}})
         THEN json((
             SELECT json_group_array(json_array({_ENTRY_OF_SCOPE}))
               FROM transactions AS t WHERE t.scope_id = i.scope_id AND t.reference = {{id}}
         ))
    END
"""  # noqa: S608 the columns are a constant

READ_HISTORIES = f"""
    SELECT json_group_array(json_array({HISTORY.format(id="asked.value ->> 1")}))
      FROM json_each(?) AS asked CROSS JOIN id_scopes AS i ON i.scope_id = asked.value ->> 0
"""  # noqa: S608 the columns are a constant

# True if rollbacks have reversed the whole bet, betwin or win `t`. A result has role 1 and the id of its bet, to which
# the rollbacks of that id refer. The sum cannot overflow, as it is never more than what it reverses.
IS_ROLLED_BACK = """
    (t.role = 0 AND coalesce((
        SELECT sum(r.stake + r.payout) FROM transactions AS r
         WHERE r.scope_id = t.scope_id AND r.reference = t.id AND r.state = 'applied'
    ) >= iif(t.kind = 'win', t.payout, t.stake), FALSE))
"""

# For each round: how many bets stand, whether a bet was cancelled, the `seq` of the round's rollback, the `seq` of the
# standing wins, and the sums of its changes in halves of 32 bits, as turnover can exceed 64 bits. Bets up to the seq
# `after` do not stand.
#
# The entry whose id names the round is found by id, all others by round, so that each part of the UNION uses its index.
# `is_reversible` is false for protocols without rollbacks, so that their wins and cancels do not look for any.
_ROUND_COLUMNS = """
               asked.key, asked.after, t.scope_id, t.id, t.role, t.kind, t.state, t.seq, t.stake, t.payout,
               t.amount, t.bonus_amount, asked.is_reversible"""
_IS_REVERSED = f"iif(t.is_reversible, {IS_ROLLED_BACK}, FALSE)"
_READ_ROUNDS = f"""
    WITH asked AS (
        SELECT key, value ->> 0 AS account_id, value ->> 1 AS scope_id, value ->> 2 AS round, value ->> 3 AS after,
               EXISTS (SELECT 1 FROM transactions AS r
                        WHERE r.scope_id = value ->> 1 AND r.reference IS NOT NULL) AS is_reversible
          FROM json_each(?)
    ), members AS (
        SELECT {_ROUND_COLUMNS} FROM asked CROSS JOIN transactions AS t
            ON t.scope_id = asked.scope_id AND t.id = asked.round AND t.round = t.id
         WHERE t.account_id = asked.account_id
        UNION ALL
        SELECT {_ROUND_COLUMNS} FROM asked CROSS JOIN transactions AS t
            ON t.scope_id = asked.scope_id AND t.round = asked.round AND t.round <> t.id
         WHERE t.account_id = asked.account_id
    )
    SELECT t.key,
           coalesce(sum(t.kind = 'bet' AND t.state = 'applied' AND t.seq > t.after AND NOT EXISTS (
               SELECT 1 FROM transactions AS c WHERE c.scope_id = t.scope_id AND c.id = t.id AND c.role = 2
           ) AND NOT {_IS_REVERSED}), 0),
           coalesce(max(t.kind IN ('cancel', 'round_rollback') OR (t.kind = 'rollback' AND t.state = 'closed')
                        OR (t.kind IN ('bet', 'betwin') AND {_IS_REVERSED})), 0),
           coalesce(max(iif(t.kind = 'round_rollback', t.seq, 0)), 0),
           {{wins}}
      FROM members AS t GROUP BY t.key
"""  # noqa: S608 made of constants

# The newest standing win is enough for most commands.
READ_LAST_WINS = _READ_ROUNDS.format(
    wins=f"coalesce(max(iif(t.kind = 'win' AND NOT {_IS_REVERSED}, t.seq, 0)), 0), '', 0, 0, 0, 0"
)
READ_WINS_AND_SUMS = _READ_ROUNDS.format(
    wins=f"""
           coalesce(max(iif(t.kind = 'win' AND NOT {_IS_REVERSED}, t.seq, 0)), 0),
           group_concat(iif(t.kind = 'win' AND NOT {_IS_REVERSED}, t.seq, NULL)),
           coalesce(sum(t.amount >> 32), 0), coalesce(sum(t.amount & 4294967295), 0),
           coalesce(sum(t.bonus_amount >> 32), 0), coalesce(sum(t.bonus_amount & 4294967295), 0)"""
)

IdKey = tuple[int | None, str]
"""A transaction id: (scope_id, id). A plain tuple, as every command makes some. None: the scope has no entries yet."""

RoundKey = tuple[int, int | None, str | None]
"""An account's entries of a round: (account_id, scope_id, round). A round of None has no entries."""


def make_history(rows: Sequence[EntryColumns], rollbacks: Sequence[EntryColumns] | None) -> TransactionHistory:
    """Return the history of an id from the two columns of HISTORY."""
    if not rows and not rollbacks:
        return NO_HISTORY
    parts = {TransactionHistory._fields[role]: make_entry(row) for role, *row in rows}
    return TransactionHistory(**parts, rollbacks=tuple(sorted(map(make_entry, rollbacks or ()))))


def read_histories(db: sqlite3.Connection, keys: Sequence[IdKey]) -> dict[IdKey, TransactionHistory]:
    """Return the histories of these ids. Each scope must exist."""
    if not keys:
        return {}
    (found,) = db.execute(READ_HISTORIES, (to_json(keys).decode(),)).fetchone()
    return {key: make_history(*row) for key, row in zip(keys, from_json(found, cache_strings="none"), strict=True)}


def read_rounds(db: sqlite3.Connection, keys: Sequence[RoundKey], *, needs_sums: bool = False) -> dict[RoundKey, Round]:
    """Return the state of each of these rounds.

    Without `needs_sums`, `cash`, `bonus` and `win_seqs` are not read. Only a RollbackRound and a Group need them.
    """
    return _read_rounds(db, dict.fromkeys(keys, 0), READ_WINS_AND_SUMS if needs_sums else READ_LAST_WINS)


def _read_rounds(db: sqlite3.Connection, keys: dict[RoundKey, int], statement: str) -> dict[RoundKey, Round]:
    """Return the rounds. The bets up to the given `seq` of each do not stand."""
    items = list(keys.items())
    asked = to_json([(*key, after) for key, after in items]).decode()
    # A round without entries has no row.
    rounds = dict.fromkeys(keys, NO_ROUND)
    rolled_back: dict[RoundKey, int] = {}
    for index, bets, is_cancelled, rollback, last_win, wins, c1, c2, b1, b2 in db.execute(statement, (asked,)):
        key, after = items[index]
        win_seqs = tuple(sorted(map(int, wins.split(",")))) if wins else ()
        sums = (c1 << 32) + c2, (b1 << 32) + b2
        rounds[key] = Round(bets, bool(is_cancelled), last_win, bool(rollback), *sums, win_seqs)
        if rollback > after:
            rolled_back[key] = rollback
    # This is rare: after the rollback of a round, only late calls name it.
    return rounds | _read_rounds(db, rolled_back, statement) if rolled_back else rounds
