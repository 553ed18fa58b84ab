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
lock, so a password that is being replaced cannot be used to sign in.

Audit. Every sign-in and sign-out is written to the audit log. Failures are counted and written together, at most one
row per FAILURE_AUDIT_INTERVAL_MS and before every successful sign-in, so an attack cannot fill the log. A failure
contains a name only if an admin has it, because people type passwords into the wrong field.

Sessions. Setting a password ends all sessions and links of the admin, and starts a new session.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from minwallet.operations.audit_log import write_audit_event
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
from minwallet.storage.admin_store import Admin, AdminSession
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
        admin = await self._wallet.store.admin.consume_login_link(hash_secret(token), self._wallet.clock_ms())
        if admin is None:
            await self._record_failure("link", None, address)
            return None
        return await self._complete_login(admin, "link", address)

    async def sign_in_with_password(self, name: str, password: str, address: str) -> Login | None:
        """Return None if name or password is wrong, after the same time in either case. Raise TooManyAttempts."""
        async with self._serialize_attempts():
            found = await self._find_admin(name)
            if await self._verify_password(password, found) and found:
                return await self._complete_login(found.name, "password", address)
            await self._record_failure("password", found.name if found else None, address)
            return None

    async def sign_out(self, admin: str, cookie: str) -> None:
        """End the session with this cookie."""
        await self._wallet.store.admin.delete_admin_session(hash_secret(cookie))
        await write_audit_event(self._wallet, f"admin {admin}", "sign_out", admin)

    async def set_password(self, admin: str, old: str, new: str, address: str) -> Login:
        """Set or change the password, end all sessions and links of the admin, and start a new session.

        Raise OperationError if `old` is not the current password or `new` is too short or too long. Raise
        TooManyAttempts if too many attempts wait.
        """
        if not MIN_PASSWORD_LENGTH <= len(new) <= MAX_PASSWORD_LENGTH:
            length = f"{MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters"
            raise OperationError(f"a password must have {length}; several words are easy to remember")
        store = self._wallet.store
        async with self._serialize_attempts():
            found = await self._find_admin(admin)
            if found and found.password and not await self._verify_password(old, found):
                await self._record_failure("password", admin, address)
                raise OperationError("wrong current password; nothing was changed")
            hashed = await asyncio.to_thread(hash_password, new)
            await store.admin.upsert_admin(Admin(admin, hashed), self._wallet.clock_ms())
            await store.admin.delete_admin_sessions(admin)
            await write_audit_event(self._wallet, f"admin {admin}", "password_set", admin)
            return Login(admin, await self._create_session(admin))

    async def _complete_login(self, admin: str, method: str, address: str) -> Login:
        cookie = await self._create_session(admin)
        await self._audit_failures()
        await write_audit_event(self._wallet, f"admin {admin}", "sign_in", admin, by=method, address=address)
        return Login(admin, cookie)

    async def _create_session(self, admin: str) -> str:
        cookie, now_ms = generate_secret(), self._wallet.clock_ms()
        session = AdminSession(admin, now_ms + COOKIE_TTL_S * 1000)
        await self._wallet.store.admin.add_admin_session(hash_secret(cookie), session, is_link=False, now_ms=now_ms)
        return cookie

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
        self._unaudited_failures = _FailedAttempts(
            method, admin, address, self._unaudited_failures.attempts + 1 if self._unaudited_failures else 1
        )
        if self._wallet.clock_ms() - self._audited_at_ms >= FAILURE_AUDIT_INTERVAL_MS:
            await self._audit_failures()

    async def _audit_failures(self) -> None:
        failures, self._unaudited_failures = self._unaudited_failures, None
        if failures:
            self._audited_at_ms = self._wallet.clock_ms()
            by, admin, address, tries = failures
            await write_audit_event(
                self._wallet, "nobody", "sign_in_failed", admin, by=by, address=address, tries=tries
            )
