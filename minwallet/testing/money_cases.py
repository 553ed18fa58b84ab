"""Money operations as they are tested: what happens before, the call, and the movement that it must make."""

from collections.abc import Sequence
from typing import NamedTuple

from minwallet.ledger.commands import (
    Bet,
    BetWin,
    Cancel,
    Command,
    EndRound,
    Group,
    MoneyCommand,
    Query,
    Rollback,
    RollbackRound,
    Settle,
    Win,
)
from minwallet.protocols.wire import Call, WireProtocol
from minwallet.testing.caller import Caller, new_id

STAKE, PAYOUT = 5_00, 8_00
"""The stakes and payouts of the cases, in cents."""

GAME = "1012"

REVERSALS = (Cancel, Rollback, RollbackRound)


class MoneyCase(NamedTuple):
    """A money operation. `change` is the movement of `call` in cents, and `other` has its id with another content."""

    before: tuple[Call, ...]
    call: Call
    change: int
    other: Call | None = None


def list_money_operations(protocol: WireProtocol) -> list[str]:
    """Return the names of the operations that are not queries."""
    return [name for name, kind in protocol.operations.items() if not issubclass(kind, Query)]


def find_operation(protocol: WireProtocol, kind: type) -> str | None:
    """Return the name of the first operation that makes this kind of command, None if there is none."""
    return next((name for name, each in protocol.operations.items() if each is kind), None)


def plan_bet(caller: Caller, *, id_: str = "", stake: int = STAKE, round_: str = "", operation: str = "") -> Call:
    """Return a bet, by default with a new id in a new round. Raise ValueError if the protocol has no bets."""
    operation = operation or find_operation(caller.protocol, Bet) or ""
    id_ = id_ or new_id()
    return caller.plan(operation, Bet(id_, stake, round_ or new_id(), GAME))


def plan_case(caller: Caller, operation: str) -> MoneyCase:
    """Return a case of this money operation. Raise ValueError if the protocol cannot build it."""
    kind, id_ = caller.protocol.operations[operation], new_id()
    if kind is Bet:
        round_ = new_id()
        bet, other = (
            plan_bet(caller, id_=id_, stake=STAKE + more, round_=round_, operation=operation) for more in (0, 1)
        )
        return MoneyCase((), bet, -STAKE, other)
    if kind is BetWin:
        calls = [caller.plan(operation, BetWin(id_, STAKE + more, PAYOUT, GAME)) for more in (0, 1)]
        return MoneyCase((), calls[0], PAYOUT - STAKE, calls[1])
    if kind is Group:
        return _plan_group(caller, operation, id_)
    bet, other_bet = plan_bet(caller), plan_bet(caller)
    call, other = (caller.plan(operation, each) for each in _settle_or_reverse(kind, id_, bet, other_bet))
    change = {Win: PAYOUT, Settle: PAYOUT, EndRound: 0}.get(kind, STAKE)
    return MoneyCase((bet, other_bet), call, change, other if _has_other_content(call, other) else None)


def _has_other_content(call: Call, other: Call) -> bool:
    """Check if the calls have one id and two contents. An id may be derived from what it refers to."""
    if isinstance(call.command, Rollback | RollbackRound | EndRound) and isinstance(
        other.command, Rollback | RollbackRound | EndRound
    ):
        return call.command.id == other.command.id and call.command != other.command
    return call.command != other.command


def _settle_or_reverse(kind: type, id_: str, bet: Call, other: Call) -> tuple[MoneyCommand, MoneyCommand]:
    """Return a command after a bet, and one with the same id and another content if there is such a one."""
    first, second = bet.command, other.command
    assert isinstance(first, Bet)
    assert isinstance(second, Bet)
    if kind is Win:
        return Win(id_, PAYOUT, first.round, GAME), Win(id_, PAYOUT + 1, first.round, GAME)
    if kind is Settle:
        return Settle(first.id, PAYOUT, GAME), Settle(first.id, PAYOUT + 1, GAME)
    if kind is Rollback:
        return Rollback(id_, first.id), Rollback(id_, second.id)
    if kind is RollbackRound:
        return RollbackRound(id_, first.round), RollbackRound(id_, second.round)
    if kind is EndRound:
        return EndRound(id_, first.round, GAME), EndRound(id_, second.round, GAME)
    assert kind is Cancel, kind
    return (Cancel(first.id, first.round),) * 2


def _plan_group(caller: Caller, operation: str, id_: str) -> MoneyCase:
    """Return a case of the first kind of group that the operation takes; docs/third-protocol.md lists the kinds."""
    bets = (plan_bet(caller), plan_bet(caller)) if find_operation(caller.protocol, Bet) else ()
    rollbacks = [Rollback(each, bet.command.id) for each, bet in zip((id_, new_id()), bets, strict=False)
                 if isinstance(bet.command, Bet)]  # fmt: skip
    round_, more = new_id(), (new_id(), new_id())
    bet, win = Bet(id_, STAKE, round_, GAME), Win(more[0], PAYOUT, round_, GAME)
    candidates: Sequence[tuple[str, tuple[Call, ...], Sequence[MoneyCommand], int]] = (
        ("two rollbacks", bets, rollbacks, 2 * STAKE),
        ("a bet and a win", (), (bet, win), PAYOUT - STAKE),
        ("two wins", (), (win, Win(more[1], PAYOUT, round_, GAME)), 2 * PAYOUT),
        ("two bets", (), (bet, Bet(more[1], STAKE, round_, GAME)), -2 * STAKE),
        ("a win and the end of its round", (), (win, EndRound(more[1], round_, GAME)), PAYOUT),
    )
    reasons = []
    for name, before, commands, change in candidates:
        try:
            return MoneyCase(before, _plan_parts(caller, operation, commands), change)
        except ValueError as error:
            reasons.append(f"- {name}: {error}")
    raise ValueError("\n".join([f"{operation}: build_request must make one of these groups:", *reasons]))


def _plan_parts(caller: Caller, operation: str, commands: Sequence[MoneyCommand]) -> Call:
    """Return the call of a group. Raise ValueError if another operation, or another number of commands, is parsed."""
    call = caller.plan(operation, Group(tuple(commands)))
    if call.operation != operation:
        raise ValueError(f"the request that build_request makes is parsed as the operation {call.operation!r}")
    # A protocol may add a command of its own, such as the end of the round.
    if not isinstance(call.command, Group) or len(call.command.commands) < len(commands):
        raise ValueError(f"the request that build_request makes is parsed as {call.command}")
    return call


def plan_reversal(caller: Caller, operation: str, bet: Call) -> Call:
    """Return a call of this operation that reverses a bet, which may be unknown to the wallet.

    Raise ValueError if the operation reverses no bet.
    """
    command, kind = bet.command, caller.protocol.operations[operation]
    assert isinstance(command, Bet)
    if kind is Group:
        # For some protocols one rollback is an operation of its own. The second one is of an unknown bet.
        rollbacks = Rollback(new_id(), command.id), Rollback(new_id(), new_id())
        try:
            return _plan_parts(caller, operation, rollbacks[:1])
        except ValueError:
            return _plan_parts(caller, operation, rollbacks)
    reversals: dict[type, Command] = {
        Cancel: Cancel(command.id, command.round),
        Rollback: Rollback(new_id(), command.id),
        RollbackRound: RollbackRound(new_id(), command.round),
    }
    return caller.plan(operation, reversals[kind])
