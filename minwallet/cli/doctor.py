"""`minwallet doctor`."""

from typing import TYPE_CHECKING

import typer

from minwallet.cli.command_settings import load_command_settings
from minwallet.cli.options import JsonOption, TimeoutOption, parse_timeout_option
from minwallet.cli.output import EXIT_REFUSED, color_text, print_json, print_line

if TYPE_CHECKING:
    from minwallet.doctor import Diagnosis

LEVEL_COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(context: typer.Context, timeout: TimeoutOption = "5s", as_json: JsonOption = False) -> None:
    """Check this installation and its wallet file.

    Each problem comes with advice. The command changes nothing, and a server may be running. The exit code is 1 if a
    check fails.

    Example: minwallet doctor
    """
    from minwallet.doctor import run_checks
    from minwallet.storage.sqlite import SqliteStore
    from minwallet.wallet.service import clock_ms

    settings = load_command_settings(context)
    findings = []
    for finding in run_checks(settings, SqliteStore.sqlite_version, clock_ms(), parse_timeout_option(timeout)):
        findings.append(finding)
        if not as_json:
            print_line(_format_finding(finding))
    is_healthy = all(finding.level != "fail" for finding in findings)
    if as_json:
        print_json({"ok": is_healthy, "findings": [finding._asdict() for finding in findings]})
    if not is_healthy:
        raise typer.Exit(EXIT_REFUSED)


def _format_finding(finding: "Diagnosis") -> str:
    return f"{color_text(f'{finding.level:4}', LEVEL_COLORS[finding.level])}  {finding.subject:12}  {finding.words}"
