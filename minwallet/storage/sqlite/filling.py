"""An exported ledger becomes a wallet again: the same rows, under the same hashes."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from minwallet.ledger.audit import AccountRef, Audit, EntryRow
from minwallet.ledger.decide import Account
from minwallet.ledger.entries import compute_genesis_hash
from minwallet.storage.base import AccountRow, token_of_name

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

ADD_SPACE = """
    INSERT INTO id_spaces (agent_id, protocol, currency) SELECT agent_id, ?, ? FROM agents WHERE name = ?
    RETURNING space_id
"""

# A cancel is the third part of what an id stands for; of other rows the first claims the id, and the next settles it.
ADD_ENTRY = """
    INSERT INTO transactions (seq, at_ms, account_id, previous_seq, kind, id, round, game, detail, stake, payout,
                              amount, bonus_amount, cash_after, bonus_after, state, refusal, hash, space_id, part)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
           iif(?5 = 'cancel', 2, EXISTS (SELECT 1 FROM transactions WHERE space_id = ?19 AND id = ?6 AND part = 0))
"""

HAS_PLAYERS = "SELECT EXISTS (SELECT 1 FROM players)"

READ_BALANCES = "SELECT account_id, cash, bonus, head, last_seq FROM accounts ORDER BY account_id"


class Unfit(Exception):
    """What was to be imported does not make a wallet, or not this one; the problems are told in words."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(*problems)
        self.problems = problems


def fill(
    db: sqlite3.Connection,
    accounts: Iterable[AccountRow],
    pages: Iterable[Sequence[tuple[AccountRef, EntryRow]]],
    ids_per_currency: frozenset[str],
    now_ms: int,
) -> None:
    """Add the accounts as they were when they were new, and then the ledger's rows in their order, whose `account_id`
    is not looked at. Unfit says why the wallet must stay empty; the caller gives the transaction up then.

    `ids_per_currency` are the protocols whose ids are unique per agent and currency, rather than per agent.
    """
    ((has_players,),) = db.execute(HAS_PLAYERS)
    if has_players:
        raise Unfit(["the wallet has players already; import into a new file, which --db names"])
    numbers, wanted = _add_accounts(db, accounts, now_ms)
    spaces: dict[tuple[str, str, str], int] = {}
    audit = Audit()
    audit.register({number: owner for owner, number in numbers.items()})
    for page in pages:
        strangers = [owner for owner, _ in page if owner not in numbers]
        if strangers:
            raise Unfit([f"{strangers[0]} has entries, and is not among the players"])
        rows = [(*row[:2], numbers[owner], *row[3:]) for owner, row in page]
        audit.add(rows)
        if audit.problems:
            raise Unfit(audit.problems)
        for (owner, _), row in zip(page, rows, strict=True):
            name = owner.agent, row[4], owner.currency if row[4] in ids_per_currency else ""
            if name not in spaces:
                ((spaces[name],),) = db.execute(ADD_SPACE, (name[1], name[2], name[0])).fetchall()
            db.execute(ADD_ENTRY, (*row[:4], *row[5:], spaces[name]))
    found = {account.account_id: account for account in map(Account._make, db.execute(READ_BALANCES))}
    audit.finish(found.values())
    problems = audit.problems or [
        f"{owner}: the entries do not end where the player's account does; export both anew, while nothing happens"
        for owner, end in wanted.items()
        if found[numbers[owner]][1:] != end
    ]
    if problems:
        raise Unfit(problems)


def _add_accounts(
    db: sqlite3.Connection, accounts: Iterable[AccountRow], now_ms: int
) -> tuple[dict[AccountRef, int], dict[AccountRef, tuple[Any, ...]]]:
    """The accounts' numbers, and how each of them should end."""
    numbers: dict[AccountRef, int] = {}
    ends: dict[AccountRef, tuple[Any, ...]] = {}
    for each in accounts:
        owner = AccountRef(each.agent, each.player_id, each.currency)
        token = token_of_name(each.agent)
        db.execute(ADD_AGENT, {"name": each.agent, "token": token, "at_ms": now_ms})
        ((has_agent,),) = db.execute(HAS_AGENT, (each.agent,))
        if not has_agent:
            raise Unfit(
                [
                    f"another agent has the wallet token {token}; before, run: minwallet agent add {each.agent}"
                    " --wallet-token …, with one of its own"
                ]
            )
        fields = each._asdict() | {"status": str(each.status), "head": compute_genesis_hash(*owner)}
        db.execute(ADD_PLAYER, fields)
        ((numbers[owner],),) = db.execute(ADD_ACCOUNT, fields).fetchall()
        ends[owner] = (each.cash, each.bonus, each.head, each.last_seq)
    return numbers, ends
