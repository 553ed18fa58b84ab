"""The hot path: decide a batch of commands inside the transaction that writes their entries.

Rules

1. Everything that a decision needs is read in the transaction that writes the entry. Nothing is decided from a cache.
2. The order is: read all, decide each command in turn, write all. Nothing is written before the last decision.
3. Two players may use one transaction id in the same batch. So the history of an id is what the file has, plus the
   entries that earlier commands of this batch have decided. A player has at most one command in a batch, so balances
   need no such care; if a caller breaks this rule, a trigger of the schema rejects the batch.
4. An account whose balances differ from its last entry stops the store. It is never decided on.
5. A bug while one command is decided raises CommandFault, and the transaction is rolled back. The caller can then apply
   the other commands again.

Theory of operation

A batch costs a sync, hops between threads, and statements. All commands share one sync, and the others are few:

- The whole batch is one function that runs on the writer's thread: one hop for a batch of any size, instead of one for
  each statement (about 60 us each).
- The number of statements does not depend on the size of the batch. A batch of bets takes three: READ_COMMAND_STATES
  and ADD_ENTRIES, and ADD_JOURNAL_RECORDS if requests are recorded. Wins and cancels add READ_ROUNDS. ADD_ID_SCOPE runs
  once in the life of a scope, and READ_COMMAND_STATES is repeated then. A transfer by the operator adds its row of the
  audit log; a provider's command has none.
- The keys of a batch are passed as one JSON array (`json_each`), and its states are returned as one JSON text. Between
  two rows of a result, sqlite3 releases and takes the interpreter's lock; that costs more than the row.
- READ_COMMAND_STATES reads account, player, session, restrictions, id scope, and the entries of the transaction id. It
  also returns the next `seq`, as the transaction excludes any other writer.
- READ_ROUNDS is a second statement because a cancel names no round. Its round is that of the bet in the first result.
- The schema updates the account when its entry is inserted, so accounts need no statement of their own.

The caller holds the write transaction (`connection.transaction`), which syncs the batch when it commits.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, reduce
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from minwallet.ledger.commands import Cancel, Command, Query, Win
from minwallet.ledger.decide import Account, Round, Session, Snapshot, TransactionHistory, decide
from minwallet.ledger.entries import Entry, Kind, Refusal, State
from minwallet.ledger.outcomes import Applied, Outcome, Refused
from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.errors import CommandFault, DatabaseCorrupt
from minwallet.storage.models import AccountCommand
from minwallet.storage.sqlite import limits
from minwallet.storage.sqlite.audit_log import add_audit_event

ENTRY_SELECT_LIST = """
    t.seq, t.at_ms, t.account_id, t.previous_seq, p.protocol, t.kind, t.id, t.round, t.game, t.detail,
    t.stake, t.payout, t.amount, t.bonus_amount, t.cash_after, t.bonus_after, t.state, t.refusal, hex(t.hash)
"""

# True if the account has the balances and the hash of its last entry. A new account has no entry, and no money.
BALANCE_MATCHES_LAST_ENTRY = """
    iif(a.last_seq, (SELECT l.account_id = a.account_id AND l.hash = a.head AND l.cash_after = a.cash
                        AND l.bonus_after = a.bonus FROM transactions AS l WHERE l.seq = a.last_seq),
        a.cash = 0 AND a.bonus = 0)
"""

# The result is one row of JSON for the whole batch. `json()` is for SQLite 3.54, which passes JSON of a subquery on as
# text. CROSS JOIN fixes the order of the loops: SQLite must begin with the commands, never with the accounts.
READ_COMMAND_STATES = f"""
    SELECT json_group_array(json_array(
               a.account_id, a.cash, a.bonus, hex(a.head), a.last_seq, p.status = 'blocked',
               s.session_id, s.expires_at_ms, s.revoked_at_ms, {limits.RESTRICTIONS},
               {BALANCE_MATCHES_LAST_ENTRY}, i.scope_id,
               json((
                   SELECT json_group_array(json_array(t.role, {ENTRY_SELECT_LIST.replace("p.protocol", "i.protocol")}))
                     FROM transactions AS t WHERE t.scope_id = i.scope_id AND t.id = asked.value ->> 4
               ))
           )),
           (SELECT coalesce(max(seq), 0) + 1 FROM transactions)
      FROM json_each(:asked) AS asked
      CROSS JOIN accounts AS a ON a.account_id = asked.value ->> 0
      JOIN players AS p USING (player_key)
      LEFT JOIN sessions AS s ON s.session_id = asked.value ->> 1
      LEFT JOIN id_scopes AS i ON i.agent_id = p.agent_id AND i.protocol = asked.value ->> 2
                              AND i.currency = iif(asked.value ->> 3, a.currency, '')
"""  # noqa: S608 the columns are a constant

ADD_ID_SCOPE = """
    INSERT INTO id_scopes (agent_id, protocol, currency)
    SELECT p.agent_id, :protocol, iif(:ids_per_currency, a.currency, '')
      FROM accounts AS a JOIN players AS p USING (player_key) WHERE a.account_id = :account_id
"""

# For each round: how many bets stand, whether anything was cancelled, and the `seq` of the last win. The entry whose
# id names the round is found by id, all others by round, so that each part of the UNION uses its index.
READ_ROUNDS = """
    WITH asked AS (
        SELECT key, value ->> 0 AS account_id, value ->> 1 AS scope_id, value ->> 2 AS round FROM json_each(?)
    ), members AS (
        SELECT asked.key, t.* FROM asked CROSS JOIN transactions AS t
            ON t.scope_id = asked.scope_id AND t.id = asked.round AND t.round = t.id
         WHERE t.account_id = asked.account_id
        UNION ALL
        SELECT asked.key, t.* FROM asked CROSS JOIN transactions AS t
            ON t.scope_id = asked.scope_id AND t.round = asked.round AND t.round <> t.id
         WHERE t.account_id = asked.account_id
    )
    SELECT coalesce(sum(m.kind = 'bet' AND m.state = 'applied' AND NOT EXISTS (
               SELECT 1 FROM transactions AS c WHERE c.scope_id = m.scope_id AND c.id = m.id AND c.role = 2
           )), 0),
           coalesce(max(m.kind = 'cancel'), 0),
           coalesce(max(iif(m.kind = 'win', m.seq, 0)), 0)
      FROM asked LEFT JOIN members AS m USING (key)
     GROUP BY asked.key ORDER BY asked.key
"""

# All rows are one statement. Rows of zeros fill it up to a power of two, so that there are few different statements and
# each of them stays prepared. A trigger updates the accounts.
ADD_ENTRIES = """
    INSERT INTO transactions (scope_id, role, seq, at_ms, account_id, previous_seq, kind, id, round, game, detail,
                              stake, payout, amount, bonus_amount, cash_after, bonus_after, state, refusal, hash)
    SELECT * FROM (VALUES {rows}) WHERE column1 > 0
"""
ENTRY_COLUMN_COUNT = 20

ADD_JOURNAL_RECORDS = """
    INSERT INTO journal (seq, request, reply) SELECT * FROM (VALUES {rows}) WHERE column1 > 0
"""
JOURNAL_COLUMN_COUNT = 3

# Lookups by text. Calling `Kind(text)` takes several times as long.
_KINDS = {str(kind): kind for kind in Kind}
_STATES = {str(state): state for state in State}
_REFUSALS: dict[str | None, Refusal | None] = {None: None, **{str(refusal): refusal for refusal in Refusal}}

# Shared, as most commands have a new id and most rounds are not read.
NO_HISTORY, NO_ROUND = TransactionHistory(), Round()

EntryColumns = Sequence[Any]
"""The columns of ENTRY_SELECT_LIST."""


class RoundKey(NamedTuple):
    """An account's entries of a round."""

    account_id: int
    scope_id: int
    round: str


class _CommandState(NamedTuple):
    """The facts that a command is decided on, as READ_COMMAND_STATES selects them."""

    account_id: int
    cash: int
    bonus: int
    head: str
    last_seq: int
    is_blocked: int
    session_id: int | None
    expires_at_ms: int | None
    revoked_at_ms: int | None
    restrictions: Sequence[Any] | None
    is_consistent: int
    scope_id: int | None
    entries: Sequence[EntryColumns]
    """The entries of the command's transaction id, each preceded by its role."""


def apply(db: sqlite3.Connection, account_commands: Sequence[AccountCommand], now_ms: int) -> list[Outcome]:
    """Decide the commands in turn, and write their entries and journal records. The caller holds the write transaction.

    Raise CommandFault if a bug prevents the decision of a command, also for an exception in its `journal`.
    """
    states, seq = _load_states(db, account_commands, now_ms)
    rounds = _read_command_rounds(db, account_commands, states)
    outcomes: list[Outcome] = []
    entry_values: list[Any] = []
    journal_values: list[Any] = []
    audit_events: list[AuditEvent] = []
    new_entries: defaultdict[tuple[int | None, str | None], list[Entry]] = defaultdict(list)
    with _faults_of_commands():
        for index, (account_command, state) in enumerate(zip(account_commands, states, strict=True)):
            key = state.scope_id, _transaction_id(account_command)
            history = reduce(TransactionHistory.append, new_entries.get(key, ()), _make_history(state.entries))
            outcome = decide(
                _make_snapshot(account_command, state, history, rounds.get(index, NO_ROUND), seq),
                account_command.command,
                now_ms,
            )
            outcomes.append(outcome)
            if isinstance(outcome, (Applied, Refused)) and (entry := outcome.entry):
                assert state.scope_id is not None
                new_entries[key].append(entry)
                entry_values += make_entry_values(entry, state.scope_id, _choose_role(history, entry))
                if account_command.journal:
                    journal_values += entry.seq, *account_command.journal(outcome)
                if account_command.audit and isinstance(outcome, Applied):
                    audit_events.append(account_command.audit._replace(at_ms=now_ms, seq=entry.seq))
                seq += 1
    add_entries(db, entry_values)
    _insert_rows(db, ADD_JOURNAL_RECORDS, JOURNAL_COLUMN_COUNT, journal_values)
    for event in audit_events:
        add_audit_event(db, event)
    return outcomes


def dry_run(db: sqlite3.Connection, account_command: AccountCommand, now_ms: int) -> Outcome:
    """Return the outcome that a query, a bet or a betwin would have now. Rounds are not read, so no other commands."""
    ((state,), seq) = _select_states(db, [account_command], now_ms)
    with _faults_of_commands():
        return decide(
            _make_snapshot(account_command, state, _make_history(state.entries), NO_ROUND, seq),
            account_command.command,
            now_ms,
        )


@contextmanager
def _faults_of_commands() -> Iterator[None]:
    """Raise CommandFault for any exception of the block. The block runs no SQL, so the file is not the cause.

    BaseException is included: no signal raises on the writer's thread, and a future cannot carry a StopIteration or a
    CancelledError of a protocol. A UnicodeDecodeError of a protocol must not be taken for a damaged file.
    """
    try:
        yield
    except BaseException as error:
        raise CommandFault("a command could not be decided because of a bug") from error


def _transaction_id(account_command: AccountCommand) -> str | None:
    return None if isinstance(account_command.command, Query) else account_command.command.id


def _load_states(
    db: sqlite3.Connection, account_commands: Sequence[AccountCommand], now_ms: int
) -> tuple[list[_CommandState], int]:
    """Return the states of the commands and the next entry's `seq`. Create missing id scopes."""
    states, seq = _select_states(db, account_commands, now_ms)
    for account_command, state in zip(account_commands, states, strict=True):
        if state.scope_id is None and _transaction_id(account_command) is not None:
            # The first command of a scope creates it. Then all states are read again, this time with the scope.
            db.execute(ADD_ID_SCOPE, account_command._asdict())
            return _load_states(db, account_commands, now_ms)
    return states, seq


def _select_states(
    db: sqlite3.Connection, account_commands: Sequence[AccountCommand], now_ms: int
) -> tuple[list[_CommandState], int]:
    rows = [
        (each.account_id, each.session_id, each.protocol, each.ids_per_currency, _transaction_id(each))
        for each in account_commands
    ]
    parameters = {"asked": to_json(rows).decode(), "since": limits.first_counted_day(now_ms)}
    found, seq = db.execute(READ_COMMAND_STATES, parameters).fetchone()
    # `_make` of one list is faster than a call with 13 arguments.
    states = [_CommandState._make(row) for row in from_json(found, cache_strings="none")]
    for state in states:
        if not state.is_consistent:
            raise DatabaseCorrupt("the wallet file", f"account {state.account_id} is not as its last entry left it")
    return states, seq


def _make_snapshot(
    account_command: AccountCommand, state: _CommandState, history: TransactionHistory, round_: Round, seq: int
) -> Snapshot:
    account = Account(state.account_id, state.cash, state.bonus, bytes.fromhex(state.head), state.last_seq)
    session = Session(state.expires_at_ms, state.revoked_at_ms) if state.session_id is not None else None
    restrictions = limits.make_restrictions(state.restrictions)
    return Snapshot(
        account_command.protocol,
        account,
        bool(state.is_blocked),
        session,
        history,
        round_,
        seq,
        restrictions,
        account_command.settle_ms,
    )


def _make_history(rows: Sequence[EntryColumns]) -> TransactionHistory:
    return (
        NO_HISTORY._replace(**{TransactionHistory._fields[part]: make_entry(row) for part, *row in rows})
        if rows
        else NO_HISTORY
    )


def make_entry(columns: EntryColumns) -> Entry:
    # `_make` of one tuple is faster than a call with 19 arguments.
    seq, at_ms, account_id, previous_seq, protocol, kind, *texts_and_amounts, state, refusal, hash_ = columns
    values = _KINDS[kind], *texts_and_amounts, _STATES[state], _REFUSALS[refusal], bytes.fromhex(hash_)
    return Entry._make((seq, at_ms, account_id, previous_seq, protocol, *values))


def make_entry_values(entry: Entry, scope_id: int, role: int) -> tuple[Any, ...]:
    """Return the values of ADD_ENTRIES' columns. The enums become plain `str`, which sqlite3 binds much faster."""
    # The protocol (entry[4]) is not a column, as the scope has it.
    return (scope_id, role, *entry[:4], str(entry.kind), *entry[6:16], str(entry.state), *entry[17:])


def add_entries(db: sqlite3.Connection, values: list[Any]) -> None:
    """Insert entries, whose values follow each other in one list. One call takes up to 1,024 entries.

    SQLite's limit of 32,766 variables in a statement does not allow the next power of two.
    """
    _insert_rows(db, ADD_ENTRIES, ENTRY_COLUMN_COUNT, values)


def _insert_rows(db: sqlite3.Connection, statement: str, columns: int, values: list[Any]) -> None:
    """Insert rows of `columns` columns, whose values follow each other."""
    if values:
        rows = len(values) // columns
        size = 1 << (rows - 1).bit_length()
        db.execute(_expand_values(statement, columns, size), values + [0] * (columns * (size - rows)))


@cache
def _expand_values(statement: str, columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return statement.format(rows=", ".join([row] * rows))


def _read_command_rounds(
    db: sqlite3.Connection, account_commands: Sequence[AccountCommand], states: Sequence[_CommandState]
) -> dict[int, Round]:
    """Return the rounds of the wins and cancels, by the command's position in the batch."""
    keys: dict[int, RoundKey] = {}
    for index, (account_command, state) in enumerate(zip(account_commands, states, strict=True)):
        round_id = _find_round_id(account_command.command, state.entries)
        if round_id is not None:
            assert state.scope_id is not None
            keys[index] = RoundKey(account_command.account_id, state.scope_id, round_id)
    return dict(zip(keys, read_rounds(db, list(keys.values())), strict=True))


def read_rounds(db: sqlite3.Connection, keys: Sequence[RoundKey]) -> list[Round]:
    """Return the state of each of these rounds."""
    if not keys:
        return []
    # `to_json` takes ten times as long for named tuples as for plain ones.
    found = db.execute(READ_ROUNDS, (to_json([tuple(key) for key in keys]).decode(),))
    return [Round(standing, bool(cancelled), last_win) for standing, cancelled, last_win in found]


def _find_round_id(command: Command, rows: Sequence[EntryColumns]) -> str | None:
    if isinstance(command, Win):
        return command.round
    if isinstance(command, Cancel) and (first := _make_history(rows).original):
        return first.round
    return None


def _choose_role(history: TransactionHistory, entry: Entry) -> int:
    """Return the entry's role: 0 claims the id, 1 settles it, 2 cancels it (the order of TransactionHistory)."""
    if entry.kind is Kind.CANCEL:
        return 2
    return 0 if history.original is None else 1
