-- Keys of the admin API. Only their hashes are stored. A key without an agent is valid for all agents.
CREATE TABLE api_keys (
    name          TEXT PRIMARY KEY,
    key_hash      BLOB NOT NULL UNIQUE CHECK (length(key_hash) = 32),
    hint          TEXT NOT NULL,
    scope         TEXT NOT NULL CHECK (scope IN ('read', 'write')),
    agent_id      INTEGER REFERENCES agents,
    created_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER
) STRICT, WITHOUT ROWID;

-- The admins of the back office.
CREATE TABLE admins (
    name          TEXT PRIMARY KEY,
    password      TEXT,
    created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Cookies, and unused login links.
CREATE TABLE sign_ins (
    token_hash    BLOB PRIMARY KEY CHECK (length(token_hash) = 32),
    admin         TEXT NOT NULL REFERENCES admins,
    is_link       INTEGER NOT NULL CHECK (is_link IN (0, 1)),
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE actions (
    number        INTEGER PRIMARY KEY,
    at_ms         INTEGER NOT NULL,
    actor         TEXT NOT NULL,
    action        TEXT NOT NULL,
    agent         TEXT,
    subject       TEXT,
    detail        TEXT NOT NULL,
    seq           INTEGER
) STRICT;

CREATE TRIGGER actions_are_never_changed BEFORE UPDATE ON actions
BEGIN
    SELECT RAISE(ABORT, 'what was done is never changed');
END;

CREATE TRIGGER actions_are_never_removed BEFORE DELETE ON actions
BEGIN
    SELECT RAISE(ABORT, 'what was done is never removed');
END;

-- The totals include the ledger rows up to `last_seq`. Rows are added some time after they were written, so that no bet
-- waits for it. Sums over many players can exceed 64 bits, so they are text.
CREATE TABLE summed_up (
    last_seq      INTEGER NOT NULL
) STRICT;

INSERT INTO summed_up VALUES (0);

CREATE TABLE totals (
    day           INTEGER NOT NULL,
    agent_id      INTEGER NOT NULL REFERENCES agents,
    currency      TEXT NOT NULL,
    protocol      TEXT NOT NULL,
    game          TEXT NOT NULL,
    bets          INTEGER NOT NULL,
    staked        TEXT NOT NULL,
    wins          INTEGER NOT NULL,
    paid          TEXT NOT NULL,
    refunds       INTEGER NOT NULL,
    refunded      TEXT NOT NULL,
    deposited     TEXT NOT NULL,
    withdrawn     TEXT NOT NULL,
    moved         TEXT NOT NULL,
    PRIMARY KEY (day, agent_id, currency, protocol, game)
) STRICT, WITHOUT ROWID;

-- The sum of all changes of balances in a currency.
CREATE TABLE moved (
    currency      TEXT PRIMARY KEY,
    cents         TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The rows of each minute, so that a time is found without an index of all rows; and the number of accepted bets.
CREATE TABLE minutes (
    minute        INTEGER PRIMARY KEY,
    first_seq     INTEGER NOT NULL,
    last_seq      INTEGER NOT NULL,
    bets          INTEGER NOT NULL
) STRICT;
