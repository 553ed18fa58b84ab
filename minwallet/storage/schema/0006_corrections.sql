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
