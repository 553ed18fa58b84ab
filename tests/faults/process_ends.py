"""The allowed ends of servers and commands while the disk fails: their exit codes and messages."""

from pathlib import Path

import httpx2

from tests.faults.preload import get_preload
from tests.support import (
    TIMEOUT_S,
    CommandResult,
    Server,
    ServerDidNotStart,
    read_log_messages,
)


def check_server_end(server: Server) -> str:
    """Return "goes on", or "stopped" if the server stopped with the right exit code and a one-line reason."""
    if _is_running(server):
        _read_messages(server)
        return "goes on"
    return _check_stopped(server)


def _check_stopped(server: Server) -> str:
    """Check the exit code and the reason of a server that ends by itself. Return "stopped"."""
    code = server.process.wait(TIMEOUT_S)
    server.stop()
    said = _read_messages(server)
    assert code == 3, (code, said)
    assert sum(line.startswith("minwallet: ") for line in said) == 1, said
    return "stopped"


def _read_messages(server: Server) -> list[str]:
    """Return the messages of the server's log. Check that there is no traceback, and none twice."""
    said = [*read_log_messages(server.log.read_text())]
    assert not [line for line in said if "Traceback" in line], "\n".join(said)
    assert len(said) == len(set(said)), "\n".join(said)
    return said


def _is_running(server: Server) -> bool:
    """Return whether the server runs. A disk that is only full stops no server."""
    try:
        ready = server.http.get("/readyz").json()
    except httpx2.HTTPError:
        return False
    return all("new bets are rejected" in reason for reason in ready["reasons"])


def check_start_end(file: Path) -> str:
    """Check the end of a server that is started and, if it serves, stopped. Return "did not start" or the end."""
    try:
        server = start_faulty_server(file)
    except ServerDidNotStart as fault:
        return {"refused": "did not start"}[check_command_end(fault.result)]
    if check_server_end(server) == "stopped":
        return "stopped"
    if server.stop() != 0:
        # The call failed after the server had answered, in its maintenance work.
        return _check_stopped(server)
    assert "Traceback" not in server.log.read_text()
    return "goes on"


def check_command_end(result: CommandResult) -> str:
    """Return "done", or "refused" if the command failed with a one-line reason."""
    assert result.code in (0, 3), result
    if result.code == 0:
        return "done"
    lines = [line for line in result.err.splitlines() if not line.startswith(("{", "minwallet 0", "sign in"))]
    assert len(lines) == 1, result
    assert lines[0].startswith("minwallet: "), result
    return "refused"


def start_faulty_server(file: Path) -> Server:
    """Start a server whose calls fail on command."""
    return Server(file, log_dir=None, **get_preload().settings)
