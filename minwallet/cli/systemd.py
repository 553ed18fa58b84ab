"""`minwallet systemd`: the units that run this installation as a service."""

import os
import pwd
import shutil
import sys
from collections.abc import Iterable
from contextlib import chdir
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.output import UsageError, print_error, print_line

if TYPE_CHECKING:
    from minwallet.config import Settings

PROTECTED_HOMES = ("/home", "/root", "/run/user")
"""What ProtectHome= hides."""

STOP_MARGIN_S = 20
"""How much longer than the calls in hand the closing of the file may take, before systemd kills."""

SERVICE_UNIT = """\
# Made by `minwallet systemd`. Settings are read from .env and minwallet.toml in {folder}.
[Unit]
Description=minwallet, a seamless wallet
Wants=network-online.target
After=network-online.target
# Where a commit's outcome is unknown the server stops, and its next start finds the truth: never give up on it.
StartLimitIntervalSec=0

[Service]
Type=exec
User={user}
WorkingDirectory={folder}
ExecStart={command}
Restart=always
RestartSec=1
KillSignal=SIGTERM
TimeoutStopSec={stop_s}
LimitNOFILE={files}
UMask=0077
{cache}
ProtectSystem=strict
ReadWritePaths={writable}
{home}PrivateTmp=yes
PrivateDevices=yes
PrivateIPC=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
# Not less than that: the event loop and the writing thread choose their processor (sched_setaffinity).
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""

SOCKET_UNIT = """\
# Made by `minwallet systemd --socket`. It stays open while the server restarts: calls wait instead of being refused.
[Unit]
Description=where minwallet listens

[Socket]
ListenStream={address}
BindIPv6Only=ipv6-only

[Install]
WantedBy=sockets.target
"""

PEX_CACHE_LINES = """
# The program is one file, which unpacks itself here.
CacheDirectory=minwallet
CacheDirectoryMode=0700
Environment=PEX_ROOT=%C/minwallet
"""


def systemd(
    context: typer.Context,
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="Who runs the server.  [default: you]")
    ] = None,
    socket: Annotated[bool, typer.Option("--socket", help="Print the socket unit instead of the service.")] = False,
) -> None:
    """Print a systemd unit that runs this installation on the wallet file, with as few rights as it needs."""
    settings = _load_service_settings(context.find_root().params["db"])
    if socket:
        settings.require_protection()
        text = SOCKET_UNIT.format(address=_format_listen_address(settings.host, settings.port))
    else:
        text = _render_service_unit(settings.db, settings.backup_to, _resolve_user(user))
    print_line(text.rstrip("\n"))
    for each in settings.list_settings():
        if each.origin == "environment":
            print_error(
                f"{each.variable} is of your environment, not of the service's: write it into {settings.db.parent}/.env"
            )


def _load_service_settings(db_option: Path | None) -> "Settings":
    """Those of the wallet file's folder, where the service will be."""
    from minwallet.config import load_settings

    db = _absolute_path(load_settings(db=db_option).db)
    if not db.parent.is_dir():
        raise UsageError(f"there is no folder {db.parent}; make it first, or name another wallet file with --db")
    with chdir(db.parent):
        return load_settings(db=db)


def _render_service_unit(db: Path, backup_to: str, user: str) -> str:
    from minwallet.app import SHUTDOWN_GRACE_S
    from minwallet.web.gateway.http_protocol import MAX_CONNECTIONS, RESERVED_FILES

    folder = db.parent
    backup_dir = folder / backup_to
    if not backup_dir.is_dir() and not backup_dir.is_relative_to(folder):
        raise UsageError(
            f"there is no folder {backup_dir} for the copies; make it first, or set MINWALLET_BACKUP_TO to another"
        )
    program = _current_program()
    command = [*program, "--db", str(db), "serve"]
    for path in (*command, str(folder), str(backup_dir)):
        if not path.isprintable():
            raise UsageError(f"a unit cannot name {path!r}; choose a path without control characters")
    if set(program[0]) & set("'\"\\"):
        raise UsageError(f"systemd starts no program whose path has quotes in it, as {program[0]} has; move it")
    needed = [program[0], str(folder), sys.base_prefix, sys.prefix]
    return SERVICE_UNIT.format(
        folder=_escape_specifiers(str(folder)),
        user=user,
        command=f":{' '.join(map(_quote_word, command))}",
        stop_s=SHUTDOWN_GRACE_S + STOP_MARGIN_S,
        files=MAX_CONNECTIONS + 2 * RESERVED_FILES,
        cache=PEX_CACHE_LINES if "PEX" in os.environ else "",
        writable=" ".join(_quote_word(str(place)) for place in dict.fromkeys((folder, backup_dir))),
        home="" if _needs_home(needed) else "ProtectHome=yes\n",
    )


def _current_program() -> list[str]:
    """How this program was called, with an absolute path: a pex, a console script, or Python with a module."""
    program = os.environ.get("PEX") or shutil.which(sys.argv[0])
    return [str(_absolute_path(Path(program)))] if program else [sys.executable, "-m", "minwallet"]


def _absolute_path(path: Path) -> Path:
    """From the root, without `..`; a link stays the link that an upgrade turns round."""
    return path.parent.resolve() / path.name


def _resolve_user(name: str | None) -> str:
    try:
        return (pwd.getpwnam(name) if name else pwd.getpwuid(os.geteuid())).pw_name
    except KeyError:
        missing = name or f"with the number {os.geteuid()}"
        raise UsageError(f"there is no user {missing}; name another with --user, or make one with useradd") from None


def _format_listen_address(host: str, port: int) -> str:
    host = "127.0.0.1" if host == "localhost" else host
    try:
        is_v6 = ip_address(host).version == 6
    except ValueError:
        raise UsageError(
            f"systemd listens on addresses and {host} is a name: set MINWALLET_HOST to an address"
        ) from None
    if port == 0:
        raise UsageError("a socket unit needs a port that stays the same: set MINWALLET_PORT to one")
    return f"[{host}]:{port}" if is_v6 else f"{host}:{port}"


def _needs_home(paths: Iterable[str]) -> bool:
    """Whether one of these, or what it leads to, would be hidden."""
    places = [place for path in paths for place in (Path(path), Path(path).resolve())]
    return any(place.is_relative_to(home) for place in places for home in PROTECTED_HOMES)


def _escape_specifiers(path: str) -> str:
    """For a setting whose whole value is a path; a percent sign would begin a specifier."""
    return path.replace("%", "%%")


def _quote_word(text: str) -> str:
    """One word of a setting that has several (systemd.syntax(7)). A dollar stays: the command begins with a colon."""
    escaped = _escape_specifiers(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if set(escaped) & set(" '\"\\;") else escaped
