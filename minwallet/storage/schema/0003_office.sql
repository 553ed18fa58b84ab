-- Keys of the admin API. Only their hashes are kept; one without an agent reaches all of them.
CREATE TABLE api_keys (
    name          TEXT PRIMARY KEY,
    key_hash      BLOB NOT NULL UNIQUE CHECK (length(key_hash) = 32),
    hint          TEXT NOT NULL,
    scope         TEXT NOT NULL CHECK (scope IN ('read', 'write')),
    agent_id      INTEGER REFERENCES agents,
    created_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER
) STRICT, WITHOUT ROWID;

-- Who may sign in to the back office.
CREATE TABLE admins (
    name          TEXT PRIMARY KEY,
    password      TEXT,
    created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Cookies, and links that have not been used yet.
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

-- What the ledger adds up to, as far as its row `last_seq`; rows are added up some time after they were written, so that
-- no bet waits for it. Sums of money over many players may be longer than a column of numbers holds, hence the text.
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

-- By how much all rows have changed the balances of a currency.
CREATE TABLE moved (
    currency      TEXT PRIMARY KEY,
    cents         TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Which rows a minute has, so that a time is found without an index of all rows; and how many bets were taken in it.
CREATE TABLE minutes (
    minute        INTEGER PRIMARY KEY,
    first_seq     INTEGER NOT NULL,
    last_seq      INTEGER NOT NULL,
    bets          INTEGER NOT NULL
) STRICT;
