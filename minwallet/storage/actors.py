"""The actors of changes, as the audit log and the makers of keys and links name them.

An admin or a key acts from outside, through the back office or the admin API. The command line and the server itself
belong to the owner of the wallet file, who can do everything.
"""

SERVER_START = "server start"

COMMAND_LINE = "command line"

_ADMIN_PREFIX = "admin "


def name_admin(admin: str) -> str:
    """Return the actor of what this admin does in the back office."""
    return f"{_ADMIN_PREFIX}{admin}"


def name_key(key: str) -> str:
    """Return the actor of what a program does with this API key."""
    return f"key {key}"


def find_admin(actor: str) -> str | None:
    """Return the admin who is this actor. Return None for any other actor."""
    return actor.removeprefix(_ADMIN_PREFIX) if actor.startswith(_ADMIN_PREFIX) else None


def is_owner(actor: str) -> bool:
    """Return True if the actor is the owner of the wallet file, and not someone from outside."""
    return actor.startswith((COMMAND_LINE, SERVER_START))
