"""The SQL of agents, players and accounts."""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from minwallet.ledger.limits import EffectiveValue
from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.errors import DatabaseCorrupt
from minwallet.storage.models import (
    AccountBalance,
    AccountRow,
    AccountsCreated,
    Agent,
    CallbackKey,
    NewAccount,
    Player,
    PlayerFilter,
    PlayerStatus,
    StatusFilter,
)
from minwallet.storage.sqlite import batch, bulk_create, protocol_secrets
from minwallet.storage.sqlite.audit_log import add_audit_event
from minwallet.storage.sqlite.subject import SqliteSubject, reads, writes

AGENT_COLUMNS = ", ".join(Agent._fields)

# The inner statement finds the players, so that its limit counts players and not accounts.
READ_PLAYERS = f"""
    SELECT p.player_key, p.name, p.player_id, p.status, p.until_ms, p.next_until_ms, p.next_at_ms,
           a.account_id, a.currency, a.cash, a.bonus, {batch.BALANCE_MATCHES_LAST_ENTRY}
      FROM (
            SELECT p.player_key, g.name, p.player_id, p.status, e.until_ms, e.next_until_ms, e.next_at_ms
              FROM agents AS g JOIN players AS p USING (agent_id) LEFT JOIN exclusions AS e USING (player_key)
             WHERE g.name = :agent AND {{condition}} ORDER BY p.player_id LIMIT :limit
           ) AS p
      LEFT JOIN accounts AS a USING (player_key)
     ORDER BY p.player_id, a.currency
"""  # noqa: S608 made of constants

IS_EXCLUDED = "coalesce(iif(e.next_at_ms <= :at_ms, e.next_until_ms, e.until_ms), 0) > :at_ms"

STATUS_CONDITIONS = {
    None: "TRUE",
    StatusFilter.ACTIVE: f"p.status = 'active' AND NOT {IS_EXCLUDED}",
    StatusFilter.BLOCKED: "p.status = 'blocked'",
    StatusFilter.EXCLUDED: IS_EXCLUDED,
}

READ_ACCOUNTS = f"""
    SELECT a.account_id, g.name, p.player_id, a.currency, p.status, p.created_at_ms,
           a.cash, a.bonus, a.head, a.last_seq, {batch.BALANCE_MATCHES_LAST_ENTRY}
      FROM accounts AS a CROSS JOIN players AS p USING (player_key) CROSS JOIN agents AS g USING (agent_id)
     WHERE a.account_id > :after ORDER BY a.account_id LIMIT :limit
"""  # noqa: S608 made of constants


def add_agent(
    db: sqlite3.Connection,
    name: str,
    wallet_token: str,
    host_id: str | None,
    now_ms: int,
    *,
    audit: AuditEvent | None = None,
) -> Agent | None:
    found = db.execute(
        "INSERT INTO agents (name, wallet_token, host_id, created_at_ms) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING RETURNING agent_id, name, wallet_token, host_id",
        (name, wallet_token, host_id, now_ms),
    ).fetchall()
    if not found:
        return None
    add_audit_event(db, audit)
    return Agent(*found[0])


def list_agents(db: sqlite3.Connection) -> list[Agent]:
    return [Agent(*row) for row in db.execute(f"SELECT {AGENT_COLUMNS} FROM agents ORDER BY name")]  # noqa: S608 the columns are a constant


def change_agent(
    db: sqlite3.Connection, agent_id: int, changes: Mapping[str, str | None], *, audit: AuditEvent | None = None
) -> Agent | None:
    assert changes.keys() <= set(Agent._fields)
    settings = ", ".join(f"{name} = :{name}" for name in changes)
    found = db.execute(
        f"UPDATE OR IGNORE agents SET {settings} WHERE agent_id = :id RETURNING {AGENT_COLUMNS}",  # noqa: S608 the names are those of fields
        {**changes, "id": agent_id},
    ).fetchall()
    if not found:
        return None
    add_audit_event(db, audit)
    return Agent(*found[0])


def add_callback_key(
    db: sqlite3.Connection, agent_id: int, key: CallbackKey, *, audit: AuditEvent | None = None
) -> None:
    db.execute(
        "INSERT INTO callback_keys (key_hash, hint, created_at_ms, created_by, revoked_at_ms, agent_id)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (*key, agent_id),
    )
    add_audit_event(db, audit)


def list_callback_keys(db: sqlite3.Connection, agent_id: int) -> list[CallbackKey]:
    rows = db.execute(
        "SELECT key_hash, hint, created_at_ms, created_by, revoked_at_ms FROM callback_keys"
        " WHERE agent_id = ? ORDER BY created_at_ms, hint",
        (agent_id,),
    )
    return [CallbackKey(*row) for row in rows]


def revoke_callback_key(
    db: sqlite3.Connection, key_hash: bytes, now_ms: int, *, audit: AuditEvent | None = None
) -> None:
    revoked = db.execute(
        "UPDATE callback_keys SET revoked_at_ms = ? WHERE key_hash = ? AND revoked_at_ms IS NULL", (now_ms, key_hash)
    )
    if revoked.rowcount:
        add_audit_event(db, audit)


def list_live_callback_keys(db: sqlite3.Connection) -> list[tuple[str, CallbackKey]]:
    """Return the live callback keys of all agents, each after the name of its agent, in order of agents and keys."""
    rows = db.execute(
        "SELECT g.name, k.key_hash, k.hint, k.created_at_ms, k.created_by, k.revoked_at_ms"
        " FROM callback_keys AS k JOIN agents AS g USING (agent_id) WHERE k.revoked_at_ms IS NULL"
        " ORDER BY g.name, k.hint"
    )
    return [(agent, CallbackKey(*key)) for agent, *key in rows]


def read_live_callback_keys(db: sqlite3.Connection) -> dict[bytes, int]:
    return dict(db.execute("SELECT key_hash, agent_id FROM callback_keys WHERE revoked_at_ms IS NULL"))


def list_players(db: sqlite3.Connection, agent: str) -> list[Player]:
    return _read_players(db, "TRUE", {"agent": agent})


def find_player(db: sqlite3.Connection, agent: str, player_id: str) -> Player | None:
    found = _read_players(db, "p.player_id = :player_id", {"agent": agent, "player_id": player_id})
    return found[0] if found else None


def find_agents_of_player(db: sqlite3.Connection, player_id: str, limit: int) -> list[str]:
    # CROSS JOIN keeps the order of the tables: the index of the players begins with the agent.
    statement = """
        SELECT a.name FROM agents a CROSS JOIN players p ON p.agent_id = a.agent_id AND p.player_id = ?
        ORDER BY a.name LIMIT ?
    """
    return [name for (name,) in db.execute(statement, (player_id, limit))]


def search_players(db: sqlite3.Connection, player_filter: PlayerFilter, after: str, limit: int) -> list[Player]:
    escaped_text = re.sub("[%_!]", r"!\g<0>", player_filter.text)
    status = STATUS_CONDITIONS[player_filter.status]
    condition = f"p.player_id > :after AND p.player_id LIKE :pattern ESCAPE '!' AND {status}"
    values = {"agent": player_filter.agent, "at_ms": player_filter.at_ms, "pattern": f"%{escaped_text}%"}
    return _read_players(db, condition, {**values, "after": after}, limit)


def _read_players(
    db: sqlite3.Connection, condition: str, values: Mapping[str, object], limit: int = -1
) -> list[Player]:
    """Return the players of an agent that meet the condition, up to `limit` of them; -1 means all."""
    players: dict[int, tuple[list[Any], list[AccountBalance]]] = {}
    for *row, account_id, currency, cash, bonus, is_consistent in db.execute(
        READ_PLAYERS.format(condition=condition), {**values, "limit": limit}
    ):
        _, balances = players.setdefault(row[0], (row, []))
        if account_id is not None:
            _require_consistent_balance(row[2], is_consistent)
            balances.append(AccountBalance(account_id, currency, cash, bonus))
    return [
        Player(player_key, agent, player_id, PlayerStatus(status), tuple(balances), EffectiveValue(*exclusion))
        for (player_key, agent, player_id, status, *exclusion), balances in players.values()
    ]


def read_accounts(db: sqlite3.Connection, after: int, limit: int) -> list[AccountRow]:
    rows = []
    for account_id, agent, player_id, currency, status, *values, is_consistent in db.execute(
        READ_ACCOUNTS, {"after": after, "limit": limit}
    ):
        _require_consistent_balance(player_id, is_consistent)
        rows.append(AccountRow(account_id, agent, player_id, currency, PlayerStatus(status), *values))
    return rows


def _require_consistent_balance(player_id: str, is_consistent: int) -> None:
    """Raise DatabaseCorrupt if the account's balances are not those of its last entry."""
    if not is_consistent:
        raise DatabaseCorrupt("the wallet file", f"a balance of player {player_id} is not as its last entry left it")


def set_player_status(
    db: sqlite3.Connection, player_key: int, status: PlayerStatus, *, audit: AuditEvent | None = None
) -> None:
    changed = db.execute(
        "UPDATE players SET status = :status WHERE player_key = :key AND status <> :status",
        {"status": status, "key": player_key},
    )
    if changed.rowcount:
        add_audit_event(db, audit)


class SqliteAccountStore(SqliteSubject):
    """The `AccountStore` over SQLite."""

    add_agent = writes(add_agent)
    change_agent = writes(change_agent)
    list_agents = reads(list_agents)
    add_callback_key = writes(add_callback_key)
    list_callback_keys = reads(list_callback_keys)
    revoke_callback_key = writes(revoke_callback_key)
    read_live_callback_keys = reads(read_live_callback_keys)
    add_protocol_secret = writes(protocol_secrets.add_protocol_secret)
    list_protocol_secrets = reads(protocol_secrets.list_protocol_secrets)
    revoke_protocol_secret = writes(protocol_secrets.revoke_protocol_secret)
    read_live_protocol_secrets = reads(protocol_secrets.read_live_protocol_secrets)
    list_players = reads(list_players)
    search_players = reads(search_players)
    find_player = reads(find_player)
    find_agents_of_player = reads(find_agents_of_player)
    read_accounts = reads(read_accounts)
    set_player_status = writes(set_player_status)

    find_account_problems = reads(bulk_create.find_account_problems)

    async def create_accounts(
        self, new_accounts: Sequence[NewAccount], now_ms: int, *, audit: AuditEvent | None = None
    ) -> AccountsCreated:
        try:
            return await self._executor.write(
                lambda db: bulk_create.create_accounts(db, new_accounts, now_ms, audit=audit)
            )
        except bulk_create.AccountsRejected as rejected:
            return AccountsCreated(problems=rejected.problems)
