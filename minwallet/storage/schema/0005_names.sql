-- Rename tables and columns to the names that the program uses. No row changes.
ALTER TABLE id_spaces RENAME TO id_scopes;
ALTER TABLE id_scopes RENAME COLUMN space_id TO scope_id;
ALTER TABLE transactions RENAME COLUMN space_id TO scope_id;
ALTER TABLE transactions RENAME COLUMN part TO role;

ALTER TABLE report_marks RENAME TO report_cursors;

ALTER TABLE summed_up RENAME TO totals_progress;
ALTER TABLE moved RENAME TO currency_totals;

-- SQLite 3.40 rewrites `excluded` in a trigger's upsert when it renames the table, so the trigger is created again.
DROP TRIGGER transactions_count_against_limits;
ALTER TABLE spent RENAME TO limit_usage;

CREATE TRIGGER transactions_count_against_limits AFTER INSERT ON transactions
WHEN EXISTS (SELECT 1 FROM limits WHERE account_id = new.account_id) AND new.amount <> 0 AND new.kind <> 'withdraw'
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

ALTER TABLE sign_ins RENAME TO admin_sessions;

DROP TRIGGER actions_are_never_changed;
DROP TRIGGER actions_are_never_removed;
ALTER TABLE actions RENAME TO audit_log;

CREATE TRIGGER audit_log_is_never_changed BEFORE UPDATE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log is never changed');
END;

CREATE TRIGGER audit_log_is_never_removed BEFORE DELETE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log is never removed');
END;
