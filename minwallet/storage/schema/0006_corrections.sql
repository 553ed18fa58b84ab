-- The agents' callback keys. Only hashes are stored; `hint` is the beginning of the key.
CREATE TABLE callback_keys (
    key_hash      BLOB PRIMARY KEY CHECK (length(key_hash) = 32),
    agent_id      INTEGER NOT NULL REFERENCES agents,
    hint          TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    created_by    TEXT NOT NULL,
    revoked_at_ms INTEGER
) STRICT, WITHOUT ROWID;

-- Reports name players in any case, so a name is looked up without regard to it.
CREATE INDEX players_by_name_in_any_case ON players (agent_id, player_id COLLATE NOCASE);
