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
