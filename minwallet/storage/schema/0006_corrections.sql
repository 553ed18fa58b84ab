-- Adjustments: a kind of entry for the operator's corrections. It counts neither as deposit nor as loss.
-- SQLite cannot change a CHECK, and a new table would copy every row and lose the append-only triggers meanwhile. So this
-- edits the text of the table, as SQLite documents for changes without effect on stored rows:
-- https://sqlite.org/lang_altertable.html#otheralter. RESET makes this connection read the edited text. The statements
-- after it change the schema too: that makes other connections read it again, and this one after a rollback.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, '''withdraw'')', '''withdraw'', ''adjustment'')')
 WHERE type = 'table' AND name = 'transactions';
PRAGMA writable_schema = RESET;

DROP TRIGGER transactions_count_against_limits;

CREATE TRIGGER transactions_count_against_limits AFTER INSERT ON transactions
WHEN EXISTS (SELECT 1 FROM limits WHERE account_id = new.account_id) AND new.amount <> 0
     AND new.kind NOT IN ('withdraw', 'adjustment')
BEGIN
    INSERT INTO limit_usage VALUES (
        new.account_id, new.at_ms / 86400000,
        iif(new.kind = 'deposit', new.amount >> 32, 0), iif(new.kind = 'deposit', new.amount & 4294967295, 0),
        iif(new.kind = 'deposit', 0, -new.amount >> 32), iif(new.kind = 'deposit', 0, -new.amount & 4294967295)
    )
    ON CONFLICT (account_id, day) DO UPDATE SET
        deposited_high = deposited_high + excluded.deposited_high,
        deposited_low = deposited_low + excluded.deposited_low,
        lost_high = lost_high + excluded.lost_high,
        lost_low = lost_low + excluded.lost_low;
END;

ALTER TABLE totals ADD COLUMN adjusted TEXT NOT NULL DEFAULT '0';

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

-- Wins without a bet: the part of wins and paid whose entries have the state `orphan`. One scan fills the columns for the
-- entries that are aggregated already. The sum may exceed 64 bits, so it is built from its halves in powers of ten.
ALTER TABLE totals ADD COLUMN orphan_wins INTEGER NOT NULL DEFAULT 0;
ALTER TABLE totals ADD COLUMN orphan_paid TEXT NOT NULL DEFAULT '0';

UPDATE totals
   SET orphan_wins = found.wins,
       orphan_paid = printf('%d%09d', found.high + found.low / 1000000000, found.low % 1000000000)
  FROM (
      SELECT t.at_ms / 86400000 AS day, s.agent_id, a.currency, s.protocol, coalesce(t.game, '') AS game,
             count(*) AS wins, sum(t.payout / 1000000000) AS high, sum(t.payout % 1000000000) AS low
        FROM transactions AS t JOIN accounts AS a USING (account_id) JOIN id_scopes AS s USING (scope_id)
       WHERE t.state = 'orphan' AND t.seq <= (SELECT last_seq FROM totals_progress)
       GROUP BY 1, 2, 3, 4, 5
  ) AS found
 WHERE (totals.day, totals.agent_id, totals.currency, totals.protocol, totals.game)
     = (found.day, found.agent_id, found.currency, found.protocol, found.game);
