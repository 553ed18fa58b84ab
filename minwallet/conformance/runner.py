"""The runner: it runs cases against a wallet and returns their results.

Rules:

- `WatchedBalances` reads the balances before each case. A case that cannot run because an earlier one lost the money
  is skipped, with the name of that case.
- `CaseRun` sends the requests of a case, judges the replies and the balances, and cleans up.
- A case that begins with steps that failed in an earlier *must* is skipped, with the name of that case. If the wallet
  does not accept the case `bet`, all cases with a bet are skipped. So it fails one case and not a hundred.
- A case with concurrent requests is tried several times with new ids, until it fails. The first tries send all
  requests together, the later ones with a delay between them: a wallet that loses updates may hide duplicates that
  arrive together.
- An unexpected exception in a case is a bug of this program. The case has the result `error`, and the run continues.
- A case with a `should` check has two results: the case, and `CASE/CHECK` as advice. The advice has no result
  if the case fails before the check.
- Ids grow from `first_id` and are never used twice.
- No token reaches a result: requests and replies pass through `Client.sanitize`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from minwallet.conformance.balances import BalanceFault, BalanceUnreadable, MoneyMissing, WatchedBalances, option_name
from minwallet.conformance.case_run import CaseRun, CheckResult, Exchange
from minwallet.conformance.checks import ResponseCheck
from minwallet.conformance.client import Client
from minwallet.conformance.dsl import WATCHED_TOKENS, Case, CaseStep
from minwallet.ledger.money import format_amount

RACE_DELAYS_S = (0, 0, 0.001, 0.002, 0.004)
"""The tries of a case with concurrent requests: the delay between the requests of each try, in seconds."""

Verdict = Literal["pass", "fail", "advice", "skipped", "error"]


class CaseResult(NamedTuple):
    """The result of a case or of its advice.

    `script` has the steps in words; that of an advice ends with the step of the advice. `sent` has all requests up to
    the step that decided, `replies` their replies, and `labels` how each was sent (`sent`, or `sent at once (1 of 8)`).
    `balances` has the first player's balance before the case and after each step, as decimals, and `other_balances`
    that of the second account, if the case uses one. `expected`, `received` (the actual result) and `answer` (the last
    reply) belong to the step that decided. `note` says when the result may be wrong, or is empty.
    """

    name: str
    rule: str
    spec: str
    advice: bool
    script: str
    sent: tuple[str, ...]
    replies: tuple[str, ...]
    labels: tuple[str, ...]
    balances: tuple[str, ...]
    other_balances: tuple[str, ...]
    expected: str
    received: str
    answer: str
    verdict: Verdict
    note: str = ""


class OpenBet(NamedTuple):
    """A bet that may still be open: the case that sent it, and its id as sent."""

    case: str
    id: str


class _Attempt(NamedTuple):
    """One run of a case. `case_run` is None if the case did not begin."""

    check: CheckResult
    case_run: CaseRun | None

    @property
    def is_advised(self) -> bool:
        """Return True if the case's advice applies."""
        advice = self.case_run.advice_result if self.case_run else None
        return bool(advice and not advice.is_ok)


class Leftovers(NamedTuple):
    """The lasting effects of the run.

    `balance_changes` has each balance's change in cents, None if it could not be read. `faults` has the changes with
    the cases that made them. `used_ids` are the first and the last used id, or None if no id was used.
    """

    balance_changes: dict[str, int | None]
    faults: tuple[BalanceFault, ...]
    open_bets: tuple[OpenBet, ...]
    used_ids: tuple[int, int] | None


class Runner:
    """The run of many cases against one wallet. `unit` is the factor of all amounts, in cents.

    `race_delays_s` are the tries of a case with concurrent requests; see `RACE_DELAYS_S`.
    Creating it raises WalletUnreachable or SetupError if no case could be judged.
    """

    def __init__(
        self, client: Client, first_id: int, unit: int = 1, race_delays_s: Sequence[float] = RACE_DELAYS_S
    ) -> None:
        self.client = client
        self.unit = unit
        self.first_id = self.next_id = first_id
        self.uncancelled_bets: list[OpenBet] = []
        self._race_delays_s = race_delays_s
        self._failed_steps: dict[tuple[object, ...], str] = {}
        self._refused_operations: set[str] = set()
        self.balances = WatchedBalances(client, unit)

    def run(self, cases: Iterable[Case]) -> Iterator[CaseResult]:
        """Run the cases one after the other. Yield one result a case, and a second one for a must with advice."""
        for case in cases:
            try:
                yield from self._run_case(case)
            except Exception as error:
                # The results so far must not be lost. An exception of the consumer does not arrive here.
                yield _build_error(case, error)

    def collect_leftovers(self) -> Leftovers:
        """Return the lasting effects. Read the balances again."""
        changes = self.balances.read_changes()
        used_ids = (self.first_id, self.next_id - 1) if self.next_id > self.first_id else None
        return Leftovers(changes, tuple(self.balances.faults), tuple(self.uncancelled_bets), used_ids)

    def allocate_id(self) -> int:
        """Return a new id."""
        self.next_id += 1
        return self.next_id - 1

    def _run_case(self, case: Case) -> Iterator[CaseResult]:
        missing = sorted(case.required_tokens - self.client.tokens.keys())
        if missing:
            yield from self._skip(case, f"give {', '.join(f'--{option_name(name)}' for name in missing)}")
            return
        if refused := sorted(case.operations & self._refused_operations):
            yield from self._skip(case, f"not run: it needs a {refused[0]}, and the case {refused[0]} failed")
            return
        if cause := self._find_failed_steps(case):
            yield from self._skip(case, f"not run: it begins like the case {cause}, which failed")
            return
        try:
            attempt = self._try_case(case)
        except MoneyMissing as error:
            yield from self._skip(case, str(error))
            return
        case_run = attempt.case_run
        if case_run and case_run.failed_steps and not case.is_advice:
            self._failed_steps[_list_effects(case_run.failed_steps)] = case.name
            if case_run.is_refused and case.operations == {case.name}:
                self._refused_operations.add(case.name)
        yield from self._judge(case, attempt)

    def _try_case(self, case: Case) -> _Attempt:
        """Run the case once, or several times if it is a race. Return the failed try, else the first with advice.

        Raise MoneyMissing.
        """
        decisive: _Attempt | None = None
        for delay_s in self._race_delays_s if case.is_race else (0,):
            attempt = self._run_once(case, delay_s)
            if not attempt.check.is_ok:
                return attempt
            if decisive is None or (attempt.is_advised and not decisive.is_advised):
                decisive = attempt
        assert decisive, "a race has at least one try"
        return decisive

    def _run_once(self, case: Case, delay_s: float) -> _Attempt:
        watched = [name for name in WATCHED_TOKENS if name in case.required_tokens | {"token"}]
        try:
            initial_balances = self.balances.begin_case(case.name, watched)
        except BalanceUnreadable as error:
            self.balances.note_unreadable(case.name)
            return _Attempt(CheckResult("a balance", str(error), is_ok=False), None)
        case_run = CaseRun(self.client, self.balances, initial_balances, self.allocate_id, self.unit, delay_s=delay_s)
        try:
            check = case_run.run(case)
        except BalanceUnreadable as error:
            self.balances.note_unreadable(case.name)
            check = CheckResult("a balance", str(error), is_ok=False)
        finally:
            case_run.clean_up()
            self.uncancelled_bets += [OpenBet(case.name, id_) for id_ in case_run.uncancelled_bets]
        return _Attempt(check, case_run)

    def _find_failed_steps(self, case: Case) -> str | None:
        """Return the name of the earlier case that failed in the steps with which this case begins, or None."""
        effects = _list_effects(case.steps)
        beginnings = (effects[:length] for length in range(1, len(effects) + 1))
        return next((self._failed_steps[each] for each in beginnings if each in self._failed_steps), None)

    def _skip(self, case: Case, reason: str) -> Iterator[CaseResult]:
        check = CheckResult("", reason, is_ok=False)
        yield self._build_result(case, None, check, "skipped")
        if case.advice_check:
            yield self._build_result(case, None, check, "skipped", case.advice_check)

    def _judge(self, case: Case, attempt: _Attempt) -> Iterator[CaseResult]:
        check, case_run = attempt
        verdict: Verdict = "pass" if check.is_ok else "advice" if case.is_advice else "fail"
        yield self._build_result(case, case_run, check, verdict)
        if (advice_check := case.advice_check) and case_run and (advice := case_run.advice_result):
            verdict = "pass" if advice.is_ok else "advice"
            yield self._build_result(case, case_run, advice, verdict, advice_check)

    def _build_result(
        self,
        case: Case,
        case_run: CaseRun | None,
        check: CheckResult,
        verdict: Verdict,
        advice_check: ResponseCheck | None = None,
    ) -> CaseResult:
        """Return the result of the case, or of its advice."""
        exchanges: Sequence[Exchange] = case_run.exchanges if case_run else ()
        steps = case.steps
        if advice_check:
            steps = steps[: 1 + max(number for number, step in enumerate(steps) if step.expectation.should)]
        return CaseResult(
            name=f"{case.name}/{advice_check.name}" if advice_check else case.name,
            rule=case.rule,
            spec=advice_check.spec if advice_check else case.spec,
            advice=case.is_advice or advice_check is not None,
            script="; ".join(step.describe(self.unit) for step in steps),
            sent=tuple(each.request for each in exchanges),
            replies=tuple(each.reply for each in exchanges),
            labels=tuple(each.label for each in exchanges),
            balances=tuple(map(format_amount, case_run.balances if case_run else ())),
            other_balances=tuple(map(format_amount, case_run.other_balances if case_run else ())),
            expected=check.expected,
            received=check.actual,
            answer=check.answer,
            verdict=verdict,
            note=_describe_doubt(case),
        )


def _build_error(case: Case, error: Exception) -> CaseResult:
    """Return the result of a case that this program could not judge. It describes no step, which may be the bug."""
    no_texts: tuple[str, ...] = ()
    return CaseResult(
        name=case.name,
        rule=case.rule,
        spec=case.spec,
        advice=case.is_advice,
        script="",
        sent=no_texts,
        replies=no_texts,
        labels=no_texts,
        balances=no_texts,
        other_balances=no_texts,
        expected="",
        received=" ".join(repr(error).split()),
        answer="",
        verdict="error",
    )


def _describe_doubt(case: Case) -> str:
    """Return a note if the case uses a session whose player the kit cannot see, else ""."""
    names = sorted(case.required_tokens & {"expired", "revoked"})
    # A wallet that refuses the balance for such a session does not say whose it is.
    return f"right only if --{option_name(names[0])} belongs to the player of --token" if names else ""


def _list_effects(steps: Sequence[CaseStep]) -> tuple[object, ...]:
    return tuple(step.effect for step in steps)
