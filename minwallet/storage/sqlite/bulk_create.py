"""The creation of many accounts: a few statements over all of them, as a file may seed several hundred thousand."""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

from minwallet.ledger.decide import decide
from minwallet.ledger.entries import Entry, compute_genesis_hash
from minwallet.ledger.outcomes import Applied
from minwallet.ledger.snapshot import Account, Round, Snapshot, TransactionHistory
from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.models import (
    OPENING_PROTOCOL,
    AccountProblem,
    AccountsCreated,
    NewAccount,
    NewSession,
    make_opening_deposit,
)
from minwallet.storage.sqlite import entry_rows
from minwallet.storage.sqlite.audit_log import add_audit_event

ADD_PLAYER = "INSERT INTO players (agent_id, player_id, created_at_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"

ADD_ACCOUNT = """
    INSERT INTO accounts (player_key, currency, head)
    SELECT player_key, ?, ? FROM players WHERE agent_id = ? AND player_id = ?
    ON CONFLICT DO NOTHING
"""

FIND_ACCOUNT = """
    SELECT a.account_id FROM players AS p JOIN accounts AS a USING (player_key)
     WHERE p.agent_id = ? AND p.player_id = ? AND a.currency = ?
"""

ADD_SESSION = f"""
    INSERT INTO sessions (account_id, token_hash, hint, created_at_ms, expires_at_ms)
    VALUES (({FIND_ACCOUNT}), ?, ?, ?, ?)
    ON CONFLICT (token_hash) DO NOTHING
"""  # noqa: S608 made of constants

# An account that does not exist yet is NULL.
IS_TOKEN_TAKEN = f"SELECT account_id IS NOT ({FIND_ACCOUNT}) FROM sessions WHERE token_hash = ?"  # noqa: S608 made of constants

READ_NEW_ACCOUNTS = """
    SELECT a.account_id, a.cash, a.bonus, a.head, a.last_seq, p.agent_id, p.player_id, a.currency
      FROM accounts AS a JOIN players AS p USING (player_key) WHERE a.account_id > ? ORDER BY a.account_id
"""

ADD_ID_SCOPE = """
    INSERT INTO id_scopes (agent_id, protocol, currency) VALUES (?, ?, '')
    ON CONFLICT DO UPDATE SET currency = '' RETURNING scope_id
"""

ENTRIES_PER_STATEMENT = 256
"""The number of entries that one statement inserts."""


class AccountsRejected(Exception):
    """The new accounts have problems, so none was created."""

    def __init__(self, problems: tuple[AccountProblem, ...]) -> None:
        super().__init__(*problems)
        self.problems = problems


class AccountKey(NamedTuple):
    agent_id: int
    player_id: str
    currency: str


def create_accounts(
    db: sqlite3.Connection, new_accounts: Sequence[NewAccount], now_ms: int, *, audit: AuditEvent | None = None
) -> AccountsCreated:
    """Create what is missing. Raise AccountsRejected, so that the transaction is rolled back, if there are problems.

    The event is added if anything was missing: a player, an account or a session.
    """
    changes_before = db.total_changes
    problems, known, keys = _find_agents(db, new_accounts)
    (last_account,) = db.execute("SELECT coalesce(max(account_id), 0) FROM accounts").fetchone()
    players = db.executemany(ADD_PLAYER, [(key.agent_id, key.player_id, now_ms) for key in keys]).rowcount
    heads = [
        compute_genesis_hash(new_account.agent, new_account.player_id, new_account.currency) for _, new_account in known
    ]
    rows = [(key.currency, head, key.agent_id, key.player_id) for key, head in zip(keys, heads, strict=True)]
    accounts = db.executemany(ADD_ACCOUNT, rows).rowcount
    new_sessions = _select_sessions(known, keys)
    if _add_sessions(db, new_sessions, now_ms) < len(new_sessions):
        problems += _find_taken_tokens(db, new_sessions)
    if problems:
        raise AccountsRejected(tuple(sorted(problems)))
    first_by_key = dict(zip(reversed(keys), reversed(new_accounts), strict=True))
    entries = _make_opening_entries(db, first_by_key, last_account, now_ms)
    while chunk := [*islice(entries, ENTRIES_PER_STATEMENT)]:
        entry_rows.add_entries(db, [*chain.from_iterable(chunk)])
    if db.total_changes > changes_before:
        add_audit_event(db, audit)
    return AccountsCreated(max(players, 0), max(accounts, 0))


def find_account_problems(db: sqlite3.Connection, new_accounts: Sequence[NewAccount]) -> list[AccountProblem]:
    problems, known, keys = _find_agents(db, new_accounts)
    return sorted([*problems, *_find_taken_tokens(db, _select_sessions(known, keys))])


def _find_agents(
    db: sqlite3.Connection, new_accounts: Sequence[NewAccount]
) -> tuple[list[AccountProblem], list[tuple[int, NewAccount]], list[AccountKey]]:
    """Return a problem for each unknown agent, and the accounts of known agents with their positions and their keys."""
    agents: dict[str, int] = dict(db.execute("SELECT name, agent_id FROM agents"))
    problems = [
        AccountProblem(index, f"unknown agent '{new_account.agent}'", new_account.agent)
        for index, new_account in enumerate(new_accounts)
        if new_account.agent not in agents
    ]
    known = [(index, new_account) for index, new_account in enumerate(new_accounts) if new_account.agent in agents]
    keys = [
        AccountKey(agents[new_account.agent], new_account.player_id, new_account.currency) for _, new_account in known
    ]
    return problems, known, keys


def _select_sessions(
    known: Sequence[tuple[int, NewAccount]], keys: Sequence[AccountKey]
) -> list[tuple[int, AccountKey, NewSession]]:
    return [
        (index, key, session)
        for (index, new_account), key in zip(known, keys, strict=True)
        if (session := new_account.session)
    ]


def _add_sessions(
    db: sqlite3.Connection, new_sessions: Sequence[tuple[int, AccountKey, NewSession]], now_ms: int
) -> int:
    """Add the sessions whose tokens are new. Return their number."""
    rows = [(*key, session.token_hash, session.hint, now_ms, session.expires_at_ms) for _, key, session in new_sessions]
    return max(db.executemany(ADD_SESSION, rows).rowcount, 0)


def _find_taken_tokens(
    db: sqlite3.Connection, new_sessions: Sequence[tuple[int, AccountKey, NewSession]]
) -> Iterator[AccountProblem]:
    """Yield a problem for each token that belongs to another account already."""
    for index, key, session in new_sessions:
        found = db.execute(IS_TOKEN_TAKEN, (*key, session.token_hash)).fetchone()
        if found and found[0]:
            yield AccountProblem(index, "its token stands for another player or currency; choose another token")


def _make_opening_entries(
    db: sqlite3.Connection, new_accounts: dict[AccountKey, NewAccount], last_account: int, now_ms: int
) -> Iterator[tuple[Any, ...]]:
    """Yield the values of the first entries of the new accounts that have money."""
    scopes: dict[int, int] = {}
    (seq,) = db.execute("SELECT coalesce(max(seq), 0) FROM transactions").fetchone()
    for *account, agent_id, player_id, currency in db.execute(READ_NEW_ACCOUNTS, (last_account,)).fetchall():
        new_account = new_accounts[AccountKey(agent_id, player_id, currency)]
        if new_account.cash + new_account.bonus == 0:
            continue
        if agent_id not in scopes:
            ((scopes[agent_id],),) = db.execute(ADD_ID_SCOPE, (agent_id, OPENING_PROTOCOL))
        seq += 1
        entry = _decide_opening_deposit(Account._make(account), new_account, seq, now_ms)
        # Role 0: the id is new, as the account is.
        yield entry_rows.make_entry_values(entry, scopes[agent_id], 0)


def _decide_opening_deposit(account: Account, new_account: NewAccount, seq: int, now_ms: int) -> Entry:
    # This transaction has created the account, so it has no history, session, round or restriction to read.
    snapshot = Snapshot(OPENING_PROTOCOL, account, False, None, TransactionHistory(), Round(), seq)
    outcome = decide(snapshot, make_opening_deposit(new_account, account.account_id).command, now_ms)
    assert isinstance(outcome, Applied), outcome
    return outcome.entry
