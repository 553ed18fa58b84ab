"""`minwallet demo`: a wallet with players, a provider that plays with them, and a list of commands to try."""

import asyncio
import shlex
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from minwallet.cli.demo_provider import FaultsOption, SeedOption, parse_fault_rates, print_unplayed_protocols
from minwallet.cli.dispatch import announce_new_wallet, execute_on_file, query_file, require_not_lost, run_with_store_at
from minwallet.cli.game_commands import fetch_games
from minwallet.cli.output import CommandRefused, print_line
from minwallet.cli.report_commands import pull_report
from minwallet.storage.database_files import is_visible
from minwallet.storage.file_lock import DatabaseLock
from minwallet.storage.models import Agent

if TYPE_CHECKING:
    from minwallet.app import PageFactory
    from minwallet.demo.faults import FaultRates
    from minwallet.demo.round_store import RoundRecord
    from minwallet.demo.simulator import RoundRunner
    from minwallet.storage.store import Store

HOST, HOST_ID = "127.0.0.1", "demo"

PLAYERS = (("alice", "USD", 100_000, 5_000), ("bob", "USD", 50_000, 0), ("carol", "EUR", 120_050, 2_500))
"""The provider's players: name, currency, cash and bonus in cents. The session of each is `demo_NAME`."""

LAB_AGENT, LAB_PLAYERS = "lab", ("lisa", "luke")
"""An agent and its players for manual tests. The provider's report does not contain their bets."""

STAKE_CENTS = 100

DEFAULT_PORT, DEFAULT_PROVIDER_PORT = 8000, 8100

PortOption = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="Port of the wallet.  [default: 8000, or a free one]"),
]
ProviderPortOption = Annotated[
    int | None,
    typer.Option("--provider-port", min=0, max=65535, help="Port of the provider.  [default: 8100, or a free one]"),
]

TIMEOUT_S = 30


class MutedStderr:
    """A stderr without the access log of the first rounds, which would push the URLs off the screen."""

    is_unmuted = False

    def write(self, text: str) -> int:
        return sys.stderr.write(text) if self.is_unmuted else len(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


class _DemoOptions(NamedTuple):
    """The values of the command's options."""

    port: int | None
    provider_port: int | None
    rounds: int
    seed: int | None
    fault_rates: "FaultRates"
    opens_browser: bool
    on_created: Callable[[Path], None]


def demo(
    context: typer.Context,
    port: PortOption = None,
    provider_port: ProviderPortOption = None,
    rounds: Annotated[
        int, typer.Option("--rounds", min=0, max=10_000, help="Number of rounds that each player plays of each game.")
    ] = 5,
    seed: SeedOption = None,
    faults: FaultsOption = "",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page in a browser.")] = False,
) -> None:
    """Run a wallet with players, a provider and a web page.

    The data is in a temporary file, unless --db names a file.

    Example: minwallet demo --rounds 20 --faults lost-reply,delay=0.1
    """
    chosen = context.find_root().params["db"]
    on_created = announce_new_wallet if chosen else lambda _: None
    options = _DemoOptions(port, provider_port, rounds, seed, parse_fault_rates(faults), not no_browser, on_created)
    if chosen:
        require_not_lost(context)
    with _demo_database(chosen) as path:
        _run_demo(path, options)


def _run_demo(path: Path, demo_options: _DemoOptions) -> None:
    """Serve the file, play the first rounds, and print the URLs and commands to try."""
    from minwallet import app
    from minwallet.cli.browser import open_page
    from minwallet.config import load_settings
    from minwallet.demo.provider_server import ProviderOptions, create_server
    from minwallet.demo.simulator import SessionRejected
    from minwallet.demo.wallet_client import NoAnswer

    # Demo data needs no backup, and its backups must not replace older ones of real data. The demo provider's calls
    # have no wallet token.
    settings = load_settings(db=path, host=HOST, backup_to="", require_wallet_token=False)
    muted_stderr, is_new = MutedStderr(), not is_visible(path)
    addresses: list[str] = []
    login_links: list[str] = []

    @asynccontextmanager
    async def companion() -> AsyncIterator[None]:
        wallet_url = addresses[0] + settings.callback_prefix
        options = ProviderOptions(
            wallet_url, HOST_ID, seed=demo_options.seed, fault_rates=demo_options.fault_rates, secrets=secrets
        )
        provider = create_server(options, lambda words: typer.echo(words, err=True))
        serving = await app.start_server(provider, [listener])
        try:
            await _play_rounds(provider.runner, demo_options.rounds)
            if not provider.should_exit:
                await asyncio.to_thread(_fetch_games_and_report, path, agent)
                page = f"{addresses[0]}/demo"
                office = login_links[0] if login_links else f"{addresses[0]}/admin"
                ended = provider.runner.store.completed if is_new else ()
                print_unplayed_protocols()
                _print_welcome(path, _DemoUrls(page, office, wallet_url, provider_url), agent, secrets, ended)
                if demo_options.opens_browser:
                    asyncio.get_running_loop().run_in_executor(None, open_page, page)
            muted_stderr.is_unmuted = True
            yield
        except (NoAnswer, SessionRejected) as error:
            raise CommandRefused([f"the demo provider cannot play with this wallet: {error}"]) from error
        finally:
            provider.should_exit = True
            await serving

    with (
        _open_port(demo_options.port, DEFAULT_PORT, "--port") as public,
        _open_port(demo_options.provider_port, DEFAULT_PROVIDER_PORT, "--provider-port") as listener,
    ):
        provider_url = f"http://{HOST}:{listener.getsockname()[1]}"
        agent = _prepare_wallet(path, provider_url, on_created=demo_options.on_created)
        secrets = _prepare_secrets(path)
        app.serve(
            settings.with_address("--port", port=public.getsockname()[1]),
            addresses.append,
            on_first_login_link=login_links.append,
            log=muted_stderr,
            companion=companion,
            pages=_build_demo_pages(provider_url),
            listener=public,
        )


def _open_port(port: int | None, default: int, option: str) -> socket.socket:
    """Return a listening socket on this port. Without a port, take the default one or, if it is in use, a free one.

    Raise BindError, which names the option, if that fails.
    """
    from minwallet.config import BindError
    from minwallet.web.listeners import open_listener

    if port is None:
        try:
            return open_listener(HOST, default, option)
        except BindError:
            port = 0
    return open_listener(HOST, port, option)


@contextmanager
def _demo_database(chosen: Path | None) -> Iterator[Path]:
    """Yield the chosen file, or a temporary one that is removed at the end."""
    if chosen is not None:
        yield chosen
        return
    with tempfile.TemporaryDirectory(prefix="minwallet-demo-") as folder:
        yield Path(folder) / "demo.db"


def _prepare_wallet(path: Path, provider_url: str, on_created: Callable[[Path], None]) -> Agent:
    """Add the players and the provider's settings to the file. Return the provider's agent.

    Raise CommandRefused if the file has players but is not a demo's file.
    """
    from minwallet.operations.requests import AgentAdd, AgentList, AgentSet, AgentShow, PlayerList, Seed, SeedRow

    DatabaseLock.acquire_or_fail(path).release()
    is_ours = not is_visible(path) or query_file(path, AgentShow(name="default"))["host_id"] == HOST_ID
    if not is_ours and query_file(path, PlayerList(agent="default"))["players"]:
        raise CommandRefused([f"{path} has players that are not of a demo; name a new file with --db, or omit --db"])
    agents = execute_on_file(path, AgentList(), create=True, on_created=on_created)["agents"]
    if LAB_AGENT not in [agent["name"] for agent in agents]:
        execute_on_file(path, AgentAdd(name=LAB_AGENT))
    players = [("default", *player) for player in PLAYERS] + [
        (LAB_AGENT, name, "USD", 100_000, 0) for name in LAB_PLAYERS
    ]
    rows = [
        SeedRow(line=0, agent=agent, player_id=name, currency=currency, balance=cash, bonus=bonus, token=f"demo_{name}")
        for agent, name, currency, cash, bonus in players
    ]
    execute_on_file(path, Seed(rows=tuple(rows)))
    settings = AgentSet(name="default", host_id=HOST_ID, service_url=provider_url, game_url=f"{provider_url}/play")
    return Agent(0, **execute_on_file(path, settings))


def _prepare_secrets(path: Path) -> dict[str, str]:
    """Return the secret of the provider's agent for each played protocol that signs its calls. Add missing ones."""
    from minwallet.demo.dealer import list_played_protocols
    from minwallet.operations.access_requests import ProtocolSecretAdd
    from minwallet.protocols.registry import load_protocol

    signed = [name for name in list_played_protocols() if load_protocol(name).signature]
    found = run_with_store_at(path, _read_secrets_of_default) if signed else {}
    for name in signed:
        if name not in found:
            found[name] = token_hex()
            execute_on_file(path, ProtocolSecretAdd(agent="default", protocol=name, secret=found[name]))
    return found


async def _read_secrets_of_default(store: "Store") -> dict[str, str]:
    """Return the newest live secret of the agent `default` by protocol."""
    (agent_id,) = (each.agent_id for each in await store.accounts.list_agents() if each.name == "default")
    live = await store.accounts.read_live_protocol_secrets()
    return {
        protocol: own[0].secret
        for protocol, secrets in live.items()
        if (own := [each for each in secrets if each.agent_id == agent_id])
    }


def _build_demo_pages(provider_url: str) -> "PageFactory":
    """Return the factory of the demo page's routes."""
    from minwallet.web.demo.demo_page import DemoConfig, DemoPlayer, routes

    stage = DemoConfig(provider_url, [DemoPlayer(name, currency, f"demo_{name}") for name, currency, *_ in PLAYERS])
    return lambda wallet, calls: routes(wallet, stage, calls)


async def _play_rounds(runner: "RoundRunner", rounds: int) -> None:
    """Let every player play `rounds` rounds of each game in each protocol that the provider plays."""
    from minwallet.demo.dealer import list_played_protocols
    from minwallet.demo.game_rules import GAMES

    async def play_as(name: str, currency: str) -> None:
        for protocol in list_played_protocols():
            session = await runner.open_session(protocol, f"demo_{name}", player_id=name, currency=currency)
            for game in GAMES:
                await runner.play_rounds(session, game, STAKE_CENTS, None, rounds)

    await asyncio.gather(*(play_as(name, currency) for name, currency, *_ in PLAYERS))


def _fetch_games_and_report(path: Path, agent: Agent) -> None:
    """Fetch the game list and the complete report, as an operator would do."""
    from minwallet.provider.report_pull import MAX_PAGES

    fetch_games(path, agent, TIMEOUT_S)
    pull_report(path, agent.name, lambda _: None, TIMEOUT_S, max_pages=MAX_PAGES)


class _DemoUrls(NamedTuple):
    """The URLs of the demo. `backoffice` is a one-time sign-in link, unless an admin exists."""

    page: str
    backoffice: str
    wallet: str
    provider: str


def _print_welcome(
    path: Path,
    urls: _DemoUrls,
    agent: Agent,
    secrets: Mapping[str, str],
    ended_rounds: "Collection[RoundRecord]",
) -> None:
    """Print the URLs and commands to try. `ended_rounds` are the rounds whose tickets the reports still have."""
    from minwallet.demo.round_policy import RoundEnding
    from minwallet.protocols.registry import has_part, list_protocols, load_protocol

    folder = shlex.quote(str(Path(sys.executable).parent))
    search = f" PATH={folder}:$PATH" if sys.prefix != sys.base_prefix else ""
    players = ", ".join(f"{name} ({currency})" for name, currency, *_ in PLAYERS)
    tickets = [
        each.id
        for each in ended_rounds
        if has_part(each.protocol, "operator_service") and each.ending is RoundEnding.DONE
    ]
    removal = f"""
  curl -sX DELETE {urls.provider}/demo/report/{tickets[-1] if tickets else ""}
  minwallet report pull --full; minwallet reconcile   # now a bet is missing"""
    launches = "\n".join(f"  {url}" for url in _build_launch_urls(urls.provider, agent, secrets))
    conformance = "\n".join(
        f"  minwallet conformance {urls.wallet} --protocol {name} --token demo_lisa --second-token demo_luke"
        for name in list_protocols()
        # The agent of these players has no secret.
        if has_part(name, "conformance") and not load_protocol(name).signature
    )
    print_line(f"""
  page         {urls.page}   play and inject faults
  back office  {urls.backoffice}   one-time link, valid for 1 hour
  wallet       {urls.wallet}   in {path}
  provider     {urls.provider}   three games to play as a guest
  players      {players}; {len(ended_rounds)} rounds played

Play with alice's money (in a browser):

{launches}

Inspect the wallet (in another terminal):

  export MINWALLET_DB={shlex.quote(str(path))}{search}
  minwallet player list
  minwallet ledger alice
  minwallet verify
  minwallet reconcile                                 # the report matches{removal if tickets else ""}

Send a provider call, or test this wallet against all protocol rules:

  minwallet trigger bet --player lisa --agent {LAB_AGENT}
{conformance}

The log of provider calls follows. Stop with Ctrl-C.
""")


def _build_launch_urls(provider_url: str, agent: Agent, secrets: Mapping[str, str]) -> Iterator[str]:
    """Yield a URL that opens a game with alice's money for each played protocol that builds such URLs."""
    from minwallet.demo.dealer import build_game_url, get_operator_id, list_played_protocols
    from minwallet.demo.game_rules import GAMES
    from minwallet.protocols.wire import Launch

    player_id, currency, *_ = PLAYERS[0]
    for protocol in list_played_protocols():
        operator = get_operator_id(protocol, HOST_ID, agent.wallet_token) or ""
        secret = secrets.get(protocol, "")
        launch = Launch("", "", "en", f"demo_{player_id}", operator, player_id, currency, secret)
        with suppress(NotImplementedError):
            yield build_game_url(protocol, provider_url, GAMES[0], launch)
