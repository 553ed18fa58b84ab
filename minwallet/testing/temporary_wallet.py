"""A wallet for tests: `minwallet serve` as a process on a temporary file and a free port.

The acts of the operator use the admin API of the server, which is faster than a command.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import httpx2

TIMEOUT_S = 60
"""The maximum time for the start of the server, for a command and for a request."""

DEFAULT_AGENT = "default"

PLUGINS_SETTING = "MINWALLET_PLUGINS"
"""The only setting that a wallet for tests takes from the environment."""

NO_SETTINGS: Mapping[str, str] = MappingProxyType({})

_ADDRESS = re.compile(r" at (http://\S+)")


class WalletPlayer(NamedTuple):
    """A player with an account in one currency, and the token of a live session."""

    agent: str
    player_id: str
    currency: str
    token: str


class CommandFailed(AssertionError):
    """A command, a request or a server that failed; the message has its output."""


class TemporaryWallet:
    """A running wallet, as a context manager. The file is removed at the end.

    `settings` are settings of minwallet by the names of its environment variables. Of the environment itself, only
    MINWALLET_PLUGINS is used.
    `program` starts minwallet. The default is the one of this environment.
    """

    def __init__(
        self, settings: Mapping[str, str] = NO_SETTINGS, *, program: Sequence[str] = (sys.executable, "-m", "minwallet")
    ) -> None:
        self._program = tuple(program)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("MINWALLET_") or name == PLUGINS_SETTING
        }
        self._environment = inherited | {"NO_COLOR": "1"} | dict(settings)
        self._numbers = count(1)

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="minwallet-testing-")
        self.db = Path(self._folder.name) / "wallet.db"
        self._log = self.db.with_name("server.log")
        command = [*self._program, "--db", str(self.db), "serve", "--host", "127.0.0.1", "--port", "0"]
        with self._log.open("w") as stderr:
            self._process = subprocess.Popen(  # noqa: S603 it runs minwallet itself
                command, stdin=subprocess.DEVNULL, stderr=stderr, cwd=self._folder.name, env=self._environment
            )
        try:
            self.url = self._wait_for_url()
            key = self.run("key", "add", "testing", "--scope", "write")["key"]
        except BaseException:
            self._stop()
            raise
        self._authorization = {"authorization": f"Bearer {key}"}
        self.http = httpx2.Client(base_url=self.url, timeout=TIMEOUT_S, trust_env=False)
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self._stop()

    def _stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(TIMEOUT_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._folder.cleanup()

    def _wait_for_url(self) -> str:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := _ADDRESS.search(self._log.read_text()):
                return found[1]
            time.sleep(0.02)
        raise CommandFailed(f"the server did not start: {self._log.read_text()}")

    def run(self, *arguments: object) -> Any:  # noqa: ANN401 the command's JSON
        """Run a command of minwallet on this wallet, and return its JSON. Raise CommandFailed if it fails."""
        command = [*self._program, "--db", str(self.db), *map(str, arguments), "--json"]
        done = subprocess.run(  # noqa: S603 it runs minwallet itself
            command,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd=self._folder.name,
            env=self._environment,
            timeout=TIMEOUT_S,
        )
        if done.returncode:
            raise CommandFailed(f"minwallet {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def ask(self, method: str, path: str, **fields: object) -> Any:  # noqa: ANN401 the answer's JSON
        """Send a request to the admin API, the fields as its body. Return the JSON of the answer.

        Raise CommandFailed if it is an error.
        """
        path = f"/admin/api/v1{path}"
        answer = self.http.request(method, path, headers=self._authorization, json=fields or None)
        if answer.status_code >= 400:
            raise CommandFailed(f"{method} {path}: {answer.text}")
        return answer.json()

    def add_agent(self) -> str:
        """Add an agent, and return its name."""
        name = f"agent{next(self._numbers)}"
        self.ask("POST", "/agents", name=name)
        return name

    def add_secret(self, agent: str, protocol: str, secret: str) -> None:
        """Add a secret with which the agent's provider signs its calls. Earlier ones stay valid."""
        self.ask("POST", f"/agents/{agent}/protocol-secrets", protocol=protocol, secret=secret)

    def add_player(
        self,
        *,
        cash: int = 100_00,
        bonus: int = 0,
        currency: str = "USD",
        agent: str = DEFAULT_AGENT,
        player_id: str = "",
    ) -> WalletPlayer:
        """Add a player with this money in cents and a session. The player has a new id, unless one is given."""
        player_id = player_id or f"player{next(self._numbers)}"
        fields = {"player_id": player_id, "currency": currency, "balance": cash, "bonus": bonus}
        self.ask("POST", f"/agents/{agent}/players", **fields)
        return self.open_session(WalletPlayer(agent, player_id, currency, ""))

    def open_session(self, player: WalletPlayer, ttl_s: int = 3600) -> WalletPlayer:
        """Open another session of the player. Return the player with its token."""
        opened = self.ask("POST", f"{_player_path(player)}/sessions", currency=player.currency, ttl_s=ttl_s)
        return player._replace(token=opened["token"])

    def deposit(self, player: WalletPlayer, cents: int) -> None:
        """Pay cash into the player's account."""
        fields = {"currency": player.currency, "amount": cents, "reference": f"deposit{next(self._numbers)}"}
        self.ask("POST", f"{_player_path(player)}/deposits", **fields)

    def set_blocked(self, player: WalletPlayer, *, blocked: bool = True) -> None:
        """Block or unblock the player."""
        self.ask("PATCH", _player_path(player), status="blocked" if blocked else "active")

    def end_sessions(self, player: WalletPlayer) -> None:
        """Revoke all sessions of the player."""
        for session in self.ask("GET", f"{_player_path(player)}/sessions")["sessions"]:
            if session["status"] == "live":
                self.ask("DELETE", f"{_player_path(player)}/sessions/{session['session']}")

    def read_balances(self, player: WalletPlayer) -> tuple[int, int]:
        """Return cash and bonus in cents."""
        accounts = self.ask("GET", f"{_player_path(player)}/accounts")["accounts"]
        (account,) = (each for each in accounts if each["currency"] == player.currency)
        return account["cash"], account["bonus"]

    def read_total(self, player: WalletPlayer) -> int:
        """Return the sum of cash and bonus in cents."""
        return sum(self.read_balances(player))

    def read_entries(self, player: WalletPlayer) -> list[dict[str, Any]]:
        """Return the player's ledger entries as `minwallet ledger --json` has them, oldest first."""
        entries: list[dict[str, Any]] = self.run(
            "ledger", player.player_id, "--agent", player.agent, "--limit", 10_000
        )["entries"]
        return entries[::-1]

    def read_log(self) -> str:
        """Return the log of the server, with the lines of all requests that were answered."""
        # A line is written after its answer, at the end of the turn of the event loop.
        self.http.get("/healthz")
        return self._log.read_text()

    def verify(self) -> None:
        """Verify the whole ledger. Raise CommandFailed if it is not valid."""
        found = self.run("verify")
        if not found["ok"]:
            raise CommandFailed(f"the ledger is wrong: {found}")


def _player_path(player: WalletPlayer) -> str:
    return f"/agents/{player.agent}/players/{player.player_id}"
