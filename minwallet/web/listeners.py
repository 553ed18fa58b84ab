"""Listening sockets: opened here, or inherited from systemd."""

import os
import socket

from minwallet.config import BindError


def open_listener(host: str, port: int, options: str = "--host or --port") -> socket.socket:
    """Return a listening socket. Raise BindError, with advice to use `options`, if that fails."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, TypeError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else None
        reason = os.strerror(number) if number and number > 0 else str(error)
        raise BindError(f"cannot listen on {host} port {port}: {reason}; choose another with {options}") from error


MAX_UNSENT_BYTES = 128 * 1024
"""Maximum size of a connection's answers that the kernel stores before it can send them."""


def limit_unsent_bytes(listener: socket.socket) -> None:
    """Limit the kernel's memory for answers that a client does not read, for all connections of this listener.

    Without the limit it is 4 MB on Linux, and some hundred connections slow down all TCP of the machine. What does not
    fit stays in the server, where flow control limits it.
    """
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT_BYTES)


SD_LISTEN_FDS_START = 3
"""The number of the first file descriptor that systemd passes. The standard streams are before it."""


def take_systemd_socket() -> socket.socket | None:
    """Return the listening socket that systemd passed to this process, or None. Raise BindError if it is unusable.

    The protocol is sd_listen_fds(3). systemd keeps the socket open, so a call that arrives while no server runs waits
    for the next server.
    """
    pid, number = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    if pid != str(os.getpid()) or number in ("", "0"):
        return None
    if number != "1":
        raise BindError(f"systemd passed {number} sockets; the socket unit must have exactly one ListenStream=")
    try:
        inherited = socket.socket(fileno=SD_LISTEN_FDS_START)
        is_internet = inherited.family in (socket.AF_INET, socket.AF_INET6) and inherited.type == socket.SOCK_STREAM
        if not is_internet or not inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError
    except OSError as error:
        raise BindError(
            "systemd passed something other than a listening TCP socket; in the socket unit, use ListenStream= with an"
            " address and a port, and Accept=no"
        ) from error
    inherited.set_inheritable(False)
    return inherited
