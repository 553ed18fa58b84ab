"""Shared helpers: the real program as processes, and clients that call it over real HTTP."""

import asyncio
import io
import json
import os
import re
import shutil
import signal
import socket
import ssl
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from itertools import count
from pathlib import Path
from subprocess import PIPE
from typing import Any, NamedTuple
from unittest.mock import patch
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest
from typer.main import get_command

from minwallet.cli.main import app, main
from tests.forkserver import start_minwallet

ROOT = Path(__file__).parent.parent
TIMEOUT_S = 30

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""TLS that trusts nobody. The servers of tests speak plain HTTP, and a client's own context reads all certificates of
the authorities first, which takes longer than most requests."""

_numbers = count(1)

BUILT_APP = get_command(app)
"""The command line as typer builds it. A call of `app` builds it again, which takes longer than most commands."""


class CommandResult(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 whatever the command prints
        return json.loads(self.out)


def clean_environment(**settings: str) -> dict[str, str]:
    """Return this environment without minwallet's settings, plus the given ones."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MINWALLET_")}
    return {**inherited, "NO_COLOR": "1", **settings}


def run_minwallet(*arguments: object, cwd: Path | None = None, **settings: str) -> CommandResult:
    """Run the command line as a process."""
    env = clean_environment(**settings)
    with start_minwallet(arguments, stdout=PIPE, stderr=PIPE, env=env, cwd=cwd) as process:
        try:
            out, err = process.communicate(timeout=TIMEOUT_S * 4)
        except BaseException:
            process.kill()
            raise
    return CommandResult(process.returncode, out, err)


class Cli:
    """The command line on one wallet file. A failing command fails the test, unless it is called by `run`."""

    def __init__(self, db: Path) -> None:
        self.db = db

    def run(self, *arguments: object) -> CommandResult:
        return run_minwallet("--db", self.db, *arguments)

    def __call__(self, *arguments: object) -> Any:  # noqa: ANN401 the command's JSON
        result = self.run(*arguments, "--json")
        assert result.code == 0, result
        return result.json

    def add_player(self, currency: str = "USD", balance: str = "100", bonus: str = "0") -> str:
        """Add a player with money. Return the id."""
        name = f"player{next(_numbers)}"
        self("player", "add", name, "--currency", currency, "--balance", balance, "--bonus", bonus)
        return name

    def open_session(self, player_id: str, *options: object) -> str:
        token: str = self("session", "open", player_id, *options)["token"]
        return token

    def read_balances(self, player_id: str, currency: str = "USD") -> tuple[int, int]:
        """Return cash and bonus in cents."""
        accounts = self("player", "show", player_id)["accounts"]
        (found,) = [each for each in accounts if each["currency"] == currency]
        return found["cash"], found["bonus"]

    def read_entries(self, player_id: str) -> list[dict[str, Any]]:
        """Return the player's ledger, oldest first."""
        found: list[dict[str, Any]] = self("ledger", player_id, "--limit", 10_000)["entries"]
        return found[::-1]

    def assert_ledger_valid(self) -> None:
        """Check that the ledger verifies."""
        result = self.run("verify", "--json")
        assert result.code == 0, result
        assert result.json["ok"] is True


class InProcessCli(Cli):
    """The same command line without a process, for tests with many commands."""

    def run(self, *arguments: object, **settings: str) -> CommandResult:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        command = ["minwallet", "--db", str(self.db), *map(str, arguments)]
        with (
            patch.object(sys, "argv", command),
            patch("minwallet.cli.main.app", BUILT_APP),
            patch.dict(os.environ, clean_environment(**settings), clear=True),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = _run_main()
        return CommandResult(code, _stream_text(out), _stream_text(err))


class ServerDidNotStart(AssertionError):
    """A server that ended before it served. `result` is its exit code and output."""

    def __init__(self, result: CommandResult) -> None:
        super().__init__(f"the server did not start: {result.err}")
        self.result = result


class Server:
    """`minwallet serve` as a process, on a free port. Its log is beside the file, or in another folder.

    `wrapper` is a command that starts the program, such as `unshare`.
    """

    def __init__(
        self, db: Path, *options: object, log_dir: Path | None = None, wrapper: Sequence[str] = (), **settings: str
    ) -> None:
        self.db = db
        self.cli = InProcessCli(db)
        self.log = (log_dir or db.parent) / f"{db.name}.{next(_numbers)}.log"
        command = ["--db", db, "serve", "--port", 0, *options]
        with self.log.open("w") as stderr:
            self.process = start_minwallet(command, stderr=stderr, env=clean_environment(**settings), wrapper=wrapper)
        self.url = self._wait_for_url()
        self.http = httpx2.Client(base_url=self.url, timeout=TIMEOUT_S, trust_env=False, verify=NO_AUTHORITIES)

    def _wait_for_url(self) -> str:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            # A server that stops soon after its start has served, so its end is looked at before its log.
            has_ended = self.process.poll() is not None
            if found := re.search(r" at (http://\S+)", self.log.read_text()):
                return found[1]
            if has_ended:
                break
            time.sleep(0.005)
        if self.process.poll() is None:
            self.process.kill()
        raise ServerDidNotStart(CommandResult(self.process.wait(), "", self.log.read_text()))

    def read_log(self) -> str:
        """Return the log with the lines of all requests that were answered.

        A line is written after its answer, at the end of the turn of the event loop. So the next request finds it.
        """
        self.http.get("/healthz")
        return self.log.read_text()

    def connect(self) -> socket.socket:
        """Open a connection for requests that no client library would send."""
        url = urlsplit(self.url)
        connection = socket.create_connection((url.hostname, url.port), TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        return connection

    def wallet_v2(self, path: str = "/wallet", **fields: object) -> dict[str, Any]:
        """Make a call of wallet-v2. Return the reply without its time."""
        response = self.http.post(path, content=json.dumps(fields))
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        assert re.fullmatch(r"\d\d-\d\d-\d{4} \d\d:\d\d:\d\d", answer.pop("time"))
        return answer

    def vela(self, operation: str, **parameters: object) -> dict[str, Any]:
        """Make a call of vela. Return the reply."""
        group = "user/" if operation == "authenticate" else ""
        response = self.http.get(f"/api/{group}{operation}?{urlencode(parameters)}")
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop the server. Return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.http.close()
        return self.process.wait(TIMEOUT_S)


@contextmanager
def running_server(db: Path, *options: object, wrapper: Sequence[str] = (), **settings: str) -> Iterator[Server]:
    """Yield a server that stops at the end of the block."""
    server = Server(db, *options, log_dir=None, wrapper=wrapper, **settings)
    try:
        yield server
    finally:
        server.stop()


def require_programs(variable: str, package: str, *programs: str) -> None:
    """Skip the test if one of these Debian programs is missing. Fail instead if the environment variable is set."""
    missing = [each for each in programs if shutil.which(each) is None]
    if missing:
        reason = f"no {' and no '.join(missing)}: apt install {package}"
        if os.environ.get(variable):
            pytest.fail(reason)
        pytest.skip(reason)


def read_log_messages(log: str) -> Iterator[str]:
    """Return the messages of a server's log without its calls and times. Ignore a line that a full disk cut off."""
    for line in log.splitlines():
        if not line.startswith("{"):
            yield line
            continue
        with suppress(ValueError):
            document = json.loads(line)
            if "message" in document:
                yield document["message"]


def copy_wallet_file(file: Path, copy: Path, *companions: str) -> Path:
    """Copy a wallet file with its existing companions, and replace an older copy."""
    for suffix in ("", "-wal", "-shm"):
        (part := copy.with_name(f"{copy.name}{suffix}")).unlink(missing_ok=True)
        if suffix in ("", *companions) and (whole := file.with_name(f"{file.name}{suffix}")).exists():
            shutil.copy(whole, part)
    return copy


def _run_main() -> int:
    def run() -> object:
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    # A thread that drives a browser runs an event loop already, and a command wants one of its own.
    if asyncio._get_running_loop() is None:
        code = run()
    else:
        with ThreadPoolExecutor(1) as elsewhere:
            code = elsewhere.submit(run).result()
    assert code is None or isinstance(code, int)
    return code or 0


def _stream_text(stream: io.TextIOWrapper) -> str:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()
