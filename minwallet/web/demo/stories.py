"""What became of a play, told from what really happened: the calls that the provider made, and the entries that
the ledger has since. Pure; amounts are cents.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, assert_never

from minwallet.ledger.entries import Entry, Kind, State
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import WalletResponse
from minwallet.web.demo.table import CallTold, RoundTold
from minwallet.web.formatting import format_money

KINDS: Mapping[str, Kind] = {
    "bet": Kind.BET,
    "win": Kind.WIN,
    "cancel": Kind.CANCEL,
    "result": Kind.WIN,
    "refund": Kind.CANCEL,
    "betwin": Kind.BETWIN,
}
"""What each call of a protocol is in the ledger."""


class Trick(NamedTuple):
    """A way for the provider to misbehave: what it is told, in its own words, and what makes the money right."""

    label: str = ""
    hint: str = ""
    rule: str = ""
    misbehave: Mapping[str, float] = {}
    at: str | None = None
    is_lucky: bool = False
    """Whether there has to be a win."""
    otherwise: str = ""
    """What to say when it did not come to it."""


TRICKS: Mapping[str, Trick] = {
    "win-twice": Trick(
        "Win twice",
        "A taken win is sent again",
        "One id is one transaction. Whoever repeats it gets the first answer again; the money moved when it was new.",
        {"win-twice": 1},
        "closing",
        is_lucky=True,
        otherwise="The bet was not taken, so there was no win to send twice.",
    ),
    "cancel-first": Trick(
        "Cancel before bet",
        "The cancel overtakes its bet",
        "Cancelling an unknown id closes it for ever. A wallet that forgot the cancel would have taken money for a"
        " round that the game has called off.",
        {"cancel-first": 1},
        "opening",
        otherwise="The cancel did not get through, so nothing was overtaken.",
    ),
    "lost-reply": Trick(
        "Lost reply and retry",
        "The answer to a win gets lost",
        "Whoever hears nothing cannot know whether money moved, and has to ask again. The ledger remembers what it"
        " answered.",
        {"lost-reply": 1},
        "closing",
        is_lucky=True,
        otherwise="The bet was not taken, so there was no win whose reply could be lost.",
    ),
    "too-little": Trick(
        "Too little money",
        "It stakes more than there is",
        "No balance goes below zero, and a refusal is kept: the same bet is refused after a deposit too, as the game"
        " has called it off by then.",
        otherwise="The player had enough money after all.",
    ),
    "slow-reply": Trick(
        "Slow reply",
        "The answer comes when the provider has given up",
        "What the wallet takes is in the ledger before it answers. So whatever the provider does next, call the bet off"
        " or ask again, the wallet knows what there is to give back, or to repeat.",
        {"slow-reply": 1},
        "opening",
        otherwise="The provider heard the answer in time.",
    ),
}

OVER_BALANCE = 1_00
"""By how much the bet passes what there is, where it shall be refused."""


class Step(NamedTuple):
    """A call, what the wallet did, and what came between. `seq` is the entry that it made, or that it was answered
    from; `moved` is what it moved.
    """

    call: CallTold
    said: str
    aside: str = ""
    seq: int | None = None
    is_new: bool = False
    moved: int = 0


class Story(NamedTuple):
    """`entries` are all of the account's since before the play. It `is_right` if they explain the balance, no id has
    two of a kind, and the provider's book says the same.
    """

    steps: Sequence[Step]
    entries: Sequence[Entry]
    before: int
    after: int
    is_right: bool
    verdict: str

    @property
    def moves(self) -> bool:
        """Whether any money moved at all."""
        return any(map(_change, self.entries))


def tell(round_: RoundTold, entries: Sequence[Entry], before: int) -> Story:
    """The story of a round. `entries` are the account's since before it, the oldest first, `before` what there was."""
    made = {(entry.kind, entry.id): entry for entry in entries if entry.protocol == round_.protocol}
    told: set[tuple[Kind, str]] = set()
    steps = []
    for call in round_.calls:
        key = (KINDS[call.operation], call.id)
        answer = _read(round_.protocol, call)
        steps.append(_step(call, answer, made.get(key), is_new=key not in told))
        if answer:
            told.add(key)
    after = entries[-1].cash_after + entries[-1].bonus_after if entries else before
    is_single = len({(entry.protocol, entry.kind, entry.id) for entry in entries}) == len(entries)
    adds_up = is_single and before + sum(map(_change, entries)) == after
    agrees = round_.ending == "pending" or round_.net == sum(step.moved for step in steps)
    return Story(steps, entries, before, after, adds_up and agrees, _verdict(steps, adds_up=adds_up, agrees=agrees))


def struck(trick: str, story: Story) -> bool:
    """Whether it came to the trick."""
    if trick == "too-little":
        return any(entry.refusal == "insufficient_funds" for entry in story.entries)
    return any(trick in step.call.mischief for step in story.steps)


def _read(protocol: str, call: CallTold) -> WalletResponse | None:
    """What the wallet answered, whether the provider heard it or not."""
    try:
        return load_protocol(protocol).parse_response((call.reply or "").encode()) if call.status == 200 else None
    except ValueError:
        return None


def _step(call: CallTold, answer: WalletResponse | None, entry: Entry | None, *, is_new: bool) -> Step:
    if answer is None:
        return Step(call, "No answer came back.")
    if entry is None:
        said = f"Refused: {_reason(answer)}." if answer.code else "Answered as before."
        return Step(call, f"{said} Nothing moved, and no entry was made.", _aside(call))
    if is_new:
        return Step(call, _deed(entry, answer), _aside(call), entry.seq, is_new, _change(entry))
    said = f"Refused as before: {_reason(answer)}." if answer.code else "The id is known: answered as the first time."
    return Step(call, f"{said} Nothing moved.", _aside(call), entry.seq)


def _aside(call: CallTold) -> str:
    """What the provider heard of it, where that is not what the wallet said."""
    if call.answer is not None:
        return ""
    if "slow-reply" in call.mischief:
        return f"The wallet answered after {call.ms:.0f} ms, but the reply took so long that the provider gave up."
    return "The reply got lost: the provider heard nothing."


def _deed(entry: Entry, answer: WalletResponse) -> str:
    """What was done when the entry was made."""
    match entry.state:
        case State.REFUSED:
            return f"Refused: {_reason(answer)}. Nothing was taken, and the refusal is kept."
        case State.CLOSED:
            told = f" The answer is {_reason(answer)}." if answer.code else ""
            return f"There is no such bet: nothing moved, and the id is closed for ever.{told}"
        case State.APPLIED | State.ORPHAN:
            return _movement(entry)
        case _:
            assert_never(entry.state)


def _movement(entry: Entry) -> str:
    change = format_money(abs(_change(entry)))
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


def _verdict(steps: Sequence[Step], *, adds_up: bool, agrees: bool) -> str:
    if not adds_up:
        return "The ledger does not explain the balance. Please report this as a bug."
    if not agrees:
        return "The ledger and the provider's book disagree. Please report this as a bug."
    made = [step for step in steps if step.is_new and step.seq is not None]
    moving = [step for step in made if step.moved]
    counts = (
        _count(len(steps), "call", "calls"),
        _count(len(made), "new entry", "new entries"),
        _count(len(moving), "movement of money", "movements of money"),
    )
    return f"{', '.join(counts)}."


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _reason(answer: WalletResponse) -> str:
    return f"{answer.message or 'no'} ({answer.code})"


def _change(entry: Entry) -> int:
    return entry.amount + entry.bonus_amount
