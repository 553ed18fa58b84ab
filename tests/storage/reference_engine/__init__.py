"""A second engine, in memory and written for clarity: the SQLite engine must agree with it."""
