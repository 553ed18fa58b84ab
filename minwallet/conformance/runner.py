"""Runs cases against a wallet and judges them: the words of each answer, and the money after each step.

After each case the bets that still stand are called off, and a surplus is lost in a bet. A loss is not made good: that
would take a win which nobody won. What could not be set right is told at the end.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from minwallet.conformance.client import Client
from minwallet.conformance.dsl import (
    UNUSABLE_TOKENS,
    WATCHED_TOKENS,
    All,
    AmountSpec,
    Case,
    CaseStep,
    Observed,
    RequestSpec,
    ResponseCheck,
    format_change,
)
from minwallet.ledger.commands import Bet, Cancel, Settle, Win
from minwallet.ledger.money import format_amount

MIN_BALANCE_CENTS = 20
"""What the player has to have for the stakes of the longest case."""

CAPITAL_ID_OFFSET = 2**63
"""How far the number of a capital letter is from that of its small one."""

Verdict = Literal["pass", "fail", "advice", "skipped"]


class WalletUnreachable(Exception):
    """Nobody answers at this address."""


class SetupError(Exception):
    """The tokens, or the money behind them, are not what the cases need."""


class CaseResult(NamedTuple):
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


class Leftovers(NamedTuple):
    """What the trial leaves behind: each balance's change in cents, None where it could not be read again; bets that
    stand; and the ids that are used up."""

    balance_changes: dict[str, int | None]
    open_bets: tuple[str, ...]
    used_ids: tuple[int, int]


class CheckResult(NamedTuple):
    """What was expected, what came, whether that is good, and the last answer as it was written."""

    expected: str
    actual: str
    is_ok: bool
    answer: str = ""


class BalanceUnreadable(Exception):
    """A balance cannot be read, and why."""


class Runner:
    """One wallet on trial. SetupError or WalletUnreachable if its first answers show that no case could be judged."""

    def __init__(self, client: Client, first_id: int) -> None:
        self.client = client
        self.first_id = self.next_id = first_id
        self.uncancelled_bets: list[str] = []
        """Ids of bets that could not be called off."""
        self._initial_balances = self._check_accounts()
        self.cached_balances: dict[str, tuple[int, ...]] = {}
        """Balances that need not be read again."""

    def run(self, cases: Iterable[Case]) -> Iterator[CaseResult]:
        """Try the cases, one after the other; a must that has advice in it makes two findings."""
        for case in cases:
            yield from self._run_case(case)

    def collect_leftovers(self) -> Leftovers:
        change = {name: self.read_balance_change(name, start) for name, start in self._initial_balances.items()}
        return Leftovers(change, tuple(self.uncancelled_bets), (self.first_id, self.next_id - 1))

    def read_balance(self, token: str) -> tuple[int, ...]:
        """What there is, in the parts that the protocol tells it in."""
        observed = self._request_balance(token)
        if observed.outcome != "accepted" or observed.balance is None:
            raise BalanceUnreadable(f"no balance: {observed.summary}")
        return observed.balance

    def allocate_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    def _request_balance(self, token: str) -> Observed:
        client = self.client
        (observed,) = client.send([client.build(client.suite.balance_request.by(token), CaseRun(self, {}))])
        return observed

    def _check_accounts(self) -> dict[str, int]:
        """The balance behind each token that has one; they belong to whom they should."""
        holders: dict[str, tuple[object, object]] = {}
        balances: dict[str, int] = {}
        for name in (name for name in WATCHED_TOKENS if name in self.client.tokens):
            observed = self._request_balance(name)
            if not observed.status:
                raise WalletUnreachable(f"{self.client.url}: {observed.summary}; is that the wallet's address?")
            if observed.outcome != "accepted" or observed.balance is None or observed.fields is None:
                raise SetupError(f"no balance for --{option_name(name)}, so nothing was tried: {observed.text}")
            holders[name], balances[name] = self.client.suite.get_player(observed.fields), sum(observed.balance)
            if balances[name] < MIN_BALANCE_CENTS:
                available, required = format_amount(balances[name]), format_amount(MIN_BALANCE_CENTS)
                raise SetupError(f"the player of --{option_name(name)} has {available}, but the cases need {required}")
        player, currency = holders["token"]
        if "second" in holders and (holders["second"][0] == player or holders["second"][1] != currency):
            raise SetupError("--second-token has to be of another player who plays in the same currency")
        if "currency" in holders and (holders["currency"][0] != player or holders["currency"][1] == currency):
            raise SetupError("--currency-token has to be of the same player in another currency")
        return balances

    def read_balance_change(self, name: str, start: int) -> int | None:
        """By how much the balance differs from what it was; None where it cannot be read any more."""
        try:
            return sum(self.read_balance(name)) - start
        except BalanceUnreadable:
            return None

    def _run_case(self, case: Case) -> Iterator[CaseResult]:
        missing = sorted(case.required_tokens - self.client.tokens.keys())
        advice_check = case.advice_check
        if missing:
            check = CheckResult("", f"give {', '.join(f'--{option_name(name)}' for name in missing)}", is_ok=False)
            yield _build_result(case, (), check, "skipped")
            if advice_check:
                yield _build_result(case, (), check, "skipped", advice_check)
            return
        case_run = CaseRun(self, {name: () for name in WATCHED_TOKENS if name in case.required_tokens | {"token"}})
        try:
            check = case_run.run(case)
        except BalanceUnreadable as error:
            check = CheckResult("a balance", str(error), is_ok=False)
        finally:
            case_run.clean_up()
        sent = tuple(case_run.sent)
        yield _build_result(case, sent, check, "pass" if check.is_ok else "advice" if case.is_advice else "fail")
        if advice_check:
            check = case_run.advice_result or CheckResult(advice_check.expected, "the case failed before", is_ok=False)
            verdict: Verdict = "pass" if check.is_ok else "advice" if case_run.advice_result else "skipped"
            yield _build_result(case, sent, check, verdict, advice_check)


class _OpenBet(NamedTuple):
    """A bet that stands, as it was asked, and its round."""

    spec: RequestSpec
    round: str


class CaseRun:
    """One case on trial: what its letters stand for, and the balances when it began."""

    def __init__(self, runner: Runner, initial_balances: dict[str, tuple[int, ...]]) -> None:
        self.sent: list[str] = []
        self.advice_result: CheckResult | None = None
        self._runner = runner
        self._client = runner.client
        self._initial_balances = initial_balances
        self._ids: dict[str, int] = {}
        self._open_bets: dict[tuple[str, str], _OpenBet] = {}
        self._has_money_moved = True

    def resolve_id(self, letter: str) -> str:
        """A letter's number in this case; digits stand for themselves."""
        if letter.isdigit():
            return letter
        small = letter.lower()
        if small not in self._ids:
            self._ids[small] = self._runner.allocate_id()
        return str(self._ids[small] + (CAPITAL_ID_OFFSET if letter != small else 0))

    def resolve_amount(self, amount: AmountSpec) -> int:
        return sum(self._initial_balances["token"]) + amount.plus if isinstance(amount, All) else amount

    def run(self, case: Case) -> CheckResult:
        """The first step that goes wrong, or else the last."""
        cached = self._runner.cached_balances
        for account in self._initial_balances:
            self._initial_balances[account] = cached.pop(account, ()) or self._runner.read_balance(account)
        check = CheckResult("", "", is_ok=True)
        for step in case.steps:
            check = self._run_step(step, is_advice=case.is_advice)
            if not check.is_ok:
                break
        return check

    def clean_up(self) -> None:
        """Call off what stands, and lose what is too much. What fails here shows in what is left."""
        if not self._open_bets and not self._has_money_moved:
            self._runner.cached_balances |= self._initial_balances
            return
        for (account, id_), bet in self._open_bets.items():
            (observed,) = self._send(self._client.suite.cancel_bet(id_, bet.spec.changes).by(account))
            if observed.outcome != "accepted":
                self._runner.uncancelled_bets.append(id_)
        for account, start in self._initial_balances.items():
            surplus = (self._runner.read_balance_change(account, sum(start)) or 0) if start else 0
            for spec in self._client.suite.drain(f"lost by {account}", surplus) if surplus > 0 else ():
                self._send(spec.by(account))

    def _run_step(self, step: CaseStep, *, is_advice: bool) -> CheckResult:
        """Ask what the step asks, and judge the answers, then the money, then what the answers say."""
        answers = self._send(*step.requests)
        self.sent += [self._client.describe_request(self._client.build(ask, self)) for ask in step.requests]
        self._track_open_bets(zip(step.requests, answers, strict=True))
        money, *others = self._read_balance_changes()
        expectation, text = step.expectation, answers[-1].text
        summary = _summarize([each.summary for each in answers])
        checks = [
            CheckResult(
                expectation.outcome or "any answer",
                summary,
                all(expectation.outcome in (None, each.outcome) for each in answers),
            ),
            _compare_change(
                self._total_loss() if isinstance(expectation.balance_change, All) else expectation.balance_change, money
            ),
            *(
                _compare_change(expectation.other_change, other, "other account ")
                for other in others
                if other or expectation.other_change
            ),
            *(
                self._check_responses(says, answers)
                for says in (expectation.check, expectation.should if is_advice else None)
                if says
            ),
        ]
        result = CheckResult(
            ", ".join(check.expected for check in checks),
            ", ".join(check.actual for check in checks),
            all(check.is_ok for check in checks),
            text,
        )
        if expectation.should and not is_advice and result.is_ok:
            self.advice_result = self._check_responses(expectation.should, answers)._replace(answer=text)
        return result

    def _check_responses(self, check: ResponseCheck, answers: Sequence[Observed]) -> CheckResult:
        """What the answers say, all of which should say the same."""
        actual = [check.describe(each, self._initial_balances["token"]) for each in answers]
        return CheckResult(check.expected, self._client.sanitize(_summarize(actual)), {*actual} == {check.expected})

    def _read_balance_changes(self) -> list[int]:
        """By how much the balances differ from those at the beginning, the first player's first."""
        self._has_money_moved = True  # until it is known better
        balances = {account: self._runner.read_balance(account) for account in self._initial_balances}
        self._has_money_moved = balances != self._initial_balances
        return [sum(balances[account]) - sum(start) for account, start in self._initial_balances.items()]

    def _total_loss(self) -> int:
        return -sum(self._initial_balances["token"])

    def _send(self, *specs: RequestSpec) -> list[Observed]:
        return self._client.send([self._client.build(ask, self) for ask in specs])

    def _track_open_bets(self, answered: Iterable[tuple[RequestSpec, Observed]]) -> None:
        """Which bets stand: those that were not clearly refused, and neither settled nor called off since. Of what was
        asked at once the bets may have come last."""
        placed: dict[tuple[str, str], _OpenBet] = {}
        for spec, observed in answered:
            account = "token" if spec.token in UNUSABLE_TOKENS else spec.token
            match spec.build_command(self):
                case Bet(id, _, round) if observed.outcome != "refused":
                    placed[account, id] = _OpenBet(spec, round)
                case Win(round=round) | Settle(id=round) if observed.outcome == "accepted":
                    settled = [key for key, bet in self._open_bets.items() if (key[0], bet.round) == (account, round)]
                    for key in settled:
                        del self._open_bets[key]
                case Cancel(id) if observed.outcome == "accepted":
                    self._open_bets.pop((account, id), None)
        self._open_bets |= placed


def _compare_change(expected: int, actual: int, prefix: str = "") -> CheckResult:
    return CheckResult(f"{prefix}{format_change(expected)}", f"{prefix}{format_change(actual)}", expected == actual)


def _summarize(words: list[str]) -> str:
    """`accepted`, or `1 accepted and 7 refused (106)`."""
    if len({*words}) == 1:
        return words[0]
    return " and ".join(f"{times} {each}" for each, times in sorted(Counter(words).items()))


def _build_result(
    case: Case, sent: tuple[str, ...], result: CheckResult, verdict: Verdict, advice_check: ResponseCheck | None = None
) -> CaseResult:
    """The finding of the case, or of what it says that is only advice."""
    name, spec = (f"{case.name}/{advice_check.name}", advice_check.spec) if advice_check else (case.name, case.spec)
    script = "; ".join(map(str, case.steps))
    is_advice = case.is_advice or advice_check is not None
    return CaseResult(
        name, case.rule, spec, is_advice, script, sent, result.expected, result.actual, result.answer, verdict
    )


def option_name(token: str) -> str:
    """The name of the command's option for this token."""
    return token if token == "token" else f"{token}-token"  # noqa: S105 the name of a token, not one
