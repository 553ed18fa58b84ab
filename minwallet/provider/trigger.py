"""The calls of `minwallet trigger`: any operation of an installed protocol, made of a few options.

`operations` of a protocol says which command an operation makes. A command that refers to an earlier one is about the
account's newest open bet, unless the options name another. With a round, it is the newest one of that round.

A call moves money, so it is made only if it uses every option that was given. An option is used if the command has it,
and the wallet reads the same value from the request.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from minwallet.ledger.entries import Entry, Kind, State, find_open_bets, is_wholly_rolled_back
from minwallet.ledger.money import format_amount
from minwallet.operations.agents import get_agent
from minwallet.operations.errors import OperationError
from minwallet.operations.players import choose_account, get_player
from minwallet.operations.transactions import find_newest_open_bet, read_newest_entries
from minwallet.protocols.registry import is_installed, list_protocols, load_protocol
from minwallet.protocols.wire import REDACTED, Call, Malformed
from minwallet.provider.manual_calls import build_request, find_secret, parse_request
from minwallet.provider.protocol_faults import explain_protocol_fault
from minwallet.storage.store import Store

LOOKBACK = 1_000
"""How many of an account's newest entries are searched for the protocol of the player's last call."""

DEFAULT_AMOUNT_CENTS, DEFAULT_GAME = 100, "1012"

USED_OPTIONS: Mapping[type[Command], Sequence[str]] = {
    Balance: (),
    Authenticate: (),
    Bet: ("amount", "id", "round", "game"),
    BetWin: ("amount", "win", "id", "game"),
    Win: ("amount", "id", "round", "game"),
    Settle: ("amount", "id", "round", "game"),
    Cancel: ("id", "round"),
    Rollback: ("amount", "id", "reference", "round"),
    RollbackRound: ("id", "round"),
    EndRound: ("id", "round", "game"),
}
"""The options that the call of a command can use. For a Group, see `_list_used_options`."""

NAMING_OPTIONS: Mapping[type[Command], str] = {
    Settle: "id",
    Cancel: "id",
    Rollback: "reference",
    Group: "reference",
    RollbackRound: "round",
    EndRound: "round",
}
"""The option that names the earlier bet or round that the call of a command is about."""


class InvalidCall(Exception):
    """The options do not make a call that the protocol has. The message is one line."""


class NoOpenBet(Exception):
    """The call needs an earlier bet, and the account has no open one. The message is one line."""


class TriggerOptions(NamedTuple):
    """The options of a call, None if they were not given.

    The default amount is DEFAULT_AMOUNT_CENTS, or the whole of what a rollback reverses.
    """

    operation: str
    amount: int | None = None
    win: int | None = None
    id: str | None = None
    references: Sequence[str] = ()
    round: str | None = None
    game: str | None = None

    def list_given(self) -> list[str]:
        """Return the names of the options that were given."""
        values = {**self._asdict(), "reference": self.references or None}
        return [name for name in ("amount", "win", "id", "reference", "round", "game") if values[name] is not None]


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


async def find_earlier(
    store: Store, account: tuple[str, str, str], protocol: str, options: TriggerOptions
) -> Entry | None:
    """Return the transaction that the call is about if no option names one. Return None without one.

    `account` is an agent, a player and a currency. The transaction is the newest open bet, or the newest one of the
    round if there is a round. A rollback of a round without an open bet is about its newest win that stands. Such a
    win is newer than the round's bets, so rollbacks undo the round in reverse order.
    """
    if options.round is None:
        return await find_newest_open_bet(store, *account, protocol)
    entries = await read_newest_entries(store, *account, protocol)
    bet = next((entry for entry in find_open_bets(entries) if entry.round == options.round), None)
    if bet is None and _reverses_wins(protocol, options.operation):
        return _find_standing_win(entries, options.round)
    return bet


def _reverses_wins(protocol: str, operation: str) -> bool:
    return load_protocol(protocol).operations[operation] in (Rollback, Group)


def _find_standing_win(entries: Sequence[Entry], round_: str) -> Entry | None:
    """Return the newest win of the round that is not reversed. A result is none: its id is that of its bet."""
    bet_ids = {entry.id for entry in entries if entry.kind is Kind.BET}
    for entry in entries:
        if entry.round == round_ and entry.kind is Kind.ROUND_ROLLBACK:
            return None
        if entry.round != round_ or entry.kind is not Kind.WIN or entry.id in bet_ids:
            continue
        rollbacks = [each for each in entries if each.kind is Kind.ROLLBACK and each.reference == entry.id]
        is_reversed = bool(rollbacks) and is_wholly_rolled_back(entry, rollbacks)
        if entry.state in (State.APPLIED, State.ORPHAN) and not is_reversed:
            return entry
    return None


def build_call(protocol: str, options: TriggerOptions, bet: Entry | None, player_id: str, currency: str) -> Call:
    """Return the call for the account, with REDACTED as its session.

    `bet` is what `find_earlier` returned. Raise NoOpenBet if the call needs one, InvalidCall if the wallet would not
    take the call or an option is not used, and OperationError if the protocol cannot build it.
    """
    made = load_protocol(protocol).operations[options.operation]
    _check_options(protocol, options, made)
    # An id from the clock is new, as long as no other caller uses the same range.
    new_id = options.id or str(time.time_ns() // 1000)
    try:
        commands: Iterable[Command] = (
            _list_groups(options, new_id, bet) if made is Group else [_build_command(made, options, new_id, bet)]
        )
    except NoOpenBet:
        raise NoOpenBet(_explain_no_bet(protocol, options, made, player_id)) from None
    failure: OperationError | InvalidCall | None = None
    for command in commands:
        call = Call(options.operation, REDACTED, command, player_id, currency)
        try:
            _check_call(protocol, call, options, has_new_id=made not in (Settle, Cancel))
        except (OperationError, InvalidCall) as error:
            failure = failure or error
        else:
            _require_used(protocol, options, _list_used_options(command))
            return call
    if made is Group and bet is None and not options.references:
        raise NoOpenBet(_explain_no_bet(protocol, options, made, player_id))
    assert failure is not None
    if isinstance(failure.__cause__, ValueError):
        raise InvalidCall(*failure.args) from failure
    raise failure


def _explain_no_bet(protocol: str, options: TriggerOptions, made: type[Command], player_id: str) -> str:
    option = f"--{NAMING_OPTIONS[made]}"
    if options.round is None:
        hint = f"minwallet trigger bet --player {player_id} --protocol {protocol}"
        return f"{player_id} has no open bet in {protocol}; add {option}, or place a bet: {hint}"
    wanted = "open bet or win" if _reverses_wins(protocol, options.operation) else "open bet"
    return f"{player_id} has no {wanted} of round '{options.round}' in {protocol}; use {option} instead of --round"


def _check_options(protocol: str, options: TriggerOptions, made: type[Command]) -> None:
    """Raise InvalidCall if a call of this command cannot use the options."""
    if made in USED_OPTIONS:
        _require_used(protocol, options, USED_OPTIONS[made])
    naming = NAMING_OPTIONS.get(made)
    # A Cancel is sent with its id and its round. The others have no place for a round.
    if made in (Settle, Rollback, Group) and {naming, "round"} <= {*options.list_given()}:
        raise InvalidCall(f"the call '{options.operation}' takes --{naming} or --round, not both")
    if made is Rollback and len(options.references) > 1:
        raise InvalidCall(f"the call '{options.operation}' takes one --reference")


def _require_used(protocol: str, options: TriggerOptions, used: Sequence[str]) -> None:
    """Raise InvalidCall if an option was given that is not in `used`."""
    if unused := [f"--{name}" for name in options.list_given() if name not in used]:
        advice = f"; it uses {', '.join(f'--{name}' for name in used)}" if used else ""
        raise InvalidCall(
            f"the call '{options.operation}' of protocol '{protocol}' does not use {', '.join(unused)}{advice}"
        )


def _list_used_options(command: Command) -> Sequence[str]:
    """Return the options that the call of this command uses. Those of a Group are those of its commands.

    Two exceptions are that a Group reverses whole transactions, and that its win has an amount of its own.
    """
    match command:
        case Group((Rollback(), *_)):
            return [name for name in USED_OPTIONS[Rollback] if name != "amount"]
        case Group((Bet(), *_)):
            return [*USED_OPTIONS[Bet], "win"]
        case Group((first, *_)):
            return USED_OPTIONS[type(first)]
        case _:
            return USED_OPTIONS[type(command)]


def _check_call(protocol: str, call: Call, options: TriggerOptions, *, has_new_id: bool) -> None:
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
    if isinstance(call.command, Group) and isinstance(parsed.command, Group):
        _check_references(call.command, parsed.command)
        for part in call.command.commands:
            for read_part in (each for each in parsed.command.commands if type(each) is type(part)):
                if getattr(part, "reference", None) == getattr(read_part, "reference", None):
                    _check_given_options(protocol, options, part, read_part)
        return
    for name in ("id", "reference", "round"):
        meant, read = (getattr(command, name, None) for command in (call.command, parsed.command))
        if meant is None or read is None or meant == read:
            continue
        if name == "id" and has_new_id:
            if options.id is None or options.id in read:
                continue
            raise InvalidCall(f"invalid id '{meant}': the protocol reads it as '{read}'; use that, or omit --id")
        # A number may have several spellings, such as 007. The ledger has one of them.
        raise InvalidCall(f"invalid {name} '{meant}': the protocol reads it as '{read}'; use that")
    _check_given_options(protocol, options, call.command, parsed.command)


def _check_references(meant: Group, read: Group) -> None:
    """Raise InvalidCall if the wallet reads other references than those meant, such as two from one with a comma."""
    meant_ids, read_ids = (
        sorted(part.reference for part in group.commands if isinstance(part, Rollback)) for group in (meant, read)
    )
    if meant_ids != read_ids:
        wanted, found = (", ".join(ids) for ids in (meant_ids, read_ids))
        raise InvalidCall(f"invalid reference '{wanted}': the protocol reads it as '{found}'; use that")


def _check_given_options(protocol: str, options: TriggerOptions, meant: Command, read: Command) -> None:
    """Raise InvalidCall if the request does not have the value of an option that was given.

    The round of a Cancel without --id has chosen the bet, so the request need not have it.
    """
    fields: dict[str, Sequence[str]] = {"amount": ("stake", "payout", "amount"), "win": ("payout",), "game": ("game",)}
    if not (isinstance(meant, Cancel) and options.id is None):
        fields["round"] = ("round",)
    for option in options.list_given():
        for field in fields.get(option, ()):
            wanted, found = getattr(meant, field, None), getattr(read, field, None)
            if wanted is None or wanted == found:
                continue
            if found is None:
                reason = f"the call '{options.operation}' of protocol '{protocol}' has no {option}; omit --{option}"
                raise InvalidCall(reason)
            wanted, found = (format_amount(each) if isinstance(each, int) else each for each in (wanted, found))
            raise InvalidCall(f"invalid {option} '{wanted}': the protocol reads it as '{found}'; use that")


def _build_command(made: type[Command], options: TriggerOptions, new_id: str, bet: Entry | None) -> Command:
    """Return the command of this type, with a new id or that of an earlier bet."""
    amount = DEFAULT_AMOUNT_CENTS if options.amount is None else options.amount
    new_game = DEFAULT_GAME if options.game is None else options.game
    reference = options.references[0] if options.references else None
    named = {Settle: options.id, Cancel: options.id, Rollback: reference, RollbackRound: options.round}
    if bet is None and {**named, EndRound: options.round}.get(made, "") is None:
        raise NoOpenBet
    bet_id, bet_round = (bet.id, bet.round) if bet else (new_id, None)
    bet_game = bet.game if bet and options.game is None else new_game
    earlier_id, round_ = options.id or bet_id, options.round or bet_round
    if made is Balance or made is Authenticate:
        return made()
    if made is Bet:
        return Bet(new_id, amount, options.round or new_id, new_game)
    if made is BetWin:
        return BetWin(new_id, amount, options.win or 0, new_game)
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

    They are rollbacks of the references or the open bet, a bet and its win, and a single win. A reference may be
    several ones with commas between them, unless the protocol has an id with commas.
    """
    amount = DEFAULT_AMOUNT_CENTS if options.amount is None else options.amount
    game = DEFAULT_GAME if options.game is None else options.game
    if references := options.references or ([bet.id] if bet else []):
        yield _group_rollbacks(new_id, references)
    if any("," in each for each in options.references):
        references = [each for text in options.references for each in text.split(",")]
        if not all(references):
            raise InvalidCall(f"invalid --reference '{','.join(options.references)}': an id between commas is empty")
        yield _group_rollbacks(new_id, references)
    round_ = options.round or new_id
    win: MoneyCommand = Win(f"{new_id}w", options.win or 0, round_, game)
    yield Group((Bet(new_id, amount, round_, game), win))
    yield Group((Win(new_id, amount, options.round or (bet.round if bet else None), game),))


def _group_rollbacks(new_id: str, references: Sequence[str]) -> Group:
    return Group(tuple(Rollback(f"{new_id}:{each}", each) for each in references))
