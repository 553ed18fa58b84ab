"""Runs cases against a wallet and judges them: the words of each answer, and the money after each step.

After each case the bets that still stand are called off, and a surplus is lost in a bet. A loss is not made good: that
would take a win which nobody won. What could not be set right is told at the end.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from minwallet.conformance.asker import Asker
from minwallet.conformance.script import ACCOUNTS, ENDED, All, Ask, Came, Case, Cents, Says, Step, signed
from minwallet.ledger.commands import Bet, Cancel, Settle, Win
from minwallet.ledger.money import format_amount

NEEDED_CENTS = 20
"""What the player has to have for the stakes of the longest case."""

APART = 2**63
"""How far the number of a capital letter is from that of its small one."""

Verdict = Literal["pass", "fail", "advice", "skipped"]


class Unreachable(Exception):
    """Nobody answers at this address."""


class CannotBegin(Exception):
    """The tokens, or the money behind them, are not what the cases need."""


class Finding(NamedTuple):
    """What came of a case. `expected`, `came` and `answer` are of the step that decided, `sent` is all until then."""

    name: str
    rule: str
    spec: str
    advice: bool
    script: str
    sent: tuple[str, ...]
    expected: str
    came: str
    answer: str
    verdict: Verdict


class Left(NamedTuple):
    """What the trial leaves behind: each balance's change in cents, None where it could not be read again; bets that
    stand; and the ids that are used up."""

    change: dict[str, int | None]
    open: tuple[str, ...]
    ids: tuple[int, int]


class Seen(NamedTuple):
    """What was expected, what came, whether that is good, and the last answer as it was written."""

    expected: str
    came: str
    good: bool
    answer: str = ""


class _Blind(Exception):
    """A balance cannot be read, and why."""


class Trial:
    """One wallet on trial. CannotBegin or Unreachable if its first answers show that no case could be judged."""

    def __init__(self, asker: Asker, first_id: int) -> None:
        self.asker = asker
        self.first_id = self.next_id = first_id
        self.stands: list[str] = []
        """Ids of bets that could not be called off."""
        self._begin = self._look_around()
        self.known: dict[str, tuple[int, ...]] = {}
        """Balances that need not be read again."""

    def run(self, cases: Iterable[Case]) -> Iterator[Finding]:
        """Try the cases, one after the other; a must that has advice in it makes two findings."""
        for case in cases:
            yield from self._try(case)

    def left(self) -> Left:
        change = {name: self.change(name, start) for name, start in self._begin.items()}
        return Left(change, tuple(self.stands), (self.first_id, self.next_id - 1))

    def balance(self, token: str) -> tuple[int, ...]:
        """What there is, in the parts that the protocol tells it in."""
        came = self._question(token)
        if came.outcome != "accepted" or came.balance is None:
            raise _Blind(f"no balance: {came.words}")
        return came.balance

    def new_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    def _question(self, token: str) -> Came:
        asker = self.asker
        (came,) = asker.send([asker.build(asker.dialect.question.by(token), _Scene(self, {}))])
        return came

    def _look_around(self) -> dict[str, int]:
        """The balance behind each token that has one; they belong to whom they should."""
        holders: dict[str, tuple[object, object]] = {}
        balances: dict[str, int] = {}
        for name in (name for name in ACCOUNTS if name in self.asker.tokens):
            came = self._question(name)
            if not came.status:
                raise Unreachable(f"{self.asker.url}: {came.words}; is that the wallet's address?")
            if came.outcome != "accepted" or came.balance is None or came.fields is None:
                raise CannotBegin(f"no balance for --{option(name)}, so nothing was tried: {came.text}")
            holders[name], balances[name] = self.asker.dialect.player_of(came.fields), sum(came.balance)
            if balances[name] < NEEDED_CENTS:
                has, least = format_amount(balances[name]), format_amount(NEEDED_CENTS)
                raise CannotBegin(f"the player of --{option(name)} has {has}, but the cases need {least}")
        player, currency = holders["token"]
        if "second" in holders and (holders["second"][0] == player or holders["second"][1] != currency):
            raise CannotBegin("--second-token has to be of another player who plays in the same currency")
        if "currency" in holders and (holders["currency"][0] != player or holders["currency"][1] == currency):
            raise CannotBegin("--currency-token has to be of the same player in another currency")
        return balances

    def change(self, name: str, start: int) -> int | None:
        """By how much the balance differs from what it was; None where it cannot be read any more."""
        try:
            return sum(self.balance(name)) - start
        except _Blind:
            return None

    def _try(self, case: Case) -> Iterator[Finding]:
        missing = sorted(case.needs - self.asker.tokens.keys())
        advised = case.advised
        if missing:
            seen = Seen("", f"give {', '.join(f'--{option(name)}' for name in missing)}", good=False)
            yield _finding(case, (), seen, "skipped")
            if advised:
                yield _finding(case, (), seen, "skipped", advised)
            return
        scene = _Scene(self, {name: () for name in ACCOUNTS if name in case.needs | {"token"}})
        try:
            seen = scene.play(case)
        except _Blind as blind:
            seen = Seen("a balance", str(blind), good=False)
        finally:
            scene.tidy_up()
        sent = tuple(scene.sent)
        yield _finding(case, sent, seen, "pass" if seen.good else "advice" if case.is_advice else "fail")
        if advised:
            seen = scene.advice or Seen(advised.words, "the case failed before", good=False)
            verdict: Verdict = "pass" if seen.good else "advice" if scene.advice else "skipped"
            yield _finding(case, sent, seen, verdict, advised)


class _Standing(NamedTuple):
    """A bet that stands, as it was asked, and its round."""

    ask: Ask
    round: str


class _Scene:
    """One case on trial: what its letters stand for, and the balances when it began."""

    def __init__(self, trial: Trial, start: dict[str, tuple[int, ...]]) -> None:
        self.sent: list[str] = []
        self.advice: Seen | None = None
        self._trial = trial
        self._asker = trial.asker
        self._start = start
        self._letters: dict[str, int] = {}
        self._standing: dict[tuple[str, str], _Standing] = {}
        self._has_moved = True

    def id(self, letter: str) -> str:
        """A letter's number in this case; digits stand for themselves."""
        if letter.isdigit():
            return letter
        small = letter.lower()
        if small not in self._letters:
            self._letters[small] = self._trial.new_id()
        return str(self._letters[small] + (APART if letter != small else 0))

    def cents(self, amount: Cents) -> int:
        return sum(self._start["token"]) + amount.plus if isinstance(amount, All) else amount

    def play(self, case: Case) -> Seen:
        """The first step that goes wrong, or else the last."""
        known = self._trial.known
        for account in self._start:
            self._start[account] = known.pop(account, ()) or self._trial.balance(account)
        seen = Seen("", "", good=True)
        for step in case.steps:
            seen = self._take(step, is_advice=case.is_advice)
            if not seen.good:
                break
        return seen

    def tidy_up(self) -> None:
        """Call off what stands, and lose what is too much. What fails here shows in what is left."""
        if not self._standing and not self._has_moved:
            self._trial.known |= self._start
            return
        for (account, id_), bet in self._standing.items():
            (came,) = self._ask(self._asker.dialect.take_back(id_, bet.ask.changes).by(account))
            if came.outcome != "accepted":
                self._trial.stands.append(id_)
        for account, start in self._start.items():
            surplus = (self._trial.change(account, sum(start)) or 0) if start else 0
            for ask in self._asker.dialect.lose(f"lost by {account}", surplus) if surplus > 0 else ():
                self._ask(ask.by(account))

    def _take(self, step: Step, *, is_advice: bool) -> Seen:
        """Ask what the step asks, and judge the answers, then the money, then what the answers say."""
        answers = self._ask(*step.asks)
        self.sent += [self._asker.show(self._asker.build(ask, self)) for ask in step.asks]
        self._keep_book(zip(step.asks, answers, strict=True))
        money, *others = self._changes()
        hope, text = step.hope, answers[-1].text
        words = _count([each.words for each in answers])
        checks = [
            Seen(hope.outcome or "any answer", words, all(hope.outcome in (None, each.outcome) for each in answers)),
            _compare(self._gone() if isinstance(hope.money, All) else hope.money, money),
            *(_compare(hope.other, other, "other account ") for other in others if other or hope.other),
            *(self._hear(says, answers) for says in (hope.says, hope.should if is_advice else None) if says),
        ]
        seen = Seen(
            ", ".join(check.expected for check in checks),
            ", ".join(check.came for check in checks),
            all(check.good for check in checks),
            text,
        )
        if hope.should and not is_advice and seen.good:
            self.advice = self._hear(hope.should, answers)._replace(answer=text)
        return seen

    def _hear(self, says: Says, answers: Sequence[Came]) -> Seen:
        """What the answers say, all of which should say the same."""
        heard = [says.look(each, self._start["token"]) for each in answers]
        return Seen(says.words, self._asker.plain(_count(heard)), {*heard} == {says.words})

    def _changes(self) -> list[int]:
        """By how much the balances differ from those at the beginning, the first player's first."""
        self._has_moved = True  # until it is known better
        balances = {account: self._trial.balance(account) for account in self._start}
        self._has_moved = balances != self._start
        return [sum(balances[account]) - sum(start) for account, start in self._start.items()]

    def _gone(self) -> int:
        return -sum(self._start["token"])

    def _ask(self, *asks: Ask) -> list[Came]:
        return self._asker.send([self._asker.build(ask, self) for ask in asks])

    def _keep_book(self, told: Iterable[tuple[Ask, Came]]) -> None:
        """Which bets stand: those that were not clearly refused, and neither settled nor called off since. Of what was
        asked at once the bets may have come last."""
        placed: dict[tuple[str, str], _Standing] = {}
        for ask, came in told:
            account = "token" if ask.token in ENDED else ask.token
            match ask.make(self):
                case Bet(id, _, round) if came.outcome != "refused":
                    placed[account, id] = _Standing(ask, round)
                case Win(round=round) | Settle(id=round) if came.outcome == "accepted":
                    settled = [key for key, bet in self._standing.items() if (key[0], bet.round) == (account, round)]
                    for key in settled:
                        del self._standing[key]
                case Cancel(id) if came.outcome == "accepted":
                    self._standing.pop((account, id), None)
        self._standing |= placed


def _compare(expected: int, came: int, whose: str = "") -> Seen:
    return Seen(f"{whose}{signed(expected)}", f"{whose}{signed(came)}", expected == came)


def _count(words: list[str]) -> str:
    """`accepted`, or `1 accepted and 7 refused (106)`."""
    if len({*words}) == 1:
        return words[0]
    return " and ".join(f"{times} {each}" for each, times in sorted(Counter(words).items()))


def _finding(case: Case, sent: tuple[str, ...], seen: Seen, verdict: Verdict, says: Says | None = None) -> Finding:
    """The finding of the case, or of what it says that is only advice."""
    name, spec = (f"{case.name}/{says.name}", says.because) if says else (case.name, case.spec)
    script = "; ".join(map(str, case.steps))
    is_advice = case.is_advice or says is not None
    return Finding(name, case.rule, spec, is_advice, script, sent, seen.expected, seen.came, seen.answer, verdict)


def option(token: str) -> str:
    """The name of the command's option for this token."""
    return token if token == "token" else f"{token}-token"  # noqa: S105 the name of a token, not one
