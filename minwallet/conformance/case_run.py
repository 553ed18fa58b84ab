"""The run of one case: it sends the requests, judges the replies and the balances, and cleans up.

Theory of operation
-------------------

1. The balances at the start are given. Each step's requests are sent, concurrently if the step has several. Then all
   balances are read again.
2. A step passes if all replies have the expected outcome, all balances have the expected change since the start of
   the case, and the further checks pass. The case ends with its first failed step.
3. `clean_up` cancels the open bets. If the player then has more than at the start, it loses the surplus in a bet. If
   the player has less, the loss remains: to correct it would take a win that no player won. `Leftovers` lists it.

Rules:

- A bet without a clear refusal counts as open, so that an unclear reply never leaves a bet behind.
- A bet that was sent without an id cannot be cancelled.
- Concurrent requests are sent on connections that are open already, so that they arrive together.
- The balances that are read last are those of the next case's start, if nothing is sent after them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from minwallet.conformance.amounts import All, AmountSpec, scale_amount
from minwallet.conformance.balances import Balance, BalanceUnreadable, WatchedBalances
from minwallet.conformance.checks import Observed, ResponseCheck, describe_balance_change
from minwallet.conformance.client import Client
from minwallet.conformance.dsl import Case, CaseStep, RequestSpec
from minwallet.ledger.commands import Bet, Cancel, Command, EndRound, Group, Rollback, RollbackRound, Settle, Win

CAPITAL_ID_OFFSET = 2**63
"""The difference between the id of a capital letter and that of the small one."""


class CheckResult(NamedTuple):
    """The expected and the actual result of a check, and the text of the last reply."""

    expected: str
    actual: str
    is_ok: bool
    answer: str = ""


class Exchange(NamedTuple):
    """A request and its reply, both in one line without tokens. `label` says how the request was sent."""

    request: str
    reply: str
    label: str


class _OpenBet(NamedTuple):
    """A bet that may be open: its request, its id as sent (None without one), and its round.

    - `is_accepted` is False if the reply to the bet was unclear.
    - `stake` is in cents. `refunds` has the accepted partial refunds by their ids: a retry of one counts once.
    - `may_be_won` is True after a win without a round, which may belong to any bet.
    """

    spec: RequestSpec
    id: str | None
    round: str
    is_accepted: bool
    stake: int
    refunds: Mapping[str, int] = {}
    may_be_won: bool = False


class CaseRun:
    """The run of one case: its ids, its open bets and the balances at its start."""

    def __init__(
        self,
        client: Client,
        watched: WatchedBalances,
        initial_balances: dict[str, Balance],
        allocate_id: Callable[[], int],
        unit: int,
        *,
        delay_s: float,
    ) -> None:
        self.exchanges: list[Exchange] = []
        self.balances: list[int] = [sum(initial_balances["token"])]
        """The first player's balance before the case and after each step, in cents."""
        self.other_balances: list[int] = [sum(each) for name, each in initial_balances.items() if name != "token"][:1]
        """The same of the second account of the case, if there is one."""
        self.advice_result: CheckResult | None = None
        self.uncancelled_bets: list[str] = []
        """The ids, as sent, of the bets that could not be cancelled."""
        self.failed_steps: tuple[CaseStep, ...] = ()
        """The steps up to the one with another outcome or balance than expected. Empty without such a step."""
        self.is_refused = False
        """True if a step failed because the wallet did not accept a request."""
        self._has_wrong_effect = False
        self._delay_s = delay_s
        self._client = client
        self._watched = watched
        self._initial_balances = initial_balances
        self._allocate_id = allocate_id
        self._unit = unit
        self._ids: dict[str, int] = {}
        self._known_ids: set[str] = set()
        self._open_bets: dict[tuple[str, str], _OpenBet] = {}
        self._current_balances = dict(initial_balances)
        """The balances since the last request. Empty after a request that may have changed them."""

    def resolve_id(self, letter: str) -> str:
        """Return the id of a letter in this case. Digits, and ids of this case, are returned unchanged."""
        if letter.isdigit() or letter in self._known_ids:
            return letter
        small = letter.lower()
        if small not in self._ids:
            self._ids[small] = self._allocate_id()
        id_ = self._client.suite.format_id(self._ids[small] + (CAPITAL_ID_OFFSET if letter != small else 0))
        self._known_ids.add(id_)
        return id_

    def resolve_amount(self, amount: AmountSpec) -> int:
        """Return the amount in cents. The whole balance is rounded down to units."""
        units = self._count_units() + amount.plus if isinstance(amount, All) else amount
        return scale_amount(units, self._unit)

    def run(self, case: Case) -> CheckResult:
        """Run the steps. Return the result of the first step that fails, or of the last step."""
        check = CheckResult("", "", is_ok=True)
        for number, step in enumerate(case.steps, 1):
            check = self._run_step(step)
            if not check.is_ok:
                self.failed_steps = case.steps[:number] if self._has_wrong_effect else ()
                break
        return check

    def clean_up(self) -> None:
        """Cancel the open bets, and lose a surplus. A failure here appears in the leftovers."""
        remaining = [(account, bet) for (account, id_), bet in self._open_bets.items() if not self._cancel(id_, bet)]
        if self._open_bets:
            self._current_balances = {}
        lacking = {account for account, start in self._initial_balances.items() if not self._restore(account, start)}
        self.uncancelled_bets += [
            bet.id
            for account, bet in remaining
            # A bet with an unclear reply that took no money is none, and a win settles its bet.
            if bet.id is not None and ((bet.is_accepted and not bet.may_be_won) or account in lacking)
        ]

    def _cancel(self, id: str, bet: _OpenBet) -> bool:
        """Return True if the wallet accepts the cancel."""
        if bet.id is None:
            return False
        suite, changes = self._client.suite, bet.spec.changes
        changed_id = {suite.id_field: changes[suite.id_field]} if suite.id_field in changes else {}
        cancel = suite.cancel_bet(id).by(bet.spec.account)
        (observed,) = self._send(cancel.with_fields(**changed_id) if changed_id else cancel)
        return observed.outcome == "accepted"

    def _restore(self, account: str, start: Balance) -> bool:
        """Lose a surplus. Return False if the balance is lower than at the start, or cannot be read."""
        try:
            balance = self._current_balances.get(account) or self._watched.read(account)
        except BalanceUnreadable:
            return False
        surplus = (sum(balance) - sum(start)) // self._unit
        for spec in self._client.suite.drain(f"lost by {account}", surplus) if surplus > 0 else ():
            self._send(spec.by(account))
        if surplus <= 0:
            self._watched.keep(account, balance)
        return sum(balance) >= sum(start)

    def _run_step(self, step: CaseStep) -> CheckResult:
        """Send the step's requests. Check the outcomes, then the balances, then the further checks."""
        self._current_balances = {}
        if len(step.requests) > 1:
            self._watched.open_connections(len(step.requests))
        answers = self._send(*step.requests)
        requests = [self._client.describe_request(self._client.build(spec, self)) for spec in step.requests]
        count = len(requests)
        labels = [f"sent at once ({number} of {count})" for number in range(1, count + 1)] if count > 1 else ["sent"]
        self.exchanges += map(Exchange, requests, (each.text for each in answers), labels)
        self._track_open_bets(zip(step.requests, answers, strict=True))
        money, *others = self._read_balance_changes()
        self.balances.append(self.balances[0] + money)
        self.other_balances += [self.other_balances[0] + each for each in others[:1]]
        expectation, unit = step.expectation, self._unit
        check, should = (each and each.scale(unit) for each in (expectation.check, expectation.should))
        checks = [
            _check_outcomes(expectation.outcome, answers),
            _compare_change(self._resolve_change(expectation.balance_change), money),
            *(
                _compare_change(expectation.other_change * unit, other, "other ")
                for other in others
                if other or expectation.other_change
            ),
        ]
        self._has_wrong_effect = not all(each.is_ok for each in checks)
        self.is_refused = expectation.outcome == "accepted" and not checks[0].is_ok
        if check:
            checks.append(self._check_responses(check, answers))
        result = CheckResult(
            ", ".join(each.expected for each in checks),
            # A check of a refusal that did not come has the outcome again.
            ", ".join(dict.fromkeys(each.actual for each in checks)),
            all(each.is_ok for each in checks),
            answers[-1].text,
        )
        if should and result.is_ok and (self.advice_result is None or self.advice_result.is_ok):
            self.advice_result = self._check_responses(should, answers)._replace(answer=result.answer)
        return result

    def _check_responses(self, check: ResponseCheck, answers: Sequence[Observed]) -> CheckResult:
        """Check all replies. Each must pass."""
        actual = [check.describe(each, self._initial_balances["token"]) for each in answers]
        return CheckResult(check.expected, self._client.sanitize(_summarize(actual)), {*actual} == {check.expected})

    def _read_balance_changes(self) -> list[int]:
        """Return the balance changes since the start of the case, in cents, the first player's first."""
        self._current_balances = balances = {name: self._watched.read(name) for name in self._initial_balances}
        return [sum(balances[account]) - sum(start) for account, start in self._initial_balances.items()]

    def _resolve_change(self, change: AmountSpec) -> int:
        units = change.plus - self._count_units() if isinstance(change, All) else change
        return units * self._unit

    def _count_units(self) -> int:
        """Return the first player's balance at the start of the case in whole units."""
        return sum(self._initial_balances["token"]) // self._unit

    def _send(self, *specs: RequestSpec) -> list[Observed]:
        built = [self._client.build(spec, self) for spec in specs]
        return self._client.send(built, self._delay_s, [spec.signing for spec in specs])

    def _get_sent_id(self, spec: RequestSpec, each: Bet) -> str | None:
        """Return the id with which a request was sent, None if it was sent without one.

        Only a case that changes the id, or the whole body, needs the suite's `id_field`, which may be nested.
        """
        if spec.body is None and self._client.suite.id_field not in spec.changes:
            return each.id
        value = self._client.get_field(self._client.build(spec, self), self._client.suite.id_field)
        return None if value in (None, "") else str(value)

    def _track_open_bets(self, answered: Iterable[tuple[RequestSpec, Observed]]) -> None:
        """Update the open bets: bets without a clear refusal that are neither settled nor cancelled since."""
        # Of concurrent requests, a bet may have been executed after its cancel. So the bets of a step are added last.
        placed: dict[tuple[str, str], _OpenBet] = {}
        for spec, observed in answered:
            command, is_accepted = spec.build_command(self), observed.outcome == "accepted"
            for each in command.commands if isinstance(command, Group) else (command,):
                if isinstance(each, Bet) and observed.outcome != "refused":
                    # The id of one bet of a group is in no field of its own.
                    sent_id = each.id if isinstance(command, Group) else self._get_sent_id(spec, each)
                    placed[spec.account, each.id] = _OpenBet(spec, sent_id, each.round, is_accepted, each.stake)
                elif is_accepted:
                    self._track_accepted(spec.account, each)
        self._open_bets |= placed

    def _track_accepted(self, account: str, command: Command) -> None:
        """Update the open bets after an accepted command that is not a bet."""
        match command:
            case Win(round=None):
                for key in [key for key in self._open_bets if key[0] == account]:
                    self._open_bets[key] = self._open_bets[key]._replace(may_be_won=True)
            case Win(round=round) | Settle(id=round) | RollbackRound(round=round) | EndRound(round=round):
                settled = [key for key, bet in self._open_bets.items() if (key[0], bet.round) == (account, round)]
                for key in settled:
                    del self._open_bets[key]
            case Cancel(id=id) | Rollback(reference=id, amount=None):
                self._open_bets.pop((account, id), None)
            case Rollback(id=id, reference=reference, amount=int(amount)):
                if bet := self._open_bets.pop((account, reference), None):
                    refunds = {**bet.refunds, id: amount}
                    if sum(refunds.values()) < bet.stake:
                        self._open_bets[account, reference] = bet._replace(refunds=refunds)
            case _:
                pass


def _check_outcomes(expected: str | None, answers: Sequence[Observed]) -> CheckResult:
    outcomes = [each.outcome for each in answers]
    is_ok = (
        expected is None
        or (expected == "exactly one accepted" and outcomes.count("accepted") == 1)
        or (expected == "not accepted" and "accepted" not in outcomes)
        or {*outcomes} == {expected}
    )
    return CheckResult(expected or "any reply", _summarize([each.summary for each in answers]), is_ok)


def _compare_change(expected: int, actual: int, prefix: str = "") -> CheckResult:
    return CheckResult(
        f"{prefix}{describe_balance_change(expected)}",
        f"{prefix}{describe_balance_change(actual)}",
        expected == actual,
    )


def _summarize(texts: list[str]) -> str:
    """Return texts as `accepted`, or as `1 accepted and 7 refused (106)` if they differ."""
    if len({*texts}) == 1:
        number = {1: "", 2: "both "}.get(len(texts), f"all {len(texts)} ")
        return f"{number}{texts[0]}"
    return " and ".join(f"{times} {each}" for each, times in sorted(Counter(texts).items()))
