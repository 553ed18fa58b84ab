"""Executing commands: who asks, one at a time per player, many players to a commit."""
