"""Runs cases against a wallet and judges them: the words of each answer, and the money after each step.

After each case the bets that still stand are called off, and a surplus is lost in a bet. A loss is not made good: that
would take a win which nobody won. What could not be set right is told at the end.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from minwallet.conformance.asker import Asker
from minwallet.conformance.script import ACCOUNTS, ENDED, All, Ask, Came, Case, Cents, Says, Step, signed
from minwallet.ledger.commands import Bet, Cancel, Settle, Win

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
    """A step's expectation, what came instead, and whether that is good enough; the last of it as it was written."""

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

    def run(self, cases: Iterable[Case]) -> Iterator[Finding]:
        """Try the cases, one after the other; a must that has advice in it makes two findings."""
        for case in cases:
            yield from self._try(case)

    def left(self) -> Left:
        change = {name: self.change(name, start) for name, start in self._begin.items()}
        return Left(change, tuple(self.stands), (self.first_id, self.next_id - 1))

    def balance(self, token: str) -> tuple[int, ...]:
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
        for name in ACCOUNTS:
            if name not in self.asker.tokens:
                continue
            came = self._question(name)
            if not came.status:
                raise Unreachable(f"{came.words}; is that the wallet's address?")
            if came.outcome != "accepted" or came.balance is None or came.fields is None:
                raise CannotBegin(f"no balance for --{option(name)}, so nothing was tried: {came.text}")
            holders[name], balances[name] = self.asker.dialect.player_of(came.fields), sum(came.balance)
        player, currency = holders["token"]
        if "second" in holders and (holders["second"][0] == player or holders["second"][1] != currency):
            raise CannotBegin(f"--second-token has to be of another player who plays in {currency} too")
        if "currency" in holders and (holders["currency"][0] != player or holders["currency"][1] == currency):
            raise CannotBegin(f"--currency-token has to be of {player} too, but in another currency than {currency}")
        for name, balance in balances.items():
            if balance < NEEDED_CENTS:
                least = signed(NEEDED_CENTS).lstrip("+")
                has = signed(balance).lstrip("+")
                raise CannotBegin(f"the player of --{option(name)} has {has}, but the cases need {least}")
        return balances

    def change(self, name: str, start: int) -> int | None:
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


class _Scene:
    """One case on trial: what its letters stand for, and the balances when it began."""

    def __init__(self, trial: Trial, start: dict[str, tuple[int, ...]]) -> None:
        self.sent: list[str] = []
        self.advice: Seen | None = None
        self._trial = trial
        self._asker = trial.asker
        self._start = start
        self._letters: dict[str, int] = {}
        self._standing: dict[str, Ask] = {}

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
        for name in self._start:
            self._start[name] = self._trial.balance(name)
        seen = Seen("", "", good=True)
        for step in case.steps:
            seen = self._take(step, is_advice=case.is_advice)
            if not seen.good:
                break
        return seen

    def tidy_up(self) -> None:
        """Call off what stands, and lose what is too much. What fails here shows in what is left."""
        for id_, ask in self._standing.items():
            (came,) = self._ask(self._asker.dialect.take_back(id_, ask.changes).by(ask.token))
            if came.outcome != "accepted":
                self._trial.stands.append(id_)
        for name, start in self._start.items():
            surplus = (self._trial.change(name, sum(start)) or 0) if start else 0
            for ask in self._asker.dialect.lose(f"lost by {name}", surplus) if surplus > 0 else ():
                self._ask(ask.by(name))

    def _take(self, step: Step, *, is_advice: bool) -> Seen:
        answers = self._ask(*step.asks, is_noted=True)
        answer, start, hope = answers[-1].text, self._start["token"], step.hope
        changes = {name: sum(self._trial.balance(name)) - sum(was) for name, was in self._start.items()}
        money = -sum(start) if isinstance(hope.money, All) else hope.money
        expected = [*([hope.outcome] if hope.outcome else []), signed(money)]
        came = [_count([each.words for each in answers]), signed(changes.pop("token"))]
        good = came[1] == signed(money) and all(hope.outcome in (None, each.outcome) for each in answers)
        if hope.other or any(change != hope.other for change in changes.values()):
            expected.append(f"other player {signed(hope.other)}")
            came += [f"other player {signed(change)}" for change in changes.values()]
            good = good and all(change == hope.other for change in changes.values())
        for says in (hope.says, hope.should if is_advice else None):
            if says:
                looks = [says.look(each, start) for each in answers]
                expected.append(says.words)
                came.append(_count(looks))
                good = good and {*looks} == {says.words}
        if hope.should and not is_advice and good:
            looks = [hope.should.look(each, start) for each in answers]
            self.advice = Seen(hope.should.words, _count(looks), {*looks} == {hope.should.words}, answer)
        return Seen(", ".join(expected), ", ".join(came), good, answer)

    def _ask(self, *asks: Ask, is_noted: bool = False) -> list[Came]:
        exchanges = [self._asker.build(ask, self) for ask in asks]
        answers = self._asker.send(exchanges)
        if is_noted:
            self.sent += [self._asker.show(exchange) for exchange in exchanges]
            self._keep_book(zip(asks, answers, strict=True))
        return answers

    def _keep_book(self, told: Iterable[tuple[Ask, Came]]) -> None:
        """Which bets stand: those that were not clearly refused, and neither settled nor called off since. Of what was
        asked at once the bets may have come last."""
        placed: dict[str, Ask] = {}
        for ask, came in told:
            match ask.make(self):
                case Bet(id) if came.outcome != "refused":
                    placed[id] = ask.by("token") if ask.token in ENDED else ask
                case Win(round=id) | Settle(id) | Cancel(id) if came.outcome == "accepted" and id:
                    self._standing.pop(id, None)
        self._standing |= placed


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
