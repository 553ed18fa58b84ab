"""`minwallet trigger`, `minwallet replay` and `minwallet show`: provider calls, made by hand and looked at."""

import time
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from minwallet.cli.link import change, read, running_server, with_store
from minwallet.cli.money import cents
from minwallet.cli.output import (
    EXIT_REFUSED,
    AgentName,
    BadUsage,
    CurrencyName,
    JsonFlag,
    Refused,
    money,
    print_json,
    print_line,
    print_table,
)
from minwallet.ledger.money import MAX_ID, format_amount

if TYPE_CHECKING:
    from minwallet.ledger.commands import MoneyCommand
    from minwallet.operations.requests import Reply
    from minwallet.protocols.wire import Call

SPOKEN = {
    "bet": ("wallet-v2", "vela"),
    "win": ("wallet-v2",),
    "cancel": ("wallet-v2",),
    "result": ("vela",),
    "refund": ("vela",),
    "betwin": ("vela",),
}
"""The calls that move money, and the protocols that have them."""

LOOKED_BACK = 1_000
"""Among how many of the player's newest entries a bet is looked for that nobody named."""

SESSION_S = 60
"""How long a session lasts that is opened for a single call."""

Seq = Annotated[int, typer.Argument(metavar="SEQ", help="The entry's number, as `minwallet ledger` shows it.")]


class _Player(NamedTuple):
    """Whom a call is about, and a session to make it with."""

    agent: str
    player_id: str
    currency: str
    token: str


class _Made(NamedTuple):
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
    number: Annotated[
        str | None, typer.Option("--id", help="The call's id or ticket.  [default: a new one; of the newest open bet]")
    ] = None,
    game: Annotated[str, typer.Option("--game", help="The game's code.")] = "1012",
    currency: CurrencyName = None,
    agent: AgentName = "default",
    as_json: JsonFlag = False,
) -> None:
    """Make one real provider call. The running server answers it; request and reply are shown."""
    from minwallet.protocols.wire import Call

    spoken = SPOKEN.get(operation)
    if spoken is None:
        raise BadUsage(f"{operation!r} is no call that moves money; there are {', '.join(SPOKEN)}")
    if protocol not in (None, *spoken):
        raise BadUsage(f"{protocol} has no {operation}; {' and '.join(spoken)} has")
    if number is not None and not (number.isascii() and number.isdigit() and int(number[:40]) <= MAX_ID):
        raise BadUsage(f"{number!r} is no id; it is a whole number from 0 to {MAX_ID}")
    paid, won, name = cents(amount), cents(win), protocol or spoken[0]
    url = _server(context)
    player = _open_session(context, agent, player_id, currency)
    bet = _newest_open_bet(context, player, name)
    if number is None and bet is None and operation in ("cancel", "result", "refund"):
        hint = f"minwallet trigger bet --player {player_id} --protocol {name}"
        raise Refused([f"{player_id} has no open bet in {name}; name one with --id, or make one: {hint}"])
    command = _command(operation, number, bet, game, paid, won)
    made = _make(context, url, name, Call(operation, player.token, command), player)
    _print(made, as_json=as_json)
    if not made.is_success:
        raise typer.Exit(EXIT_REFUSED)


def replay(context: typer.Context, seq: Seq, as_json: JsonFlag = False) -> None:
    """Make an entry's provider call once more. It shows that no money moves; exit code 1 if any does."""
    from minwallet.operations.dispatch import get_journaled_entry
    from minwallet.protocols.wire import REDACTED
    from minwallet.provider.manual_calls import rebuild_call

    entry, owner, _ = with_store(context, lambda store: get_journaled_entry(store, seq))
    call = rebuild_call(entry, REDACTED)
    url = _server(context)
    player = _open_session(context, *owner)
    made = _make(context, url, entry.protocol, call._replace(token=player.token), player)
    _print(made, as_json=as_json)
    if made.http_status != 200:
        raise Refused([f"the server did not take the call: HTTP {made.http_status}"])
    if made.before != made.after:
        raise Refused([f"the balance moved when entry {seq} was replayed; please report this as a bug"])


def show(context: typer.Context, seq: Seq, as_json: JsonFlag = False) -> None:
    """Show a ledger entry and its provider call. Request and reply are there as long as the journal keeps them."""
    from minwallet.operations.requests import TransactionShow

    reply = read(context, TransactionShow(seq=seq))
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


def _server(context: typer.Context) -> str:
    """Where the running server takes provider calls."""
    return running_server(context).calls


def _open_session(context: typer.Context, agent: str, player_id: str, currency: str | None) -> _Player:
    from minwallet.operations.requests import SessionOpen

    request = SessionOpen(agent=agent, player_id=player_id, currency=currency, ttl_s=SESSION_S)
    session = change(context, request)
    return _Player(agent, player_id, session["currency"], session["token"])


def _newest_open_bet(context: typer.Context, player: _Player, protocol: str) -> "Reply | None":
    """The ledger's newest bet of the player that was neither settled nor called off."""
    from minwallet.operations.requests import LedgerRead

    whom = {"agent": player.agent, "player_id": player.player_id, "currency": player.currency}
    entries = read(context, LedgerRead.model_validate({**whom, "limit": LOOKED_BACK}))["entries"]
    spoken = [entry for entry in entries if entry["protocol"] == protocol]
    ended = {entry["id"] for entry in spoken if entry["kind"] == "cancel"}
    ended_rounds = {entry["round"] for entry in spoken if entry["kind"] == "win"}
    for entry in spoken:
        is_bet = entry["kind"] == "bet" and entry["state"] == "applied"
        if is_bet and entry["id"] not in ended and entry["round"] not in ended_rounds:
            return dict(entry)
    return None


def _command(operation: str, number: str | None, bet: "Reply | None", game: str, paid: int, won: int) -> "MoneyCommand":
    """What is asked of the wallet; without a number, about the bet or under a number that nobody has used."""
    from minwallet.ledger.commands import Bet, BetWin, Cancel, Settle, Win

    new = number or str(time.time_ns() // 1000)
    known = str(int(number)) if number is not None else bet["id"] if bet else new
    match operation:
        case "bet":
            return Bet(new, paid, new, game)
        case "win":
            return Win(new, paid, bet["round"] if bet else None, bet["game"] if bet else game)
        case "result":
            return Settle(known, paid, bet["game"] if bet else game)
        case "betwin":
            return BetWin(new, paid, won, game)
        case _:
            return Cancel(known)


def _make(context: typer.Context, url: str, protocol: str, call: "Call", player: _Player) -> _Made:
    from minwallet.provider.manual_calls import make_call
    from minwallet.wallet.service import clock_ms

    before = _account(context, player)
    return _Made(*make_call(url, protocol, call, clock_ms()), before, _account(context, player))


def _account(context: typer.Context, player: _Player) -> "Reply":
    from minwallet.operations.requests import PlayerShow

    shown = read(context, PlayerShow(agent=player.agent, player_id=player.player_id))
    return next(dict(each) for each in shown["accounts"] if each["currency"] == player.currency)


def _print(made: _Made, *, as_json: bool) -> None:
    if as_json:
        print_json({name: value for name, value in made._asdict().items() if name != "is_success"})
        return
    status = "" if made.http_status == 200 else f"HTTP {made.http_status} "
    print_line(f"request  {made.request}")
    print_line(f"reply    {status}{made.reply}")
    moved = "as before" if made.before == made.after else f"before it was {money(made.before)}"
    print_line(f"balance  {money(made.after)}, {moved}")
