-- An agent's provider: the URLs of its service and games, and the unit of the amounts in its report.
ALTER TABLE agents ADD COLUMN service_url TEXT;
ALTER TABLE agents ADD COLUMN game_url TEXT;
ALTER TABLE agents ADD COLUMN report_unit TEXT NOT NULL DEFAULT 'cents' CHECK (report_unit IN ('cents', 'units'));

-- The last valid game list, as JSON.
CREATE TABLE game_lists (
    agent_id      INTEGER PRIMARY KEY REFERENCES agents,
    fetched_at_ms INTEGER NOT NULL,
    games         TEXT NOT NULL
) STRICT;

-- The position in the report: the key of the next request, and when the last pull that reached the end requested it.
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
    -- The order of the comparison with the ledger.
    PRIMARY KEY (agent_id, ticket, id)
) STRICT, WITHOUT ROWID;

-- The request, without its token, and the reply of a ledger row. Journal rows may be deleted, ledger rows never.
-- seq is the ledger row. It is not declared as a foreign key, as every bet would then look up its own row again.
CREATE TABLE journal (
    seq           INTEGER PRIMARY KEY,
    request       TEXT NOT NULL,
    reply         TEXT NOT NULL
) STRICT;
