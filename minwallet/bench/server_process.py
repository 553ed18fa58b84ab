"""The server process that is measured."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from minwallet.bench.load import LoadFailed
from minwallet.storage.file_lock import ControlEndpoint, read_control_endpoint

START_TIMEOUT_S, STOP_TIMEOUT_S = 30, 15

EXTRA_FILE_DESCRIPTORS = 100
"""The maximum number of files that a server opens besides its connections."""


@contextmanager
def run_server(db: Path, log: Path, **settings: str) -> Iterator[ControlEndpoint]:
    """Run a server on this file and a free port until the block ends. Its output goes to `log`.

    Raise LoadFailed if it does not start. A LoadFailed of the block gets the server's last error added.
    """
    command = [sys.executable, "-m", "minwallet", "--db", str(db), "serve", "--host", "127.0.0.1", "--port", "0"]
    with log.open("w") as log_stream:
        process = subprocess.Popen(  # noqa: S603 it runs minwallet itself
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log_stream,
            env={**os.environ, **settings},
        )
    try:
        try:
            yield _wait_until_ready(process, db)
        finally:
            _stop_process(process)
    except LoadFailed as error:
        raise LoadFailed(f"{error}{_describe_last_error(log)}") from error


def raise_file_limit(connections: int) -> None:
    """Raise the limit of open files of this process, which the server inherits, to fit the connections.

    Raise LoadFailed if the system does not allow it.
    """
    needed = connections + EXTRA_FILE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        except (OSError, ValueError) as error:
            raise LoadFailed(
                f"{connections} connections need {needed} open files, but this system allows {hard};"
                " use fewer --connections"
            ) from error


def _wait_until_ready(process: "subprocess.Popen[bytes]", db: Path) -> ControlEndpoint:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if endpoint := read_control_endpoint(db):
            return endpoint
        time.sleep(0.02)
    raise LoadFailed("the server did not start")


def _stop_process(process: "subprocess.Popen[bytes]") -> None:
    """Stop the server with SIGTERM. Kill it after `STOP_TIMEOUT_S`, or immediately if Ctrl-C interrupts the wait."""
    try:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
    finally:
        process.kill()
        process.wait()


def _describe_last_error(log: Path) -> str:
    """Return the server's last error for a message, or "".

    Lines of the access log and lines with an address are not errors. A JSON line with a level is one.
    """
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if (line[:1] != "{" or '"level": ' in line) and "http://" not in line]
    return f"; the server says: {errors[-1]}" if errors else ""
