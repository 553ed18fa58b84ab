"""`minwallet doctor`."""

from typing import TYPE_CHECKING

import typer

from minwallet.cli.output import EXIT_REFUSED, JsonFlag, Timeout, coloured, print_json, print_line
from minwallet.cli.session import seconds

if TYPE_CHECKING:
    from minwallet.doctor import Finding

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(context: typer.Context, timeout: Timeout = "5s", as_json: JsonFlag = False) -> None:
    """Look at this installation and its wallet file, and say what to do. Exit code 1 where something fails.

    Nothing is changed, and a server may run meanwhile.
    """
    from minwallet.config import load_settings
    from minwallet.doctor import examine
    from minwallet.storage.sqlite import SqliteStore
    from minwallet.wallet.service import clock_ms

    settings = load_settings(db=context.find_root().params["db"])
    findings = []
    for finding in examine(settings, SqliteStore.sqlite_version, clock_ms(), seconds(timeout)):
        findings.append(finding)
        if not as_json:
            print_line(_line(finding))
    is_well = all(finding.level != "fail" for finding in findings)
    if as_json:
        print_json({"ok": is_well, "findings": [finding._asdict() for finding in findings]})
    if not is_well:
        raise typer.Exit(EXIT_REFUSED)


def _line(finding: "Finding") -> str:
    return f"{coloured(f'{finding.level:4}', COLOURS[finding.level])}  {finding.subject:12}  {finding.words}"
