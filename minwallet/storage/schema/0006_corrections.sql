-- Reports name players in any case, so a name is looked up without regard to it.
CREATE INDEX players_by_name_in_any_case ON players (agent_id, player_id COLLATE NOCASE);
