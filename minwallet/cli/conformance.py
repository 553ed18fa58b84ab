"""`minwallet conformance`: tries any wallet server from outside."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.output import (
    EXIT_REFUSED,
    BadUsage,
    JsonFlag,
    NoOutput,
    print_json,
    print_line,
    print_table,
)
from minwallet.ledger.money import format_amount
from minwallet.protocols.registry import PROTOCOLS

if TYPE_CHECKING:
    from minwallet.conformance.runner import CaseResult, Leftovers

VERDICTS = ("pass", "fail", "advice", "skipped")

LARGEST_FIRST_ID = 2**62

WIDEST = (8, 40, 36, 36, 40)
"""How much of each column is shown, so that verdict, case and what came have room in a narrow terminal."""

LIVE = "A live session"

Url = Annotated[str, typer.Argument(metavar="URL", help="The address below which the protocol's paths are.")]
Protocol = Annotated[str, typer.Option("--protocol", metavar="|".join(PROTOCOLS), help="What the wallet speaks.")]
First = Annotated[str, typer.Option("--token", help=f"{LIVE} of a player who has at least 0.20.")]
Second = Annotated[
    str, typer.Option("--second-token", help=f"{LIVE} of another player of that agent and currency, who has 0.20 too.")
]
Currency = Annotated[
    str, typer.Option("--currency-token", help=f"{LIVE} of the first player in another currency, with 0.20 in it.")
]
Expired = Annotated[str, typer.Option("--expired-token", help="An expired session of the first player and currency.")]
Revoked = Annotated[str, typer.Option("--revoked-token", help="A revoked session of the first player and currency.")]
Blocked = Annotated[str, typer.Option("--blocked-token", help=f"{LIVE} of a blocked player of that agent.")]
WalletToken = Annotated[
    str, typer.Option("--wallet-token", help="The agent's own token, for wallet-v2's /wallet/WALLET_TOKEN.")
]
FirstId = Annotated[
    int | None, typer.Option("--first-id", metavar="N", help="The first id to use; by default one from the clock.")
]
Timeout = Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="How long to wait for an answer.")]
Junit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write the result as JUnit XML, too.")]


def conformance(
    url: Url,
    protocol: Protocol,
    token: First,
    second_token: Second = "",
    currency_token: Currency = "",
    expired_token: Expired = "",
    revoked_token: Revoked = "",
    blocked_token: Blocked = "",
    wallet_token: WalletToken = "",
    first_id: FirstId = None,
    timeout_s: Timeout = 5,
    junit: Junit = None,
    as_json: JsonFlag = False,
) -> None:
    """Try any wallet server with every rule. Each that its protocol has and that can be seen from outside is a case.

    Most cases bet a few cents, some all that the first player has; what can be taken back is taken back, and the rest
    is told. So use players who are there for it. Exit code 1 if a rule of the specification is broken; a rule that
    only minwallet's own contract has is advice.
    """
    from minwallet.conformance.junit import render_junit

    given = {
        "token": token,
        "second": second_token,
        "currency": currency_token,
        "expired": expired_token,
        "revoked": revoked_token,
        "blocked": blocked_token,
        "wallet": wallet_token,
    }
    tokens = {name: value for name, value in given.items() if value}
    findings, left = _try(url, protocol, tokens, time.time_ns() if first_id is None else first_id, timeout_s)
    counts = {verdict: sum(each.verdict == verdict for each in findings) for verdict in VERDICTS}
    if as_json:
        _print_json(url, protocol, findings, counts, left)
    else:
        _print(findings, counts, left)
    if junit:
        _write(junit, render_junit(protocol, findings))
    if counts["fail"]:
        raise typer.Exit(EXIT_REFUSED)


def _try(
    url: str, protocol: str, tokens: dict[str, str], first_id: int, timeout_s: float
) -> tuple["list[CaseResult]", "Leftovers"]:
    from rich.console import Console
    from rich.progress import track

    from minwallet.conformance import load_suite
    from minwallet.conformance.client import Client
    from minwallet.conformance.runner import Runner

    if protocol not in PROTOCOLS:
        raise BadUsage(f"there is no protocol {protocol!r}; choose {' or '.join(PROTOCOLS)}")
    if not 0 <= first_id <= LARGEST_FIRST_ID:
        raise BadUsage(f"--first-id: must be from 0 to {LARGEST_FIRST_ID}")
    if not timeout_s > 0:
        raise BadUsage("--timeout: must be more than 0")
    if "token" not in tokens:
        raise BadUsage("--token: must not be empty")
    dialect = load_suite(protocol)
    nobody = {"unknown": f"nobody_{first_id}"}
    try:
        asker = Client(dialect, url, tokens | nobody, timeout_s)
    except ValueError as error:
        raise BadUsage(str(error)) from error
    stderr = Console(stderr=True)
    with asker:
        trial = Runner(asker, first_id)
        cases = track(dialect.cases, "trying", console=stderr, transient=True, disable=not stderr.is_terminal)
        findings = list(trial.run(cases))
        return findings, trial.collect_leftovers()


def _print_json(
    url: str, protocol: str, findings: "list[CaseResult]", counts: dict[str, int], left: "Leftovers"
) -> None:
    cases = [each._asdict() for each in findings]
    change = {name: None if cents is None else format_amount(cents) for name, cents in left.balance_changes.items()}
    ids = dict(zip(("first", "last"), map(str, left.used_ids), strict=True))
    document = {"ok": not counts["fail"], "protocol": protocol, "url": url, "cases": cases, "counts": counts}
    print_json({**document, "left": {"change": change, "open": left.open_bets, "ids": ids}})


def _print(findings: "list[CaseResult]", counts: dict[str, int], left: "Leftovers") -> None:
    """The table, then the whole story of what was not as it should be, then the sums."""
    rows = [map(_cell, (_verdict(each), each.name, each.came, each.expected, each.script), WIDEST) for each in findings]
    print_table(["verdict", "case", "came", "expected", "sent"], [tuple(row) for row in rows], "there are no cases")
    for each in findings:
        if each.verdict in ("fail", "advice"):
            print_line(_story(each))
    wrong = f"{counts['fail']} failed, {counts['advice']} with advice, {counts['skipped']} skipped"
    print_line(f"\n{counts['pass']} passed, {wrong}")
    print_line(f"left: {_left(left)}")


def _story(finding: "CaseResult") -> str:
    lines = [
        f"\n{_verdict(finding)} {finding.name}: {finding.rule}",
        f"  {finding.spec}",
        *(f"  {'' if number else 'sent':8}  {sent}" for number, sent in enumerate(finding.sent)),
        f"  expected  {finding.expected}",
        f"  came      {finding.came}",
        f"  answer    {finding.answer}",
    ]
    return "\n".join(lines)


def _verdict(finding: "CaseResult") -> str:
    return finding.verdict.replace("fail", "FAIL")


def _left(left: "Leftovers") -> str:
    from minwallet.conformance.dsl import format_change
    from minwallet.conformance.runner import option_name

    changes = [
        f"{'an unknown balance' if cents is None else format_change(cents)} behind --{option_name(name)}"
        for name, cents in left.balance_changes.items()
        if cents != 0
    ]
    stands = [f"bets that may stand: {', '.join(left.open_bets)}"] if left.open_bets else []
    what = "; ".join([*changes, *stands]) or "nothing, every balance is as it was"
    return f"{what}; ids {left.used_ids[0]} to {left.used_ids[1]} are used up"


def _cell(text: str, widest: int) -> str:
    return text if len(text) <= widest else f"{text[: widest - 1]}…"


def _write(file: Path, document: bytes) -> None:
    try:
        file.write_bytes(document)
    except OSError as error:
        raise NoOutput(f"the wallet was tried, but {file} was not written: {error.strerror}") from error
