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

-- The makers of keys, sign-in links, admins and sessions, so that the reset of an admin ends what that admin made.
-- A maker is an actor of the audit log, such as `admin eve` or `command line (root)`. NULL: made before this step.
ALTER TABLE api_keys ADD COLUMN created_by TEXT;
ALTER TABLE admins ADD COLUMN created_by TEXT;
ALTER TABLE admin_sessions ADD COLUMN created_by TEXT;

-- The name of a key is used once, and an admin is never deleted, so the audit log tells who made them. It has no row of
-- those whose audit row failed.
UPDATE api_keys SET created_by = made.actor
  FROM (SELECT actor, subject FROM audit_log WHERE action = 'key_add') AS made WHERE made.subject = name;
UPDATE admins SET created_by = made.actor
  FROM (SELECT actor, subject, min(number) FROM audit_log WHERE action = 'admin_link' GROUP BY subject) AS made
 WHERE made.subject = name;

-- The sessions of players that an admin opened in the back office. All others have NULL, and are not in the index.
ALTER TABLE sessions ADD COLUMN opened_by_admin TEXT;
CREATE INDEX sessions_by_admin ON sessions (opened_by_admin) WHERE opened_by_admin IS NOT NULL;
