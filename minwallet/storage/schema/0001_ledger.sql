-- Amounts are cents, times are ms since 1970 UTC. Transaction ids, rounds and references are text: the protocols' ids
-- are unsigned 64-bit numbers, which a signed column cannot hold.

CREATE TABLE agents (
    agent_id      INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    wallet_token  TEXT NOT NULL UNIQUE,
    host_id       TEXT UNIQUE,
    created_at_ms INTEGER NOT NULL
) STRICT;

INSERT INTO agents (name, wallet_token, created_at_ms) VALUES ('default', 'default', unixepoch() * 1000);

CREATE TABLE players (
    player_key    INTEGER PRIMARY KEY,
    agent_id      INTEGER NOT NULL REFERENCES agents,
    player_id     TEXT NOT NULL,
    status        TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'blocked')),
    created_at_ms INTEGER NOT NULL,
    UNIQUE (agent_id, player_id)
) STRICT;

CREATE TABLE accounts (
    account_id    INTEGER PRIMARY KEY,
    player_key    INTEGER NOT NULL REFERENCES players,
    currency      TEXT NOT NULL,
    cash          INTEGER NOT NULL DEFAULT 0 CHECK (cash >= 0),
    bonus         INTEGER NOT NULL DEFAULT 0 CHECK (bonus BETWEEN 0 AND 9223372036854775807 - cash),
    head          BLOB NOT NULL CHECK (length(head) = 32),
    last_seq      INTEGER NOT NULL DEFAULT 0,
    UNIQUE (player_key, currency)
) STRICT;

CREATE TABLE sessions (
    session_id    INTEGER PRIMARY KEY,
    token_hash    BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    hint          TEXT NOT NULL,
    account_id    INTEGER NOT NULL REFERENCES accounts,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    revoked_at_ms INTEGER
) STRICT;

CREATE INDEX sessions_of_account ON sessions (account_id);

-- The scope in which a transaction id is unique: an agent, a protocol and, if the protocol says so, a currency. Otherwise
-- the currency is ''.
CREATE TABLE id_spaces (
    space_id      INTEGER PRIMARY KEY,
    agent_id      INTEGER NOT NULL REFERENCES agents,
    protocol      TEXT NOT NULL,
    currency      TEXT NOT NULL,
    UNIQUE (agent_id, protocol, currency)
) STRICT;

-- An account's rows are a chain, from accounts.last_seq through previous_seq; 0 ends it. They have no index by account:
-- such an index would make every bet change one more page.
-- part: 0 is the row that claimed the id, 1 the one that settled it, 2 the one that cancelled it.
CREATE TABLE transactions (
    seq           INTEGER PRIMARY KEY,
    at_ms         INTEGER NOT NULL,
    account_id    INTEGER NOT NULL REFERENCES accounts,
    previous_seq  INTEGER NOT NULL CHECK (previous_seq < seq),
    space_id      INTEGER NOT NULL REFERENCES id_spaces,
    id            TEXT NOT NULL,
    part          INTEGER NOT NULL
                  CHECK (CASE kind WHEN 'cancel' THEN part = 2 WHEN 'win' THEN part IN (0, 1) ELSE part = 0 END),
    kind          TEXT NOT NULL CHECK (kind IN ('bet', 'win', 'cancel', 'betwin', 'deposit', 'withdraw')),
    round         TEXT,
    game          TEXT,
    detail        TEXT,
    stake         INTEGER NOT NULL CHECK (stake >= 0),
    payout        INTEGER NOT NULL CHECK (payout >= 0),
    amount        INTEGER NOT NULL,
    bonus_amount  INTEGER NOT NULL,
    cash_after    INTEGER NOT NULL CHECK (cash_after >= 0),
    bonus_after   INTEGER NOT NULL CHECK (bonus_after >= 0),
    state         TEXT NOT NULL CHECK (state IN ('applied', 'refused', 'closed', 'orphan')),
    refusal       TEXT CHECK ((refusal IS NULL) = (state <> 'refused')),
    hash          BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE UNIQUE INDEX transactions_by_id ON transactions (space_id, id, part);
-- The row whose id names the round is found by its id. Ids and rounds mostly increase, so both indexes grow at one end.
CREATE INDEX transactions_of_round ON transactions (space_id, round) WHERE round <> id;

-- A row updates its account, so that no balance can differ from the rows. The condition on last_seq rejects a second row
-- of one account in a batch.
CREATE TRIGGER transactions_move_their_account AFTER INSERT ON transactions
BEGIN
    UPDATE accounts SET cash = new.cash_after, bonus = new.bonus_after, head = new.hash, last_seq = new.seq
     WHERE account_id = new.account_id AND last_seq = new.previous_seq;
    SELECT RAISE(ABORT, 'a ledger row must follow the last row of its account') WHERE changes() <> 1;
END;

CREATE TRIGGER transactions_are_never_changed BEFORE UPDATE ON transactions
BEGIN
    SELECT RAISE(ABORT, 'a ledger row is never changed');
END;

CREATE TRIGGER transactions_are_never_removed BEFORE DELETE ON transactions
BEGIN
    SELECT RAISE(ABORT, 'a ledger row is never removed');
END;
