"""`minwallet trigger`, `minwallet replay` and `minwallet show`: provider calls made by hand, and stored ones."""

import asyncio
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
from minwallet.ledger.money import format_amount
from minwallet.operations.line_text import to_printable

if TYPE_CHECKING:
    from minwallet.ledger.entries import Entry
    from minwallet.operations.requests import Reply
    from minwallet.protocols.wire import Call
    from minwallet.provider.trigger import TriggerOptions
    from minwallet.storage.models import Agent
    from minwallet.storage.store import Store

MAX_ID_LENGTH = 64
"""The longest id, in characters. The protocol decides the rest."""

SESSION_TTL_S = 60
"""The lifetime of a session that is opened for a single call."""

REJECTED_STATUSES = (401, 403, 404, 405, 413, 414, 429)
"""The HTTP errors, beside those of 500 and more, with which the server itself rejects a call."""

SeqArgument = Annotated[int, typer.Argument(metavar="SEQ", help="The entry's seq, see `minwallet ledger`.")]
OperationArgument = Annotated[
    str, typer.Argument(metavar="CALL", help="The call, by the name that the protocol gives it: bet, win, refund …")
]
AmountOption = Annotated[
    str | None,
    typer.Option("--amount", help="The stake, win or result, or the part to return.  [default: 1.00, or the whole]"),
]
CallProtocolOption = Annotated[
    str | None,
    typer.Option(
        "--protocol", help="The protocol.  [default: that of the player's last call, or the first that has the call]"
    ),
]
CallIdOption = Annotated[
    str | None, typer.Option("--id", help="The call's id or ticket.  [default: new, or that of the newest open bet]")
]
ReferencesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--reference",
        help="The id that a rollback reverses; repeatable if the call takes several.  [default: the newest open bet]",
    ),
]
RoundOption = Annotated[
    str | None,
    typer.Option(
        "--round",
        help="The round; a call about an earlier bet takes the newest of the round.  [default: new, or the bet's]",
    ),
]
WinOption = Annotated[str | None, typer.Option("--win", help="The win of a bet and win in one call.  [default: 0.00]")]
CallGameOption = Annotated[
    str | None, typer.Option("--game", help="The game's code.  [default: 1012, or that of the newest open bet]")
]


class _ReadyCall(NamedTuple):
    """A call that only lacks the token of a session."""

    protocol: str
    call: "Call"
    agent: str


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
    operation: OperationArgument,
    player_id: Annotated[str, typer.Option("--player", metavar="ID", help="The player's id.")],
    amount: AmountOption = None,
    win: WinOption = None,
    protocol: CallProtocolOption = None,
    call_id: CallIdOption = None,
    references: ReferencesOption = None,
    round_: RoundOption = None,
    game: CallGameOption = None,
    currency: CurrencyOption = None,
    agent: AgentOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Send one provider call to the running server.

    The call is real: it moves money. The command shows the request, the reply and the balance. The exit code is 1 if
    the wallet refuses the call. `minwallet protocols` lists the protocols and their calls.

    Without --protocol, the command uses the protocol of the player's last provider call. If that protocol has no such
    call, it uses the first one that has the call and either signs nothing or has a secret of the agent.

    An option that the call does not use is an error, and nothing is sent. A rollback with --round reverses the newest
    open bet of the round, or its newest win if no bet is open.

    Example: minwallet trigger bet --player alice --amount 2.50
    """
    from minwallet.provider.trigger import TriggerOptions

    for option, value in (
        ("--id", call_id),
        ("--round", round_),
        ("--game", game),
        *(("--reference", each) for each in references or ()),
    ):
        _check_text(option, value)
    stake, payout = (None if text is None else parse_amount_option(text) for text in (amount, win))
    options = TriggerOptions(operation, stake, payout, call_id, tuple(references or ()), round_, game)
    candidates = _list_protocols_with(operation, protocol)
    require_running_server(context)
    ready = _build_call(context, options, candidates, (agent, player_id, currency and currency.upper()))
    outcome = _make_call(context, ready)
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
    call = rebuild_call(entry, REDACTED)._replace(player_id=owner.player_id, currency=owner.currency)
    outcome = _make_call(context, _ReadyCall(entry.protocol, call, owner.agent))
    _print_call(outcome, as_json=as_json)
    if outcome.http_status in REJECTED_STATUSES or outcome.http_status >= 500:
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


def _check_text(option: str, value: str | None) -> None:
    """Raise UsageError for a text that no protocol can have as an id."""
    from minwallet.protocols.wire import is_plain_text

    if value is not None and not (value and is_plain_text(value, MAX_ID_LENGTH)):
        raise UsageError(f"invalid {option} {value!r:.60}: must be 1 to {MAX_ID_LENGTH} characters")


def require_protocol(name: str) -> None:
    """Raise UsageError if no protocol with this name is installed."""
    from minwallet.protocols.registry import is_installed, list_protocols

    if not is_installed(name):
        raise UsageError(f"unknown protocol '{to_printable(name):.60}'; installed: {', '.join(list_protocols())}")


def _list_protocols_with(operation: str, protocol: str | None) -> list[str]:
    """Return the protocols that have this call, or only `protocol`. Raise UsageError if it is not one of them."""
    from minwallet.provider.trigger import list_operations

    if protocol is not None:
        require_protocol(protocol)
    operations = list_operations()
    candidates = operations.get(operation, [])
    if not candidates:
        raise UsageError(f"unknown call {operation!r}; use one of {', '.join(operations)}")
    if protocol is None:
        return candidates
    if protocol not in candidates:
        raise UsageError(f"protocol {protocol!r} has no call {operation!r}; use --protocol {' or '.join(candidates)}")
    return [protocol]


def _build_call(
    context: typer.Context, options: "TriggerOptions", candidates: list[str], account: tuple[str, str, str | None]
) -> _ReadyCall:
    """Return the call for the account of an agent, a player and a currency. Raise an error if it cannot be made."""
    from minwallet.provider.trigger import InvalidCall, NoOpenBet, build_call

    agent, player_id, _ = account
    currency = _read_account(context, *account)["currency"]
    protocol, bet = run_with_store(
        context, lambda store: _find_protocol_and_bet(store, (agent, player_id, currency), candidates, options)
    )
    try:
        return _ReadyCall(protocol, build_call(protocol, options, bet, player_id, currency), agent)
    except InvalidCall as error:
        raise UsageError(str(error)) from error
    except NoOpenBet as error:
        raise CommandRefused([str(error)]) from error


async def _find_protocol_and_bet(
    store: "Store", account: tuple[str, str, str], candidates: list[str], options: "TriggerOptions"
) -> "tuple[str, Entry | None]":
    """Return the protocol of the call, and the account's transaction in it that the call is about."""
    from minwallet.provider.trigger import choose_protocol, find_earlier

    protocol = await choose_protocol(store, *account, candidates)
    return protocol, await find_earlier(store, account, protocol, options)


def _make_call(context: typer.Context, ready: _ReadyCall) -> _CallOutcome:
    """Send the call in a new session, signed if the protocol signs its requests."""
    from minwallet.operations.requests import SessionOpen
    from minwallet.provider.manual_calls import make_call
    from minwallet.wallet.service import clock_ms

    protocol, call, agent = ready
    url = require_running_server(context).calls
    found, secret = run_with_store(context, lambda store: _find_agent_and_secret(store, agent, protocol))
    account = (agent, call.player_id, call.currency)
    request = SessionOpen(agent=agent, player_id=call.player_id, currency=call.currency, ttl_s=SESSION_TTL_S)
    call = call._replace(token=execute(context, request)["token"])
    before = _read_account(context, *account)
    made = asyncio.run(make_call(url, protocol, call, clock_ms(), found.wallet_token, secret=secret))
    return _CallOutcome(*made, before, _read_account(context, *account))


async def _find_agent_and_secret(store: "Store", agent: str, protocol: str) -> "tuple[Agent, str]":
    from minwallet.operations.agents import get_agent
    from minwallet.provider.manual_calls import require_secret

    found = await get_agent(store, agent)
    return found, await require_secret(store, protocol, found)


def _read_account(context: typer.Context, agent: str, player_id: str, currency: str | None) -> "Reply":
    """Return the player's account in this currency, or the only one. Raise CommandRefused if there is none."""
    from minwallet.operations.players import choose_account, get_player

    async def work(store: "Store") -> "Reply":
        _, currency_, cash, bonus = choose_account(await get_player(store, agent, player_id), currency)
        return {"currency": currency_, "cash": cash, "bonus": bonus}

    return run_with_store(context, work)


def _print_call(outcome: _CallOutcome, *, as_json: bool) -> None:
    if as_json:
        print_json({name: value for name, value in outcome._asdict().items() if name != "is_success"})
        return
    status = "" if outcome.http_status == 200 else f"HTTP {outcome.http_status} "
    print_line(f"request  {to_printable(outcome.request)}")
    print_line(f"reply    {status}{to_printable(outcome.reply)}")
    change = "unchanged" if outcome.before == outcome.after else f"before: {format_balance(outcome.before)}"
    print_line(f"balance  {format_balance(outcome.after)} ({change})")
