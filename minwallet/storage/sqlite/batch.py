"""Decide a batch inside the transaction that writes it: read everything, decide each in turn, write, commit.

Every read takes the whole batch at once, as one JSON array, so that a batch of any size is a handful of statements.
Two players may use one transaction id in the same batch; the later one is decided with the earlier one's row in sight.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

from minwallet.ledger.commands import Authenticate, Balance, Cancel, Win
from minwallet.ledger.decide import Account, Round, Session, Snapshot, Trail, decide
from minwallet.ledger.entries import Entry, Kind, Refusal, State
from minwallet.ledger.outcomes import Applied, Outcome, Refused
from minwallet.storage.base import Order

ENTRY = """
    t.seq, t.at_ms, t.account_id, t.previous_seq, p.protocol, t.kind, t.id, t.round, t.game, t.detail,
    t.stake, t.payout, t.amount, t.bonus_amount, t.cash_after, t.bonus_after, t.state, t.refusal, t.hash
"""

# One row of JSON rather than a row each: between two rows the interpreter's lock changes hands.
READ_SUBJECTS = """
    SELECT json_group_array(json_array(a.account_id, a.cash, a.bonus, hex(a.head), a.last_seq, p.status = 'blocked',
                                       s.session_id, s.expires_at_ms, s.revoked_at_ms, i.space_id)),
           (SELECT coalesce(max(seq), 0) + 1 FROM transactions)
      FROM json_each(?) AS asked
      CROSS JOIN accounts AS a ON a.account_id = asked.value ->> 0
      JOIN players AS p USING (player_key)
      LEFT JOIN sessions AS s ON s.session_id = asked.value ->> 1
      LEFT JOIN id_spaces AS i ON i.agent_id = p.agent_id AND i.protocol = asked.value ->> 2
                              AND i.currency = iif(asked.value ->> 3, a.currency, '')
"""

ADD_SPACE = """
    INSERT INTO id_spaces (agent_id, protocol, currency)
    SELECT p.agent_id, :protocol, iif(:ids_per_currency, a.currency, '')
      FROM accounts AS a JOIN players AS p USING (player_key) WHERE a.account_id = :account_id
"""

READ_TRAILS = f"""
    SELECT t.space_id, t.part, {ENTRY}
      FROM json_each(?) AS asked
      CROSS JOIN transactions AS t ON t.space_id = asked.value ->> 0 AND t.id = asked.value ->> 1
      JOIN id_spaces AS p USING (space_id)
"""  # noqa: S608 the columns are a constant

READ_ROUNDS = """
    WITH asked AS (
        SELECT key, value ->> 0 AS account_id, value ->> 1 AS space_id, value ->> 2 AS round FROM json_each(?)
    ), members AS (
        SELECT asked.key, t.* FROM asked CROSS JOIN transactions AS t
            ON t.space_id = asked.space_id AND t.id = asked.round AND t.round = t.id
         WHERE t.account_id = asked.account_id
        UNION ALL
        SELECT asked.key, t.* FROM asked CROSS JOIN transactions AS t
            ON t.space_id = asked.space_id AND t.round = asked.round AND t.round <> t.id
         WHERE t.account_id = asked.account_id
    )
    SELECT coalesce(max(m.kind = 'bet' AND m.state = 'applied' AND NOT EXISTS (
               SELECT 1 FROM transactions AS c WHERE c.space_id = m.space_id AND c.id = m.id AND c.part = 2
           )), 0),
           coalesce(max(m.kind = 'cancel'), 0),
           coalesce(max(iif(m.kind = 'win', m.seq, 0)), 0)
      FROM asked LEFT JOIN members AS m USING (key)
     GROUP BY asked.key ORDER BY asked.key
"""

# A batch is filled up with rows of NULLs to a power of two, so that there are few different statements and all of them
# stay prepared; and it is one statement rather than a row each, for the same reason as above.
ADD_ENTRIES = """
    INSERT INTO transactions (space_id, part, seq, at_ms, account_id, previous_seq, kind, id, round, game, detail,
                              stake, payout, amount, bonus_amount, cash_after, bonus_after, state, refusal, hash)
    SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL
"""

MOVE_ACCOUNTS = """
    WITH moved (account_id, cash, bonus, head, seq) AS (VALUES {rows})
    UPDATE accounts SET cash = moved.cash, bonus = moved.bonus, head = moved.head, last_seq = moved.seq
      FROM moved WHERE accounts.account_id = moved.account_id
"""

_KINDS = {str(kind): kind for kind in Kind}
_STATES = {str(state): state for state in State}
_REFUSALS: dict[str | None, Refusal | None] = {None: None, **{str(refusal): refusal for refusal in Refusal}}

NO_TRAIL, NO_ROUND = Trail(), Round()

Key = tuple[int, str]
"""A transaction id where it is unique: (space_id, id)."""


class Subject(NamedTuple):
    """Whom an order is about, and in which id space its id is looked up."""

    account: Account
    is_blocked: bool
    session: Session | None
    space_id: int


def apply(db: sqlite3.Connection, orders: Sequence[Order], now_ms: int) -> list[Outcome]:
    """Decide the orders in turn and write the entries they make. The caller holds the write transaction."""
    subjects, seq = _read_subjects(db, orders)
    keys = [(subject.space_id, _id(order)) for order, subject in zip(orders, subjects, strict=True)]
    trails = _read_trails(db, keys)
    rounds = _read_rounds(db, orders, keys, trails)

    outcomes: list[Outcome] = []
    rows: list[tuple[Any, ...]] = []
    moves: list[tuple[Any, ...]] = []
    for index, (order, subject, key) in enumerate(zip(orders, subjects, keys, strict=True)):
        trail = trails.get(key, NO_TRAIL)
        snapshot = Snapshot(
            order.protocol,
            subject.account,
            subject.is_blocked,
            subject.session,
            trail,
            rounds.get(index, NO_ROUND),
            seq + len(rows),
        )
        outcome = decide(snapshot, order.command, now_ms)
        outcomes.append(outcome)
        if isinstance(outcome, Applied | Refused) and (entry := outcome.entry):
            rows.append((key[0], _part(trail, entry), *entry[:4], *entry[5:]))
            moves.append((entry.account_id, entry.cash_after, entry.bonus_after, entry.hash, entry.seq))
            trails[key] = trail.followed_by(entry)
    _write(db, ADD_ENTRIES, rows)
    _write(db, MOVE_ACCOUNTS, moves)
    return outcomes


def look(db: sqlite3.Connection, order: Order, now_ms: int) -> Outcome:
    """The outcome of a question: no identity, nothing to write."""
    ((subject,), _) = _read_subjects(db, [order])
    snapshot = Snapshot(order.protocol, subject.account, subject.is_blocked, subject.session, NO_TRAIL, NO_ROUND, 0)
    return decide(snapshot, order.command, now_ms)


def _id(order: Order) -> str:
    assert not isinstance(order.command, Balance | Authenticate)
    return order.command.id


def _read_subjects(db: sqlite3.Connection, orders: Sequence[Order]) -> tuple[list[Subject], int]:
    """The subjects of the orders, and the next entry's `seq`."""
    names = [(each.account_id, each.session_id, each.protocol, each.ids_per_currency) for each in orders]
    asked = json.dumps(names)
    found, seq = db.execute(READ_SUBJECTS, (asked,)).fetchone()
    rows = json.loads(found)
    for order, row in zip(orders, rows, strict=True):
        if row[-1] is None and not isinstance(order.command, Balance | Authenticate):
            # The first order ever in this id space makes it, and then it is there to be read.
            db.execute(ADD_SPACE, order._asdict())
            return _read_subjects(db, orders)
    subjects = [
        Subject(
            Account(account_id, cash, bonus, bytes.fromhex(head), last_seq),
            bool(is_blocked),
            Session(expires_at_ms, revoked_at_ms) if session_id is not None else None,
            space_id,
        )
        for account_id, cash, bonus, head, last_seq, is_blocked, *session_and_space in rows
        for session_id, expires_at_ms, revoked_at_ms, space_id in [session_and_space]
    ]
    return subjects, seq


def make_entry(row: Sequence[Any]) -> Entry:
    """An entry of the columns of ENTRY."""
    return Entry._make((*row[:5], _KINDS[row[5]], *row[6:16], _STATES[row[16]], _REFUSALS[row[17]], row[18]))


def _write(db: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        size, columns = 1 << (len(rows) - 1).bit_length(), len(rows[0])
        padding = [None] * (columns * (size - len(rows)))
        db.execute(_for_rows(statement, size, columns), [*chain.from_iterable(rows), *padding])


@cache
def _for_rows(statement: str, rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return statement.format(rows=", ".join([row] * rows))


def _read_trails(db: sqlite3.Connection, keys: Iterable[Key]) -> dict[Key, Trail]:
    trails: dict[Key, Trail] = {}
    for space_id, part, *columns in db.execute(READ_TRAILS, (json.dumps(list(keys)),)):
        entry = make_entry(columns)
        key = (space_id, entry.id)
        trails[key] = trails.get(key, NO_TRAIL)._replace(**{Trail._fields[part]: entry})
    return trails


def _read_rounds(
    db: sqlite3.Connection, orders: Sequence[Order], keys: Sequence[Key], trails: dict[Key, Trail]
) -> dict[int, Round]:
    """What is known of the rounds that decisions will ask about, by the order's place in the batch."""
    asked: dict[int, tuple[int, int, str]] = {}
    for index, (order, key) in enumerate(zip(orders, keys, strict=True)):
        round_id = _round_asked_about(order.command, trails.get(key))
        if round_id is not None:
            asked[index] = (order.account_id, key[0], round_id)
    if not asked:
        return {}
    found = db.execute(READ_ROUNDS, (json.dumps(list(asked.values())),))
    return {index: Round(bool(row[0]), bool(row[1]), row[2]) for index, row in zip(asked, found, strict=True)}


def _round_asked_about(command: object, trail: Trail | None) -> str | None:
    if isinstance(command, Win):
        return command.round
    if isinstance(command, Cancel) and trail and trail.first:
        return trail.first.round
    return None


def _part(trail: Trail, entry: Entry) -> int:
    """Which field of the trail the entry fills."""
    if entry.kind is Kind.CANCEL:
        return 2
    return 0 if trail.first is None else 1
