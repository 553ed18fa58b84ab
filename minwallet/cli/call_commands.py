"""`minwallet trigger`, `minwallet replay` and `minwallet show`: provider calls, made by hand and looked at."""

import time
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from minwallet.cli.dispatch import execute, query, require_running_server, run_with_store
from minwallet.cli.output import (
    EXIT_REFUSED,
    AgentOption,
    CommandRefused,
    CurrencyOption,
    JsonOption,
    UsageError,
    format_balance,
    print_json,
    print_line,
    print_table,
)
from minwallet.cli.transfer_commands import parse_amount_option
from minwallet.ledger.money import MAX_ID, format_amount

if TYPE_CHECKING:
    from minwallet.ledger.commands import MoneyCommand
    from minwallet.ledger.entries import Entry
    from minwallet.operations.requests import Reply
    from minwallet.protocols.wire import Call

PROTOCOLS_BY_CALL = {
    "bet": ("wallet-v2", "vela"),
    "win": ("wallet-v2",),
    "cancel": ("wallet-v2",),
    "result": ("vela",),
    "refund": ("vela",),
    "betwin": ("vela",),
}
"""The calls that move money, and the protocols that have them."""

SESSION_TTL_S = 60
"""How long a session lasts that is opened for a single call."""

SeqArgument = Annotated[int, typer.Argument(metavar="SEQ", help="The entry's number, as `minwallet ledger` shows it.")]


class _CallSession(NamedTuple):
    """Whom a call is about, and a session to make it with."""

    agent: str
    player_id: str
    currency: str
    token: str


class _CallOutcome(NamedTuple):
    """A call that was made, the token left out, with the account before and after."""

    request: str
    http_status: int
    reply: str
    is_success: bool
    before: "Reply"
    after: "Reply"


def trigger(
    context: typer.Context,
    operation: Annotated[str, typer.Argument(metavar="CALL", help="bet, win, cancel, result, refund or betwin.")],
    player_id: Annotated[str, typer.Option("--player", metavar="ID", help="The player.")],
    amount: Annotated[str, typer.Option("--amount", help="What is bet, won, or paid as the result.")] = "1.00",
    win: Annotated[str, typer.Option("--win", help="What a betwin pays.")] = "0.00",
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="wallet-v2 or vela.  [default: the first that has the call]")
    ] = None,
    call_id: Annotated[
        str | None, typer.Option("--id", help="The call's id or ticket.  [default: a new one; of the newest open bet]")
    ] = None,
    game: Annotated[str, typer.Option("--game", help="The game's code.")] = "1012",
    currency: CurrencyOption = None,
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Make one real provider call. The running server answers it; request and reply are shown."""
    from minwallet.protocols.wire import Call

    protocols = PROTOCOLS_BY_CALL.get(operation)
    if protocols is None:
        raise UsageError(f"{operation!r} is no call that moves money; there are {', '.join(PROTOCOLS_BY_CALL)}")
    if protocol not in (None, *protocols):
        raise UsageError(f"{protocol} has no {operation}; {' and '.join(protocols)} has")
    if call_id is not None and not (call_id.isascii() and call_id.isdigit() and int(call_id[:40]) <= MAX_ID):
        raise UsageError(f"{call_id!r} is no id; it is a whole number from 0 to {MAX_ID}")
    amount_cents, win_cents, name = parse_amount_option(amount), parse_amount_option(win), protocol or protocols[0]
    url = _provider_call_url(context)
    player = _open_session(context, agent, player_id, currency)
    bet = _find_newest_open_bet(context, player, name)
    if call_id is None and bet is None and operation in ("cancel", "result", "refund"):
        hint = f"minwallet trigger bet --player {player_id} --protocol {name}"
        raise CommandRefused([f"{player_id} has no open bet in {name}; name one with --id, or make one: {hint}"])
    command = _build_command(operation, call_id, bet, game, amount_cents, win_cents)
    outcome = _make_call(context, url, name, Call(operation, player.token, command), player)
    _print_call(outcome, as_json=as_json)
    if not outcome.is_success:
        raise typer.Exit(EXIT_REFUSED)


def replay(context: typer.Context, seq: SeqArgument, as_json: JsonOption = False) -> None:
    """Make an entry's provider call once more. It shows that no money moves; exit code 1 if any does."""
    from minwallet.operations.transactions import get_journaled_entry
    from minwallet.protocols.wire import REDACTED
    from minwallet.provider.manual_calls import rebuild_call

    entry, owner, _ = run_with_store(context, lambda store: get_journaled_entry(store, seq))
    call = rebuild_call(entry, REDACTED)
    url = _provider_call_url(context)
    player = _open_session(context, *owner)
    outcome = _make_call(context, url, entry.protocol, call._replace(token=player.token), player)
    _print_call(outcome, as_json=as_json)
    if outcome.http_status != 200:
        raise CommandRefused([f"the server did not take the call: HTTP {outcome.http_status}"])
    if outcome.before != outcome.after:
        raise CommandRefused([f"the balance moved when entry {seq} was replayed; please report this as a bug"])


def show(context: typer.Context, seq: SeqArgument, as_json: JsonOption = False) -> None:
    """Show a ledger entry and its provider call. Request and reply are there as long as the journal keeps them."""
    from minwallet.operations.requests import TransactionShow

    reply = query(context, TransactionShow(seq=seq))
    if as_json:
        print_json(reply)
        return
    entry = reply["entry"]
    amounts = {"amount", "bonus_amount", "cash_after", "bonus_after", "stake", "payout"}
    rows = [
        (name.replace("_", " "), format_amount(value) if name in amounts else value)
        for name, value in entry.items()
        if value is not None
    ]
    print_table(["entry", f"{seq}"], rows[1:], "")
    if reply["request"]:
        print_line(f"\nrequest  {reply['request']}\nreply    {reply['reply']}")
    else:
        print_line("\nno provider call is kept for this entry")


def _provider_call_url(context: typer.Context) -> str:
    """Where the running server takes provider calls."""
    return require_running_server(context).calls


def _open_session(context: typer.Context, agent: str, player_id: str, currency: str | None) -> _CallSession:
    from minwallet.operations.requests import SessionOpen

    request = SessionOpen(agent=agent, player_id=player_id, currency=currency, ttl_s=SESSION_TTL_S)
    session = execute(context, request)
    return _CallSession(agent, player_id, session["currency"], session["token"])


def _find_newest_open_bet(context: typer.Context, player: _CallSession, protocol: str) -> "Entry | None":
    """Return the player's newest bet that is neither settled nor cancelled. Return None without one."""
    from minwallet.operations.transactions import find_newest_open_bet

    agent, player_id, currency, _ = player
    return run_with_store(context, lambda store: find_newest_open_bet(store, agent, player_id, currency, protocol))


def _build_command(
    operation: str, call_id: str | None, bet: "Entry | None", game: str, paid: int, won: int
) -> "MoneyCommand":
    """What is asked of the wallet; without a number, about the bet or under a number that nobody has used."""
    from minwallet.ledger.commands import Bet, BetWin, Cancel, Settle, Win

    new = call_id or str(time.time_ns() // 1000)
    known = str(int(call_id)) if call_id is not None else bet.id if bet else new
    match operation:
        case "bet":
            return Bet(new, paid, new, game)
        case "win":
            return Win(new, paid, bet.round if bet else None, bet.game if bet else game)
        case "result":
            return Settle(known, paid, bet.game if bet else game)
        case "betwin":
            return BetWin(new, paid, won, game)
        case _:
            return Cancel(known)


def _make_call(context: typer.Context, url: str, protocol: str, call: "Call", player: _CallSession) -> _CallOutcome:
    from minwallet.provider.manual_calls import make_call
    from minwallet.wallet.service import clock_ms

    before = _read_account(context, player)
    return _CallOutcome(*make_call(url, protocol, call, clock_ms()), before, _read_account(context, player))


def _read_account(context: typer.Context, player: _CallSession) -> "Reply":
    from minwallet.operations.requests import PlayerShow

    shown = query(context, PlayerShow(agent=player.agent, player_id=player.player_id))
    return next(dict(each) for each in shown["accounts"] if each["currency"] == player.currency)


def _print_call(outcome: _CallOutcome, *, as_json: bool) -> None:
    if as_json:
        print_json({name: value for name, value in outcome._asdict().items() if name != "is_success"})
        return
    status = "" if outcome.http_status == 200 else f"HTTP {outcome.http_status} "
    print_line(f"request  {outcome.request}")
    print_line(f"reply    {status}{outcome.reply}")
    moved = "as before" if outcome.before == outcome.after else f"before it was {format_balance(outcome.before)}"
    print_line(f"balance  {format_balance(outcome.after)}, {moved}")
