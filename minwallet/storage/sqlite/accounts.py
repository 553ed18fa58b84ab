"""Agents, players, accounts and sessions, and pages of the ledger: plain functions over a connection."""

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.decide import Account
from minwallet.ledger.entries import Entry
from minwallet.storage.errors import DatabaseCorrupt
from minwallet.storage.models import (
    AccountRow,
    Agent,
    AuditPage,
    JournaledEntry,
    JournalRecord,
    NewSession,
    Partition,
    Player,
    PlayerStatus,
    SessionHolder,
    SessionRow,
)
from minwallet.storage.sqlite import batch

AGENT_COLUMNS = ", ".join(Agent._fields)

READ_PLAYERS = f"""
    SELECT p.player_key, g.name, p.player_id, p.status, a.account_id, a.currency, a.cash, a.bonus,
           {batch.BALANCE_MATCHES_LAST_ENTRY}
      FROM players AS p
      JOIN agents AS g USING (agent_id)
      LEFT JOIN accounts AS a USING (player_key)
     WHERE g.name = :agent {{condition}}
     ORDER BY p.player_id, a.currency
"""  # noqa: S608 made of constants

# Whatever number somebody has forged, it is in one of the shares.
IN_PARTITION = "({account_id} % :total + :total) % :total = :number"

READ_AUDIT_ROWS = f"""
    SELECT {batch.ENTRY_SELECT_LIST.replace("hex(t.hash)", "t.hash")}
      FROM transactions AS t JOIN id_scopes AS p USING (scope_id)
     WHERE t.seq > :after AND {IN_PARTITION.format(account_id="t.account_id")} ORDER BY t.seq LIMIT :limit
"""  # noqa: S608 made of constants

READ_NEW_OWNERS = f"""
    SELECT a.account_id, g.name, p.player_id, a.currency
      FROM accounts AS a JOIN players AS p USING (player_key) JOIN agents AS g USING (agent_id)
     WHERE a.account_id > :after AND {IN_PARTITION.format(account_id="a.account_id")}
"""  # noqa: S608 made of constants

READ_BALANCES = f"""
    SELECT account_id, cash, bonus, head, last_seq FROM accounts WHERE {IN_PARTITION.format(account_id="account_id")}
"""  # noqa: S608 made of constants

READ_ACCOUNTS = f"""
    SELECT a.account_id, g.name, p.player_id, a.currency, p.status, p.created_at_ms,
           a.cash, a.bonus, a.head, a.last_seq, {batch.BALANCE_MATCHES_LAST_ENTRY}
      FROM accounts AS a CROSS JOIN players AS p USING (player_key) CROSS JOIN agents AS g USING (agent_id)
     WHERE a.account_id > :after ORDER BY a.account_id LIMIT :limit
"""  # noqa: S608 made of constants

# The recursion's ORDER BY takes the newest row of all the accounts' chains first.
READ_NEWEST_ENTRIES = f"""
    WITH RECURSIVE chain (seq, previous_seq) AS (
        SELECT t.seq, t.previous_seq FROM accounts AS a JOIN transactions AS t ON t.seq = a.last_seq
         WHERE a.account_id IN (SELECT value FROM json_each(?))
        UNION ALL
        SELECT t.seq, t.previous_seq FROM chain JOIN transactions AS t ON t.seq = chain.previous_seq
         ORDER BY 1 DESC LIMIT ?
    )
    SELECT {batch.ENTRY_SELECT_LIST} FROM chain JOIN transactions AS t USING (seq) JOIN id_scopes AS p USING (scope_id)
     ORDER BY t.seq DESC
"""  # noqa: S608 the columns are a constant

READ_JOURNALED_ENTRY = f"""
    SELECT {batch.ENTRY_SELECT_LIST}, j.request, j.reply
      FROM transactions AS t JOIN id_scopes AS p USING (scope_id) LEFT JOIN journal AS j USING (seq) WHERE t.seq = ?
"""  # noqa: S608 the columns are a constant

PRUNE_JOURNAL = """
    DELETE FROM journal WHERE seq IN (
        SELECT j.seq FROM (SELECT seq FROM journal ORDER BY seq LIMIT ?) AS j JOIN transactions AS t USING (seq)
         WHERE t.at_ms < ?
    )
"""

READ_OWNERS = """
    SELECT a.account_id, g.name, p.player_id, a.currency
      FROM accounts AS a JOIN players AS p USING (player_key) JOIN agents AS g USING (agent_id)
     WHERE a.account_id IN (SELECT value FROM json_each(?))
"""


def find_session_holder(db: sqlite3.Connection, token_hash: bytes) -> SessionHolder | None:
    row = db.execute(
        "SELECT s.session_id, s.account_id, p.player_key, p.player_id, a.currency, g.wallet_token"
        "  FROM sessions AS s JOIN accounts AS a USING (account_id) JOIN players AS p USING (player_key)"
        "  JOIN agents AS g USING (agent_id) WHERE s.token_hash = ?",
        (token_hash,),
    ).fetchone()
    return SessionHolder(*row) if row else None


def add_agent(db: sqlite3.Connection, name: str, wallet_token: str, host_id: str | None, now_ms: int) -> Agent | None:
    row = db.execute(
        "INSERT INTO agents (name, wallet_token, host_id, created_at_ms) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING RETURNING agent_id, name, wallet_token, host_id",
        (name, wallet_token, host_id, now_ms),
    ).fetchone()
    return Agent(*row) if row else None


def list_agents(db: sqlite3.Connection) -> list[Agent]:
    return [Agent(*row) for row in db.execute(f"SELECT {AGENT_COLUMNS} FROM agents ORDER BY name")]  # noqa: S608 the columns are a constant


def change_agent(db: sqlite3.Connection, agent_id: int, changes: Mapping[str, str | None]) -> Agent | None:
    assert changes.keys() <= set(Agent._fields)
    settings = ", ".join(f"{name} = :{name}" for name in changes)
    found = db.execute(
        f"UPDATE OR IGNORE agents SET {settings} WHERE agent_id = :id RETURNING {AGENT_COLUMNS}",  # noqa: S608 the names are those of fields
        {**changes, "id": agent_id},
    ).fetchall()
    return Agent(*found[0]) if found else None


def read_players(db: sqlite3.Connection, agent: str, player_id: str | None = None) -> list[Player]:
    # One condition for both would read all players to find one.
    condition = "" if player_id is None else "AND p.player_id = :player_id"
    rows = db.execute(READ_PLAYERS.format(condition=condition), {"agent": agent, "player_id": player_id})
    return [
        Player._make(
            (
                *name,
                PlayerStatus(status),
                tuple(_require_consistent_balance(row)[4:] for row in accounts if row[4] is not None),
            )
        )
        for (*name, status), accounts in groupby(rows, key=lambda row: row[:4])
    ]


def search_players(db: sqlite3.Connection, agent: str, text: str, after: str, limit: int) -> list[Player]:
    escaped_text = re.sub("[%_!]", r"!\g<0>", text)
    found = db.execute(
        "SELECT p.player_id FROM players AS p JOIN agents AS g USING (agent_id)"
        " WHERE g.name = ? AND p.player_id > ? AND p.player_id LIKE ? ESCAPE '!' ORDER BY 1 LIMIT ?",
        (agent, after, f"%{escaped_text}%", limit),
    ).fetchall()
    return [player for (player_id,) in found for player in read_players(db, agent, player_id)]


def read_accounts(db: sqlite3.Connection, after: int, limit: int) -> list[AccountRow]:
    rows = db.execute(READ_ACCOUNTS, {"after": after, "limit": limit})
    return [
        AccountRow._make((*row[:4], PlayerStatus(row[4]), *row[5:])) for row in map(_require_consistent_balance, rows)
    ]


def _require_consistent_balance(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row without its last column, which says that the account's balances are those of its last entry."""
    if not row[-1]:
        raise DatabaseCorrupt("the wallet file", f"a balance of player {row[2]} is not as its last entry left it")
    return row[:-1]


def set_player_status(db: sqlite3.Connection, player_key: int, status: PlayerStatus) -> None:
    db.execute("UPDATE players SET status = ? WHERE player_key = ?", (status, player_key))


def add_session(db: sqlite3.Connection, account_id: int, session: NewSession, now_ms: int) -> int:
    ((session_id,),) = db.execute(
        "INSERT INTO sessions (token_hash, hint, account_id, created_at_ms, expires_at_ms) VALUES (?, ?, ?, ?, ?)"
        " RETURNING session_id",
        (session.token_hash, session.hint, account_id, now_ms, session.expires_at_ms),
    )
    return int(session_id)


def list_sessions(db: sqlite3.Connection, player_key: int, limit: int | None, before: int | None) -> list[SessionRow]:
    return [
        SessionRow(*row)
        for row in db.execute(
            "SELECT s.session_id, s.hint, a.currency, s.created_at_ms, s.expires_at_ms, s.revoked_at_ms"
            "  FROM sessions AS s JOIN accounts AS a USING (account_id)"
            " WHERE a.player_key = ? AND s.session_id < coalesce(?, 1 << 62)"
            " ORDER BY s.session_id DESC LIMIT coalesce(?, -1)",
            (player_key, before, limit),
        )
    ]


def revoke_session(db: sqlite3.Connection, token_hash: bytes, now_ms: int) -> bool:
    return bool(
        db.execute(
            "UPDATE sessions SET revoked_at_ms = coalesce(revoked_at_ms, ?) WHERE token_hash = ?", (now_ms, token_hash)
        ).rowcount
    )


def revoke_player_session(db: sqlite3.Connection, player_key: int, session_id: int, now_ms: int) -> bool:
    return bool(
        db.execute(
            "UPDATE sessions SET revoked_at_ms = coalesce(revoked_at_ms, ?) WHERE session_id = ?"
            " AND account_id IN (SELECT account_id FROM accounts WHERE player_key = ?)",
            (now_ms, session_id, player_key),
        ).rowcount
    )


def read_entries(db: sqlite3.Connection, account_ids: Sequence[int], limit: int) -> list[Entry]:
    rows = db.execute(READ_NEWEST_ENTRIES, (json.dumps(list(account_ids)), limit))
    return [batch.make_entry(row) for row in rows]


def count_entries(db: sqlite3.Connection) -> int:
    """The newest row's number, which is how many there are."""
    (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM transactions").fetchone()
    return int(last)


def count_missing_entries(db: sqlite3.Connection) -> int:
    (missing,) = db.execute("SELECT coalesce(max(seq), 0) - count(*) FROM transactions").fetchone()
    return int(missing)


def find_journaled_entry(db: sqlite3.Connection, seq: int) -> JournaledEntry | None:
    row = db.execute(READ_JOURNALED_ENTRY, (seq,)).fetchone()
    if row is None:
        return None
    *columns, request, reply = row
    entry = batch.make_entry(columns)
    journal_record = None if request is None else JournalRecord(request, reply)
    return JournaledEntry(entry, _read_owners(db, [entry.account_id])[entry.account_id], journal_record)


def prune_journal(db: sqlite3.Connection, before_ms: int, limit: int) -> int:
    return db.execute(PRUNE_JOURNAL, (limit, before_ms)).rowcount


def read_audit_page(
    db: sqlite3.Connection, after_seq: int, limit: int, after_account: int, partition: Partition
) -> AuditPage:
    """One read transaction, so that the last page and the accounts are of the same moment."""
    db.execute("BEGIN")
    try:
        rows = db.execute(READ_AUDIT_ROWS, {"after": after_seq, "limit": limit, **partition._asdict()}).fetchall()
        owners = {
            row[0]: AccountRef(*row[1:])
            for row in db.execute(READ_NEW_OWNERS, {"after": after_account, **partition._asdict()})
        }
        if len(rows) == limit:
            return AuditPage(rows, owners, None)
        return AuditPage(rows, owners, [Account(*row) for row in db.execute(READ_BALANCES, partition._asdict())])
    finally:
        db.execute("COMMIT")


def _read_owners(db: sqlite3.Connection, account_ids: Iterable[int]) -> dict[int, AccountRef]:
    return {row[0]: AccountRef(*row[1:]) for row in db.execute(READ_OWNERS, (json.dumps(list(account_ids)),))}
