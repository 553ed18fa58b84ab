"""`minwallet games` and `minwallet launch`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.call_commands import require_protocol
from minwallet.cli.dispatch import database_path, execute, execute_on_file, run_with_store, run_with_store_at
from minwallet.cli.options import (
    AgentOption,
    CurrencyOption,
    JsonOption,
    ProviderAgentOption,
    ServiceProtocolOption,
    TimeoutOption,
    parse_duration_option,
    parse_timeout_option,
)
from minwallet.cli.output import (
    EXIT_REFUSED,
    EXIT_UNUSABLE,
    UsageError,
    print_error,
    print_json,
    print_line,
    print_table,
)

if TYPE_CHECKING:
    from minwallet.operations.requests import Reply
    from minwallet.provider.game_catalogue import GameCatalogue
    from minwallet.provider.service_client import SkippedEntries
    from minwallet.storage.models import Agent


def games(
    context: typer.Context,
    cached: Annotated[
        bool, typer.Option("--cached", help="Show the stored list, without a request to the provider.")
    ] = False,
    timeout: TimeoutOption = "30s",
    protocol: ServiceProtocolOption = None,
    agent: ProviderAgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Fetch and show the provider's game list.

    An entry of the list that cannot be read is skipped, with a line on stderr. If the provider does not answer, the
    command shows the stored list, and the exit code is not 0.

    Example: minwallet games --agent brand2
    """
    from minwallet.operations.errors import OperationError
    from minwallet.provider.service_client import ProviderFailed

    code, catalogue = 0, _load_catalogue(context, agent)
    if not cached:
        try:
            skipped = fetch_games(database_path(context), catalogue.agent, parse_timeout_option(timeout), protocol)
            for line in skipped.describe("games"):
                print_error(f"minwallet: {line}")
            catalogue = _load_catalogue(context, agent)
        except (OperationError, ProviderFailed) as error:
            if not catalogue.games:
                raise
            print_error(f"minwallet: {error}; showing the stored list")
            code = EXIT_REFUSED if isinstance(error, OperationError) else EXIT_UNUSABLE
    _print_games(catalogue, as_json=as_json)
    if code:
        raise typer.Exit(code)


def fetch_games(path: Path, agent: "Agent", timeout_s: float, wanted_protocol: str | None = None) -> "SkippedEntries":
    """Fetch the agent's game list from the provider and store it. Return the entries that cannot be read."""
    from minwallet.operations.requests import GamesSave
    from minwallet.provider.service_client import ServiceClient, find_service_protocol

    protocol = run_with_store_at(path, lambda store: find_service_protocol(store, agent, wanted_protocol))
    with ServiceClient(agent, timeout_s, protocol) as service:
        games = service.fetch_games()
    execute_on_file(path, GamesSave(agent=agent.name, games=tuple(games)))
    return service.skipped


def _load_catalogue(context: typer.Context, agent: str) -> "GameCatalogue":
    from minwallet.provider.game_catalogue import read_game_catalogue

    return run_with_store(context, lambda store: read_game_catalogue(store, agent))


def _print_games(catalogue: "GameCatalogue", *, as_json: bool) -> None:
    fetched_at = catalogue.fetched_at.isoformat(timespec="seconds") if catalogue.fetched_at else None
    if as_json:
        shown = [{"game_code": game.code, "title": game.titles, "url": game.url} for game in catalogue.games]
        print_json({"agent": catalogue.agent.name, "fetched_at": fetched_at, "games": shown})
        return
    languages = list(dict.fromkeys(language for game in catalogue.games for language in game.titles))
    rows = [(game.code, *(game.titles.get(language) for language in languages), game.url) for game in catalogue.games]
    print_table(["game", *languages, "url"], rows, "the game list is empty")
    if fetched_at:
        typer.echo(f"fetched {fetched_at}", err=True)


def launch(
    context: typer.Context,
    game: Annotated[str, typer.Option("--game", help="The provider's code of the game.")],
    protocol: Annotated[str, typer.Option("--protocol", help="The game's protocol, see `minwallet protocols`.")],
    player_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="The player's id; not needed with --demo.")
    ] = None,
    lang: Annotated[str, typer.Option("--lang", help="The language of the game.")] = "en",
    demo: Annotated[
        bool,
        typer.Option(
            "--demo", "--guest", help="Play as a guest with virtual credit. No player and no session are needed."
        ),
    ] = False,
    ttl: Annotated[str, typer.Option("--ttl", help="How long the session is valid: 30s, 15m, 24h, 7d.")] = "24h",
    currency: CurrencyOption = None,
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Print a URL that opens a game.

    The command opens a session for the player. The URL contains its token.

    Example: minwallet launch alice --protocol vela --game slot
    """
    from minwallet.operations.requests import SessionOpen
    from minwallet.provider.game_catalogue import (
        TEST_ACCOUNT,
        LaunchAccount,
        LaunchOptions,
        build_launch_url,
        create_launcher,
    )

    require_protocol(protocol)
    LaunchOptions(protocol=protocol, game=game, lang=lang)
    if not player_id and not demo:
        raise UsageError("missing player: add the player's id, or --demo for virtual credit")
    launcher = run_with_store(context, lambda store: create_launcher(store, agent, protocol, is_demo=demo))
    mode = "demo" if demo else "real"
    session: Reply = {}
    if player_id is None or demo:
        url = build_launch_url(launcher, game, lang, None)
    else:
        build_launch_url(launcher, game, lang, TEST_ACCOUNT)
        request = SessionOpen(agent=agent, player_id=player_id, currency=currency, ttl_s=parse_duration_option(ttl))
        session = execute(context, request)
        url = build_launch_url(launcher, game, lang, LaunchAccount(player_id, session["currency"], session["token"]))
    if as_json:
        print_json({"url": url, "protocol": protocol, "game": game, "mode": mode, **session})
    else:
        print_line(url)
