"""Signing in to the back office, by a one-time link or by name and password, and signing out.

Theory of operation.

Stored secrets. A link and a cookie are random, so the store has their SHA-256. A password has a slow, salted hash
(`credentials.hash_password`, scrypt): 32 MiB of memory and some tenths of a second per attempt. It is computed in a
thread, so provider calls are answered meanwhile.

Timing. An unknown name, and an admin without a password, are verified against DUMMY_PASSWORD_HASH. The answer takes as
long as for a wrong password, so it does not reveal which names exist.

Throttling. Password attempts run one at a time, and up to MAX_WAITING_ATTEMPTS run or wait. Any further one gets
TooManyAttempts immediately. So guessing costs the server a bounded amount of memory and CPU, however many clients try.
The limit is global. A limit per address is the web layer's task (`web/auth.py`). Changing a password takes the same
lock, so a password that is being replaced cannot be used to sign in. A reset takes no lock: the store checks in the
transaction that the verified password, or the cookie that sets a new one, is still valid.

Audit. Every sign-in and sign-out is written to the audit log, in the same transaction. Failures are counted and written
together, at most one row per FAILURE_AUDIT_INTERVAL_MS and before every successful sign-in, so an attack cannot fill
the log. If that row cannot be written, the count stays and every sign-in fails. A failure contains a name only if an
admin has it, because people type passwords into the wrong field.

Sessions. Setting a password ends all sessions and links of the admin, and starts a new session.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from minwallet.operations.audit_log import build_admin_event
from minwallet.operations.credentials import (
    COOKIE_TTL_S,
    DUMMY_PASSWORD_HASH,
    MIN_PASSWORD_LENGTH,
    generate_secret,
    hash_password,
    hash_secret,
    verify_password,
)
from minwallet.operations.errors import OperationError
from minwallet.storage.admin_store import Admin, AdminSession, AuditEvent
from minwallet.storage.errors import StoreError
from minwallet.wallet.service import Wallet

MAX_PASSWORD_LENGTH = 1000

MAX_WAITING_ATTEMPTS = 8
"""How many password attempts may run or wait: each takes some tenths of a second and 32 MiB."""

FAILURE_AUDIT_INTERVAL_MS = 60_000
"""The minimum time between two audit rows about failed attempts, unless a sign-in succeeds."""


class Login(NamedTuple):
    """A successful sign-in. `cookie` is sent to the browser and stored only as a hash."""

    admin: str
    cookie: str


class _FailedAttempts(NamedTuple):
    """The latest failed attempt, and how many failed since the last audit row."""

    method: str
    admin: str | None
    address: str
    attempts: int


class TooManyAttempts(Exception):
    """MAX_WAITING_ATTEMPTS password attempts run or wait; try again in some seconds."""


class AdminAuth:
    """Sign-in, sign-out and passwords of admins. Every method may raise StoreError."""

    def __init__(self, wallet: Wallet) -> None:
        self._wallet = wallet
        self._attempt_lock = asyncio.Lock()
        self._waiting_count = 0
        self._unaudited_failures: _FailedAttempts | None = None
        self._audited_at_ms = 0

    async def find_by_cookie(self, cookie: str) -> str | None:
        """Return the admin of the session with this cookie. Return None if it is unknown or expired."""
        if not cookie:
            return None
        found = await self._wallet.store.admin.find_admin_session(hash_secret(cookie), self._wallet.clock_ms())
        return found.admin if found else None

    async def find_admin_name(self, name: str) -> str | None:
        """Return `name` if an admin has it, otherwise None."""
        admin = await self._find_admin(name)
        return admin.name if admin else None

    async def sign_in_with_link(self, token: str, address: str) -> Login | None:
        """Consume the link. Return None if it is unknown, expired or already used."""
        store, now_ms, link_hash = self._wallet.store, self._wallet.clock_ms(), hash_secret(token)
        admin = await store.admin.find_login_link(link_hash, now_ms)
        if admin is None:
            await self._record_failure("link", None, address)
            return None
        await self._audit_failures()
        cookie, session = self._build_session(admin)
        audit = build_admin_event(self._wallet, "sign_in", admin, by="link", address=address)
        if not await store.admin.exchange_login_link(link_hash, hash_secret(cookie), session, now_ms, audit=audit):
            await self._record_failure("link", None, address)
            return None
        return Login(admin, cookie)

    async def sign_in_with_password(self, name: str, password: str, address: str) -> Login | None:
        """Return None if name or password is wrong, after the same time in either case. Raise TooManyAttempts."""
        async with self._serialize_attempts():
            found = await self._find_admin(name)
            if await self._verify_password(password, found) and found and found.password:
                await self._audit_failures()
                cookie, session = self._build_session(found.name)
                audit = build_admin_event(self._wallet, "sign_in", found.name, by="password", address=address)
                now_ms = self._wallet.clock_ms()
                if await self._wallet.store.admin.add_admin_session(
                    hash_secret(cookie), session, now_ms, audit=audit, password=found.password
                ):
                    return Login(found.name, cookie)
            await self._record_failure("password", found.name if found else None, address)
            return None

    async def sign_out(self, admin: str, cookie: str) -> None:
        """End the session with this cookie."""
        audit = build_admin_event(self._wallet, "sign_out", admin)
        await self._wallet.store.admin.delete_admin_session(hash_secret(cookie), audit=audit)

    async def set_password(self, admin: str, cookie: str, old: str, new: str, address: str) -> Login:
        """Set or change the password, end all sessions and links of the admin, and start a new session.

        Raise OperationError if `old` is not the current password, `new` is too short or too long, or the session with
        this cookie ends meanwhile. Raise TooManyAttempts if too many attempts wait.
        """
        if not MIN_PASSWORD_LENGTH <= len(new) <= MAX_PASSWORD_LENGTH:
            length = f"{MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters"
            raise OperationError(f"a password must have {length}; several words are easy to remember")
        async with self._serialize_attempts():
            found = await self._find_admin(admin)
            if found and found.password and not await self._verify_password(old, found):
                await self._record_failure("password", admin, address)
                raise OperationError("wrong current password; nothing was changed")
            hashed = await asyncio.to_thread(hash_password, new)
            new_cookie, session = self._build_session(admin)
            if not await self._wallet.store.admin.set_password(
                Admin(admin, hashed),
                hash_secret(new_cookie),
                session,
                self._wallet.clock_ms(),
                old_token_hash=hash_secret(cookie),
                audit=build_admin_event(self._wallet, "password_set", admin),
            ):
                raise OperationError("this sign-in has ended; nothing was changed")
            return Login(admin, new_cookie)

    def _build_session(self, admin: str) -> tuple[str, AdminSession]:
        """Return a new cookie and its session."""
        return generate_secret(), AdminSession(admin, self._wallet.clock_ms() + COOKIE_TTL_S * 1000)

    async def _find_admin(self, name: str) -> Admin | None:
        return next((admin for admin in await self._wallet.store.admin.list_admins() if admin.name == name), None)

    async def _verify_password(self, password: str, admin: Admin | None) -> bool:
        """Return True if the password is the admin's. Take as long for an unknown admin or one without a password."""
        hashed = (admin and admin.password) or DUMMY_PASSWORD_HASH
        return await asyncio.to_thread(verify_password, password, hashed)

    @asynccontextmanager
    async def _serialize_attempts(self) -> AsyncIterator[None]:
        """Run the block when no other attempt runs. Raise TooManyAttempts if too many run or wait."""
        if self._waiting_count >= MAX_WAITING_ATTEMPTS:
            raise TooManyAttempts
        self._waiting_count += 1
        try:
            async with self._attempt_lock:
                yield
        finally:
            self._waiting_count -= 1

    async def _record_failure(self, method: str, admin: str | None, address: str) -> None:
        """Count a failed attempt, and write the audit row if one is due. `admin` is None for an unknown name."""
        self._add_failures(_FailedAttempts(method, admin, address, 1))
        if self._wallet.clock_ms() - self._audited_at_ms >= FAILURE_AUDIT_INTERVAL_MS:
            await self._audit_failures()

    def _add_failures(self, latest: _FailedAttempts) -> None:
        pending = self._unaudited_failures.attempts if self._unaudited_failures else 0
        self._unaudited_failures = latest._replace(attempts=pending + latest.attempts)

    async def _audit_failures(self) -> None:
        failures, self._unaudited_failures = self._unaudited_failures, None
        if failures is None:
            return
        now_ms = self._wallet.clock_ms()
        by, admin, address, tries = failures
        detail = json.dumps({"by": by, "address": address, "tries": tries})
        event = AuditEvent(now_ms, "nobody", "sign_in_failed", None, admin, detail)
        audited_before_ms, self._audited_at_ms = self._audited_at_ms, now_ms
        try:
            await self._wallet.store.admin.add_audit_event(event)
        except StoreError:
            self._add_failures(failures)
            self._audited_at_ms = audited_before_ms
            raise
