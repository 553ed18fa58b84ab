"""Measures a wallet on the machine that it is to run on: a server of its own on the same disk, bets from many
connections, and how long the disk takes to make a write durable.

`load` bets and knows a wallet from outside only, `server` starts the one that is measured, `disk` asks the disk.
"""
