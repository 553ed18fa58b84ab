"""`minwallet trigger`, `minwallet replay` and `minwallet show`: provider calls made by hand, and stored ones."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from minwallet.cli.dispatch import execute, query, require_running_server, run_with_store
from minwallet.cli.options import AgentOption, CurrencyOption, JsonOption, parse_amount_option
from minwallet.cli.output import (
    EXIT_REFUSED,
    CommandRefused,
    UsageError,
    format_balance,
    print_json,
    print_line,
    print_table,
)
from minwallet.ledger.money import MAX_ID, format_amount
from minwallet.operations.line_text import to_printable

if TYPE_CHECKING:
    from minwallet.ledger.commands import MoneyCommand
    from minwallet.ledger.entries import Entry
    from minwallet.operations.requests import Reply
    from minwallet.protocols.wire import Call

MONEY_CALLS = ("bet", "win", "cancel", "result", "refund", "betwin")
"""The calls that `trigger` can make, by the names that the protocols use. All of them move money."""

SESSION_TTL_S = 60
"""The lifetime of a session that is opened for a single call."""

SeqArgument = Annotated[int, typer.Argument(metavar="SEQ", help="The entry's seq, see `minwallet ledger`.")]


class _CallSession(NamedTuple):
    """The account of a call, and a session's token for the call."""

    agent: str
    player_id: str
    currency: str
    token: str


class _CallOutcome(NamedTuple):
    """A call with its reply, without the token, and the account before and after it."""

    request: str
    http_status: int
    reply: str
    is_success: bool
    before: "Reply"
    after: "Reply"


def trigger(
    context: typer.Context,
    operation: Annotated[
        str, typer.Argument(metavar="CALL", help="The call: bet, win, cancel, result, refund or betwin.")
    ],
    player_id: Annotated[str, typer.Option("--player", metavar="ID", help="The player's id.")],
    amount: Annotated[str, typer.Option("--amount", help="The stake, win or result.")] = "1.00",
    win: Annotated[str, typer.Option("--win", help="The win of a betwin.")] = "0.00",
    protocol: Annotated[
        str | None,
        typer.Option("--protocol", help="wallet-v2 or vela.  [default: the first protocol that has the call]"),
    ] = None,
    call_id: Annotated[
        str | None,
        typer.Option("--id", help="The call's id or ticket.  [default: new, or that of the newest open bet]"),
    ] = None,
    game: Annotated[str, typer.Option("--game", help="The game's code.")] = "1012",
    currency: CurrencyOption = None,
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Send one provider call to the running server.

    The call is real: it moves money. The command shows the request, the reply and the balance. The exit code is 1 if
    the wallet refuses the call.

    Example: minwallet trigger bet --player alice --amount 2.50
    """
    from minwallet.protocols.wire import Call

    protocols = _list_protocols_with(operation)
    if protocol not in (None, *protocols):
        raise UsageError(f"protocol {protocol!r} has no call {operation!r}; use --protocol {' or '.join(protocols)}")
    if call_id is not None and not (call_id.isascii() and call_id.isdigit() and int(call_id[:40]) <= MAX_ID):
        raise UsageError(f"invalid --id {call_id!r:.60}: must be an integer from 0 to {MAX_ID}")
    amount_cents, win_cents, name = parse_amount_option(amount), parse_amount_option(win), protocol or protocols[0]
    url = _provider_call_url(context)
    player = _open_session(context, agent, player_id, currency)
    bet = _find_newest_open_bet(context, player, name)
    if call_id is None and bet is None and operation in ("cancel", "result", "refund"):
        hint = f"minwallet trigger bet --player {player_id} --protocol {name}"
        raise CommandRefused([f"{player_id} has no open bet in {name}; add --id, or place a bet with: {hint}"])
    command = _build_command(operation, call_id, bet, game, amount_cents, win_cents)
    outcome = _make_call(context, url, name, Call(operation, player.token, command), player)
    _print_call(outcome, as_json=as_json)
    if not outcome.is_success:
        raise typer.Exit(EXIT_REFUSED)


def replay(context: typer.Context, seq: SeqArgument, as_json: JsonOption = False) -> None:
    """Repeat the provider call of a ledger entry.

    A repeated call moves no money. The exit code is 1 if the balance changes.

    Example: minwallet replay 6
    """
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
        raise CommandRefused([f"the server rejected the call with HTTP {outcome.http_status}; check the server's log"])
    if outcome.before != outcome.after:
        raise CommandRefused([f"the replay of entry {seq} changed the balance; please report this as a bug"])


def show(context: typer.Context, seq: SeqArgument, as_json: JsonOption = False) -> None:
    """Show a ledger entry and its provider call.

    The request and the reply are available as long as the journal keeps them (MINWALLET_JOURNAL_DAYS).

    Example: minwallet show 6
    """
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
    # Two columns, names and values: a long value continues on the next line of the terminal.
    print_table(["entry", f"{seq}"], rows[1:], "", wide=True)
    if reply["request"]:
        print_line("")
        for name in ("request", "reply"):
            print_line(f"{name:8} {to_printable(reply[name])}")
    else:
        print_line("\nthe journal has no provider call for this entry")


def _list_protocols_with(operation: str) -> list[str]:
    """Return the protocols that have this call. Raise UsageError if `trigger` does not know it."""
    from minwallet.protocols.registry import PROTOCOLS, load_protocol

    if operation not in MONEY_CALLS:
        raise UsageError(f"unknown call {operation!r}; use one of {', '.join(MONEY_CALLS)}")
    return [name for name in PROTOCOLS if operation in load_protocol(name).operations]


def _provider_call_url(context: typer.Context) -> str:
    """Return the URL at which the running server takes provider calls."""
    return require_running_server(context).calls


def _open_session(context: typer.Context, agent: str, player_id: str, currency: str | None) -> _CallSession:
    from minwallet.operations.requests import SessionOpen

    request = SessionOpen(agent=agent, player_id=player_id, currency=currency, ttl_s=SESSION_TTL_S)
    session = execute(context, request)
    return _CallSession(agent, player_id, session["currency"], session["token"])


def _find_newest_open_bet(context: typer.Context, player: _CallSession, protocol: str) -> "Entry | None":
    """Return the player's newest bet that is neither settled nor cancelled, or None."""
    from minwallet.operations.transactions import find_newest_open_bet

    agent, player_id, currency, _ = player
    return run_with_store(context, lambda store: find_newest_open_bet(store, agent, player_id, currency, protocol))


def _build_command(
    operation: str, call_id: str | None, bet: "Entry | None", game: str, paid: int, won: int
) -> "MoneyCommand":
    """Return the command of the call. Without `call_id`, it refers to the open bet `bet`, or has a new id."""
    from minwallet.ledger.commands import Bet, BetWin, Cancel, Settle, Win

    # Ids from the clock are new, as long as no other caller uses the same range.
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
    from minwallet.operations.requests import AgentShow
    from minwallet.provider.manual_calls import make_call
    from minwallet.wallet.service import clock_ms

    wallet_token = query(context, AgentShow(name=player.agent))["wallet_token"]
    before = _read_account(context, player)
    made = asyncio.run(make_call(url, protocol, call, clock_ms(), wallet_token))
    return _CallOutcome(*made, before, _read_account(context, player))


def _read_account(context: typer.Context, player: _CallSession) -> "Reply":
    from minwallet.operations.requests import PlayerShow

    shown = query(context, PlayerShow(agent=player.agent, player_id=player.player_id))
    return next(dict(each) for each in shown["accounts"] if each["currency"] == player.currency)


def _print_call(outcome: _CallOutcome, *, as_json: bool) -> None:
    if as_json:
        print_json({name: value for name, value in outcome._asdict().items() if name != "is_success"})
        return
    status = "" if outcome.http_status == 200 else f"HTTP {outcome.http_status} "
    print_line(f"request  {to_printable(outcome.request)}")
    print_line(f"reply    {status}{to_printable(outcome.reply)}")
    change = "unchanged" if outcome.before == outcome.after else f"before: {format_balance(outcome.before)}"
    print_line(f"balance  {format_balance(outcome.after)} ({change})")
