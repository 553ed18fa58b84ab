-- What an agent needs to know of its provider: where the service answers, where the games are, what its amounts are in.
ALTER TABLE agents ADD COLUMN service_url TEXT;
ALTER TABLE agents ADD COLUMN game_url TEXT;
ALTER TABLE agents ADD COLUMN report_unit TEXT NOT NULL DEFAULT 'cents' CHECK (report_unit IN ('cents', 'units'));

-- The last good game list, as JSON.
CREATE TABLE game_lists (
    agent_id      INTEGER PRIMARY KEY REFERENCES agents,
    fetched_at_ms INTEGER NOT NULL,
    games         TEXT NOT NULL
) STRICT;

-- How far the report has been pulled: the key to ask with next, and when the last pull that reached the end asked.
CREATE TABLE report_marks (
    agent_id      INTEGER PRIMARY KEY REFERENCES agents,
    key           TEXT NOT NULL,
    pulled_at_ms  INTEGER
) STRICT;

CREATE TABLE report_rows (
    agent_id      INTEGER NOT NULL REFERENCES agents,
    id            TEXT NOT NULL,
    ticket        TEXT NOT NULL,
    game          TEXT NOT NULL,
    player_id     TEXT NOT NULL,
    stake         INTEGER NOT NULL CHECK (stake >= 0),
    payout        INTEGER NOT NULL CHECK (payout >= 0),
    cancelled     INTEGER NOT NULL CHECK (cancelled BETWEEN 0 AND stake),
    rejected      INTEGER NOT NULL CHECK (rejected BETWEEN 0 AND stake - cancelled),
    status        TEXT NOT NULL,
    reported_at   TEXT NOT NULL,
    -- In the order in which they are held against the ledger.
    PRIMARY KEY (agent_id, ticket, id)
) STRICT, WITHOUT ROWID;

-- What was said on the wire when a row of the ledger was made, without the token. It may be forgotten, the row never.
-- seq names the row; it is written with it, and declaring that would have every bet look its own row up again.
CREATE TABLE journal (
    seq           INTEGER PRIMARY KEY,
    request       TEXT NOT NULL,
    reply         TEXT NOT NULL
) STRICT;
