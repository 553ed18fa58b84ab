"""The runner: it runs cases against a wallet and returns their results.

Rules:

- `WatchedBalances` reads the balances before each case. A case that cannot run because an earlier one lost the money
  is skipped, with the name of that case.
- `CaseRun` sends the requests of a case, judges the replies and the balances, and cleans up.
- A case that begins with steps that failed in an earlier *must* is skipped, with the name of that case. So a wallet
  that refuses each bet fails one case and not a hundred.
- A case with a `should` check has two results: the case, and `CASE/CHECK` as advice. The advice is skipped if the case
  fails before the check.
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

NOT_CHECKED = "advice about a case that failed"
"""The reason why an advice is skipped whose case failed."""

Verdict = Literal["pass", "fail", "advice", "skipped"]


class CaseResult(NamedTuple):
    """The result of a case or of its advice.

    `sent` has all requests up to the step that decided, and `replies` their replies. `balances` has the first player's
    balance before the case and after each step, as decimals. `expected`, `came` (the actual result) and `answer` (the
    last reply) belong to the step that decided.
    """

    name: str
    rule: str
    spec: str
    advice: bool
    script: str
    sent: tuple[str, ...]
    replies: tuple[str, ...]
    balances: tuple[str, ...]
    expected: str
    came: str
    answer: str
    verdict: Verdict


class Leftovers(NamedTuple):
    """The lasting effects of the run.

    `balance_changes` has each balance's change in cents, None if it could not be read. `faults` has the changes with
    the cases that made them. `open_bets` has the ids of bets that may still be open. `used_ids` are the first and the
    last used id, or None if no id was used.
    """

    balance_changes: dict[str, int | None]
    faults: tuple[BalanceFault, ...]
    open_bets: tuple[str, ...]
    used_ids: tuple[int, int] | None


class Runner:
    """The run of many cases against one wallet. `unit` is the factor of all amounts, in cents.

    Creating it raises WalletUnreachable or SetupError if no case could be judged.
    """

    def __init__(self, client: Client, first_id: int, unit: int = 1) -> None:
        self.client = client
        self.unit = unit
        self.first_id = self.next_id = first_id
        self.uncancelled_bets: list[str] = []
        self._failed_steps: dict[tuple[object, ...], str] = {}
        self.balances = WatchedBalances(client, unit)

    def run(self, cases: Iterable[Case]) -> Iterator[CaseResult]:
        """Run the cases one after the other. Yield one result a case, and a second one for a must with advice."""
        for case in cases:
            yield from self._run_case(case)

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
        if cause := self._find_failed_steps(case):
            yield from self._skip(case, f"not run: it begins like the case {cause}, which failed")
            return
        watched = [name for name in WATCHED_TOKENS if name in case.required_tokens | {"token"}]
        try:
            initial_balances = self.balances.begin_case(case.name, watched)
        except MoneyMissing as error:
            yield from self._skip(case, str(error))
            return
        except BalanceUnreadable as error:
            self.balances.note_unreadable(case.name)
            yield from self._judge(case, CheckResult("a balance", str(error), is_ok=False), None)
            return
        case_run = CaseRun(self.client, self.balances, initial_balances, self.allocate_id, self.unit)
        try:
            result = case_run.run(case)
        except BalanceUnreadable as error:
            self.balances.note_unreadable(case.name)
            result = CheckResult("a balance", str(error), is_ok=False)
        finally:
            case_run.clean_up()
        self.uncancelled_bets += case_run.uncancelled_bets
        if case_run.failed_steps and not case.is_advice:
            self._failed_steps[_list_effects(case_run.failed_steps)] = case.name
        yield from self._judge(case, result, case_run)

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

    def _judge(self, case: Case, check: CheckResult, case_run: CaseRun | None) -> Iterator[CaseResult]:
        verdict: Verdict = "pass" if check.is_ok else "advice" if case.is_advice else "fail"
        yield self._build_result(case, case_run, check, verdict)
        if advice_check := case.advice_check:
            advice = case_run.advice_result if case_run else None
            check = advice or CheckResult(advice_check.expected, NOT_CHECKED, is_ok=False)
            verdict = "pass" if check.is_ok else "advice" if advice else "skipped"
            yield self._build_result(case, case_run, check, verdict, advice_check)

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
        return CaseResult(
            name=f"{case.name}/{advice_check.name}" if advice_check else case.name,
            rule=case.rule,
            spec=advice_check.spec if advice_check else case.spec,
            advice=case.is_advice or advice_check is not None,
            script="; ".join(step.describe(self.unit) for step in case.steps),
            sent=tuple(each.request for each in exchanges),
            replies=tuple(each.reply for each in exchanges),
            balances=tuple(map(format_amount, case_run.balances if case_run else ())),
            expected=check.expected,
            came=check.actual,
            answer=check.answer,
            verdict=verdict,
        )


def _list_effects(steps: Sequence[CaseStep]) -> tuple[object, ...]:
    return tuple(step.effect for step in steps)
