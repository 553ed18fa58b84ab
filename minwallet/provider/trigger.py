"""The calls of `minwallet trigger`: any operation of an installed protocol, made of a few options.

`operations` of a protocol says which command an operation makes. A command that refers to an earlier one is about the
account's newest open bet, unless the options name another.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from minwallet.ledger.commands import (
    Authenticate,
    Balance,
    Bet,
    BetWin,
    Cancel,
    Command,
    EndRound,
    Group,
    MoneyCommand,
    Rollback,
    RollbackRound,
    Settle,
    Win,
)
from minwallet.ledger.entries import Entry
from minwallet.operations.agents import get_agent
from minwallet.operations.errors import OperationError
from minwallet.operations.players import choose_account, get_player
from minwallet.protocols.registry import is_installed, list_protocols, load_protocol
from minwallet.protocols.wire import REDACTED, Call, Malformed
from minwallet.provider.manual_calls import build_request, find_secret, parse_request
from minwallet.provider.protocol_faults import explain_protocol_fault
from minwallet.storage.store import Store

LOOKBACK = 1_000
"""How many of an account's newest entries are searched for the protocol of the player's last call."""

DEFAULT_AMOUNT_CENTS = 100


class InvalidCall(Exception):
    """The options do not make a call that the protocol has. The message is one line."""


class NoOpenBet(Exception):
    """The call needs an earlier bet. The account has no open one, and the options name none."""


class TriggerOptions(NamedTuple):
    """The options of a call. An amount of None is DEFAULT_AMOUNT_CENTS, or the whole of what a rollback reverses."""

    operation: str
    amount: int | None = None
    win: int = 0
    id: str | None = None
    references: Sequence[str] = ()
    round: str | None = None
    game: str = ""


def list_operations() -> dict[str, list[str]]:
    """Return the operations of all installed protocols, each with the protocols that have it, in their order."""
    found: dict[str, list[str]] = {}
    for name in list_protocols():
        for operation in load_protocol(name).operations:
            found.setdefault(operation, []).append(name)
    return found


async def choose_protocol(
    store: Store, agent_name: str, player_id: str, currency: str | None, candidates: Sequence[str]
) -> str:
    """Return the protocol in `candidates` that the player uses.

    It is the protocol of the account's newest provider call, if it is a candidate. Otherwise it is the first one that
    signs nothing or has a secret of the agent.
    """
    agent = await get_agent(store, agent_name)
    account_id, *_ = choose_account(await get_player(store, agent_name, player_id), currency)
    entries = await store.ledger.read_entries([account_id], LOOKBACK)
    newest = next((entry.protocol for entry in entries if is_installed(entry.protocol)), "")
    if newest in candidates:
        return newest
    for name in candidates:
        if load_protocol(name).signature is None or await find_secret(store, name, agent):
            return name
    return candidates[0]


def build_call(protocol: str, options: TriggerOptions, bet: Entry | None, player_id: str, currency: str) -> Call:
    """Return the call for the account, with REDACTED as its session.

    `bet` is the account's newest open bet in this protocol, None if there is none. Raise NoOpenBet if the call needs
    one, InvalidCall if the wallet would not take the call, and OperationError if the protocol cannot build it.
    """
    made = load_protocol(protocol).operations[options.operation]
    # An id from the clock is new, as long as no other caller uses the same range.
    new_id = options.id or str(time.time_ns() // 1000)
    commands: Iterable[Command] = (
        _list_groups(options, new_id, bet) if made is Group else [_build_command(made, options, new_id, bet)]
    )
    failure: OperationError | InvalidCall | None = None
    for command in commands:
        call = Call(options.operation, REDACTED, command, player_id, currency)
        try:
            _check_call(protocol, call, has_new_id=made not in (Settle, Cancel), id_option=options.id)
        except (OperationError, InvalidCall) as error:
            failure = failure or error
        else:
            return call
    if made is Group and bet is None and not options.references:
        raise NoOpenBet
    assert failure is not None
    if isinstance(failure.__cause__, ValueError):
        raise InvalidCall(*failure.args) from failure
    raise failure


def _check_call(protocol: str, call: Call, *, has_new_id: bool, id_option: str | None) -> None:
    """Raise InvalidCall or OperationError unless the wallet takes the call as it is meant.

    A new id may become another one: a protocol may derive its ids, such as `freespins:alice:7` from 7.
    """
    request = build_request(protocol, call, time.time_ns() // 1_000_000)
    with explain_protocol_fault(protocol, f"parse its own call '{call.operation}'"):
        parsed = parse_request(load_protocol(protocol), request)
    if parsed is None:
        raise OperationError(
            f"protocol '{protocol}' has no path {request.path}, to which its call '{call.operation}' goes"
        )
    if isinstance(parsed, Malformed):
        raise InvalidCall(f"protocol '{protocol}' does not accept this call: {parsed.reason or parsed.message}")
    is_other_kind = isinstance(call.command, Group) and not isinstance(parsed.command, Group)
    # Otherwise a list of rollbacks without a second one could become a bet and a win.
    if is_other_kind or parsed.operation != call.operation:
        raise OperationError(
            f"protocol '{protocol}' cannot build the call '{call.operation}' of these options:"
            f" it reads the request as '{parsed.operation}'"
        )
    for name in ("id", "reference", "round"):
        meant, read = (getattr(command, name, None) for command in (call.command, parsed.command))
        if meant is None or read is None or meant == read:
            continue
        if name == "id" and has_new_id:
            if id_option is None or id_option in read:
                continue
            raise InvalidCall(f"invalid id '{meant}': the protocol reads it as '{read}'; use that, or omit --id")
        # A number may have several spellings, such as 007. The ledger has one of them.
        raise InvalidCall(f"invalid {name} '{meant}': the protocol reads it as '{read}'; use that")


def _build_command(made: type[Command], options: TriggerOptions, new_id: str, bet: Entry | None) -> Command:
    """Return the command of this type, with a new id or that of an earlier bet."""
    amount = DEFAULT_AMOUNT_CENTS if options.amount is None else options.amount
    game = options.game
    reference = options.references[0] if options.references else None
    named = {Settle: options.id, Cancel: options.id, Rollback: reference, RollbackRound: options.round}
    if bet is None and {**named, EndRound: options.round}.get(made, "") is None:
        raise NoOpenBet
    if len(options.references) > 1:
        raise InvalidCall(f"the call '{options.operation}' takes one --reference")
    bet_id, bet_round, bet_game = (bet.id, bet.round, bet.game) if bet else (new_id, None, game)
    earlier_id, round_ = options.id or bet_id, options.round or bet_round
    if made is Balance or made is Authenticate:
        return made()
    if made is Bet:
        return Bet(new_id, amount, options.round or new_id, game)
    if made is BetWin:
        return BetWin(new_id, amount, options.win, game)
    if made is Win:
        return Win(new_id, amount, round_, bet_game)
    if made is Settle:
        return Settle(earlier_id, amount, bet_game)
    if made is Cancel:
        return Cancel(earlier_id, options.round or (bet_round if earlier_id == bet_id else None))
    if made is Rollback:
        return Rollback(new_id, reference or bet_id, options.amount)
    if made is RollbackRound:
        return RollbackRound(new_id, round_ or new_id)
    if made is EndRound:
        return EndRound(new_id, round_ or new_id, bet_game)
    raise OperationError(f"`trigger` cannot make the call '{options.operation}'")


def _list_groups(options: TriggerOptions, new_id: str, bet: Entry | None) -> Iterator[Group]:
    """Yield the groups that the options may mean. The protocol accepts at most one of them.

    They are rollbacks of the references or the open bet, a bet and its win, and a single win.
    """
    amount = DEFAULT_AMOUNT_CENTS if options.amount is None else options.amount
    references = options.references or ([bet.id] if bet else [])
    if references:
        rollbacks = [Rollback(f"{new_id}:{each}", each) for each in references]
        yield Group(tuple(rollbacks))
    round_ = options.round or new_id
    win: MoneyCommand = Win(f"{new_id}w", options.win, round_, options.game)
    yield Group((Bet(new_id, amount, round_, options.game), win))
    yield Group((Win(new_id, amount, options.round or (bet.round if bet else None), options.game),))
