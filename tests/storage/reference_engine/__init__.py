"""A second engine, in memory and written to be read: the SQLite store has to agree with it."""
