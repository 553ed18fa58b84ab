"""`minwallet conformance`: black-box tests of any wallet server."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.options import JsonOption
from minwallet.cli.output import (
    EXIT_REFUSED,
    OutputError,
    UsageError,
    print_json,
    print_line,
    print_table,
)
from minwallet.ledger.money import format_amount
from minwallet.protocols.registry import PROTOCOLS

if TYPE_CHECKING:
    from minwallet.conformance.runner import CaseResult, Leftovers

VERDICTS = ("pass", "fail", "advice", "skipped")

MAX_FIRST_ID = 2**62

COLUMN_WIDTHS = (8, 40, 36, 36, 40)
"""The maximum width of each column, so that the first three fit into a narrow terminal."""

LIVE_SESSION = "A live session"

UrlArgument = Annotated[str, typer.Argument(metavar="URL", help="The wallet's URL, without the protocol's paths.")]
WireProtocolOption = Annotated[
    str, typer.Option("--protocol", metavar="|".join(PROTOCOLS), help="The wallet's protocol.")
]
FirstTokenOption = Annotated[
    str, typer.Option("--token", help=f"{LIVE_SESSION} of a player with a balance of at least 0.20.")
]
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
    str, typer.Option("--wallet-token", help="The agent's wallet token, for wallet-v2's /wallet/WALLET_TOKEN.")
]
FirstIdOption = Annotated[
    int | None, typer.Option("--first-id", metavar="N", help="The first id to use.  [default: from the clock]")
]
TimeoutSecondsOption = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", help="Maximum time to wait for an answer.")
]
JunitOption = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Also write the result to this file, as JUnit XML.")
]


def conformance(
    url: UrlArgument,
    protocol: WireProtocolOption,
    token: FirstTokenOption,
    second_token: SecondTokenOption = "",
    currency_token: CurrencyTokenOption = "",
    expired_token: ExpiredTokenOption = "",
    revoked_token: RevokedTokenOption = "",
    blocked_token: BlockedTokenOption = "",
    wallet_token: WalletTokenOption = "",
    first_id: FirstIdOption = None,
    timeout_s: TimeoutSecondsOption = 5,
    junit: JunitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Test any wallet server against all protocol rules.

    Each rule that is visible from outside is a case. Most cases bet a few cents, and some bet the first player's whole
    balance, so use test players. The command cancels its bets, and reports each amount that it could not return.

    A broken rule of the specification is a failure, and the exit code is 1. A broken rule of minwallet's own contract
    is advice.

    Example: minwallet conformance http://10.0.0.5 --protocol vela --token TOKEN
    """
    from minwallet.conformance.junit import render_junit

    tokens_given = {
        "token": token,
        "second": second_token,
        "currency": currency_token,
        "expired": expired_token,
        "revoked": revoked_token,
        "blocked": blocked_token,
        "wallet": wallet_token,
    }
    tokens = {name: value for name, value in tokens_given.items() if value}
    findings, leftovers = _run_cases(url, protocol, tokens, time.time_ns() if first_id is None else first_id, timeout_s)
    counts = {verdict: sum(each.verdict == verdict for each in findings) for verdict in VERDICTS}
    if as_json:
        _print_json_report(url, protocol, findings, counts, leftovers)
    else:
        _print_report(findings, counts, leftovers)
    if junit:
        _write_junit(junit, render_junit(protocol, findings))
    if counts["fail"]:
        raise typer.Exit(EXIT_REFUSED)


def _run_cases(
    url: str, protocol: str, tokens: dict[str, str], first_id: int, timeout_s: float
) -> tuple["list[CaseResult]", "Leftovers"]:
    from rich.console import Console
    from rich.progress import track

    from minwallet.conformance import load_suite
    from minwallet.conformance.client import Client
    from minwallet.conformance.runner import Runner

    if protocol not in PROTOCOLS:
        raise UsageError(f"unknown protocol {protocol!r}; use {' or '.join(PROTOCOLS)}")
    if not 0 <= first_id <= MAX_FIRST_ID:
        raise UsageError(f"invalid --first-id {first_id}: must be from 0 to {MAX_FIRST_ID}")
    # This form also refuses nan.
    if not timeout_s > 0:
        raise UsageError(f"invalid --timeout {timeout_s:g}: must be more than 0")
    if "token" not in tokens:
        raise UsageError("invalid --token '': must not be empty")
    suite = load_suite(protocol)
    unknown_token = {"unknown": f"nobody_{first_id}"}
    try:
        client = Client(suite, url, tokens | unknown_token, timeout_s)
    except ValueError as error:
        raise UsageError(str(error)) from error
    stderr = Console(stderr=True)
    with client:
        runner = Runner(client, first_id)
        cases = track(suite.cases, "testing", console=stderr, transient=True, disable=not stderr.is_terminal)
        findings = list(runner.run(cases))
        return findings, runner.collect_leftovers()


def _print_json_report(
    url: str, protocol: str, findings: "list[CaseResult]", counts: dict[str, int], leftovers: "Leftovers"
) -> None:
    cases = [each._asdict() for each in findings]
    change = {
        name: None if cents is None else format_amount(cents) for name, cents in leftovers.balance_changes.items()
    }
    ids = dict(zip(("first", "last"), map(str, leftovers.used_ids), strict=True))
    document = {"ok": not counts["fail"], "protocol": protocol, "url": url, "cases": cases, "counts": counts}
    print_json({**document, "left": {"change": change, "open": leftovers.open_bets, "ids": ids}})


def _print_report(findings: "list[CaseResult]", counts: dict[str, int], leftovers: "Leftovers") -> None:
    """Print the table of all cases, the details of the broken rules, and the counts."""
    rows = [
        map(_truncate_cell, (_format_verdict(each), each.name, each.came, each.expected, each.script), COLUMN_WIDTHS)
        for each in findings
    ]
    print_table(["verdict", "case", "received", "expected", "sent"], [tuple(row) for row in rows], "no cases")
    for each in findings:
        if each.verdict in ("fail", "advice"):
            print_line(_describe_failure(each))
    others = f"{counts['fail']} failed, {counts['advice']} with advice, {counts['skipped']} skipped"
    print_line(f"\n{counts['pass']} passed, {others}")
    print_line(f"left behind: {_describe_leftovers(leftovers)}")


def _describe_failure(finding: "CaseResult") -> str:
    lines = [
        f"\n{_format_verdict(finding)} {finding.name}: {finding.rule}",
        f"  {finding.spec}",
        *(f"  {'' if number else 'sent':8}  {sent}" for number, sent in enumerate(finding.sent)),
        f"  expected  {finding.expected}",
        f"  received  {finding.came}",
        f"  answer    {finding.answer}",
    ]
    return "\n".join(lines)


def _format_verdict(finding: "CaseResult") -> str:
    return finding.verdict.replace("fail", "FAIL")


def _describe_leftovers(leftovers: "Leftovers") -> str:
    from minwallet.conformance.dsl import format_change
    from minwallet.conformance.runner import option_name

    changes = [
        f"{'an unknown balance' if cents is None else format_change(cents)} for --{option_name(name)}"
        for name, cents in leftovers.balance_changes.items()
        if cents != 0
    ]
    open_bets = [f"bets that may be open: {', '.join(leftovers.open_bets)}"] if leftovers.open_bets else []
    summary = "; ".join([*changes, *open_bets]) or "nothing, all balances are unchanged"
    return f"{summary}; used ids {leftovers.used_ids[0]} to {leftovers.used_ids[1]}"


def _truncate_cell(text: str, max_width: int) -> str:
    return text if len(text) <= max_width else f"{text[: max_width - 1]}…"


def _write_junit(file: Path, document: bytes) -> None:
    try:
        file.write_bytes(document)
    except OSError as error:
        raise OutputError(f"the test is complete, but '{file}' cannot be written: {error.strerror}") from error
