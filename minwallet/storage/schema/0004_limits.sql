-- Limits and exclusions of players. NULL means none. If `next_at_ms` is set, the value in `next_…` holds from then on.
-- A removed limit keeps its row.
CREATE TABLE limits (
    account_id      INTEGER NOT NULL REFERENCES accounts,
    kind            TEXT NOT NULL CHECK (kind IN ('deposit', 'loss')),
    per             TEXT NOT NULL CHECK (per IN ('day', 'week', 'month')),
    cents           INTEGER CHECK (cents >= 0),
    next_cents      INTEGER CHECK (next_cents >= 0),
    next_at_ms      INTEGER,
    PRIMARY KEY (account_id, kind, per)
) STRICT, WITHOUT ROWID;

CREATE TABLE exclusions (
    player_key      INTEGER PRIMARY KEY REFERENCES players,
    until_ms        INTEGER,
    next_until_ms   INTEGER,
    next_at_ms      INTEGER
) STRICT;

-- The deposits and losses of a day, only for accounts with limits. The first limit of an account backfills 30 days. Sums
-- are stored in halves of 32 bits: turnover can exceed 64 bits, and a win must not fail for that.
CREATE TABLE spent (
    account_id      INTEGER NOT NULL REFERENCES accounts,
    day             INTEGER NOT NULL,
    deposited_high  INTEGER NOT NULL,
    deposited_low   INTEGER NOT NULL,
    lost_high       INTEGER NOT NULL,
    lost_low        INTEGER NOT NULL,
    PRIMARY KEY (account_id, day)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER transactions_count_against_limits AFTER INSERT ON transactions
WHEN EXISTS (SELECT 1 FROM limits WHERE account_id = new.account_id) AND new.amount <> 0 AND new.kind <> 'withdraw'
BEGIN
    INSERT INTO spent VALUES (
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
