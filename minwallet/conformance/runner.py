"""The runner: it runs cases against a wallet, judges the replies and the balances, and cleans up after each case.

Theory of operation
-------------------

1. `Runner` first reads the balance behind each watched token. It raises an error if the wallet does not answer, or if
   the tokens do not fit the cases. Otherwise each case would fail for a reason that has nothing to do with its rule.
2. For each case a `CaseRun` reads the balances at the start. It sends the requests of each step, concurrently if the
   step has several, then reads all balances again.
3. A step passes if all replies have the expected outcome, all balances have the expected change since the start of
   the case, and the further checks pass. The case ends with its first failed step.
4. `clean_up` cancels the open bets. If the player then has more than at the start, it loses the surplus in a bet. If
   the player has less, the loss remains: to correct it would take a win that no player won. `Leftovers` lists it.

Rules:

- A bet without a clear refusal counts as open, so that an unclear reply never leaves a bet behind.
- If a case leaves no open bet and no changed balance, the next case does not read the balances at its start again.
- A *must* with a `should` check has two results: the case, and `CASE/CHECK` as advice. The advice is skipped if the
  case fails before the check.
- Ids grow from `first_id` and are never used twice.
- No token reaches a result: requests and replies pass through `Client.sanitize`.
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
    describe_balance_change,
)
from minwallet.ledger.commands import Bet, Cancel, Settle, Win
from minwallet.ledger.money import format_amount

MIN_BALANCE_CENTS = 20
"""The balance that a player needs for the stakes of the longest case, in cents."""

CAPITAL_ID_OFFSET = 2**63
"""The difference between the id of a capital letter and that of the small one."""

Verdict = Literal["pass", "fail", "advice", "skipped"]


class WalletUnreachable(Exception):
    """No server answers at this address."""


class SetupError(Exception):
    """The tokens, or the balances behind them, do not fit the cases."""


class CaseResult(NamedTuple):
    """The result of a case or of its advice.

    `sent` has all requests up to the step that decided. `expected`, `came` (the actual result) and `answer` (the last
    reply) belong to that step.
    """

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
    """The lasting effects of the run.

    `balance_changes` has each balance's change in cents, None if it could not be read. `open_bets` has the ids of bets
    that may still be open. `used_ids` are the first and the last used id.
    """

    balance_changes: dict[str, int | None]
    open_bets: tuple[str, ...]
    used_ids: tuple[int, int]


class CheckResult(NamedTuple):
    """The expected and the actual result of a check, and the text of the last reply."""

    expected: str
    actual: str
    is_ok: bool
    answer: str = ""


class BalanceUnreadable(Exception):
    """A balance cannot be read; the message says why."""


class Runner:
    """The run of many cases against one wallet.

    Creating it raises WalletUnreachable or SetupError if no case could be judged.
    """

    def __init__(self, client: Client, first_id: int) -> None:
        self.client = client
        self.first_id = self.next_id = first_id
        self.uncancelled_bets: list[str] = []
        """The ids of the bets that could not be cancelled."""
        self._initial_balances = self._check_accounts()
        self.cached_balances: dict[str, tuple[int, ...]] = {}
        """The balances that are still valid, by token name. The next case does not read them again."""

    def run(self, cases: Iterable[Case]) -> Iterator[CaseResult]:
        """Run the cases one after the other. Yield one result a case, and a second one for a must with advice."""
        for case in cases:
            yield from self._run_case(case)

    def collect_leftovers(self) -> Leftovers:
        """Return the lasting effects. Read the balances again."""
        change = {name: self.read_balance_change(name, start) for name, start in self._initial_balances.items()}
        return Leftovers(change, tuple(self.uncancelled_bets), (self.first_id, self.next_id - 1))

    def read_balance(self, token: str) -> tuple[int, ...]:
        """Return the balance in the parts that the protocol reports, in cents. Raise BalanceUnreadable."""
        observed = self._request_balance(token)
        if observed.outcome != "accepted" or observed.balance is None:
            raise BalanceUnreadable(f"no balance: {observed.summary}")
        return observed.balance

    def allocate_id(self) -> int:
        """Return a new id."""
        self.next_id += 1
        return self.next_id - 1

    def _request_balance(self, token: str) -> Observed:
        client = self.client
        (observed,) = client.send([client.build(client.suite.balance_request.by(token), CaseRun(self, {}))])
        return observed

    def _check_accounts(self) -> dict[str, int]:
        """Return the balance behind each watched token, in cents.

        Raise SetupError if a token or its balance does not fit the cases, WalletUnreachable if no reply arrives.
        """
        holders: dict[str, tuple[object, object]] = {}
        balances: dict[str, int] = {}
        for name in (name for name in WATCHED_TOKENS if name in self.client.tokens):
            observed = self._request_balance(name)
            if not observed.status:
                raise WalletUnreachable(f"{self.client.url}: {observed.summary}; is that the wallet's address?")
            if observed.outcome != "accepted" or observed.balance is None or observed.fields is None:
                raise SetupError(f"no balance for --{option_name(name)}, so no case was run: {observed.text}")
            holders[name], balances[name] = self.client.suite.get_player(observed.fields), sum(observed.balance)
            if balances[name] < MIN_BALANCE_CENTS:
                available, required = format_amount(balances[name]), format_amount(MIN_BALANCE_CENTS)
                raise SetupError(f"the player of --{option_name(name)} has {available}; the cases need {required}")
        player, currency = holders["token"]
        if "second" in holders and (holders["second"][0] == player or holders["second"][1] != currency):
            raise SetupError("--second-token must belong to another player with the same currency")
        if "currency" in holders and (holders["currency"][0] != player or holders["currency"][1] == currency):
            raise SetupError("--currency-token must belong to the same player in another currency")
        return balances

    def read_balance_change(self, name: str, start: int) -> int | None:
        """Return the balance's change in cents, or None if the balance cannot be read."""
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
            check = case_run.advice_result or CheckResult(
                advice_check.expected, "not checked: the case failed", is_ok=False
            )
            verdict: Verdict = "pass" if check.is_ok else "advice" if case_run.advice_result else "skipped"
            yield _build_result(case, sent, check, verdict, advice_check)


class _OpenBet(NamedTuple):
    """An open bet, with its request and its round."""

    spec: RequestSpec
    round: str


class CaseRun:
    """The run of one case: its ids, its open bets and the balances at its start."""

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
        """Return the id of a letter in this case. Digits are returned unchanged."""
        if letter.isdigit():
            return letter
        small = letter.lower()
        if small not in self._ids:
            self._ids[small] = self._runner.allocate_id()
        return str(self._ids[small] + (CAPITAL_ID_OFFSET if letter != small else 0))

    def resolve_amount(self, amount: AmountSpec) -> int:
        return sum(self._initial_balances["token"]) + amount.plus if isinstance(amount, All) else amount

    def run(self, case: Case) -> CheckResult:
        """Run the steps. Return the result of the first step that fails, or of the last step."""
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
        """Cancel the open bets, and lose a surplus. A failure here appears in the leftovers."""
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
        """Send the step's requests. Check the outcomes, then the balances, then the further checks."""
        answers = self._send(*step.requests)
        self.sent += [self._client.describe_request(self._client.build(spec, self)) for spec in step.requests]
        self._track_open_bets(zip(step.requests, answers, strict=True))
        money, *others = self._read_balance_changes()
        expectation, text = step.expectation, answers[-1].text
        summary = _summarize([each.summary for each in answers])
        checks = [
            CheckResult(
                expectation.outcome or "any reply",
                summary,
                all(expectation.outcome in (None, each.outcome) for each in answers),
            ),
            _compare_change(self._resolve_change(expectation.balance_change), money),
            *(
                _compare_change(expectation.other_change, other, "other ")
                for other in others
                if other or expectation.other_change
            ),
            *(
                self._check_responses(check, answers)
                for check in (expectation.check, expectation.should if is_advice else None)
                if check
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
        """Check all replies. Each must pass."""
        actual = [check.describe(each, self._initial_balances["token"]) for each in answers]
        return CheckResult(check.expected, self._client.sanitize(_summarize(actual)), {*actual} == {check.expected})

    def _read_balance_changes(self) -> list[int]:
        """Return the balance changes since the start of the case, in cents, the first player's first."""
        self._has_money_moved = True  # This stays if a balance cannot be read.
        balances = {account: self._runner.read_balance(account) for account in self._initial_balances}
        self._has_money_moved = balances != self._initial_balances
        return [sum(balances[account]) - sum(start) for account, start in self._initial_balances.items()]

    def _resolve_change(self, change: AmountSpec) -> int:
        return change.plus - sum(self._initial_balances["token"]) if isinstance(change, All) else change

    def _send(self, *specs: RequestSpec) -> list[Observed]:
        return self._client.send([self._client.build(spec, self) for spec in specs])

    def _track_open_bets(self, answered: Iterable[tuple[RequestSpec, Observed]]) -> None:
        """Update the open bets: bets without a clear refusal that are neither settled nor cancelled since."""
        # Of concurrent requests, a bet may have been executed after its cancel. So the bets of a step are added last.
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
    return CheckResult(
        f"{prefix}{describe_balance_change(expected)}",
        f"{prefix}{describe_balance_change(actual)}",
        expected == actual,
    )


def _summarize(texts: list[str]) -> str:
    """Return texts as `accepted`, or as `1 accepted and 7 refused (106)` if they differ."""
    if len({*texts}) == 1:
        return texts[0]
    return " and ".join(f"{times} {each}" for each, times in sorted(Counter(texts).items()))


def _build_result(
    case: Case, sent: tuple[str, ...], result: CheckResult, verdict: Verdict, advice_check: ResponseCheck | None = None
) -> CaseResult:
    """Return the result of the case, or of its advice."""
    name, spec = (f"{case.name}/{advice_check.name}", advice_check.spec) if advice_check else (case.name, case.spec)
    script = "; ".join(map(str, case.steps))
    is_advice = case.is_advice or advice_check is not None
    return CaseResult(
        name, case.rule, spec, is_advice, script, sent, result.expected, result.actual, result.answer, verdict
    )


def option_name(token: str) -> str:
    """Return the name of the command's option for this token."""
    return token if token == "token" else f"{token}-token"  # noqa: S105 the name of a token, not one
