"""The golden wire pairs of `sample_data/wire`, and new players to replay them with."""

import csv
import json
import re
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from typer.testing import CliRunner

from minwallet.cli.main import app
from minwallet.ledger.money import format_amount
from minwallet.protocols.wire import HttpRequest, WireProtocol
from tests.support import ROOT, TIMEOUT_S, Server

TIME_PATTERN = re.compile(r"\d\d-\d\d-\d{4} \d\d:\d\d:\d\d", re.ASCII)

Placeholders = Mapping[str, str]
"""What the placeholders of a pair stand for."""


class GoldenPair(NamedTuple):
    """A golden pair, with its player and currency."""

    protocol: str
    name: str
    given: dict[str, Any] | None
    request: dict[str, Any]
    reply: dict[str, Any]
    player_id: str
    currency: str

    @property
    def placeholders(self) -> set[str]:
        return set(re.findall(r"{(\w+)}", json.dumps([self.given, self.request])))


BUILT_IN_PROTOCOLS = ("wallet-v2", "vela")
"""The protocols that are a part of minwallet. Others may be installed beside them, with golden pairs of their own."""


def load_golden_pairs() -> Iterator[GoldenPair]:
    """Yield all pairs of the built-in protocols."""
    for protocol in BUILT_IN_PROTOCOLS:
        golden = json.loads((ROOT / "sample_data" / "wire" / f"{protocol}.json").read_text(encoding="utf-8"))
        assert golden["protocol"] == protocol
        for each in golden["pairs"]:
            owner = golden["player_id"], golden["currency"]
            yield GoldenPair(protocol, each["name"], each.get("given"), each["request"], each["reply"], *owner)


def fill_placeholders(value: dict[str, Any], names: Placeholders) -> dict[str, Any]:
    """Return a copy of `value` in which each placeholder is replaced by its meaning."""
    text = json.dumps(value)
    for name, meaning in names.items():
        text = text.replace(f"{{{name}}}", meaning)
    filled: dict[str, Any] = json.loads(text)
    return filled


def make_request(request: Mapping[str, Any]) -> HttpRequest:
    """Return the request of a pair. Its body is a JSON document, or text for a body that is not JSON."""
    body = request.get("body", "")
    content = body if isinstance(body, str) else json.dumps(body)
    return HttpRequest(request["method"], request["path"], request.get("query", "").encode(), content.encode())


def find_operation(protocol: WireProtocol, request: HttpRequest) -> str:
    """Return the operation of the route that the request takes."""
    (operation,) = [
        route.operation
        for route in protocol.routes
        if route.method == request.method and re.fullmatch(re.sub("{[^}]*}", "[^/]+", route.path), request.path)
    ]
    return operation


class GoldenPairRunner:
    """A running server with new agents and players for each pair."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._numbers = count(1)
        self._runner = CliRunner()

    def run_command(self, *arguments: object) -> Any:  # noqa: ANN401 the command's JSON
        """Run an operator's command on the running server, and return its JSON."""
        command = ["--db", str(self._server.db), *map(str, arguments), "--json"]
        result = self._runner.invoke(app, command, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def create_actors(self, pair: GoldenPair) -> Placeholders:
        """Create a new agent with the pair's player, and return the meanings of the placeholders."""
        if pair.given is None:
            return {}
        number = next(self._numbers)
        names = {"wallet_token": f"agent{number}", "token": f"token{number}"}
        agent = ("--agent", names["wallet_token"])
        self.run_command("agent", "add", names["wallet_token"])
        players = [(pair.player_id, names["token"])]
        if "other" in pair.placeholders:
            names["other"] = f"other{number}"
            players.append(("somebody.else", names["other"]))
        self._seed(pair, players, names["wallet_token"])
        if "expired" in pair.placeholders:
            names["expired"] = self.run_command("session", "open", pair.player_id, "--ttl", "1s", *agent)["token"]
        if "revoked" in pair.placeholders:
            names["revoked"] = self.run_command("session", "open", pair.player_id, *agent)["token"]
            self.run_command("session", "revoke", names["revoked"])
        return names

    def _seed(self, pair: GoldenPair, players: list[tuple[str, str]], agent: str) -> None:
        assert pair.given is not None
        money = format_amount(pair.given["cash"]), format_amount(pair.given["bonus"])
        file = self._folder / f"{agent}.csv"
        with file.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["player_id", "currency", "balance", "bonus", "token", "agent"])
            writer.writerows([player_id, pair.currency, *money, token, agent] for player_id, token in players)
        self.run_command("seed", file)

    def run_setup(self, pair: GoldenPair, names: Placeholders) -> None:
        """Run the earlier calls and operator commands that the pair names."""
        if "expired" in pair.placeholders:
            self._wait_for_expiry(names["expired"])
        for call in (pair.given or {}).get("calls", []):
            match call:
                case {"operator": "deposit", "cents": cents}:
                    amount = format_amount(cents)
                    self.run_command("deposit", pair.player_id, amount, "--agent", names["wallet_token"])
                case {"operator": "block" | "unblock" as act}:
                    self.run_command("player", act, pair.player_id, "--agent", names["wallet_token"])
                case _:
                    assert self.send_request(fill_placeholders(call["request"], names)) == call["reply"]

    def send_request(self, request: Mapping[str, Any]) -> Any:  # noqa: ANN401 the answer's JSON
        """Send the request to the server, and return its reply with a placeholder for the time."""
        made = make_request(request)
        response = self._server.http.request(made.method, made.target, content=made.body or None)
        assert response.status_code == 200, response.text
        reply = response.json()
        if "time" in reply:
            assert TIME_PATTERN.fullmatch(reply["time"])
            reply["time"] = "{time}"
        return reply

    def _wait_for_expiry(self, token: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while self._server.wallet_v2(code=token, type="credit")["result"] == 1:
            assert time.monotonic() < deadline, "the session does not expire"
