-- Rollbacks refer to the entry that they reverse, by its id in the same scope. Kinds of entries for protocols with
-- rollbacks and with an explicit end of a round. The text of the table is edited as in 0006_corrections.sql.
ALTER TABLE transactions ADD COLUMN reference TEXT CHECK ((reference IS NULL) = (kind <> 'rollback'));

PRAGMA writable_schema = ON;
UPDATE sqlite_schema
   SET sql = replace(sql, '''adjustment'')', '''adjustment'', ''rollback'', ''round_rollback'', ''round_end'')')
 WHERE type = 'table' AND name = 'transactions';
PRAGMA writable_schema = RESET;

CREATE INDEX transactions_by_reference ON transactions (scope_id, reference) WHERE reference IS NOT NULL;

-- The secrets with which providers sign their calls. A signature needs the secret itself, so it is stored in the clear;
-- a revoked one is deleted, and only its fingerprint stays.
CREATE TABLE protocol_secrets (
    agent_id      INTEGER NOT NULL REFERENCES agents,
    protocol      TEXT NOT NULL,
    fingerprint   TEXT NOT NULL,
    secret        TEXT,
    created_at_ms INTEGER NOT NULL,
    created_by    TEXT NOT NULL,
    revoked_at_ms INTEGER CHECK ((revoked_at_ms IS NULL) = (secret IS NOT NULL)),
    PRIMARY KEY (agent_id, protocol, fingerprint)
) STRICT, WITHOUT ROWID;
