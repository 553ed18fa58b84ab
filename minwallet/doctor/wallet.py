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

LOOKED_WITHIN_S = 2.0
"""How long the file is looked through: less than a server that starts meanwhile waits for it."""

ANSWERED_WITHIN_S = 5.0

AHEAD_MS = 60_000
"""By so much a clock may be put back without anybody's harm."""


class Look(NamedTuple):
    """There are no agents where the file cannot be read."""

    findings: list[Finding]
    agents: list[Agent]


def look_at_wallet(path: Path, now_ms: int) -> Look:
    try:
        owner = DatabaseLock.acquire(path)
    except StoreError as fault:
        return Look([fail("wallet", str(fault))], [])
    if isinstance(owner, ControlEndpoint):
        server = check_server(owner)
        findings, agents = _look_inside(path, now_ms, is_served=True)
    else:
        server = ok("server", "none runs on this file")
        try:
            findings, agents = _look_alone(path, now_ms)
        finally:
            owner.release()
    return Look([server, *findings], agents)


def check_server(desk: ControlEndpoint) -> Finding:
    """Whether it is ready for money, by its own word."""
    who = f"the server at {desk.serves} (process {desk.pid})"
    try:
        response = httpx2.get(f"{desk.url}/readyz", timeout=ANSWERED_WITHIN_S, trust_env=False)
        reasons = response.json()["reasons"]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        return fail("server", f"{who} does not answer: {str(error) or type(error).__name__}; see what it logs")
    if response.status_code != 200:
        return fail("server", f"{who} is not ready: {'; '.join(reasons)}")
    return ok("server", f"{who} is ready")


def _look_alone(path: Path, now_ms: int) -> Look:
    try:
        with preserve_wal(path):
            return _look_inside(path, now_ms, is_served=False)
    except StoreError as fault:
        return Look([_explain(fault)], [])
    except OSError as error:
        return Look([fail("wallet", f"cannot read {error.filename}: {error.strerror}; see to its permissions")], [])


def _look_inside(path: Path, now_ms: int, *, is_served: bool) -> Look:
    try:
        seen = asyncio.run(inspect_file(path, LOOKED_WITHIN_S))
    except SchemaTooOld as fault:
        if is_served:
            return Look([warn("schema", str(fault))], [])
        return Look(
            [ok("schema", "an older one, which will be brought up to date at the next start; look again then")], []
        )
    except StoreError as fault:
        return Look([_explain(fault)], [])
    findings = [
        ok("schema", f"{seen.schema_version}, as this minwallet has it"),
        check_pragmas(seen),
        check_damage(seen, path),
    ]
    if seen.newest_at_ms is not None:
        findings.append(check_newest(seen.newest_at_ms, now_ms))
    return Look(findings, seen.agents)


def _explain(fault: StoreError) -> Finding:
    return fail("damage" if isinstance(fault, DatabaseCorrupt) else "wallet", str(fault))


def check_pragmas(seen: FileInspection) -> Finding:
    if not seen.pragmas:
        return ok("durability", "each commit is synced before it is answered (WAL, synchronous FULL)")
    wrong = ", ".join(f"{name} is {value}" for name, value in seen.pragmas.items())
    return warn("durability", f"{wrong}: another program has changed the file; the next start sets it right")


def check_damage(seen: FileInspection, path: Path) -> Finding:
    if seen.is_complete:
        return ok(
            "damage", f"none in {seen.entries} entries; every hash is recomputed by: minwallet --db {path} verify"
        )
    return ok(
        "damage",
        f"none in what could be looked at in {LOOKED_WITHIN_S:.0f} seconds; all is by: minwallet --db {path} verify",
    )


def check_newest(newest_at_ms: int, now_ms: int) -> Finding:
    if newest_at_ms > now_ms + AHEAD_MS:
        return fail(
            "newest entry",
            f"it is of {format_minute(newest_at_ms)}, which is yet to come: the clock is slow now, or was fast then;"
            " set it right, as sessions, limits and reports go by it",
        )
    return ok("newest entry", format_minute(newest_at_ms))
