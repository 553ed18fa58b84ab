"""What an operator hands over to a provider, what comes back, and how to see that it works."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from minwallet.ledger.commands import Authenticate, Balance
from minwallet.protocols.registry import OPERATOR_SERVICES, PROTOCOLS, load_protocol
from minwallet.protocols.wire import REDACTED, Call, Launch, WireProtocol
from minwallet.provider.calls import as_curl
from minwallet.provider.games import Catalogue
from minwallet.storage.models import Agent

SAMPLE_GAME, SAMPLE_GAMES = "GAME", "https://games.example/play"


class Connection(NamedTuple):
    """One protocol of one agent. `base` is where its calls go below, `addresses` what is called for what; `missing` are
    the settings that the provider has to tell, `launch` is the address of a game as it comes out with the settings.
    """

    protocol: str
    base: str
    addresses: Sequence[tuple[str, str]]
    missing: Sequence[str]
    launch: str
    curl: str
    conformance: str

    @property
    def has_one_address(self) -> bool:
        """Whether the calls themselves say what they are for."""
        return not any(operation for operation, _ in self.addresses)


def connections(catalogue: Catalogue, calls: str, now_ms: int) -> list[Connection]:
    """One for each protocol; `calls` is the public address with the callback key in it."""
    return [_connect(load_protocol(name), catalogue, calls, now_ms) for name in PROTOCOLS]


def _connect(protocol: WireProtocol, catalogue: Catalogue, calls: str, now_ms: int) -> Connection:
    agent = catalogue.agent
    paths = [
        (operation, path.format(wallet_token=agent.wallet_token))
        for path, operation in sorted(protocol.routes.items(), key=lambda item: "{" not in item[0])
    ]
    operation, question = ("authenticate", Authenticate()) if paths[0][0] else ("credit", Balance())
    call = Call(operation, REDACTED, question)
    command = ["minwallet", "conformance", calls, "--protocol", protocol.name, "--token", REDACTED]
    return Connection(
        protocol=protocol.name,
        base=calls,
        addresses=[(operation, calls + path) for operation, path in paths],
        missing=_missing(protocol, agent, catalogue),
        launch=_launch(protocol, catalogue),
        curl=as_curl(calls, str(protocol.build_request(call, now_ms, agent.wallet_token))),
        conformance=shlex.join(command),
    )


def _missing(protocol: WireProtocol, agent: Agent, catalogue: Catalogue) -> list[str]:
    if protocol.name not in OPERATOR_SERVICES:
        return [] if agent.game_url else ["game address"]
    told = {"host id": agent.host_id, "service address": agent.service_url, "game list": catalogue.games}
    return [name for name, value in told.items() if not value]


def _launch(protocol: WireProtocol, catalogue: Catalogue) -> str:
    agent, games = catalogue.agent, catalogue.games
    game = games[0].code if games else SAMPLE_GAME
    if protocol.name in OPERATOR_SERVICES:
        base = games[0].url if games else f"{SAMPLE_GAMES}/{SAMPLE_GAME}"
        return protocol.build_launch_url(Launch(base, game, "en", REDACTED, agent.host_id or "HOST_ID"))
    return protocol.build_launch_url(Launch(agent.game_url or SAMPLE_GAMES, game, "en", REDACTED, agent.wallet_token))
