"""The limits of open connections: one for the public port, and a separate one for the control port.

A stranger can open connections on both. The two budgets are separate, so that provider calls and commands of the CLI
each continue while the other port is full:

- Public port: up to `max_connections`. `MAX_REJECTED` more get 503, and further ones a reset.
- Control port: up to `MAX_CONTROL_CONNECTIONS`. One more resets the oldest connection that has not sent the key. Every
  user of the machine can connect to this port, but only the owner of the wallet file has the key. A command sends the
  key immediately, so strangers who wait only displace each other, and a command that runs is never displaced.
"""

import resource
from typing import Any, Protocol, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn._types import ASGI3Application

MAX_CONNECTIONS = 10_000
"""Several times the connection pools of a large provider. One connection uses about 10 kB of memory."""

MAX_REJECTED = 64
"""Number of connections above the maximum that get 503. Further ones are reset without an answer."""

MAX_CONTROL_CONNECTIONS = 64
"""Number of connections to the control port. Each command of the CLI uses one."""

RESERVED_FILES, MIN_CONNECTIONS = MAX_REJECTED + MAX_CONTROL_CONNECTIONS + 64, 8
"""File descriptors for rejected and control connections and the wallet's own files, and the lowest public limit."""

DESIRED_OPEN_FILES = MAX_CONNECTIONS + RESERVED_FILES
"""Number of file descriptors that the full connection limit needs."""

HAS_CONTROL_KEY = "minwallet.has_control_key"
"""ASGI scope key that the control endpoint sets for a request with the right key."""


class ControlConnection(Protocol):
    """A connection to the control port, as the budget sees it."""

    @property
    def has_control_key(self) -> bool:
        """Return whether the newest request has the right key."""

    def abort(self) -> None:
        """Reset the connection."""


class ControlPort:
    """The port for commands of the CLI, with its own application and its own connections, oldest first."""

    def __init__(self, port: int, app: ASGIApp) -> None:
        self.port = port
        self.app = cast(ASGI3Application, app)  # the same interface, in the types of Starlette and uvicorn
        self.connections: dict[ControlConnection, None] = {}

    def add(self, connection: ControlConnection) -> None:
        """Add a new connection. If there are too many, reset the oldest one without the key, at last the new one."""
        self.connections[connection] = None
        if len(self.connections) > MAX_CONTROL_CONNECTIONS:
            oldest = next(each for each in self.connections if not each.has_control_key)
            self.remove(oldest)
            oldest.abort()

    def remove(self, connection: ControlConnection) -> None:
        """Remove a connection, if it is not removed already."""
        self.connections.pop(connection, None)


class LimitedServerConfig(uvicorn.Config):
    """uvicorn's configuration with a connection limit of the public port, and the control port if there is one."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 as uvicorn's own
        super().__init__(*args, **options)
        self.max_connections = MAX_CONNECTIONS
        self.control: ControlPort | None = None


def raise_connection_limit() -> int:
    """Raise the process's limit of open files as far as needed and permitted; return the public connection limit.

    RESERVED_FILES descriptors stay free for other connections and for the wallet's own files.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < DESIRED_OPEN_FILES:
        soft = DESIRED_OPEN_FILES if hard == resource.RLIM_INFINITY else min(DESIRED_OPEN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(soft - RESERVED_FILES, MIN_CONNECTIONS)
    return MAX_CONNECTIONS
