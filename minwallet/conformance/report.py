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

UNCLEAR_TITLE = (
    "advice on unclear replies: these calls moved no money, but the reply is neither a success nor a refusal, so a"
    " provider may repeat the call for ever. Refuse the call instead."
)

LEGEND = """\
How to read the reports:
- FAIL: the wallet breaks the quoted sentence of the specification. A sentence after the quotation is our conclusion.
- advice: the specification leaves this open, and the wallet differs from minwallet's own contract.
- "balance 0.05 lower" compares the player's balance with the one before the case. "other" is the second account.
- Requests and replies contain the protocol's own amounts. In cents, 5 is 0.05.
- {token} is the session of --token. Other names in braces are those of the other options."""


def describe_result(result: CaseResult) -> list[str]:
    """Return the report of one result: the rule, what was sent, what was expected and received."""
    source = result.spec if result.advice else f"specification: {result.spec}"
    lines = [_label("rule", source)]
    if result.balances:
        before, *after = result.balances
        then = f", then {', '.join(after)}" if after else ""
        lines.append(_label("balance", f"{before} before the case{then}"))
    if result.other_balances:
        before, *after = result.other_balances
        lines.append(_label("other", f"{before} before the case, then {', '.join(after)}"))
    lines += _describe_exchanges(result)
    lines += [_label("expected", result.expected), _label("received", result.received)]
    return [*lines, _label("note", result.note)] if result.note else lines


def _describe_exchanges(result: CaseResult) -> Iterator[str]:
    exchanges = zip(result.sent, result.replies, result.labels, strict=True)
    for (request, reply), group in groupby(exchanges, key=lambda each: each[:2]):
        labels = [label for _, _, label in group]
        if len(labels) >= MIN_SUMMARIZED_COPIES:
            yield _label("sent", f"{len(labels)} copies at once: {request}")
            yield _label("reply", reply)
            continue
        for label in labels:
            yield _label(label, request)
            yield _label("reply", reply)


def describe_results(results: Sequence[CaseResult]) -> Iterator[str]:
    """Yield a legend and one paragraph for each broken rule, then one for all unexpected codes. Nothing if all pass."""
    broken = [each for each in results if each.verdict in ("fail", "advice")]
    codes = [each for each in broken if each.name.endswith(CODE_ADVICE)]
    reports = [each for each in broken if each not in codes]
    if reports:
        yield LEGEND
    for each in reports:
        yield "\n  ".join([f"{format_verdict(each)} {each.name}: {_describe_rule(each)}", *describe_result(each)])
    unclear = [each for each in codes if not _is_clear(each)]
    clear = [each for each in codes if each not in unclear]
    for title, group in ((CODES_TITLE, clear), (UNCLEAR_TITLE, unclear)):
        if group:
            yield "\n  ".join([title, *map(_describe_code, group)])
    if hint := _find_hint(results):
        yield hint
    yield from _find_live_sessions(results)


def _is_clear(code: CaseResult) -> bool:
    return "code" in code.received or "accepted" in code.received


def _describe_rule(result: CaseResult) -> str:
    """Return the rule, or the difference if the result is an advice on a case that may have passed."""
    return f"expected {result.expected}, received {result.received}" if "/" in result.name else result.rule


def _describe_code(result: CaseResult) -> str:
    case, call = result.name.removesuffix(CODE_ADVICE), result.script.rpartition("; ")[2]
    accepted = result.received.endswith("accepted")
    difference = f"refuses it with {result.expected}" if accepted else f"has {result.expected}"
    return f"{case}: '{call}' gets {result.received}, minwallet {difference}"


def _find_hint(results: Iterable[CaseResult]) -> str:
    """Return a hint if the wallet refuses even a simple bet, else "". A minimum stake is a common reason."""
    if any(each.name == "bet" and each.verdict == "fail" and each.received.startswith("refused") for each in results):
        return (
            "hint: the wallet refuses a simple bet. If it has a minimum stake, give it with --unit. If it knows the ids"
            " of an earlier run, give a higher --first-id"
        )
    return ""


def _find_live_sessions(results: Iterable[CaseResult]) -> Iterator[str]:
    """Yield a hint for each ended session that can read the balance: its token may be a live one."""
    for session in ("expired", "revoked"):
        names = (f"credit-{session}", f"authenticate-{session}")
        if any(each.name in names and each.received.startswith("accepted") for each in results):
            yield f"hint: --{session}-token can read the balance. Check that its session is really {session}"


def format_verdict(result: CaseResult) -> str:
    """Return the verdict as the reports show it."""
    return result.verdict.replace("fail", "FAIL")


def summarize_broken(results: Iterable[CaseResult], max_width: int) -> Iterator[str]:
    """Yield a line of up to `max_width` characters for each broken rule: verdict, case, and what was received."""
    broken = [each for each in results if each.verdict not in ("pass", "skipped")]
    width = max((len(each.name) for each in broken), default=0)
    for each in broken:
        line = f"{format_verdict(each):6}  {each.name:{width}}  {each.received}"
        yield line if len(line) <= max_width else f"{line[: max_width - 1]}…"


def _label(name: str, text: str) -> str:
    return f"{name:{LABEL_WIDTH - 1}} {text}"


def describe_skips(results: Sequence[CaseResult]) -> list[str]:
    """Return each reason why cases were skipped, with their number, and the cases that this program could not judge."""
    reasons = Counter(result.received for result in results if result.verdict == "skipped")
    errors = [each for each in results if each.verdict == "error"]
    return [
        *(f"{count} skipped: {reason}" for reason, count in reasons.items()),
        *(
            f"{each.name} was not judged because of a bug in minwallet: {each.received}; please report it"
            for each in errors
        ),
    ]


def describe_leftovers(leftovers: Leftovers) -> list[str]:
    """Return the lasting effects of the run: balances, open bets, used ids."""
    effects = list(_describe_changes(leftovers))
    if leftovers.open_bets:
        bets = ", ".join(f"{each.id} of {each.case}" for each in leftovers.open_bets)
        effects.append(f"bets that may be open: {bets}")
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
