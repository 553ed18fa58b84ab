"""The results of a run in words, for people who do not know this program."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from minwallet.conformance.balances import BalanceFault, option_name
from minwallet.conformance.dsl import Case
from minwallet.conformance.runner import CaseResult, Leftovers
from minwallet.ledger.money import format_amount

MAX_SHOWN_FAULTS = 5

MIN_SUMMARIZED_COPIES = 3
"""The number of equal exchanges that are shown as one. A request and its retry stay apart."""

LABEL_WIDTH = 10

CODE_ADVICE = "/code"

CODES_TITLE = "advice on codes: the specification leaves the codes of these refusals open, and minwallet has others."

LEGEND = """\
How to read the reports:
- FAIL: the wallet breaks the quoted sentence of the specification.
- advice: the specification leaves this open, and the wallet differs from minwallet's own contract.
- "balance 0.05 lower" compares the player's balance with the one before the case. Requests contain cents, so 5 is 0.05.
- {token} is the session of --token. Other names in braces are those of the other options."""


def describe_result(result: CaseResult) -> list[str]:
    """Return the report of one result: the rule, what was sent, what was expected, and what came."""
    source = result.spec if result.advice else f"specification: {result.spec}"
    lines = [_label("rule", source)]
    if result.balances:
        before, *after = result.balances
        then = f", then {', '.join(after)}" if after else ""
        lines.append(_label("balance", f"{before} before the case{then}"))
    for (request, reply), group in groupby(zip(result.sent, result.replies, strict=True)):
        copies = len(list(group))
        if copies >= MIN_SUMMARIZED_COPIES:
            lines += [_label("sent", f"{copies} times {request}"), _label("reply", reply)]
        else:
            lines += [_label("sent", request), _label("reply", reply)] * copies
    return [*lines, _label("expected", result.expected), _label("received", result.came)]


def describe_results(results: Sequence[CaseResult]) -> Iterator[str]:
    """Yield a legend and one paragraph for each broken rule, then one for all unexpected codes. Nothing if all pass."""
    broken = [each for each in results if each.verdict in ("fail", "advice")]
    codes = [each for each in broken if each.name.endswith(CODE_ADVICE)]
    reports = [each for each in broken if each not in codes]
    if reports:
        yield LEGEND
    for each in reports:
        title = f"{format_verdict(each)} {each.name}: {each.rule}"
        yield "\n  ".join([title, *describe_result(each)])
    if codes:
        yield "\n  ".join([CODES_TITLE, *map(_describe_code, codes)])
    if hint := _find_hint(results):
        yield hint


def _describe_code(result: CaseResult) -> str:
    case = result.name.removesuffix(CODE_ADVICE)
    return f"{case}: {result.came}, minwallet has {result.expected}. {result.rule}"


def _find_hint(results: Iterable[CaseResult]) -> str:
    """Return a hint if the wallet refuses even a simple bet, else "". A minimum stake is a common reason."""
    if any(each.name == "bet" and each.verdict == "fail" and each.came.startswith("refused") for each in results):
        return "hint: the wallet refuses a simple bet. If it has a minimum stake, give it with --unit"
    return ""


def format_verdict(result: CaseResult) -> str:
    """Return the verdict as the reports show it."""
    return result.verdict.replace("fail", "FAIL")


def _label(name: str, text: str) -> str:
    return f"{name:{LABEL_WIDTH}}{text}"


def describe_skips(results: Iterable[CaseResult]) -> list[str]:
    """Return each reason why cases were skipped, with their number."""
    reasons = Counter(result.came for result in results if result.verdict == "skipped")
    return [f"{count} skipped: {reason}" for reason, count in reasons.items()]


def describe_leftovers(leftovers: Leftovers) -> list[str]:
    """Return the lasting effects of the run: balances, open bets, used ids."""
    effects = list(_describe_changes(leftovers))
    if leftovers.open_bets:
        effects.append(f"bets that may be open: {', '.join(leftovers.open_bets)}")
    lines = [f"left behind: {'; '.join(effects) or 'nothing, all balances are unchanged'}"]
    if leftovers.used_ids:
        first, last = leftovers.used_ids
        lines.append(f"used ids: {first} to {last}; a next run on this wallet can begin with --first-id {last + 1}")
    return lines


def _describe_changes(leftovers: Leftovers) -> Iterator[str]:
    for token, change in leftovers.balance_changes.items():
        faults = [fault for fault in leftovers.faults if fault.token == token]
        if change is None:
            yield f"an unknown balance of --{option_name(token)}"
        elif change:
            comparison = "more" if change > 0 else "less"
            where = _describe_faults(faults)
            yield f"--{option_name(token)} has {format_amount(abs(change))} {comparison} than before{where}"


def _describe_faults(faults: Sequence[BalanceFault]) -> str:
    shown = [f"{format_amount(fault.change)} in {fault.case}" for fault in faults[:MAX_SHOWN_FAULTS]]
    more = [f"{len(faults) - MAX_SHOWN_FAULTS} more"] if len(faults) > MAX_SHOWN_FAULTS else []
    return f" ({', '.join([*shown, *more])})" if shown else ""


def describe_needs(case: Case) -> str:
    """Return the options that a case needs, `--token` aside."""
    options = sorted(case.required_tokens - {"token", "unknown"})
    return ", ".join(f"--{option_name(name)}" for name in options)
