"""The import of an exported ledger into an empty wallet. Entries keep their numbers and hashes, and are audited."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from minwallet.ledger.audit import AccountRef, Audit
from minwallet.ledger.entries import compute_genesis_hash
from minwallet.ledger.snapshot import Account
from minwallet.storage.models import AccountRow, ExportedEntry, IdScope, default_wallet_token

ADD_AGENT = """
    INSERT INTO agents (name, wallet_token, created_at_ms) VALUES (:name, :token, :at_ms)
    ON CONFLICT DO NOTHING
"""

HAS_AGENT = "SELECT EXISTS (SELECT 1 FROM agents WHERE name = ?)"

ADD_PLAYER = """
    INSERT INTO players (agent_id, player_id, status, created_at_ms)
    SELECT agent_id, :player_id, :status, :created_at_ms FROM agents WHERE name = :agent
    ON CONFLICT DO NOTHING
"""

ADD_ACCOUNT = """
    INSERT INTO accounts (player_key, currency, head)
    SELECT p.player_key, :currency, :head FROM players AS p JOIN agents AS a USING (agent_id)
     WHERE a.name = :agent AND p.player_id = :player_id
    RETURNING account_id
"""

ADD_ID_SCOPE = """
    INSERT INTO id_scopes (agent_id, protocol, currency)
    SELECT agent_id, :protocol, :currency FROM agents WHERE name = :agent
    RETURNING scope_id
"""

# The role is not exported. A cancel has role 2. Of other entries the first with an id has role 0, the next role 1.
ADD_ENTRY = """
    INSERT INTO transactions (seq, at_ms, account_id, previous_seq, kind, id, round, game, detail, stake, payout,
                              amount, bonus_amount, cash_after, bonus_after, state, refusal, reference, hash, scope_id,
                              role)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
           iif(?5 = 'cancel', 2, EXISTS (SELECT 1 FROM transactions WHERE scope_id = ?20 AND id = ?6 AND role = 0))
"""

HAS_PLAYERS = "SELECT EXISTS (SELECT 1 FROM players)"

READ_BALANCES = "SELECT account_id, cash, bonus, head, last_seq FROM accounts ORDER BY account_id"


class ImportRejected(Exception):
    """The data is not a valid ledger, or this wallet is not empty. `problems` are sentences for people.

    `missing_agent` is the agent to add before the next attempt, with a wallet token of its own.
    """

    def __init__(self, problems: Sequence[str], missing_agent: str | None = None) -> None:
        super().__init__(*problems)
        self.problems = problems
        self.missing_agent = missing_agent


def import_ledger(
    db: sqlite3.Connection,
    accounts: Iterable[AccountRow],
    pages: Iterable[Sequence[ExportedEntry]],
    now_ms: int,
) -> None:
    """Add the accounts without money, and then the entries in their order.

    Raise ImportRejected if the data is invalid. The caller then rolls the transaction back.
    """
    ((has_players,),) = db.execute(HAS_PLAYERS)
    if has_players:
        raise ImportRejected(["the wallet has players already; import into a new file, which --db names"])
    account_ids, expected = _add_accounts(db, accounts, now_ms)
    scopes: dict[IdScope, int] = {}
    audit = Audit()
    audit.register({number: owner for owner, number in account_ids.items()})
    for page in pages:
        unknown_owners = [each.owner for each in page if each.owner not in account_ids]
        if unknown_owners:
            raise ImportRejected([f"{unknown_owners[0]} has entries, and is not among the players"])
        # Accounts get new numbers here. The hashes stay valid, because the genesis hash names the owner instead.
        rows = [(*row[:2], account_ids[owner], *row[3:]) for owner, row, _ in page]
        audit.add(rows)
        if audit.problems:
            raise ImportRejected(audit.problems)
        for (owner, _, ids_per_currency), row in zip(page, rows, strict=True):
            scope = IdScope(owner.agent, row[4], owner.currency if ids_per_currency else "")
            if scope not in scopes:
                ((scopes[scope],),) = db.execute(ADD_ID_SCOPE, scope._asdict()).fetchall()
            db.execute(ADD_ENTRY, (*row[:4], *row[5:], scopes[scope]))
    found = {account.account_id: account for account in map(Account._make, db.execute(READ_BALANCES))}
    audit.finish(found.values())
    problems = audit.problems or [
        f"{owner}: the entries do not end where the player's account does; export both again, while no calls arrive"
        for owner, end in expected.items()
        if found[account_ids[owner]][1:] != end
    ]
    if problems:
        raise ImportRejected(problems)


def _add_accounts(
    db: sqlite3.Connection, accounts: Iterable[AccountRow], now_ms: int
) -> tuple[dict[AccountRef, int], dict[AccountRef, tuple[Any, ...]]]:
    """Add the accounts. Return their ids, and the (cash, bonus, head, last_seq) that each should end with."""
    account_ids: dict[AccountRef, int] = {}
    expected: dict[AccountRef, tuple[Any, ...]] = {}
    for each in accounts:
        owner = AccountRef(each.agent, each.player_id, each.currency)
        token = default_wallet_token(each.agent)
        db.execute(ADD_AGENT, {"name": each.agent, "token": token, "at_ms": now_ms})
        ((has_agent,),) = db.execute(HAS_AGENT, (each.agent,))
        if not has_agent:
            reason = f"agent '{each.agent}' needs another wallet token, because an agent already has '{token}'"
            raise ImportRejected([reason], each.agent)
        fields = each._asdict() | {"status": str(each.status), "head": compute_genesis_hash(*owner)}
        db.execute(ADD_PLAYER, fields)
        ((account_ids[owner],),) = db.execute(ADD_ACCOUNT, fields).fetchall()
        expected[owner] = (each.cash, each.bonus, each.head, each.last_seq)
    return account_ids, expected
