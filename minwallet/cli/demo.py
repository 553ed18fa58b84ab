"""`minwallet demo`: a wallet with players, a provider that plays with them, and what to try next."""

import asyncio
import shlex
import sys
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from minwallet.cli.demo_provider import Misbehave, SeedNumber, odds_of
from minwallet.cli.games import fetch_games
from minwallet.cli.link import change_file, read_file
from minwallet.cli.output import Refused, print_line
from minwallet.cli.report import pull_report
from minwallet.storage.file_lock import DatabaseLock
from minwallet.storage.models import Agent

if TYPE_CHECKING:
    from minwallet.app import Pages
    from minwallet.demo.faults import FaultRates
    from minwallet.demo.round_store import RoundRecord
    from minwallet.demo.simulator import RoundRunner

HOST_ID = "demo"

PLAYERS = (("alice", "USD", 100_000, 5_000), ("bob", "USD", 50_000, 0), ("carol", "EUR", 120_050, 2_500))
"""Whom the provider plays with; the session of each is `demo_NAME`."""

LAB, TESTERS = "lab", ("lisa", "luke")
"""Players of another agent, so that what is tried with them is not missed in the provider's report."""

STAKE = 100

PATIENCE_S = 30


class _Curtain:
    """stderr, but what the first rounds write to it stays unseen: a newcomer shall find the addresses."""

    is_up = False

    def write(self, text: str) -> int:
        return sys.stderr.write(text) if self.is_up else len(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


class _Wanted(NamedTuple):
    """What the options say."""

    port: int
    provider_port: int
    rounds: int
    seed: int | None
    odds: "FaultRates"
    opens_browser: bool


def demo(
    context: typer.Context,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The wallet's port, 0 for a free one.")] = 8000,
    provider_port: Annotated[
        int, typer.Option("--provider-port", min=0, max=65535, help="The provider's port, 0 for a free one.")
    ] = 8100,
    rounds: Annotated[
        int, typer.Option("--rounds", min=0, max=10_000, help="How many rounds each player plays of each game.")
    ] = 5,
    seed: SeedNumber = None,
    misbehave: Misbehave = "",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page in a browser.")] = False,
) -> None:
    """Run a wallet with players, a provider, and a page. All of it on a throw-away file, unless --db names one."""
    wanted = _Wanted(port, provider_port, rounds, seed, odds_of(misbehave), not no_browser)
    with _place(context.find_root().params["db"]) as path:
        _run(path, wanted)


def _run(path: Path, wanted: _Wanted) -> None:
    """Serve the file, play on it, and tell what there is."""
    from minwallet import app
    from minwallet.cli.browser import open_page
    from minwallet.config import load_settings
    from minwallet.demo.provider_server import ProviderOptions, create_server
    from minwallet.demo.simulator import SessionRejected
    from minwallet.demo.wallet_client import NoAnswer

    # What it plays with is not worth a copy, and must not push out copies of what is.
    settings = load_settings(db=path, host="127.0.0.1", port=wanted.port, backup_to="")
    curtain, is_new = _Curtain(), not path.exists()
    addresses: list[str] = []
    invitations: list[str] = []

    @asynccontextmanager
    async def beside() -> AsyncIterator[None]:
        wallet_url = addresses[0] + settings.callback_prefix
        options = ProviderOptions(wallet_url, HOST_ID, seed=wanted.seed, fault_rates=wanted.odds)
        provider = create_server(options, lambda words: typer.echo(words, err=True))
        serving = await app.start(provider, [listener])
        try:
            await _play(provider.runner, wanted.rounds)
            if not provider.should_exit:
                await asyncio.to_thread(_fetch, path, agent)
                page = f"{addresses[0]}/demo"
                office = invitations[0] if invitations else f"{addresses[0]}/admin"
                ended = provider.runner.store.completed if is_new else ()
                _welcome(path, _Addresses(page, office, wallet_url, provider_url), ended)
                if wanted.opens_browser:
                    asyncio.get_running_loop().run_in_executor(None, open_page, page)
            curtain.is_up = True
            yield
        except (NoAnswer, SessionRejected) as error:
            raise Refused([f"the provider cannot play with this wallet: {error}"]) from error
        finally:
            provider.should_exit = True
            await serving

    with app.listen("127.0.0.1", wanted.provider_port, "--provider-port") as listener:
        provider_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        agent = _prepare(path, provider_url)
        pages = _page(provider_url)
        app.serve(settings, addresses.append, invite=invitations.append, log=curtain, beside=beside, pages=pages)


@contextmanager
def _place(chosen: Path | None) -> Iterator[Path]:
    """The file to play on; one that nobody chose is gone afterwards."""
    if chosen is not None:
        yield chosen
        return
    with tempfile.TemporaryDirectory(prefix="minwallet-demo-") as folder:
        yield Path(folder) / "demo.db"


def _prepare(path: Path, provider_url: str) -> Agent:
    """Make the players, and make the provider known. Refused on a file that holds somebody else's."""
    from minwallet.operations.requests import AgentAdd, AgentList, AgentSet, AgentShow, PlayerList, Seed, SeedRow

    DatabaseLock.acquire_or_fail(path).release()
    is_ours = not path.exists() or read_file(path, AgentShow(name="default"))["host_id"] == HOST_ID
    if not is_ours and read_file(path, PlayerList(agent="default"))["players"]:
        raise Refused([f"{path} holds players who are no demo; name a new file with --db, or leave it out"])
    if LAB not in [agent["name"] for agent in change_file(path, AgentList(), create=True)["agents"]]:
        change_file(path, AgentAdd(name=LAB))
    people = [("default", *player) for player in PLAYERS] + [(LAB, name, "USD", 100_000, 0) for name in TESTERS]
    rows = [
        SeedRow(line=0, agent=agent, player_id=name, currency=currency, balance=cash, bonus=bonus, token=f"demo_{name}")
        for agent, name, currency, cash, bonus in people
    ]
    change_file(path, Seed(rows=tuple(rows)))
    settings = AgentSet(name="default", host_id=HOST_ID, service_url=provider_url, game_url=f"{provider_url}/play")
    return Agent(0, **change_file(path, settings))


def _page(provider_url: str) -> "Pages":
    """The page on which people play."""
    from minwallet.web.demo.demo_page import DemoConfig, DemoPlayer, routes

    stage = DemoConfig(provider_url, [DemoPlayer(name, currency, f"demo_{name}") for name, currency, *_ in PLAYERS])
    return lambda wallet, calls: routes(wallet, stage, calls)


async def _play(croupier: "RoundRunner", rounds: int) -> None:
    """Every player plays so many rounds of each game in each protocol."""
    from minwallet.demo.game_rules import GAMES
    from minwallet.protocols.registry import PROTOCOLS

    async def sit_down(name: str) -> None:
        for protocol in PROTOCOLS:
            seat = await croupier.open_session(protocol, f"demo_{name}")
            for game in GAMES:
                await croupier.play_rounds(seat, game, STAKE, None, rounds)

    await asyncio.gather(*(sit_down(name) for name, *_ in PLAYERS))


def _fetch(path: Path, agent: Agent) -> None:
    """The game list and the report, as the operator would fetch them."""
    fetch_games(path, agent, PATIENCE_S)
    pull_report(path, agent.name, lambda _: None, PATIENCE_S)


class _Addresses(NamedTuple):
    """What can be opened in a browser; `office` signs in, once."""

    page: str
    office: str
    wallet: str
    provider: str


def _welcome(path: Path, at: _Addresses, ended: "Collection[RoundRecord]") -> None:
    """What there is, and what to try. `ended` are the rounds of the report, if the provider still knows all of it."""
    from minwallet.demo.round_policy import RoundEnding
    from minwallet.protocols.registry import load_protocol
    from minwallet.protocols.wire import Launch

    def launch(protocol: str, base: str, game: str, agent: str) -> str:
        return load_protocol(protocol).build_launch_url(Launch(base, game, "en", "demo_alice", agent))

    folder = shlex.quote(str(Path(sys.executable).parent))
    search = f" PATH={folder}:$PATH" if sys.prefix != sys.base_prefix else ""
    people = ", ".join(f"{name} ({currency})" for name, currency, *_ in PLAYERS)
    tickets = [each.id for each in ended if each.protocol == "vela" and each.ending is RoundEnding.DONE]
    removal = f"""
  curl -sX DELETE {at.provider}/demo/report/{tickets[-1] if tickets else ""}
  minwallet report pull --anew; minwallet reconcile   # now a bet is missing there"""
    print_line(f"""
  page      {at.page}   play, let the provider misbehave, and watch the ledger
  office    {at.office}   the back office
  wallet    {at.wallet}   on {path}
  provider  {at.provider}   three games; open it in a browser and play as a guest
  players   {people}; they have played {len(ended)} rounds

Play with alice's money (in a browser):

  {launch("vela", f"{at.provider}/play/slot", "slot", HOST_ID)}
  {launch("wallet-v2", f"{at.provider}/play", "1053", "default")}

Look at what happened (in another terminal):

  export MINWALLET_DB={shlex.quote(str(path))}{search}
  minwallet player list
  minwallet ledger alice
  minwallet verify
  minwallet reconcile                                 # the provider's report agrees{removal if tickets else ""}

Be a provider, or try this wallet with every rule there is:

  minwallet trigger bet --player lisa --agent lab
  minwallet conformance {at.wallet} --protocol vela --token demo_lisa --second-token demo_luke
  minwallet conformance {at.wallet} --protocol wallet-v2 --token demo_lisa --second-token demo_luke

Every call that comes in is shown below. Stop with Ctrl-C.
""")
