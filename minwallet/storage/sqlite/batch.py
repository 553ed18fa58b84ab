"""The hot path: decide a batch of commands inside the transaction that writes their entries.

Rules

1. Everything that a decision needs is read in the transaction that writes the entry. Nothing is decided from a cache.
2. The order is: read all, decide each command in turn, write all. Nothing is written before the last decision.
3. Two players may use one transaction id in the same batch. So the history of an id is what the file has, plus the
   entries that earlier commands of this batch have decided. A player has at most one command in a batch, so balances
   and rounds need no such care; if a caller breaks this rule, a trigger of the schema rejects the batch. The commands
   of a group do share one account: `decide_group` carries it from one to the next.
4. An account whose balances differ from its last entry stops the store. It is never decided on.
5. A bug while one command is decided raises CommandFault, and the transaction is rolled back. The caller can then apply
   the other commands again.

Theory of operation

A batch costs a sync, hops between threads, and statements. All commands share one sync, and the others are few:

- The whole batch is one function that runs on the writer's thread: one hop for a batch of any size, instead of one for
  each statement (about 60 us each).
- The number of statements does not depend on the size of the batch, up to ROWS_PER_STATEMENT entries. A batch of bets
  takes three: READ_COMMAND_STATES and ADD_ENTRIES, and ADD_JOURNAL_RECORDS for the requests of earlier batches. Wins
  and cancels add READ_ROUNDS, rollbacks and groups add READ_HISTORIES too. ADD_ID_SCOPE runs once in the life of a
  scope, and READ_COMMAND_STATES is repeated then. A transfer by the operator adds its row of the audit log; a
  provider's command has none.
- The keys of a batch are passed as one JSON array (`json_each`), and its states are returned as one JSON text. Between
  two rows of a result, sqlite3 releases and takes the interpreter's lock; that costs more than the row.
- READ_COMMAND_STATES reads account, player, session, restrictions, id scope, and the history of the transaction id. It
  also returns the next `seq`, as the transaction excludes any other writer.
- READ_HISTORIES reads the histories of further ids: those that rollbacks refer to, and all but the first of a group.
- READ_ROUNDS is another statement because a cancel names no round. Its round is that of the bet in its history.
- The schema updates the account when its entry is inserted, so accounts need no statement of their own.

The caller holds the write transaction (`connection.transaction`), which syncs the batch when it commits.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from minwallet.ledger.commands import Authenticate, Balance, Bet, Command, Group, Rollback, RollbackRound
from minwallet.ledger.decide import decide
from minwallet.ledger.decide_group import decide_group
from minwallet.ledger.entries import Entry, Kind
from minwallet.ledger.outcomes import Applied, Outcome, list_new_entries
from minwallet.ledger.snapshot import Account, Round, Session, Snapshot, TransactionHistory, find_round_id
from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.errors import CommandFault, DatabaseCorrupt
from minwallet.storage.models import AccountCommand, JournalRow
from minwallet.storage.sqlite import limits
from minwallet.storage.sqlite.audit_log import add_audit_event
from minwallet.storage.sqlite.entry_rows import EntryColumns, add_entries, add_journal_rows, make_entry_values
from minwallet.storage.sqlite.histories import (
    HISTORY,
    NO_HISTORY,
    NO_ROUND,
    IdKey,
    RoundKey,
    make_history,
    read_histories,
    read_rounds,
)

# True if the account has the balances and the hash of its last entry. A new account has no entry, and no money.
BALANCE_MATCHES_LAST_ENTRY = """
    iif(a.last_seq, (SELECT l.account_id = a.account_id AND l.hash = a.head AND l.cash_after = a.cash
                        AND l.bonus_after = a.bonus FROM transactions AS l WHERE l.seq = a.last_seq),
        a.cash = 0 AND a.bonus = 0)
"""

# The result is one row of JSON for the whole batch. CROSS JOIN fixes the order of the loops: SQLite must begin with the
# commands, never with the accounts.
READ_COMMAND_STATES = f"""
    SELECT json_group_array(json_array(
               a.account_id, a.cash, a.bonus, hex(a.head), a.last_seq, p.status = 'blocked',
               s.session_id, s.expires_at_ms, s.revoked_at_ms, {limits.RESTRICTIONS},
               {BALANCE_MATCHES_LAST_ENTRY}, i.scope_id, {HISTORY.format(id="asked.value ->> 4")}
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


QUERIES = (Balance, Authenticate)
"""The commands without an id. A tuple, as `isinstance` takes several times as long for a union."""


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
    rollbacks: Sequence[EntryColumns] | None
    """The rollbacks that refer to this id, None if there are none."""


class _Reads(NamedTuple):
    """All that a batch reads before its first decision."""

    states: list[_CommandState]
    seq: int
    """The number of the next entry."""
    histories: dict[IdKey, TransactionHistory]
    """As the file has them. New entries are appended for later commands of the batch."""
    shared_ids: set[IdKey]
    """The ids that more than one command of the batch depends on, or a group or rollback."""
    rounds: dict[RoundKey, Round]


def apply(
    db: sqlite3.Connection, account_commands: Sequence[AccountCommand], now_ms: int, journal: Sequence[JournalRow] = ()
) -> list[Outcome]:
    """Decide the commands in turn, and write their entries and these journal rows. The caller holds the transaction.

    Raise CommandFault if a bug prevents the decision of a command.
    """
    reads = _read(db, account_commands, *_load_states(db, account_commands, now_ms))
    seq = reads.seq
    outcomes: list[Outcome] = []
    entry_values: list[Any] = []
    audit_events: list[AuditEvent] = []
    with _faults_of_commands():
        for account_command, state in zip(account_commands, reads.states, strict=True):
            outcome = _decide(account_command, state, reads, seq, now_ms)
            outcomes.append(outcome)
            for entry in list_new_entries(outcome):
                assert state.scope_id is not None
                role = _append_entry(reads, entry, state.scope_id)
                entry_values += make_entry_values(entry, state.scope_id, role)
                seq += 1
            if account_command.audit and isinstance(outcome, Applied):
                audit_events.append(account_command.audit._replace(at_ms=now_ms, seq=outcome.entry.seq))
    add_entries(db, entry_values)
    add_journal_rows(db, journal)
    for event in audit_events:
        add_audit_event(db, event)
    return outcomes


def dry_run(db: sqlite3.Connection, account_command: AccountCommand, now_ms: int) -> Outcome:
    """Return the outcome that the command would have now. Change nothing."""
    if isinstance(account_command.command, QUERIES):
        # One statement, so it needs no transaction.
        return _dry_run(db, account_command, now_ms)
    db.execute("BEGIN")
    try:
        return _dry_run(db, account_command, now_ms)
    finally:
        db.execute("COMMIT")


def _dry_run(db: sqlite3.Connection, account_command: AccountCommand, now_ms: int) -> Outcome:
    reads = _read(db, [account_command], *_select_states(db, [account_command], now_ms))
    with _faults_of_commands():
        return _decide(account_command, reads.states[0], reads, reads.seq, now_ms)


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


def _load_states(
    db: sqlite3.Connection, account_commands: Sequence[AccountCommand], now_ms: int
) -> tuple[list[_CommandState], int]:
    """Return the states of the commands and the next entry's `seq`. Create missing id scopes."""
    states, seq = _select_states(db, account_commands, now_ms)
    for account_command, state in zip(account_commands, states, strict=True):
        if state.scope_id is None and not isinstance(account_command.command, QUERIES):
            # The first command of a scope creates it. Then all states are read again, this time with the scope.
            db.execute(ADD_ID_SCOPE, account_command._asdict())
            return _load_states(db, account_commands, now_ms)
    return states, seq


def _select_states(
    db: sqlite3.Connection, account_commands: Sequence[AccountCommand], now_ms: int
) -> tuple[list[_CommandState], int]:
    with _faults_of_commands():
        rows = [
            (each.account_id, each.session_id, each.protocol, each.ids_per_currency, _find_first_id(each.command))
            for each in account_commands
        ]
    parameters = {"asked": to_json(rows).decode(), "since": limits.first_counted_day(now_ms)}
    found, seq = db.execute(READ_COMMAND_STATES, parameters).fetchone()
    # `_make` of one list is faster than a call with 14 arguments.
    states = [_CommandState._make(row) for row in from_json(found, cache_strings="none")]
    for state in states:
        if not state.is_consistent:
            raise DatabaseCorrupt("the wallet file", f"account {state.account_id} is not as its last entry left it")
    return states, seq


def _find_first_id(command: Command) -> str | None:
    if isinstance(command, QUERIES):
        return None
    return command.commands[0].id if isinstance(command, Group) else command.id


def _read(
    db: sqlite3.Connection, account_commands: Sequence[AccountCommand], states: list[_CommandState], seq: int
) -> _Reads:
    """Read what the commands depend on besides their states: further histories, and rounds."""
    histories: dict[IdKey, TransactionHistory] = {}
    shared_ids: set[IdKey] = set()
    with_rounds: list[tuple[Command, _CommandState]] = []
    with _faults_of_commands():
        for account_command, state in zip(account_commands, states, strict=True):
            command, scope_id = account_command.command, state.scope_id
            if isinstance(command, QUERIES) or scope_id is None:
                continue
            history = make_history(state.entries, state.rollbacks)
            if isinstance(command, (Group, Rollback)):
                ids = _list_ids(command)
                histories[scope_id, ids[0]] = history
                shared_ids.update((scope_id, id_) for id_ in ids)
            else:
                key = scope_id, command.id
                if key in histories:
                    shared_ids.add(key)
                histories[key] = history
            # Most commands are bets of protocols that do not roll rounds back.
            if not (isinstance(command, Bet) and not command.checks_round):
                with_rounds.append((command, state))
    if further := [key for key in shared_ids if key not in histories]:
        histories |= read_histories(db, further)
    keys: dict[RoundKey, None] = {}
    needs_sums = False
    with _faults_of_commands():
        for command, state in with_rounds:
            is_grouped = isinstance(command, Group)
            needs_sums = needs_sums or isinstance(command, (Group, RollbackRound))
            for each in command.commands if isinstance(command, Group) else (command,):
                history, referenced = _find_histories(each, state.scope_id, histories)
                round_id = find_round_id(each, history, referenced, is_grouped=is_grouped)
                if round_id is not None:
                    keys[state.account_id, state.scope_id, round_id] = None
    rounds = read_rounds(db, list(keys), needs_sums=needs_sums) if keys else {}
    return _Reads(states, seq, histories, shared_ids, rounds)


def _list_ids(command: Group | Rollback) -> list[str]:
    """Return the ids that the command depends on: its own, and those that its rollbacks refer to."""
    commands = command.commands if isinstance(command, Group) else (command,)
    return [
        id_ for each in commands for id_ in ((each.id, each.reference) if isinstance(each, Rollback) else (each.id,))
    ]


def _find_histories(
    command: Command, scope_id: int | None, histories: Mapping[IdKey, TransactionHistory]
) -> tuple[TransactionHistory, TransactionHistory]:
    """Return the history of the command's id, and of the id that it refers to."""
    if isinstance(command, (Balance, Authenticate, Group)):
        return NO_HISTORY, NO_HISTORY
    history = histories.get((scope_id, command.id), NO_HISTORY)
    if isinstance(command, Rollback):
        return history, histories.get((scope_id, command.reference), NO_HISTORY)
    return history, NO_HISTORY


def _decide(account_command: AccountCommand, state: _CommandState, reads: _Reads, seq: int, now_ms: int) -> Outcome:
    command = account_command.command
    if isinstance(command, Group):
        snapshots = [_make_snapshot(account_command, each, state, reads, seq) for each in command.commands]
        return decide_group(snapshots, command.commands, now_ms)
    return decide(_make_snapshot(account_command, command, state, reads, seq), command, now_ms)


def _make_snapshot(
    account_command: AccountCommand, command: Command, state: _CommandState, reads: _Reads, seq: int
) -> Snapshot:
    """Return the snapshot of the command, which is that of the call or is in its group."""
    account = Account(state.account_id, state.cash, state.bonus, bytes.fromhex(state.head), state.last_seq)
    session = Session(state.expires_at_ms, state.revoked_at_ms) if state.session_id is not None else None
    history, referenced = _find_histories(command, state.scope_id, reads.histories)
    round_ = NO_ROUND
    # A batch of bets has read no round.
    if reads.rounds:
        is_grouped = command is not account_command.command
        round_id = find_round_id(command, history, referenced, is_grouped=is_grouped)
        round_ = reads.rounds.get((state.account_id, state.scope_id, round_id), NO_ROUND)
    return Snapshot(
        account_command.protocol,
        account,
        bool(state.is_blocked),
        session,
        history,
        round_,
        seq,
        limits.make_restrictions(state.restrictions),
        account_command.settle_ms,
        referenced,
    )


def _append_entry(reads: _Reads, entry: Entry, scope_id: int) -> int:
    """Append a new entry to the histories of its id and of its reference, if they are shared. Return its role."""
    key = scope_id, entry.id
    history = reads.histories[key]
    if reads.shared_ids and key in reads.shared_ids:
        reads.histories[key] = history.append(entry)
        if entry.reference is not None:
            target = scope_id, entry.reference
            reads.histories[target] = reads.histories[target].append_rollback(entry)
    return _choose_role(history, entry)


def _choose_role(history: TransactionHistory, entry: Entry) -> int:
    """Return the entry's role: 0 claims the id, 1 settles it, 2 cancels it (the order of TransactionHistory)."""
    if entry.kind is Kind.CANCEL:
        return 2
    return 0 if history.original is None else 1
