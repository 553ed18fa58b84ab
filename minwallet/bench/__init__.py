"""The benchmark of this machine: a server of its own on the measured disk, and bets from many connections.

`load` generates bets and knows a wallet from outside only, `server_process` runs the measured server, and `disk`
measures synced writes.
"""
