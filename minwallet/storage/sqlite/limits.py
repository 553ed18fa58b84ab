"""The SQL of limits and exclusions, and the columns that `batch` reads for decisions.

A trigger of the schema counts the usage of an account, but only once it has a limit. So a bet of an account without
limits costs one lookup. The first limit backfills the usage from the ledger.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

from minwallet.ledger.limits import (
    MAX_PERIOD_DAYS,
    UNRESTRICTED,
    UNSET,
    DailyUsage,
    EffectiveValue,
    Limit,
    LimitKind,
    LimitPeriod,
    PlayerRestrictions,
)
from minwallet.ledger.time_units import DAY_MS
from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.limit_store import LimitChange
from minwallet.storage.sqlite.audit_log import add_audit_event
from minwallet.storage.sqlite.subject import SqliteSubject, reads, writes

# The restrictions of the account `a`, from the day `:since` on. NULL for most accounts, after two lookups.
# SQLite 3.54 passes the JSON of a subquery on as text; `json()` makes it JSON again.
RESTRICTIONS = """
    json(CASE WHEN EXISTS (SELECT 1 FROM limits WHERE account_id = a.account_id)
                OR EXISTS (SELECT 1 FROM exclusions WHERE player_key = a.player_key) THEN json_array(
        json((SELECT json_array(e.until_ms, e.next_until_ms, e.next_at_ms)
           FROM exclusions AS e WHERE e.player_key = a.player_key)),
        json((SELECT json_group_array(json_array(l.kind, l.per, l.cents, l.next_cents, l.next_at_ms))
           FROM limits AS l WHERE l.account_id = a.account_id)),
        json((SELECT json_group_array(json_array(n.day, n.deposited_high, n.deposited_low, n.lost_high, n.lost_low))
           FROM limit_usage AS n WHERE n.account_id = a.account_id AND n.day >= :since))
    ) END)
"""

READ_RESTRICTIONS = f"SELECT {RESTRICTIONS} FROM accounts AS a WHERE a.account_id = :account_id"  # noqa: S608 the columns are a constant

FIND_LIMIT = "SELECT cents, next_cents, next_at_ms FROM limits WHERE account_id = ? AND kind = ? AND per = ?"

FIND_EXCLUSION = "SELECT until_ms, next_until_ms, next_at_ms FROM exclusions WHERE player_key = ?"

# From the account's last entry backwards, if the account has no limit yet. Sums are split into halves of 32 bits.
BACKFILL_USAGE = """
    WITH RECURSIVE chain (at_ms, kind, amount, previous_seq) AS (
        SELECT t.at_ms, t.kind, t.amount, t.previous_seq
          FROM accounts AS a JOIN transactions AS t ON t.seq = a.last_seq
         WHERE a.account_id = :account_id AND t.at_ms >= :since_ms
           AND NOT EXISTS (SELECT 1 FROM limits AS l WHERE l.account_id = :account_id)
        UNION ALL
        SELECT t.at_ms, t.kind, t.amount, t.previous_seq
          FROM chain JOIN transactions AS t ON t.seq = chain.previous_seq WHERE t.at_ms >= :since_ms
    )
    INSERT INTO limit_usage
    SELECT :account_id, at_ms / 86400000,
           sum(iif(kind = 'deposit', amount >> 32, 0)), sum(iif(kind = 'deposit', amount & 4294967295, 0)),
           sum(iif(kind = 'deposit', 0, -amount >> 32)), sum(iif(kind = 'deposit', 0, -amount & 4294967295))
      FROM chain WHERE amount <> 0 AND kind NOT IN ('withdraw', 'adjustment') GROUP BY 2
"""

_KINDS = {str(kind): kind for kind in LimitKind}
_PERIODS = {str(per): per for per in LimitPeriod}


def first_counted_day(now_ms: int) -> int:
    """Return the first day, counted from 1970 UTC, that any limit still covers."""
    return now_ms // DAY_MS - MAX_PERIOD_DAYS + 1


def make_restrictions(found: Sequence[Any] | None) -> PlayerRestrictions:
    """Return the restrictions from the value of the column RESTRICTIONS."""
    if found is None:
        return UNRESTRICTED
    exclusion, limits, spent = found
    return PlayerRestrictions(
        EffectiveValue(*exclusion) if exclusion else UNSET,
        tuple(Limit(_KINDS[kind], _PERIODS[per], EffectiveValue(*rest)) for kind, per, *rest in limits),
        tuple(DailyUsage(day, (d1 << 32) + d2, (l1 << 32) + l2) for day, d1, d2, l1, l2 in spent),
    )


def find_restrictions(db: sqlite3.Connection, account_id: int, now_ms: int) -> PlayerRestrictions:
    (found,) = db.execute(READ_RESTRICTIONS, {"account_id": account_id, "since": first_counted_day(now_ms)}).fetchone()
    return make_restrictions(from_json(found) if found else None)


def backfill_usage(db: sqlite3.Connection, account_id: int, now_ms: int) -> None:
    """Read the account's usage from the ledger. Change nothing if the account has a limit, as then it is counted."""
    db.execute(BACKFILL_USAGE, {"account_id": account_id, "since_ms": first_counted_day(now_ms) * DAY_MS})


def request_limit(db: sqlite3.Connection, change: LimitChange, now_ms: int, *, audit: AuditEvent | None = None) -> None:
    """Change the limit. The first limit of an account backfills its usage, before the triggers go on counting."""
    account_id, kind, per, cents = change
    backfill_usage(db, account_id, now_ms)
    found = db.execute(FIND_LIMIT, (account_id, kind, per)).fetchone()
    bound = (EffectiveValue(*found) if found else UNSET).request_limit(cents, now_ms)
    db.execute("INSERT OR REPLACE INTO limits VALUES (?, ?, ?, ?, ?, ?)", (account_id, kind, per, *bound))
    add_audit_event(db, audit)


def request_exclusion(
    db: sqlite3.Connection, player_key: int, until_ms: int | None, now_ms: int, *, audit: AuditEvent | None = None
) -> None:
    found = db.execute(FIND_EXCLUSION, (player_key,)).fetchone()
    bound = (EffectiveValue(*found) if found else UNSET).request_exclusion(until_ms, now_ms)
    db.execute("INSERT OR REPLACE INTO exclusions VALUES (?, ?, ?, ?)", (player_key, *bound))
    add_audit_event(db, audit)


class SqliteLimitStore(SqliteSubject):
    """The `LimitStore` over SQLite."""

    request_limit = writes(request_limit)
    request_exclusion = writes(request_exclusion)
    find_restrictions = reads(find_restrictions)
