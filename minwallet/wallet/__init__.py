"""The engine: executes commands, one at a time per player and many players per commit."""
