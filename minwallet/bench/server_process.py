"""A server process of this installation, for as long as it is measured."""

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
"""How many files a server has open beside its connections, at the most."""


@contextmanager
def run_server(db: Path, log: Path, **settings: str) -> Iterator[ControlEndpoint]:
    """A server on this file and a free port, which ends with the block; what it says goes to `log`. LoadFailed."""
    command = [sys.executable, "-m", "minwallet", "--db", str(db), "serve", "--host", "127.0.0.1", "--port", "0"]
    with log.open("w") as log_stream:
        process = subprocess.Popen(  # noqa: S603 this very program
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
    """Let this process, and the server it starts, have so many connections; LoadFailed where the system says no."""
    needed = connections + EXTRA_FILE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        except (OSError, ValueError) as error:
            raise LoadFailed(
                f"{connections} connections need {needed} open files, and this system allows {hard}; ask for fewer"
            ) from error


def _wait_until_ready(process: "subprocess.Popen[bytes]", db: Path) -> ControlEndpoint:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if endpoint := read_control_endpoint(db):
            return endpoint
        time.sleep(0.02)
    raise LoadFailed("the server did not start")


def _stop_process(process: "subprocess.Popen[bytes]") -> None:
    """In good order; but at once where that takes too long, or where an impatient person interrupts it."""
    try:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
    finally:
        process.kill()
        process.wait()


def _describe_last_error(log: Path) -> str:
    """What the server complained about last. A line of the access log is no complaint, nor is one with an address."""
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if (line[:1] != "{" or '"level": ' in line) and "http://" not in line]
    return f"; the server says: {errors[-1]}" if errors else ""
