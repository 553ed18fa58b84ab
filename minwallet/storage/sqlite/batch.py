"""Decide a batch inside the transaction that writes it: read everything, decide each in turn, write, commit.

Every read takes the whole batch at once, as one JSON array, so that a batch of any size is a handful of statements.
Two players may use one transaction id in the same batch; the later one is decided with the earlier one's row in sight.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from functools import cache, reduce
from typing import Any

from pydantic_core import from_json, to_json

from minwallet.ledger.commands import Cancel, Command, Query, Win
from minwallet.ledger.decide import Account, Round, Session, Snapshot, TransactionHistory, decide
from minwallet.ledger.entries import Entry, Kind, Refusal, State
from minwallet.ledger.outcomes import Applied, Outcome, Refused
from minwallet.storage.base import DamagedFile, Order
from minwallet.storage.sqlite import limits

ENTRY = """
    t.seq, t.at_ms, t.account_id, t.previous_seq, p.protocol, t.kind, t.id, t.round, t.game, t.detail,
    t.stake, t.payout, t.amount, t.bonus_amount, t.cash_after, t.bonus_after, t.state, t.refusal, hex(t.hash)
"""

# Whether the account is as its last entry left it, so that no decision is taken on a balance that nobody wrote.
IS_SOUND = """
    iif(a.last_seq, (SELECT l.account_id = a.account_id AND l.hash = a.head AND l.cash_after = a.cash
                        AND l.bonus_after = a.bonus FROM transactions AS l WHERE l.seq = a.last_seq),
        a.cash = 0 AND a.bonus = 0)
"""

# One row of JSON for the whole batch, rather than rows: between two rows the interpreter's lock changes hands, and that
# costs more than the row.
READ_SUBJECTS = f"""
    SELECT json_group_array(json_array(
               a.account_id, a.cash, a.bonus, hex(a.head), a.last_seq, p.status = 'blocked',
               s.session_id, s.expires_at_ms, s.revoked_at_ms, {limits.GUARD}, {IS_SOUND}, i.space_id,
               (SELECT json_group_array(json_array(t.part, {ENTRY.replace("p.protocol", "i.protocol")}))
                  FROM transactions AS t WHERE t.space_id = i.space_id AND t.id = asked.value ->> 4)
           )),
           (SELECT coalesce(max(seq), 0) + 1 FROM transactions)
      FROM json_each(:asked) AS asked
      CROSS JOIN accounts AS a ON a.account_id = asked.value ->> 0
      JOIN players AS p USING (player_key)
      LEFT JOIN sessions AS s ON s.session_id = asked.value ->> 1
      LEFT JOIN id_spaces AS i ON i.agent_id = p.agent_id AND i.protocol = asked.value ->> 2
                              AND i.currency = iif(asked.value ->> 3, a.currency, '')
"""  # noqa: S608 the columns are a constant

ADD_SPACE = """
    INSERT INTO id_spaces (agent_id, protocol, currency)
    SELECT p.agent_id, :protocol, iif(:ids_per_currency, a.currency, '')
      FROM accounts AS a JOIN players AS p USING (player_key) WHERE a.account_id = :account_id
"""

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

# A batch is filled up with rows of zeros to a power of two, so that there are few different statements and all of them
# stay prepared; and it is one statement rather than a row each, for the same reason as above. The schema moves the
# accounts with it.
ADD_ENTRIES = """
    INSERT INTO transactions (space_id, part, seq, at_ms, account_id, previous_seq, kind, id, round, game, detail,
                              stake, payout, amount, bonus_amount, cash_after, bonus_after, state, refusal, hash)
    SELECT * FROM (VALUES {rows}) WHERE column1 > 0
"""
ENTRY_COLUMNS = 20

ADD_LETTERS = """
    INSERT INTO journal (seq, request, reply) SELECT * FROM (VALUES {rows}) WHERE column1 > 0
"""
LETTER_COLUMNS = 3

_KINDS = {str(kind): kind for kind in Kind}
_STATES = {str(state): state for state in State}
_REFUSALS: dict[str | None, Refusal | None] = {None: None, **{str(refusal): refusal for refusal in Refusal}}

NO_TRAIL, NO_ROUND = TransactionHistory(), Round()

Row = Sequence[Any]
"""What READ_SUBJECTS finds of an order's subject: account, session, guard, whether it is sound, id space,
and the rows of its id."""


def apply(db: sqlite3.Connection, orders: Sequence[Order], now_ms: int) -> list[Outcome]:
    """Decide the orders in turn and write the entries they make. The caller holds the write transaction."""
    subjects, seq = _read_subjects(db, orders, now_ms)
    rounds = _read_rounds(db, orders, subjects)
    outcomes: list[Outcome] = []
    entries: list[Any] = []
    letters: list[Any] = []
    made: defaultdict[tuple[int, str | None], list[Entry]] = defaultdict(list)
    for index, (order, subject) in enumerate(zip(orders, subjects, strict=True)):
        space_id, rows = subject[-2:]
        key = space_id, _id(order)
        trail = reduce(TransactionHistory.append, made.get(key, ()), _make_trail(rows))
        outcome = decide(_snapshot(order, subject, trail, rounds.get(index, NO_ROUND), seq), order.command, now_ms)
        outcomes.append(outcome)
        if isinstance(outcome, (Applied, Refused)) and (entry := outcome.entry):
            made[key].append(entry)
            entries += values_of(entry, space_id, _part(trail, entry))
            if order.journal:
                letters += entry.seq, *order.journal(outcome)
            seq += 1
    add_entries(db, entries)
    _write(db, ADD_LETTERS, LETTER_COLUMNS, letters)
    return outcomes


def look(db: sqlite3.Connection, order: Order, now_ms: int) -> Outcome:
    """The outcome of a question, or what that of a bet would be: nothing that looks at a round."""
    ((subject,), seq) = _find_subjects(db, [order], now_ms)
    return decide(_snapshot(order, subject, _make_trail(subject[-1]), NO_ROUND, seq), order.command, now_ms)


def _id(order: Order) -> str | None:
    return None if isinstance(order.command, Query) else order.command.id


def _read_subjects(db: sqlite3.Connection, orders: Sequence[Order], now_ms: int) -> tuple[list[Row], int]:
    """The subjects of the orders, and the next entry's `seq`."""
    subjects, seq = _find_subjects(db, orders, now_ms)
    for order, subject in zip(orders, subjects, strict=True):
        if subject[-2] is None and _id(order) is not None:
            # The first order ever in this id space makes it, and then it is there to be read.
            db.execute(ADD_SPACE, order._asdict())
            return _read_subjects(db, orders, now_ms)
    return subjects, seq


def _find_subjects(db: sqlite3.Connection, orders: Sequence[Order], now_ms: int) -> tuple[list[Row], int]:
    asked = [(each.account_id, each.session_id, each.protocol, each.ids_per_currency, _id(each)) for each in orders]
    given = {"asked": to_json(asked).decode(), "since": limits.since(now_ms)}
    found, seq = db.execute(READ_SUBJECTS, given).fetchone()
    subjects: list[Row] = from_json(found, cache_strings="none")
    for subject in subjects:
        if not subject[10]:
            raise DamagedFile("the wallet file", f"account {subject[0]} is not as its last entry left it")
    return subjects, seq


def _snapshot(order: Order, subject: Row, trail: TransactionHistory, round_: Round, seq: int) -> Snapshot:
    account_id, cash, bonus, head, last_seq, is_blocked, session_id, expires_at_ms, revoked_at_ms = subject[:9]
    account = Account(account_id, cash, bonus, bytes.fromhex(head), last_seq)
    session = Session(expires_at_ms, revoked_at_ms) if session_id is not None else None
    guard = limits.make_guard(subject[9])
    return Snapshot(order.protocol, account, bool(is_blocked), session, trail, round_, seq, guard)


def _make_trail(rows: Sequence[Row]) -> TransactionHistory:
    return (
        NO_TRAIL._replace(**{TransactionHistory._fields[part]: make_entry(row) for part, *row in rows})
        if rows
        else NO_TRAIL
    )


def make_entry(row: Row) -> Entry:
    """An entry of the columns of ENTRY."""
    kind, state, refusal, hash_ = _KINDS[row[5]], _STATES[row[16]], _REFUSALS[row[17]], bytes.fromhex(row[18])
    return Entry._make((*row[:5], kind, *row[6:16], state, refusal, hash_))


def values_of(entry: Entry, space_id: int, part: int) -> tuple[Any, ...]:
    """What a row of the ledger is made of; sqlite3 takes its time over any text that is not plain `str`."""
    return (space_id, part, *entry[:4], str(entry.kind), *entry[6:16], str(entry.state), *entry[17:])


def add_entries(db: sqlite3.Connection, values: list[Any]) -> None:
    """Add rows to the ledger, some hundreds at the most, whose values follow each other."""
    _write(db, ADD_ENTRIES, ENTRY_COLUMNS, values)


def _write(db: sqlite3.Connection, statement: str, columns: int, values: list[Any]) -> None:
    """Add rows of so many columns, whose values follow each other."""
    if values:
        rows = len(values) // columns
        size = 1 << (rows - 1).bit_length()
        db.execute(_for_rows(statement, columns, size), values + [0] * (columns * (size - rows)))


@cache
def _for_rows(statement: str, columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return statement.format(rows=", ".join([row] * rows))


def _read_rounds(db: sqlite3.Connection, orders: Sequence[Order], subjects: Sequence[Row]) -> dict[int, Round]:
    """What is known of the rounds that decisions will ask about, by the order's place in the batch."""
    asked: dict[int, tuple[int, int, str]] = {}
    for index, (order, subject) in enumerate(zip(orders, subjects, strict=True)):
        space_id, rows = subject[-2:]
        round_id = _round_asked_about(order.command, rows)
        if round_id is not None:
            asked[index] = (order.account_id, space_id, round_id)
    return dict(zip(asked, read_rounds(db, list(asked.values())), strict=True))


def read_rounds(db: sqlite3.Connection, asked: Sequence[tuple[int, int, str]]) -> list[Round]:
    """What is known of these rounds, each as (account_id, space_id, round)."""
    if not asked:
        return []
    found = db.execute(READ_ROUNDS, (to_json(asked).decode(),))
    return [Round(bool(standing), bool(cancelled), last_win) for standing, cancelled, last_win in found]


def _round_asked_about(command: Command, rows: Sequence[Row]) -> str | None:
    if isinstance(command, Win):
        return command.round
    if isinstance(command, Cancel) and (first := _make_trail(rows).original):
        return first.round
    return None


def _part(trail: TransactionHistory, entry: Entry) -> int:
    """Which field of the trail the entry fills."""
    if entry.kind is Kind.CANCEL:
        return 2
    return 0 if trail.original is None else 1
