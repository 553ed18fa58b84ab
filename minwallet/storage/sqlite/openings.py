"""Accounts are opened by the hundred thousand: a few statements, each over all of them, rather than a few for each."""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

from minwallet.ledger.decide import Account, Round, Snapshot, TransactionHistory, decide
from minwallet.ledger.entries import Entry, compute_genesis_hash
from minwallet.ledger.outcomes import Applied
from minwallet.storage.base import OPENING, Opened, Opening, opening_deposit
from minwallet.storage.sqlite import batch

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

IS_ANOTHERS = f"SELECT account_id <> ({FIND_ACCOUNT}) FROM sessions WHERE token_hash = ?"  # noqa: S608 made of constants

READ_NEW_ACCOUNTS = """
    SELECT a.account_id, a.cash, a.bonus, a.head, a.last_seq, p.agent_id, p.player_id, a.currency
      FROM accounts AS a JOIN players AS p USING (player_key) WHERE a.account_id > ? ORDER BY a.account_id
"""

ADD_SPACE = """
    INSERT INTO id_spaces (agent_id, protocol, currency) VALUES (?, ?, '')
    ON CONFLICT DO UPDATE SET currency = '' RETURNING space_id
"""

ENTRIES_AT_ONCE = 256
"""How many rows are added by one statement."""

Name = tuple[int, str, str]
"""Whose account: agent_id, player_id, currency."""


def open_accounts(db: sqlite3.Connection, openings: Sequence[Opening], now_ms: int) -> Opened:
    """Make what is missing. The caller holds the write transaction, and gives it up where there are problems."""
    agents: dict[str, int] = dict(db.execute("SELECT name, agent_id FROM agents"))
    problems = [
        (index, f"no agent {opening.agent}; add it with: minwallet agent add {opening.agent}")
        for index, opening in enumerate(openings)
        if opening.agent not in agents
    ]
    known = [(index, opening) for index, opening in enumerate(openings) if opening.agent in agents]
    names = [(agents[opening.agent], opening.player_id, opening.currency) for _, opening in known]
    (last_account,) = db.execute("SELECT coalesce(max(account_id), 0) FROM accounts").fetchone()
    players = db.executemany(ADD_PLAYER, [(*name[:2], now_ms) for name in names]).rowcount
    heads = [compute_genesis_hash(opening.agent, opening.player_id, opening.currency) for _, opening in known]
    rows = [(name[2], head, *name[:2]) for name, head in zip(names, heads, strict=True)]
    accounts = db.executemany(ADD_ACCOUNT, rows).rowcount
    problems += _add_sessions(db, known, names, now_ms)
    if problems:
        return Opened(problems=tuple(sorted(problems)))
    first_openings = dict(zip(reversed(names), reversed(openings), strict=True))
    entries = _first_entries(db, first_openings, last_account, now_ms)
    while some := [*islice(entries, ENTRIES_AT_ONCE)]:
        batch.add_entries(db, [*chain.from_iterable(some)])
    return Opened(max(players, 0), max(accounts, 0))


def _add_sessions(
    db: sqlite3.Connection, known: Sequence[tuple[int, Opening]], names: Sequence[Name], now_ms: int
) -> Iterator[tuple[int, str]]:
    """The openings whose token stands for another account, as it did before or through an earlier opening."""
    wanted = [
        (index, name, session)
        for (index, opening), name in zip(known, names, strict=True)
        if (session := opening.session)
    ]
    rows = [(*name, session.token_hash, session.hint, now_ms, session.expires_at_ms) for _, name, session in wanted]
    if db.executemany(ADD_SESSION, rows).rowcount == len(rows):
        return
    for index, name, session in wanted:
        ((is_anothers,),) = db.execute(IS_ANOTHERS, (*name, session.token_hash))
        if is_anothers:
            yield index, "its token stands for another player or currency; choose another token"


def _first_entries(
    db: sqlite3.Connection, openings: dict[Name, Opening], last_account: int, now_ms: int
) -> Iterator[tuple[Any, ...]]:
    """The rows with which the new accounts begin, where they do not begin empty."""
    spaces: dict[int, int] = {}
    (seq,) = db.execute("SELECT coalesce(max(seq), 0) FROM transactions").fetchone()
    for *account, agent_id, player_id, currency in db.execute(READ_NEW_ACCOUNTS, (last_account,)).fetchall():
        opening = openings[agent_id, player_id, currency]
        if opening.cash + opening.bonus == 0:
            continue
        if agent_id not in spaces:
            ((spaces[agent_id],),) = db.execute(ADD_SPACE, (agent_id, OPENING))
        seq += 1
        entry = _decide(Account._make(account), opening, seq, now_ms)
        # The id is new, as the account is.
        yield batch.values_of(entry, spaces[agent_id], 0)


def _decide(account: Account, opening: Opening, seq: int, now_ms: int) -> Entry:
    # Nothing has to be looked up: of an account that this transaction has made, nothing else is known.
    new = Snapshot(OPENING, account, False, None, TransactionHistory(), Round(), seq)
    outcome = decide(new, opening_deposit(opening, account.account_id).command, now_ms)
    assert isinstance(outcome, Applied), outcome
    return outcome.entry
