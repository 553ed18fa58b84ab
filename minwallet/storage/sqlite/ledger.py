"""The SQL of single entries, of the journal, and of audit pages. `ledger_pages` has the filtered pages."""

import json
import sqlite3
from collections.abc import Iterable, Sequence

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.entries import Entry
from minwallet.ledger.snapshot import Account
from minwallet.storage.models import ALL_ACCOUNTS, AuditPage, IdScope, JournaledEntry, JournalRecord, Partition
from minwallet.storage.sqlite.entry_rows import ENTRY_SELECT_LIST, make_entry
from minwallet.storage.sqlite.ledger_pages import count_open_rounds, read_entries_after, read_open_bets, read_page
from minwallet.storage.sqlite.subject import SqliteSubject, reads, writes

# Every number is in one of the partitions, also a negative one in a damaged file.
IN_PARTITION = "({account_id} % :total + :total) % :total = :number"

READ_AUDIT_ROWS = f"""
    SELECT {ENTRY_SELECT_LIST.replace("hex(t.hash)", "t.hash")}
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

# Entries have no index by account. Those of an account are a chain from `last_seq` through `previous_seq`. ORDER BY in
# the recursion takes the newest row of all chains first, so that LIMIT stops it early.
READ_NEWEST_ENTRIES = f"""
    WITH RECURSIVE chain (seq, previous_seq) AS (
        SELECT t.seq, t.previous_seq FROM accounts AS a JOIN transactions AS t ON t.seq = a.last_seq
         WHERE a.account_id IN (SELECT value FROM json_each(?))
        UNION ALL
        SELECT t.seq, t.previous_seq FROM chain JOIN transactions AS t ON t.seq = chain.previous_seq
         ORDER BY 1 DESC LIMIT ?
    )
    SELECT {ENTRY_SELECT_LIST} FROM chain JOIN transactions AS t USING (seq) JOIN id_scopes AS p USING (scope_id)
     ORDER BY t.seq DESC
"""  # noqa: S608 the columns are a constant

READ_JOURNALED_ENTRY = f"""
    SELECT {ENTRY_SELECT_LIST}, j.request, j.reply
      FROM transactions AS t JOIN id_scopes AS p USING (scope_id) LEFT JOIN journal AS j USING (seq) WHERE t.seq = ?
"""  # noqa: S608 the columns are a constant

# The inner LIMIT bounds the work: it selects the oldest records. Those that are too new stay.
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


def read_entries(db: sqlite3.Connection, account_ids: Sequence[int], limit: int) -> list[Entry]:
    rows = db.execute(READ_NEWEST_ENTRIES, (json.dumps(list(account_ids)), limit))
    return [make_entry(row) for row in rows]


def count_entries(db: sqlite3.Connection) -> int:
    """Return the newest `seq`. It equals the number of entries, as they are numbered without gaps and never deleted."""
    (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM transactions").fetchone()
    return int(last)


def count_missing_entries(db: sqlite3.Connection) -> int:
    (missing,) = db.execute("SELECT coalesce(max(seq), 0) - count(*) FROM transactions").fetchone()
    return int(missing)


def list_sources(db: sqlite3.Connection, agent: str | None = None) -> list[str]:
    # A scope is created with its first entry. There are few of them, and millions of entries.
    rows = db.execute(
        "SELECT DISTINCT protocol FROM id_scopes JOIN agents USING (agent_id)"
        " WHERE :agent IS NULL OR name = :agent ORDER BY protocol",
        {"agent": agent},
    )
    return [protocol for (protocol,) in rows]


def find_journaled_entry(db: sqlite3.Connection, seq: int) -> JournaledEntry | None:
    row = db.execute(READ_JOURNALED_ENTRY, (seq,)).fetchone()
    if row is None:
        return None
    *columns, request, reply = row
    entry = make_entry(columns)
    journal_record = None if request is None else JournalRecord(request, reply)
    return JournaledEntry(entry, _read_owners(db, [entry.account_id])[entry.account_id], journal_record)


def prune_journal(db: sqlite3.Connection, before_ms: int, limit: int) -> int:
    return db.execute(PRUNE_JOURNAL, (limit, before_ms)).rowcount


def read_audit_page(
    db: sqlite3.Connection, after_seq: int, limit: int, after_account: int = 0, partition: Partition = ALL_ACCOUNTS
) -> AuditPage:
    """Return the page. One read transaction, so that the last page and the accounts are of the same moment."""
    db.execute("BEGIN")
    try:
        rows = db.execute(READ_AUDIT_ROWS, {"after": after_seq, "limit": limit, **partition._asdict()}).fetchall()
        owners = {
            row[0]: AccountRef(*row[1:])
            for row in db.execute(READ_NEW_OWNERS, {"after": after_account, **partition._asdict()})
        }
        last_seq = rows[-1][0] if rows else after_seq
        if len(rows) == limit:
            return AuditPage(rows, last_seq, owners, None)
        accounts = [Account(*row) for row in db.execute(READ_BALANCES, partition._asdict())]
        return AuditPage(rows, last_seq, owners, accounts)
    finally:
        db.execute("COMMIT")


def list_id_scopes(db: sqlite3.Connection) -> list[IdScope]:
    rows = db.execute("SELECT g.name, s.protocol, s.currency FROM id_scopes AS s JOIN agents AS g USING (agent_id)")
    return [IdScope(*row) for row in rows]


def _read_owners(db: sqlite3.Connection, account_ids: Iterable[int]) -> dict[int, AccountRef]:
    return {row[0]: AccountRef(*row[1:]) for row in db.execute(READ_OWNERS, (json.dumps(list(account_ids)),))}


class SqliteLedgerStore(SqliteSubject):
    """The `LedgerStore` over SQLite."""

    count_entries = reads(count_entries)
    count_missing_entries = reads(count_missing_entries)
    list_sources = reads(list_sources)
    read_entries = reads(read_entries)
    find_journaled_entry = reads(find_journaled_entry)
    read_page = reads(read_page)
    read_entries_after = reads(read_entries_after)
    read_open_bets = reads(read_open_bets)
    count_open_rounds = reads(count_open_rounds)
    list_id_scopes = reads(list_id_scopes)
    read_audit_page = reads(read_audit_page)
    prune_journal = writes(prune_journal)
