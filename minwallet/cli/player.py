"""`minwallet player`."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minwallet.cli.dispatch import execute, query, run_with_store
from minwallet.cli.limit import print_exclusion
from minwallet.cli.options import AgentOption, JsonOption, PlayerIdArgument, WideOption, parse_amount_option
from minwallet.cli.output import CommandRefused, TablePrinter, UsageError, print_json, print_line, print_table
from minwallet.cli.prompts import NOTHING_CHANGED, asking
from minwallet.ledger.money import format_amount
from minwallet.storage.models import PlayerStatus, StatusFilter

if TYPE_CHECKING:
    from minwallet.operations.requests import PlayerExclude, Reply
    from minwallet.storage.sqlite import SqliteStore

PLAYER_COLUMNS = ("player", "agent", "status", "currency", "cash>", "bonus>")

REQUIRED_COLUMNS = 5
"""All columns but the bonus."""

NO_PLAYERS = "no players yet; add one with: minwallet player add ID --currency USD --balance 100.00"

app = typer.Typer(help="Add, list, block and exclude players.", no_args_is_help=True)


@app.command("add")
def add(
    context: typer.Context,
    player_id: PlayerIdArgument,
    currency: Annotated[str, typer.Option("--currency", help="The currency, such as USD.")],
    balance: Annotated[str, typer.Option("--balance", metavar="AMOUNT", help="The initial cash.")] = "0",
    bonus: Annotated[str, typer.Option("--bonus", metavar="AMOUNT", help="The initial bonus.")] = "0",
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Add a player, or another currency of a player.

    Example: minwallet player add alice --currency USD --balance 100.00
    """
    from minwallet.operations.requests import PlayerAdd

    request = PlayerAdd(
        agent=agent,
        player_id=player_id,
        currency=currency,
        balance=parse_amount_option(balance),
        bonus=parse_amount_option(bonus),
    )
    _print_player(execute(context, request, create=True), as_json=as_json)


@app.command("list")
def list_(
    context: typer.Context,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="Maximum number of players.")] = None,
    search: Annotated[str, typer.Option("--search", metavar="TEXT", help="A part of the id, in any case.")] = "",
    status: Annotated[
        StatusFilter | None,
        typer.Option("--status", metavar="STATUS", help="Only active, blocked or excluded players."),
    ] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Only this agent's players.")] = None,
    wide: WideOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the players of all agents, or search for some.

    An active player is neither blocked nor excluded. With --json, `status` is active or blocked, and an excluded
    player has an `excluded_until`.

    Example: minwallet player list --search ali --status active --limit 20
    """
    from minwallet.operations.players import read_player_pages
    from minwallet.operations.requests import PlayerList
    from minwallet.wallet.service import Wallet

    request = PlayerList(agent=agent, text=search, status=status, limit=limit)
    if as_json:
        print_json(query(context, request))
        return
    printer = TablePrinter(PLAYER_COLUMNS, required=REQUIRED_COLUMNS, wide=wide)
    # One player more than the table shows tells if there are more.
    request = request.model_copy(update={"limit": limit and limit + 1})

    async def work(store: "SqliteStore") -> None:
        found = 0
        async for page in read_player_pages(Wallet(store), request):
            shown = page if limit is None else page[: limit - found]
            found += len(page)
            if not printer.print_page([row for player in shown for row in _build_rows(player)]):
                return
        printer.finish("no players found" if search or status else NO_PLAYERS)
        if limit is not None and found > limit:
            print_line("(more players exist; raise --limit to see them)")

    run_with_store(context, work)


@app.command("show")
def show(
    context: typer.Context,
    player_id: PlayerIdArgument,
    agent: AgentOption = "default",
    wide: WideOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show a player's status and balances.

    Example: minwallet player show alice
    """
    from minwallet.operations.requests import PlayerShow

    _print_player(query(context, PlayerShow(agent=agent, player_id=player_id)), wide=wide, as_json=as_json)


@app.command("block")
def block(
    context: typer.Context, player_id: PlayerIdArgument, agent: AgentOption = "default", as_json: JsonOption = False
) -> None:
    """Block a player: refuse all new bets.

    Wins and cancels of earlier bets still settle.

    Example: minwallet player block alice
    """
    from minwallet.operations.requests import PlayerSetStatus

    request = PlayerSetStatus(agent=agent, player_id=player_id, status=PlayerStatus.BLOCKED)
    _print_player(execute(context, request), as_json=as_json)


@app.command("unblock")
def unblock(
    context: typer.Context, player_id: PlayerIdArgument, agent: AgentOption = "default", as_json: JsonOption = False
) -> None:
    """Unblock a player, so that new bets are accepted.

    Example: minwallet player unblock alice
    """
    from minwallet.operations.requests import PlayerSetStatus

    request = PlayerSetStatus(agent=agent, player_id=player_id, status=PlayerStatus.ACTIVE)
    _print_player(execute(context, request), as_json=as_json)


@app.command("exclude")
def exclude(
    context: typer.Context,
    player_id: PlayerIdArgument,
    until: Annotated[
        str,
        typer.Option("--until", metavar="DATE|7d|none", help="Its end: a date (00:00 UTC), a duration, or none."),
    ],
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask for a confirmation. Only a terminal is asked.")
    ] = False,
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Exclude a player: refuse bets and deposits until a date.

    A longer exclusion takes effect immediately. A shorter one, or none, takes effect after 24 hours.

    Example: minwallet player exclude alice --until 7d
    """
    from minwallet.operations.requests import PlayerExclude

    request = PlayerExclude(agent=agent, player_id=player_id, until=_parse_until(until))
    if request.until and not yes and sys.stdin and sys.stdin.isatty():
        _confirm_exclusion(request)
    try:
        reply = execute(context, request)
    except CommandRefused as refused:
        reasons = [
            reason.replace(f"invalid until '{request.until}'", f"invalid --until {until!r}") for reason in refused.args
        ]
        raise CommandRefused(reasons) from refused
    print_json(reply) if as_json else print_exclusion(reply)


def _confirm_exclusion(request: "PlayerExclude") -> None:
    """Ask on the terminal. Raise CommandRefused unless the answer is yes."""
    from minwallet.operations.limits import COOLING_OFF_TEXT
    from minwallet.operations.timestamps import iso_to_minute

    question = f"exclude {request.player_id} until {iso_to_minute(str(request.until))}? {COOLING_OFF_TEXT}"
    with asking():
        is_confirmed = typer.confirm(question, err=True)
    if not is_confirmed:
        raise CommandRefused([NOTHING_CHANGED])


def _parse_until(until: str) -> str | None:
    """Return the end of the exclusion as an ISO timestamp: the start of the given day (UTC), or now plus a duration.

    Return None for `none`. Raise UsageError for anything else.
    """
    from minwallet.config import parse_duration
    from minwallet.operations.field_types import MAX_TTL_S
    from minwallet.operations.timestamps import format_iso
    from minwallet.wallet.service import clock_ms

    if until == "none":
        return None
    with suppress(ValueError):
        return f"{date.fromisoformat(until):%Y-%m-%d}T00:00:00Z"
    try:
        duration_s = parse_duration(until)
    except ValueError as error:
        raise UsageError(f"invalid --until {until!r}: write a date (2027-01-31), a duration (7d), or none") from error
    # A duration beyond the maximum still has to be a date. The request then refuses it with the maximum.
    return format_iso(clock_ms() + min(duration_s, MAX_TTL_S + 60) * 1000)


def _print_player(player: "Reply", *, wide: bool = False, as_json: bool) -> None:
    if as_json:
        print_json(player)
    else:
        print_table(PLAYER_COLUMNS, _build_rows(player), NO_PLAYERS, required=REQUIRED_COLUMNS, wide=wide)


def _build_rows(player: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    """Yield one row of a table for each account."""
    status = _describe_status(player)
    for account in player["accounts"]:
        yield (
            *(player["player_id"], player["agent"], status, account["currency"]),
            *(format_amount(account["cash"]), format_amount(account["bonus"])),
        )


def _describe_status(player: Mapping[str, Any]) -> str:
    """Return the status for people: active, blocked, or excluded with the end; a player may be both of these."""
    from minwallet.operations.timestamps import iso_to_minute

    if not player["excluded_until"]:
        return str(player["status"])
    excluded = f"excluded until {iso_to_minute(player['excluded_until'])}"
    return f"blocked, {excluded}" if player["status"] == PlayerStatus.BLOCKED else excluded
