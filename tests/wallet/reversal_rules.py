"""The rules of the state machine for the commands of a third protocol: rollbacks, ends of rounds and groups."""

from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from minwallet.ledger.commands import (
    Bet,
    Cancel,
    Command,
    EndRound,
    GameCommand,
    Group,
    Rollback,
    RollbackRound,
    Win,
    WinCategory,
)
from minwallet.ledger.outcomes import Applied, GroupApplied, Outcome, Refused, Unauthenticated
from tests.wallet.reversal_model import ExpectedOutcome, ReversalModel
from tests.wallet.wallet_state_machine import (
    SETTLE_MS,
    WalletStateMachine,
    account_indexes,
    amounts,
    id_offsets,
    new_or_used_ids,
    session_states,
)


class CommandPlan(NamedTuple):
    """A command of a history: how long ago its ids were new, see `pick_id`."""

    kind: str
    back: int
    target_back: int
    amount: int
    has_amount: bool
    flag: bool


KINDS = ["bet"] * 5 + ["win"] * 3 + ["rollback"] * 4 + ["round_rollback", "cancel", "end"]

plans = st.builds(
    CommandPlan, st.sampled_from(KINDS), new_or_used_ids, id_offsets, amounts, st.booleans(), st.booleans()
)


def summarize_outcome(outcome: Outcome | Unauthenticated) -> ExpectedOutcome:
    """Return the outcome as the model has it."""
    assert not isinstance(outcome, Unauthenticated)
    match outcome:
        case Refused(refusal):
            result = str(refusal)
        case Applied(entry):
            result = str(entry.state)
        case GroupApplied():
            result = "group"
        case _:
            result = "replayed"
    return (result, outcome.cash, outcome.bonus)


class ReversalRules(WalletStateMachine):
    """The state machine with one more protocol, whose commands need no bytes. A subclass implements `execute_command`.

    Four ids in a row name one round, so that a round has several transactions.
    """

    def execute_command(self, token: str, command: Command) -> Outcome | Unauthenticated:
        """Return the outcome of a command of the third protocol."""
        raise NotImplementedError

    @initialize()
    def set_up_third_protocol(self) -> None:
        self.reversal_model = ReversalModel()

    def build_command(self, plan: CommandPlan) -> GameCommand:
        target, id_ = str(self.pick_id("third", plan.target_back)), str(self.pick_id("third", plan.back))
        round_ = f"round{int(target) // 4}"
        match plan.kind:
            case "bet":
                return Bet(id_, plan.amount, round_, checks_round=True)
            case "win":
                category = WinCategory.JACKPOT if plan.flag else None
                return Win(id_, plan.amount, round_ if plan.has_amount else None, category=category)
            case "rollback":
                amount = plan.amount if plan.has_amount else None
                even_if_settled = plan.back % 2 == 0
                return Rollback(id_, target, amount, plan.flag, even_if_settled, round_ if plan.target_back else None)
            case "round_rollback":
                return RollbackRound(id_, round_, plan.flag)
            case "cancel":
                return Cancel(id_)
            case _:
                return EndRound(id_, round_)

    def execute_and_compare(self, seat: int, live: str, commands: list[GameCommand]) -> None:
        is_settling = self.now_ms < self.session_ends.get((seat, live), self.now_ms) + SETTLE_MS
        expected = self.reversal_model.execute(self.accounts[seat], live, commands, is_settling=is_settling)
        command = commands[0] if len(commands) == 1 else Group(tuple(commands))
        assert summarize_outcome(self.execute_command(self.tokens[seat, live], command)) == expected

    @rule(seat=account_indexes, live=session_states, plan=plans)
    def third_protocol(self, seat: int, live: str, plan: CommandPlan) -> None:
        self.execute_and_compare(seat, live, [self.build_command(plan)])

    @rule(seat=account_indexes, live=session_states, group=st.lists(plans, min_size=2, max_size=5))
    def third_protocol_group(self, seat: int, live: str, group: list[CommandPlan]) -> None:
        self.execute_and_compare(seat, live, [self.build_command(plan) for plan in group])

    @rule(seat=account_indexes, stake=amounts, payout=amounts, parts=st.lists(st.integers(0, 60), max_size=3))
    def reverse_a_round(self, seat: int, stake: int, payout: int, parts: list[int]) -> None:
        """Bet, win, take the win back, refund the bet in parts, and roll the round back."""
        bet, win = str(self.pick_id("third", 0)), str(self.pick_id("third", 0))
        round_ = f"reversed{bet}"
        self.execute_and_compare(seat, "yes", [Bet(bet, stake, round_, checks_round=True), Win(win, payout, round_)])
        self.execute_and_compare(seat, "yes", [Rollback(str(self.pick_id("third", 0)), win)])
        for part in parts:
            self.execute_and_compare(seat, "yes", [Rollback(str(self.pick_id("third", 0)), bet, part)])
        self.execute_and_compare(seat, "yes", [RollbackRound(str(self.pick_id("third", 0)), round_)])
        self.execute_and_compare(seat, "yes", [Win(str(self.pick_id("third", 0)), payout, round_)])
