"""The rules of money, as pure functions.

The package has no await, clock, SQL, logging or randomness. A decision depends only on the data that the store has
read (`Snapshot`), the request (`Command`) and the time that the caller passes. A refusal is a value and a bug is an
assertion. Faults of disk or network are exceptions of other packages.
"""
