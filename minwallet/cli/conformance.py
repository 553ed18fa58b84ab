"""`minwallet conformance`: black-box tests of any wallet server."""

import time
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from minwallet.cli.demo_provider import SecretFileOption, read_secret
from minwallet.cli.options import JsonOption, parse_amount_option
from minwallet.cli.output import (
    EXIT_REFUSED,
    OutputError,
    UsageError,
    describe_os_error,
    print_json,
    print_line,
)
from minwallet.ledger.money import format_amount
from minwallet.protocols.registry import list_protocols

if TYPE_CHECKING:
    from minwallet.conformance.dsl import Case, ProtocolSuite
    from minwallet.conformance.runner import CaseResult, Leftovers

VERDICTS = ("pass", "fail", "advice", "skipped", "error")

MAX_FIRST_ID = 2**62

MAX_UNIT_CENTS = 10**9

MAX_LINE_CHARS = 79
"""The maximum length of a line of the summary, so that it fits into a narrow terminal."""

TOKEN_NAMES = ("token", "second", "currency", "expired", "revoked", "blocked", "wallet")

ACCOUNT_NAMES = ("token", "second", "currency", "blocked")
"""The names of the tokens that can have an account of their own."""

LIVE_SESSION = "A live session"

REQUIRED = "Required without --list."

UrlArgument = Annotated[
    str, typer.Argument(metavar="URL", help=f"The wallet's URL, without the protocol's paths. {REQUIRED}")
]
WireProtocolOption = Annotated[
    str, typer.Option("--protocol", metavar="PROTOCOL", help=f"The wallet's protocol, such as vela. {REQUIRED}")
]
FirstTokenOption = Annotated[
    str,
    typer.Option(
        "--token", help=f"{LIVE_SESSION} of a player with a balance of at least 0.20, or 20 units. {REQUIRED}"
    ),
]
PathOption = Annotated[
    str | None,
    typer.Option(
        "--path",
        help="The path of the wallet, if it is not the protocol's. It replaces the part with which all paths of the "
        "protocol begin, such as /wallet of wallet-v2.",
    ),
]
UnitOption = Annotated[
    str, typer.Option("--unit", metavar="AMOUNT", help="The minimum stake; all amounts are multiples of it.")
]
OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", metavar="CASE", help="Run only this case. May be given several times.")
]
ListOption = Annotated[bool, typer.Option("--list", help="List the cases and their rules, without a wallet.")]
SecondTokenOption = Annotated[
    str,
    typer.Option("--second-token", help=f"{LIVE_SESSION} of another player with 0.20, of the same agent and currency."),
]
CurrencyTokenOption = Annotated[
    str,
    typer.Option("--currency-token", help=f"{LIVE_SESSION} of the first player in another currency, with 0.20."),
]
ExpiredTokenOption = Annotated[
    str, typer.Option("--expired-token", help="An expired session of the first player and currency.")
]
RevokedTokenOption = Annotated[
    str, typer.Option("--revoked-token", help="A revoked session of the first player and currency.")
]
BlockedTokenOption = Annotated[
    str, typer.Option("--blocked-token", help=f"{LIVE_SESSION} of a blocked player of the same agent.")
]
WalletTokenOption = Annotated[
    str, typer.Option("--wallet-token", help="The agent's wallet token, for paths such as /wallet/WALLET_TOKEN.")
]
AccountOption = Annotated[
    list[str] | None,
    typer.Option(
        "--account",
        metavar="NAME=PLAYER/CURRENCY",
        help="The player and the currency of a token, such as token=alice/USD or second=bob/USD, if even a balance "
        "request has to name them. May be given several times.",
    ),
]
FirstIdOption = Annotated[
    int | None,
    typer.Option(
        "--first-id", metavar="N", help="The first id to use; the next ones follow.  [default: from the clock]"
    ),
]
TimeoutSecondsOption = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", help="Maximum time to wait for an answer.")
]
JunitOption = Annotated[
    Path | None,
    typer.Option("--junit", metavar="FILE", readable=False, help="Also write the result to this file, as JUnit XML."),
]


def conformance(
    url: UrlArgument = "",
    protocol: WireProtocolOption = "",
    token: FirstTokenOption = "",
    second_token: SecondTokenOption = "",
    currency_token: CurrencyTokenOption = "",
    expired_token: ExpiredTokenOption = "",
    revoked_token: RevokedTokenOption = "",
    blocked_token: BlockedTokenOption = "",
    wallet_token: WalletTokenOption = "",
    account: AccountOption = None,
    secret_file: SecretFileOption = None,
    path: PathOption = None,
    unit: UnitOption = "0.01",
    only: OnlyOption = None,
    first_id: FirstIdOption = None,
    timeout_s: TimeoutSecondsOption = 5,
    junit: JunitOption = None,
    list_cases: ListOption = False,
    as_json: JsonOption = False,
) -> None:
    """Test any wallet server against all protocol rules.

    Each rule that is visible from outside is a case. Most cases bet a few cents, and the last ones bet the first
    player's whole balance, so use test players. The command cancels its bets, and reports each amount that it could not
    return.

    A broken rule of the specification is a failure, and the exit code is 1. A broken rule of minwallet's own contract
    is advice. The output has no line for a case that passes; --json has all cases.

    Example: minwallet conformance http://10.0.0.5 --protocol vela --token TOKEN
    """
    if list_cases:
        _print_cases(protocol, only or [], as_json=as_json)
        return
    from minwallet.conformance.junit import render_junit

    given = (token, second_token, currency_token, expired_token, revoked_token, blocked_token, wallet_token)
    tokens = {name: value for name, value in zip(TOKEN_NAMES, given, strict=True) if value}
    _require_target(url, protocol, tokens)
    suite = _load_suite(protocol)
    cases = _select_cases(suite.cases, only or [])
    secret, accounts = _read_secret(suite, secret_file), _parse_accounts(account or [])
    plan = _RunPlan(url, path, tokens, secret, accounts, _parse_first_id(first_id), _parse_unit(unit), timeout_s)
    findings, leftovers = _run_cases(suite, cases, plan)
    counts = {verdict: sum(each.verdict == verdict for each in findings) for verdict in VERDICTS}
    if as_json:
        _print_json_report(url, protocol, findings, counts, leftovers)
    else:
        _print_report(findings, counts, leftovers)
    if junit:
        _write_junit(junit, render_junit(protocol, findings))
    if counts["fail"] or counts["error"]:
        raise typer.Exit(EXIT_REFUSED)


class _RunPlan(NamedTuple):
    """The values of the options that a run needs: the wallet, its tokens, the first id, and the unit in cents.

    `accounts` has the player and the currency of tokens by name.
    """

    url: str
    path: str | None
    tokens: dict[str, str]
    secret: str
    accounts: dict[str, tuple[str, str]]
    first_id: int
    unit: int
    timeout_s: float


def _require_target(url: str, protocol: str, tokens: dict[str, str]) -> None:
    """Raise UsageError if a value is missing that only `--list` does not need."""
    if not url:
        raise UsageError("missing URL of the wallet: write it like http://127.0.0.1:8000; for more, add --help")
    if not protocol:
        raise UsageError(f"missing --protocol: use {' or '.join(list_protocols())}")
    if "token" not in tokens:
        raise UsageError("missing --token: give a live session of a test player")


def _load_suite(protocol: str) -> "ProtocolSuite":
    from minwallet.conformance import NoCases, load_suite

    if protocol not in list_protocols():
        raise UsageError(f"unknown protocol {protocol!r}; use {' or '.join(list_protocols())}")
    try:
        return load_suite(protocol)
    except NoCases as error:
        raise UsageError(str(error)) from error


def _read_secret(suite: "ProtocolSuite", file: Path | None) -> str:
    """Return the secret of the file, "" without one. Raise UsageError if the protocol needs one or does not use it."""
    name = suite.protocol.name
    if suite.protocol.signature is None:
        if file:
            raise UsageError(f"protocol {name!r} does not sign its calls; omit --secret-file")
        return ""
    if file is None:
        raise UsageError(f"protocol {name!r} signs its calls; give the file with the secret with --secret-file")
    return read_secret(file)


def _parse_accounts(given: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the player and the currency by the name of the token."""
    accounts = {}
    for text in given:
        name, _, account = text.partition("=")
        player_id, _, currency = account.rpartition("/")
        if name not in ACCOUNT_NAMES or not player_id or not currency:
            raise UsageError(
                f"invalid --account {text!r}: write it like token=alice/USD, with {', '.join(ACCOUNT_NAMES)}"
            )
        accounts[name] = (player_id, currency)
    return accounts


def _select_cases(cases: "Sequence[Case]", only: Sequence[str]) -> "Sequence[Case]":
    """Return the cases of these names, all without a name. The name of a case's advice stands for the case."""
    names = [each.name for each in cases]
    wanted = [name.partition("/")[0] for name in only]
    for name in wanted:
        if name not in names:
            nearest = get_close_matches(name, names, 1)
            hint = f"did you mean {nearest[0]}?" if nearest else "conformance --list shows all cases"
            raise UsageError(f"unknown case {name!r}; {hint}")
    return [each for each in cases if not only or each.name in wanted]


def _parse_first_id(first_id: int | None) -> int:
    """Return the first id. Ids of the clock are below 2^53, up to which a wallet in JavaScript reads them exactly."""
    if first_id is None:
        return time.time_ns() // 1000
    if not 0 <= first_id <= MAX_FIRST_ID:
        raise UsageError(f"invalid --first-id {first_id}: must be from 0 to {MAX_FIRST_ID}")
    return first_id


def _parse_unit(unit: str) -> int:
    """Return the unit in cents."""
    cents = parse_amount_option(unit)
    if not 0 < cents <= MAX_UNIT_CENTS:
        raise UsageError(f"invalid --unit {unit!r}: must be from 0.01 to {format_amount(MAX_UNIT_CENTS)}")
    return cents


def _run_cases(
    suite: "ProtocolSuite", cases: "Sequence[Case]", plan: _RunPlan
) -> tuple["list[CaseResult]", "Leftovers"]:
    from rich.console import Console
    from rich.progress import track

    from minwallet.conformance.client import Client
    from minwallet.conformance.runner import Runner

    # This form also refuses nan.
    if not plan.timeout_s > 0:
        raise UsageError(f"invalid --timeout {plan.timeout_s:g}: must be more than 0")
    unknown_token = {"unknown": f"nobody_{plan.first_id}"}
    try:
        client = Client(
            suite,
            plan.url,
            plan.tokens | unknown_token,
            plan.timeout_s,
            plan.path,
            secret=plan.secret,
            accounts=plan.accounts,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    stderr = Console(stderr=True)
    with client:
        runner = Runner(client, plan.first_id, plan.unit)
        tracked = track(cases, "testing", console=stderr, transient=True, disable=not stderr.is_terminal)
        findings = list(runner.run(tracked))
        return findings, runner.collect_leftovers()


def _print_cases(protocol: str, only: Sequence[str], *, as_json: bool) -> None:
    """Print the cases of this protocol, or of all protocols that have cases, and the protocols without any."""
    from minwallet.conformance import list_tested_protocols
    from minwallet.conformance.report import describe_needs

    tested = list_tested_protocols()
    without_cases = [] if protocol else [name for name in list_protocols() if name not in tested]
    suites = [_load_suite(name) for name in ([protocol] if protocol else tested)]
    chosen = _select_cases([case for suite in suites for case in suite.cases], only)
    cases = [(suite.protocol.name, case) for suite in suites for case in suite.cases if case in chosen]
    if as_json:
        rows = [
            {"protocol": name, "name": case.name, "rule": case.rule, "spec": case.spec, "advice": case.is_advice,
             "needs": describe_needs(case)}
            for name, case in cases
        ]  # fmt: skip  # one row
        print_json({"cases": rows, "without_cases": without_cases})
        return
    width = max(len(case.name) for _, case in cases)
    name_width = max(len(name) for name, _ in cases)
    for name, case in cases:
        needs = describe_needs(case)
        print_line(f"{name:{name_width}}  {case.name:{width}}  {case.rule}{needs and f' (needs {needs})'}")
    for name in without_cases:
        print_line(f"{name} has no cases")


def _print_json_report(
    url: str, protocol: str, findings: "list[CaseResult]", counts: dict[str, int], leftovers: "Leftovers"
) -> None:
    cases = [each._asdict() for each in findings]
    change = {
        name: None if cents is None else format_amount(cents) for name, cents in leftovers.balance_changes.items()
    }
    faults = [{**each._asdict(), "change": format_amount(each.change)} for each in leftovers.faults]
    ids = leftovers.used_ids and dict(zip(("first", "last"), map(str, leftovers.used_ids), strict=True))
    document = {
        "ok": not counts["fail"] + counts["error"],
        "protocol": protocol,
        "url": url,
        "cases": cases,
        "counts": counts,
    }
    open_bets = [each._asdict() for each in leftovers.open_bets]
    left = {"change": change, "faults": faults, "open": open_bets, "ids": ids}
    print_json({**document, "left": left})


def _print_report(findings: "list[CaseResult]", counts: dict[str, int], leftovers: "Leftovers") -> None:
    """Print a line for each broken rule, the reports, and the counts."""
    from minwallet.conformance.report import describe_leftovers, describe_results, describe_skips, summarize_broken

    summary = [*summarize_broken(findings, MAX_LINE_CHARS)]
    for line in summary:
        print_line(line)
    for paragraph in describe_results(findings):
        print_line(f"\n{paragraph}")
    if summary:
        print_line("")
    for line in describe_skips(findings):
        print_line(line)
    others = f"{counts['fail']} failed, {counts['advice']} with advice, {counts['skipped']} skipped"
    print_line(f"{counts['pass']} passed, {others}")
    for line in describe_leftovers(leftovers):
        print_line(line)


def _write_junit(file: Path, document: bytes) -> None:
    try:
        file.write_bytes(document)
    except OSError as error:
        raise OutputError(
            f"the test is complete, but '{file}' cannot be written: {describe_os_error(error)}"
        ) from error
