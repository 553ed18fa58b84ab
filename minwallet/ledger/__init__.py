"""The rules of money, and nothing else.

Everything here is pure: no await, no clock, no SQL, no logging, no randomness. A decision is a function of what the
store has read (`Snapshot`), what is asked (`Command`) and the time it is told. Refusals are values, faults are
exceptions that belong to other rooms, bugs are assertions.
"""
