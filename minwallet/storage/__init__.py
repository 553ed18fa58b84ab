"""Where the money is kept. `base` says what a store does; an engine says how; no business rule lives here."""
