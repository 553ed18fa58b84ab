"""The fault scenarios of the demo page, and the report on each round.

The report uses only facts: the calls that the provider made, and the ledger entries since the play. It never assumes
that a fault occurred because it was requested. Pure functions; amounts are in cents.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, assert_never

from minwallet.demo.wallet_client import parse_answer
from minwallet.ledger.commands import (
    Bet,
    BetWin,
    Cancel,
    Command,
    EndRound,
    Rollback,
    RollbackRound,
    Settle,
    Win,
)
from minwallet.ledger.entries import Entry, Kind, State
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import HttpResponse, WalletResponse
from minwallet.web.demo.provider_client import CallResponse, RoundResponse
from minwallet.web.formatting import format_money

KIND_BY_COMMAND: Mapping[type[Command], Kind] = {
    Bet: Kind.BET,
    Win: Kind.WIN,
    Settle: Kind.WIN,
    BetWin: Kind.BETWIN,
    Cancel: Kind.CANCEL,
    Rollback: Kind.ROLLBACK,
    RollbackRound: Kind.ROUND_ROLLBACK,
    EndRound: Kind.ROUND_END,
}
"""The kind of ledger entry that each command makes. A Group makes several entries."""


class FaultScenario(NamedTuple):
    """A fault to inject: the texts of its button, the explanation, and the fields of the play request."""

    label: str = ""
    hint: str = ""
    explanation: str = ""
    """Says why the money is right despite the fault."""
    faults: Mapping[str, float] = {}
    target: str | None = None
    requires_win: bool = False
    """The player must win, because the fault affects a win."""
    not_occurred_text: str = ""
    """Replaces the explanation if the fault did not occur."""


FAULT_SCENARIOS: Mapping[str, FaultScenario] = {
    "win-twice": FaultScenario(
        "Win twice",
        "A paid win arrives again",
        "One id is one transaction. A retry gets the first reply again. The money moved only the first time.",
        {"win-twice": 1},
        "closing",
        requires_win=True,
        not_occurred_text="The bet was refused, so there was no win to send twice.",
    ),
    "cancel-first": FaultScenario(
        "Cancel before bet",
        "The cancel arrives first",
        "A cancel of an unknown id closes the id permanently. Without this rule, the late bet would take money for a"
        " round that the game has already cancelled.",
        {"cancel-first": 1},
        "opening",
        not_occurred_text="The cancel did not arrive, so it did not overtake its bet.",
    ),
    "lost-reply": FaultScenario(
        "Lost reply and retry",
        "The reply to a win is lost",
        "Without a reply the provider cannot know if money moved, so it sends the call again. The ledger has the"
        " outcome, so the wallet repeats its reply.",
        {"lost-reply": 1},
        "closing",
        requires_win=True,
        not_occurred_text="The bet was refused, so there was no reply to a win that could be lost.",
    ),
    "too-little": FaultScenario(
        "Stake above balance",
        "The bet exceeds the balance",
        "No balance goes below zero, and the refusal is stored. The same bet is refused even after a deposit, because"
        " the game has already ended its round.",
        not_occurred_text="The balance covered the stake.",
    ),
    "slow-reply": FaultScenario(
        "Slow reply",
        "The provider times out before the reply arrives",
        "The wallet commits a bet to the ledger before it replies. The provider may then cancel the bet or send it"
        " again: the wallet knows what to pay back or which reply to repeat.",
        {"slow-reply": 1},
        "opening",
        not_occurred_text="The provider received the reply in time.",
    ),
}

STAKE_ABOVE_BALANCE_CENTS = 1_00
"""The amount by which the stake of `too-little` exceeds the balance."""


class ScenarioStep(NamedTuple):
    """A call and what the wallet did.

    `provider_view` is what the provider received, "" if that is the wallet's reply. `seq` is the entry that the call
    made, or the entry that the reply repeats. `change_cents` is the balance change.
    """

    call: CallResponse
    description: str
    provider_view: str = ""
    seq: int | None = None
    is_new: bool = False
    change_cents: int = 0


class ScenarioReport(NamedTuple):
    """The report on a round. `entries` are all entries of the account since the play began.

    `is_consistent` means that the entries explain the balance, that no id has two entries of a kind, and that the
    provider recorded the same amounts.
    """

    steps: Sequence[ScenarioStep]
    entries: Sequence[Entry]
    balance_before: int
    balance_after: int
    is_consistent: bool
    summary: str

    @property
    def has_movement(self) -> bool:
        """Return True if any money moved."""
        return any(map(_get_change, self.entries))


def build_scenario_report(round_: RoundResponse, entries: Sequence[Entry], balance_before: int) -> ScenarioReport:
    """Report on a round. `entries` are the account's since the round began, oldest first."""
    kinds = {name: KIND_BY_COMMAND.get(kind) for name, kind in load_protocol(round_.protocol).operations.items()}
    provider_entries = [entry for entry in entries if entry.protocol == round_.protocol]
    answered: set[tuple[Kind | None, tuple[str, ...]]] = set()
    steps = []
    for call in round_.calls:
        key = kind, ids = kinds.get(call.operation), call.ids
        answer = _parse_answer(round_.protocol, call)
        # A group makes entries of several kinds.
        made = [entry for entry in provider_entries if entry.id in ids and kind in (None, entry.kind)]
        steps.append(_build_step(call, answer, made, is_new=key not in answered))
        if answer:
            answered.add(key)
    balance_after = entries[-1].cash_after + entries[-1].bonus_after if entries else balance_before
    has_no_duplicates = len({(entry.protocol, entry.kind, entry.id) for entry in entries}) == len(entries)
    is_balanced = has_no_duplicates and balance_before + sum(map(_get_change, entries)) == balance_after
    matches_provider = round_.ending == "pending" or round_.net == sum(step.change_cents for step in steps)
    return ScenarioReport(
        steps,
        entries,
        balance_before,
        balance_after,
        is_balanced and matches_provider,
        _summarize(steps, is_balanced=is_balanced, matches_provider=matches_provider),
    )


def has_occurred(scenario_name: str, report: ScenarioReport) -> bool:
    """Return True if the scenario's fault occurred."""
    if scenario_name == "too-little":
        return any(entry.refusal == "insufficient_funds" for entry in report.entries)
    return any(scenario_name in step.call.faults for step in report.steps)


def _parse_answer(protocol: str, call: CallResponse) -> WalletResponse | None:
    """Return the wallet's response, also if the provider did not receive it. Return None without a usable one."""
    try:
        response = HttpResponse((call.reply or "").encode(), call.status or 0)
        return parse_answer(load_protocol(protocol), response) if call.status else None
    except ValueError:
        return None


def _build_step(
    call: CallResponse, answer: WalletResponse | None, made: Sequence[Entry], *, is_new: bool
) -> ScenarioStep:
    """Return the step of a call that made these entries now or earlier; only a group makes several."""
    if answer is None:
        return ScenarioStep(call, "No reply.")
    if not made:
        description = f"Refused: {_format_reason(answer)}." if answer.code else "Same reply as before."
        return ScenarioStep(
            call, f"{description} No money moved, and no entry was made.", _describe_provider_view(call)
        )
    if is_new:
        change = sum(map(_get_change, made))
        description = " ".join(_describe_entry(entry, answer) for entry in made)
        return ScenarioStep(call, description, _describe_provider_view(call), made[0].seq, is_new, change)
    description = (
        f"Refused as before: {_format_reason(answer)}."
        if answer.code
        else "Retry of a known id: the wallet repeated its reply."
    )
    return ScenarioStep(call, f"{description} No money moved.", _describe_provider_view(call), made[0].seq)


def _describe_provider_view(call: CallResponse) -> str:
    """Return what the provider received, or "" if it received the wallet's reply."""
    if call.answer is not None:
        return ""
    if "slow-reply" in call.faults:
        return f"The wallet replied after {call.ms:.0f} ms, but the reply was delayed and the provider gave up."
    return "The reply was lost: the provider received nothing."


def _describe_entry(entry: Entry, answer: WalletResponse) -> str:
    """Return what the wallet did when it made the entry."""
    match entry.state:
        case State.REFUSED:
            return f"Refused: {_format_reason(answer)}. No money moved, and the refusal is stored."
        case State.CLOSED:
            answer_text = f" The reply is {_format_reason(answer)}." if answer.code else ""
            return f"Unknown bet: no money moved, and the id is closed permanently.{answer_text}"
        case State.APPLIED | State.ORPHAN:
            return _describe_movement(entry)
        case _:
            assert_never(entry.state)


def _describe_movement(entry: Entry) -> str:
    change = format_money(abs(_get_change(entry)))
    match entry.kind:
        case Kind.BET:
            return f"Took {change}."
        case Kind.WIN:
            return f"Paid {change}." if entry.payout else "Settled the round with a win of 0."
        case Kind.BETWIN:
            return f"Took {format_money(entry.stake)} and paid {format_money(entry.payout)} in one step."
        case Kind.CANCEL:
            return f"Paid {change} back."
        case Kind.ROLLBACK | Kind.ROUND_ROLLBACK:
            return f"Reversed {change}."
        case Kind.ROUND_END:
            return "Ended the round. No money moved."
        case Kind.DEPOSIT | Kind.WITHDRAW | Kind.ADJUSTMENT:
            raise AssertionError(entry.kind)
        case _:
            assert_never(entry.kind)


def _summarize(steps: Sequence[ScenarioStep], *, is_balanced: bool, matches_provider: bool) -> str:
    if not is_balanced:
        return "The ledger does not explain the balance. Please report this as a bug."
    if not matches_provider:
        return "The ledger and the provider's records disagree. Please report this as a bug."
    new_steps = [step for step in steps if step.is_new and step.seq is not None]
    moving_steps = [step for step in new_steps if step.change_cents]
    counts = (
        _format_count(len(steps), "call", "calls"),
        _format_count(len(new_steps), "new entry", "new entries"),
        _format_count(len(moving_steps), "movement of money", "movements of money"),
    )
    return f"{', '.join(counts)}."


def _format_count(number: int, singular: str, plural: str) -> str:
    return f"{number} {singular if number == 1 else plural}"


def _format_reason(answer: WalletResponse) -> str:
    return f"{answer.message or 'no'} ({answer.code})"


def _get_change(entry: Entry) -> int:
    return entry.amount + entry.bonus_amount
