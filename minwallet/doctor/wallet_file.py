"""Checks of the wallet file: its owner and its contents."""

import asyncio
from pathlib import Path
from typing import NamedTuple

import httpx2

from minwallet.doctor.diagnosis import Diagnosis, fail, ok, warn
from minwallet.doctor.protocol_secrets import check_protocol_secrets
from minwallet.doctor.protocols import check_sources
from minwallet.operations.timestamps import format_past_minute
from minwallet.storage.errors import DatabaseCorrupt, SchemaChanged, SchemaTooOld, StoreError
from minwallet.storage.file_lock import ControlEndpoint, DatabaseLock
from minwallet.storage.models import Agent
from minwallet.storage.sqlite.connection import ReadAccess
from minwallet.storage.sqlite.inspection import FileInspection, inspect_file
from minwallet.storage.sqlite.path_checks import check_exists, check_path, check_permission
from minwallet.storage.sqlite.read_access import choose_access

SCAN_TIMEOUT_S = 2.0
"""The maximum time to hold the file. A server that starts meanwhile waits longer than this for the lock."""

READYZ_TIMEOUT_S = 5.0

MAX_CLOCK_SKEW_MS = 60_000
"""The tolerated correction of a clock. A newest entry further in the future is a failure."""


class WalletCheck(NamedTuple):
    """The findings about the file, and its agents, or none if the file cannot be read."""

    findings: list[Diagnosis]
    agents: list[Agent]


def check_wallet(path: Path, now_ms: int) -> WalletCheck:
    try:
        owner = DatabaseLock.acquire_for_reading(path)
    except StoreError as fault:
        return WalletCheck([fail("wallet", str(fault))], [])
    if isinstance(owner, ControlEndpoint):
        server = check_server(owner)
        findings, agents = _check_contents(path, now_ms, ReadAccess.SERVED)
    else:
        server = ok("server", "no server is running on this file")
        try:
            findings, agents = _check_unserved(path, now_ms, is_locked=owner is not None)
        finally:
            if owner:
                owner.release()
    return WalletCheck([server, *findings], agents)


def check_server(endpoint: ControlEndpoint) -> Diagnosis:
    """Check that the server is ready, by its `/readyz`."""
    server = f"the server at {endpoint.serves} (process {endpoint.pid})"
    try:
        response = httpx2.get(f"{endpoint.url}/readyz", timeout=READYZ_TIMEOUT_S, trust_env=False)
        reasons = response.json()["reasons"]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        return fail("server", f"{server} does not answer: {str(error) or type(error).__name__}; check its log")
    if response.status_code != 200:
        return fail("server", f"{server} is not ready: {'; '.join(reasons)}")
    if reasons:
        return warn("server", f"{server} is ready, but {'; '.join(reasons)}")
    return ok("server", f"{server} is ready")


def _check_unserved(path: Path, now_ms: int, *, is_locked: bool) -> WalletCheck:
    try:
        check_path(path)
        check_exists(path)
        check_permission(path)
        with choose_access(path, is_served=False, is_locked=is_locked) as access:
            return _check_contents(path, now_ms, access)
    except StoreError as fault:
        return WalletCheck([_store_error_finding(fault)], [])
    except OSError as error:
        return WalletCheck(
            [fail("wallet", f"cannot read {error.filename}: {error.strerror}; check its permissions")], []
        )


def _check_contents(path: Path, now_ms: int, access: ReadAccess) -> WalletCheck:
    try:
        inspection = asyncio.run(inspect_file(path, SCAN_TIMEOUT_S, access))
    except SchemaTooOld as fault:
        if access is ReadAccess.SERVED:
            return WalletCheck([warn("schema", str(fault))], [])
        return WalletCheck(
            [ok("schema", "an older version, which the next start upgrades; run this command again after that")], []
        )
    except SchemaChanged as fault:
        return WalletCheck([_schema_change_finding(path, change) for change in fault.changes], [])
    except StoreError as fault:
        return WalletCheck([_store_error_finding(fault)], [])
    findings = [
        ok("schema", f"version {inspection.schema_version}, the current one, as minwallet created it"),
        check_pragmas(inspection, is_served=access is ReadAccess.SERVED),
        check_damage(inspection, path),
    ]
    if inspection.newest_at_ms is not None:
        findings.append(check_newest(inspection.newest_at_ms, now_ms))
    findings.append(list_credentials(inspection))
    findings += check_sources(inspection.sources)
    findings += check_protocol_secrets({secret.protocol for _, secret in inspection.protocol_secrets})
    return WalletCheck(findings, inspection.agents)


def _schema_change_finding(path: Path, change: str) -> Diagnosis:
    return fail("schema", f"another program changed {path}: {change}; restore it from a backup")


def _store_error_finding(fault: StoreError) -> Diagnosis:
    return fail("damage" if isinstance(fault, DatabaseCorrupt) else "wallet", str(fault))


def list_credentials(inspection: FileInspection) -> Diagnosis:
    """List who has access. Only a person can know whether a key or an admin was added to the file secretly."""
    credentials = {
        "admins": inspection.admins,
        "live API keys": inspection.api_keys,
        "live callback keys": inspection.callback_keys,
        "live protocol secrets": [secret.describe(agent) for agent, secret in inspection.protocol_secrets],
    }
    words = [f"{kind}: {', '.join(names) or 'none'}" for kind, names in credentials.items()]
    return ok("access", "; ".join([*words, "revoke what you do not know"]))


def check_pragmas(inspection: FileInspection, *, is_served: bool = True) -> Diagnosis:
    if not inspection.pragmas:
        return ok("durability", "each commit is synced before its reply (WAL, synchronous FULL)")
    if not is_served and inspection.pragmas == {"journal_mode": "delete"}:
        return ok("durability", "a backup, or a file that no server has opened yet; a server sets WAL at its start")
    wrong = ", ".join(f"{name} is {value}" for name, value in inspection.pragmas.items())
    return warn("durability", f"{wrong}, set by another program; restart the server, which corrects it")


def check_damage(inspection: FileInspection, path: Path) -> Diagnosis:
    if inspection.is_complete:
        noun = "entry" if inspection.entries == 1 else "entries"
        return ok(
            "damage", f"none in {inspection.entries} {noun}; to recompute all hashes: minwallet --db {path} verify"
        )
    return ok(
        "damage",
        f"none in the part read in {SCAN_TIMEOUT_S:.0f} seconds; to check everything: minwallet --db {path} verify",
    )


def check_newest(newest_at_ms: int, now_ms: int) -> Diagnosis:
    if newest_at_ms > now_ms + MAX_CLOCK_SKEW_MS:
        return fail(
            "newest entry",
            f"{format_past_minute(newest_at_ms)} is in the future: the clock is slow now, or was fast before; correct"
            " the clock, because sessions, limits and reports depend on it",
        )
    return ok("newest entry", format_past_minute(newest_at_ms))
