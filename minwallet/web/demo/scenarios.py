"""What became of a play, told from what really happened: the calls that the provider made, and the entries that
the ledger has since. Pure; amounts are cents.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, assert_never

from minwallet.ledger.entries import Entry, Kind, State
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import WalletResponse
from minwallet.web.demo.provider_client import CallResponse, RoundResponse
from minwallet.web.formatting import format_money

KIND_BY_OPERATION: Mapping[str, Kind] = {
    "bet": Kind.BET,
    "win": Kind.WIN,
    "cancel": Kind.CANCEL,
    "result": Kind.WIN,
    "refund": Kind.CANCEL,
    "betwin": Kind.BETWIN,
}
"""What each call of a protocol is in the ledger."""


class FaultScenario(NamedTuple):
    """A way for the provider to misbehave: what it is told, in its own words, and what makes the money right."""

    label: str = ""
    hint: str = ""
    explanation: str = ""
    faults: Mapping[str, float] = {}
    target: str | None = None
    requires_win: bool = False
    """Whether there has to be a win."""
    not_occurred_text: str = ""
    """What to say when it did not come to it."""


FAULT_SCENARIOS: Mapping[str, FaultScenario] = {
    "win-twice": FaultScenario(
        "Win twice",
        "A taken win is sent again",
        "One id is one transaction. Whoever repeats it gets the first answer again; the money moved when it was new.",
        {"win-twice": 1},
        "closing",
        requires_win=True,
        not_occurred_text="The bet was not taken, so there was no win to send twice.",
    ),
    "cancel-first": FaultScenario(
        "Cancel before bet",
        "The cancel overtakes its bet",
        "Cancelling an unknown id closes it for ever. A wallet that forgot the cancel would have taken money for a"
        " round that the game has called off.",
        {"cancel-first": 1},
        "opening",
        not_occurred_text="The cancel did not get through, so nothing was overtaken.",
    ),
    "lost-reply": FaultScenario(
        "Lost reply and retry",
        "The answer to a win gets lost",
        "Whoever hears nothing cannot know whether money moved, and has to ask again. The ledger remembers what it"
        " answered.",
        {"lost-reply": 1},
        "closing",
        requires_win=True,
        not_occurred_text="The bet was not taken, so there was no win whose reply could be lost.",
    ),
    "too-little": FaultScenario(
        "Too little money",
        "It stakes more than there is",
        "No balance goes below zero, and a refusal is kept: the same bet is refused after a deposit too, as the game"
        " has called it off by then.",
        not_occurred_text="The player had enough money after all.",
    ),
    "slow-reply": FaultScenario(
        "Slow reply",
        "The answer comes when the provider has given up",
        "What the wallet takes is in the ledger before it answers. So whatever the provider does next, call the bet off"
        " or ask again, the wallet knows what there is to give back, or to repeat.",
        {"slow-reply": 1},
        "opening",
        not_occurred_text="The provider heard the answer in time.",
    ),
}

STAKE_ABOVE_BALANCE_CENTS = 1_00
"""By how much the bet passes what there is, where it shall be refused."""


class ScenarioStep(NamedTuple):
    """A call, what the wallet did, and what came between. `seq` is the entry that it made, or that it was answered
    from; `change_cents` is what it moved.
    """

    call: CallResponse
    description: str
    provider_view: str = ""
    seq: int | None = None
    is_new: bool = False
    change_cents: int = 0


class ScenarioReport(NamedTuple):
    """`entries` are all of the account's since before the play. `is_consistent` says that they explain the balance,
    that no id has two of a kind, and that the provider's records agree.
    """

    steps: Sequence[ScenarioStep]
    entries: Sequence[Entry]
    balance_before: int
    balance_after: int
    is_consistent: bool
    summary: str

    @property
    def has_movement(self) -> bool:
        """Whether any money moved at all."""
        return any(map(_get_change, self.entries))


def build_scenario_report(round_: RoundResponse, entries: Sequence[Entry], balance_before: int) -> ScenarioReport:
    """Report on a round. `entries` are the account's since the round began, oldest first."""
    entries_by_key = {(entry.kind, entry.id): entry for entry in entries if entry.protocol == round_.protocol}
    answered: set[tuple[Kind, str]] = set()
    steps = []
    for call in round_.calls:
        key = (KIND_BY_OPERATION[call.operation], call.id)
        answer = _parse_answer(round_.protocol, call)
        steps.append(_build_step(call, answer, entries_by_key.get(key), is_new=key not in answered))
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


def has_occurred(scenario_name: str, story: ScenarioReport) -> bool:
    """Whether it came to the trick."""
    if scenario_name == "too-little":
        return any(entry.refusal == "insufficient_funds" for entry in story.entries)
    return any(scenario_name in step.call.faults for step in story.steps)


def _parse_answer(protocol: str, call: CallResponse) -> WalletResponse | None:
    """What the wallet answered, whether the provider heard it or not."""
    try:
        return load_protocol(protocol).parse_response((call.reply or "").encode()) if call.status == 200 else None
    except ValueError:
        return None


def _build_step(
    call: CallResponse, answer: WalletResponse | None, entry: Entry | None, *, is_new: bool
) -> ScenarioStep:
    if answer is None:
        return ScenarioStep(call, "No answer came back.")
    if entry is None:
        description = f"Refused: {_format_reason(answer)}." if answer.code else "Answered as before."
        return ScenarioStep(call, f"{description} Nothing moved, and no entry was made.", _describe_provider_view(call))
    if is_new:
        return ScenarioStep(
            call, _describe_entry(entry, answer), _describe_provider_view(call), entry.seq, is_new, _get_change(entry)
        )
    description = (
        f"Refused as before: {_format_reason(answer)}."
        if answer.code
        else "The id is known: answered as the first time."
    )
    return ScenarioStep(call, f"{description} Nothing moved.", _describe_provider_view(call), entry.seq)


def _describe_provider_view(call: CallResponse) -> str:
    """What the provider heard of it, where that is not what the wallet said."""
    if call.answer is not None:
        return ""
    if "slow-reply" in call.faults:
        return f"The wallet answered after {call.ms:.0f} ms, but the reply took so long that the provider gave up."
    return "The reply got lost: the provider heard nothing."


def _describe_entry(entry: Entry, answer: WalletResponse) -> str:
    """What was done when the entry was made."""
    match entry.state:
        case State.REFUSED:
            return f"Refused: {_format_reason(answer)}. Nothing was taken, and the refusal is kept."
        case State.CLOSED:
            answer_text = f" The answer is {_format_reason(answer)}." if answer.code else ""
            return f"There is no such bet: nothing moved, and the id is closed for ever.{answer_text}"
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
            return f"Paid {change}." if entry.payout else "Settled the round; there was nothing to pay."
        case Kind.BETWIN:
            return f"Took {format_money(entry.stake)} and paid {format_money(entry.payout)} in one step."
        case Kind.CANCEL:
            return f"Gave {change} back."
        case Kind.DEPOSIT | Kind.WITHDRAW:
            raise AssertionError(entry.kind)
        case _:
            assert_never(entry.kind)


def _summarize(steps: Sequence[ScenarioStep], *, is_balanced: bool, matches_provider: bool) -> str:
    if not is_balanced:
        return "The ledger does not explain the balance. Please report this as a bug."
    if not matches_provider:
        return "The ledger and the provider's book disagree. Please report this as a bug."
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
