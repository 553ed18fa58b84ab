"""Durable storage of the wallet. `store` has the interface, `sqlite` the engine. No business rule lives here."""
