"""The wallet file: who has it, and what is in it."""

import asyncio
from pathlib import Path
from typing import NamedTuple

import httpx2

from minwallet.doctor.finding import Finding, fail, ok, warn
from minwallet.operations.timestamps import format_minute
from minwallet.storage.errors import DatabaseCorrupt, SchemaTooOld, StoreError
from minwallet.storage.file_lock import ControlEndpoint, DatabaseLock
from minwallet.storage.models import Agent
from minwallet.storage.sqlite.inspection import FileInspection, inspect_file, preserve_wal

SCAN_TIMEOUT_S = 2.0
"""How long the file is looked through: less than a server that starts meanwhile waits for it."""

READYZ_TIMEOUT_S = 5.0

MAX_CLOCK_SKEW_MS = 60_000
"""By so much a clock may be put back without anybody's harm."""


class WalletCheck(NamedTuple):
    """There are no agents where the file cannot be read."""

    findings: list[Finding]
    agents: list[Agent]


def check_wallet(path: Path, now_ms: int) -> WalletCheck:
    try:
        owner = DatabaseLock.acquire(path)
    except StoreError as fault:
        return WalletCheck([fail("wallet", str(fault))], [])
    if isinstance(owner, ControlEndpoint):
        server = check_server(owner)
        findings, agents = _check_contents(path, now_ms, is_served=True)
    else:
        server = ok("server", "none runs on this file")
        try:
            findings, agents = _check_unserved(path, now_ms)
        finally:
            owner.release()
    return WalletCheck([server, *findings], agents)


def check_server(endpoint: ControlEndpoint) -> Finding:
    """Whether it is ready for money, by its own word."""
    server = f"the server at {endpoint.serves} (process {endpoint.pid})"
    try:
        response = httpx2.get(f"{endpoint.url}/readyz", timeout=READYZ_TIMEOUT_S, trust_env=False)
        reasons = response.json()["reasons"]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        return fail("server", f"{server} does not answer: {str(error) or type(error).__name__}; see what it logs")
    if response.status_code != 200:
        return fail("server", f"{server} is not ready: {'; '.join(reasons)}")
    return ok("server", f"{server} is ready")


def _check_unserved(path: Path, now_ms: int) -> WalletCheck:
    try:
        with preserve_wal(path):
            return _check_contents(path, now_ms, is_served=False)
    except StoreError as fault:
        return WalletCheck([_store_error_finding(fault)], [])
    except OSError as error:
        return WalletCheck(
            [fail("wallet", f"cannot read {error.filename}: {error.strerror}; see to its permissions")], []
        )


def _check_contents(path: Path, now_ms: int, *, is_served: bool) -> WalletCheck:
    try:
        inspection = asyncio.run(inspect_file(path, SCAN_TIMEOUT_S))
    except SchemaTooOld as fault:
        if is_served:
            return WalletCheck([warn("schema", str(fault))], [])
        return WalletCheck(
            [ok("schema", "an older one, which will be brought up to date at the next start; look again then")], []
        )
    except StoreError as fault:
        return WalletCheck([_store_error_finding(fault)], [])
    findings = [
        ok("schema", f"{inspection.schema_version}, as this minwallet has it"),
        check_pragmas(inspection),
        check_damage(inspection, path),
    ]
    if inspection.newest_at_ms is not None:
        findings.append(check_newest(inspection.newest_at_ms, now_ms))
    return WalletCheck(findings, inspection.agents)


def _store_error_finding(fault: StoreError) -> Finding:
    return fail("damage" if isinstance(fault, DatabaseCorrupt) else "wallet", str(fault))


def check_pragmas(inspection: FileInspection) -> Finding:
    if not inspection.pragmas:
        return ok("durability", "each commit is synced before it is answered (WAL, synchronous FULL)")
    wrong = ", ".join(f"{name} is {value}" for name, value in inspection.pragmas.items())
    return warn("durability", f"{wrong}: another program has changed the file; the next start sets it right")


def check_damage(inspection: FileInspection, path: Path) -> Finding:
    if inspection.is_complete:
        return ok(
            "damage", f"none in {inspection.entries} entries; every hash is recomputed by: minwallet --db {path} verify"
        )
    return ok(
        "damage",
        f"none in what could be looked at in {SCAN_TIMEOUT_S:.0f} seconds; all is by: minwallet --db {path} verify",
    )


def check_newest(newest_at_ms: int, now_ms: int) -> Finding:
    if newest_at_ms > now_ms + MAX_CLOCK_SKEW_MS:
        return fail(
            "newest entry",
            f"it is of {format_minute(newest_at_ms)}, which is yet to come: the clock is slow now, or was fast then;"
            " set it right, as sessions, limits and reports go by it",
        )
    return ok("newest entry", format_minute(newest_at_ms))
