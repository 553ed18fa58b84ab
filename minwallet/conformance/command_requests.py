"""Requests of any protocol, built from the ledger's commands. A suite of a protocol package needs no other ones.

orders = CommandRequests(load_protocol("pico"))
must("bet-retry", "A retry of a bet takes nothing more.", "“…”",
     orders.bet("a", 5).accepted(-5), orders.bet("a", 5).moves(-5))
"""

from minwallet.conformance.amounts import AmountSpec
from minwallet.conformance.dsl import Bindings, RequestSpec
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
    Query,
    Rollback,
    RollbackRound,
    Settle,
    Win,
    WinCategory,
)
from minwallet.protocols.wire import WireProtocol


class CommandRequests:
    """The requests of one protocol. `game` is the game of all bets and wins.

    The operation of a request is the first one of the protocol that makes this command. A command that the protocol
    has only inside a group belongs to the operation of the group. LookupError is raised if there is neither.
    """

    def __init__(self, protocol: WireProtocol, game: str = "game") -> None:
        self._protocol = protocol
        self._game = game

    def query(self) -> RequestSpec:
        """Return the query of the balance."""
        kind = Balance if Balance in self._protocol.operations.values() else Authenticate
        operation = self._find_operation(kind)
        return RequestSpec(operation, operation, lambda _: kind())

    def bet(self, id: str, stake: AmountSpec, round: str | None = None) -> RequestSpec:
        return RequestSpec(
            self._find_operation(Bet),
            f"bet {id}",
            lambda names: Bet(
                names.resolve_id(id), names.resolve_amount(stake), names.resolve_id(round or id), self._game
            ),
            (stake,),
            (f"in round {round}",) if round else (),
        )

    def win(
        self, id: str, payout: AmountSpec, round: str | None = None, category: WinCategory | None = None
    ) -> RequestSpec:
        def build(names: Bindings) -> Win:
            round_id = names.resolve_id(round) if round else None
            return Win(names.resolve_id(id), names.resolve_amount(payout), round_id, self._game, category)

        details = [*([f"in round {round}"] if round else []), *([f"as {category}"] if category else [])]
        return RequestSpec(self._find_operation(Win), f"win {id}", build, (payout,), tuple(details))

    def settle(self, id: str, payout: AmountSpec) -> RequestSpec:
        """Return the result of the bet with the same id."""
        return RequestSpec(
            self._find_operation(Settle),
            f"settle {id}",
            lambda names: Settle(names.resolve_id(id), names.resolve_amount(payout), self._game),
            (payout,),
        )

    def betwin(self, id: str, stake: AmountSpec, payout: AmountSpec) -> RequestSpec:
        return RequestSpec(
            self._find_operation(BetWin),
            f"betwin {id}",
            lambda names: BetWin(
                names.resolve_id(id), names.resolve_amount(stake), names.resolve_amount(payout), self._game
            ),
            (stake, payout),
        )

    def cancel(self, id: str) -> RequestSpec:
        return RequestSpec(self._find_operation(Cancel), f"cancel {id}", lambda names: Cancel(names.resolve_id(id)))

    def rollback(self, id: str, reference: str, amount: AmountSpec | None = None) -> RequestSpec:
        """Return the reversal of `reference`, or of this amount of it: a partial refund."""
        return RequestSpec(
            self._find_operation(Rollback),
            f"rollback {id} of {reference}",
            lambda names: Rollback(
                names.resolve_id(id),
                names.resolve_id(reference),
                None if amount is None else names.resolve_amount(amount),
            ),
            () if amount is None else (amount,),
        )

    def rollback_round(self, id: str, round: str) -> RequestSpec:
        return RequestSpec(
            self._find_operation(RollbackRound),
            f"rollback {id} of round {round}",
            lambda names: RollbackRound(names.resolve_id(id), names.resolve_id(round)),
        )

    def end_round(self, id: str, round: str) -> RequestSpec:
        return RequestSpec(
            self._find_operation(EndRound),
            f"end {id} of round {round}",
            lambda names: EndRound(names.resolve_id(id), names.resolve_id(round), self._game),
        )

    def group(self, *specs: RequestSpec) -> RequestSpec:
        """Return one request with the commands of these requests, all or nothing."""

        def build(names: Bindings) -> Group:
            return Group(tuple(_require_money(spec.build_command(names)) for spec in specs))

        label = f"group of {', '.join(spec.describe_without_amounts() for spec in specs)}"
        amounts = tuple(amount for spec in specs for amount in spec.amounts)
        return RequestSpec(self._find_operation(Group), label, build, amounts)

    def _find_operation(self, kind: type[Command]) -> str:
        operations = self._protocol.operations.items()
        for wanted in (kind, Group):
            for name, made in operations:
                if made is wanted:
                    return name
        raise LookupError(f"protocol {self._protocol.name} has no operation for {kind.__name__}")


def _require_money(command: Command) -> MoneyCommand:
    assert not isinstance(command, Query | Group), "a group contains commands that move money"
    return command
