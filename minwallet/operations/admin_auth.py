"""Signing in to the back office: by a link that is good once, or by name and password; and out again.

Of links and cookies only hashes are kept, and what anybody did about them is on record.
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
"""How many tries may wait for their turn: each takes some tenths of a second and 32 MiB."""

FAILURE_AUDIT_INTERVAL_MS = 60_000
"""Failed tries are put on record together, one row in this time at the most; and before somebody signs in."""


class Login(NamedTuple):
    """Somebody who has just signed in; `cookie` is told to the browser only."""

    admin: str
    cookie: str


class _FailedAttempts(NamedTuple):
    """The last of so many failed tries that are not on record yet."""

    method: str
    admin: str | None
    address: str
    attempts: int


class TooManyAttempts(Exception):
    """Too many people are trying to sign in at once; try again in some seconds."""


class AdminAuth:
    """Everything about signing in. Every method may raise StoreError."""

    def __init__(self, wallet: Wallet) -> None:
        self._wallet = wallet
        self._attempt_lock = asyncio.Lock()
        self._waiting_count = 0
        self._unaudited_failures: _FailedAttempts | None = None
        self._audited_at_ms = 0

    async def find_by_cookie(self, cookie: str) -> str | None:
        """Who has this cookie, as long as it is good."""
        if not cookie:
            return None
        found = await self._wallet.store.admin.find_admin_session(hash_secret(cookie), self._wallet.clock_ms())
        return found.admin if found else None

    async def sign_in_with_link(self, token: str, address: str) -> Login | None:
        """Use a link up; None for one that is used, expired, or never was."""
        admin = await self._wallet.store.admin.consume_login_link(hash_secret(token), self._wallet.clock_ms())
        if admin is None:
            await self._record_failure("link", None, address)
            return None
        return await self._complete_login(admin, "link", address)

    async def sign_in_with_password(self, name: str, password: str, address: str) -> Login | None:
        """None where name or password is wrong, after the same time in either case. Busy where too many wait."""
        async with self._serialize_attempts():
            found = await self._find_admin(name)
            if await self._verify_password(password, found) and found:
                return await self._complete_login(found.name, "password", address)
            await self._record_failure("password", found.name if found else None, address)
            return None

    async def sign_out(self, admin: str, cookie: str) -> None:
        """End the sign-in of this cookie."""
        await self._wallet.store.admin.delete_admin_session(hash_secret(cookie))
        await write_audit_event(self._wallet, f"admin {admin}", "sign_out", admin)

    async def set_password(self, admin: str, old: str, new: str, address: str) -> Login:
        """Set or change the password, end all of the admin's sign-ins and links, and begin a new one.

        Declines where `old` is not the password there is, or `new` will not do. Busy where too many wait.
        """
        if not MIN_PASSWORD_LENGTH <= len(new) <= MAX_PASSWORD_LENGTH:
            raise OperationError(
                f"a password has at least {MIN_PASSWORD_LENGTH} symbols; several words are easy to remember"
            )
        store = self._wallet.store
        async with self._serialize_attempts():
            found = await self._find_admin(admin)
            if found and found.password and not await self._verify_password(old, found):
                await self._record_failure("password", admin, address)
                raise OperationError("this is not your current password; nothing was changed")
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
        """Takes as long for nobody, or for somebody without a password, as for everybody else."""
        hashed = (admin and admin.password) or DUMMY_PASSWORD_HASH
        return await asyncio.to_thread(verify_password, password, hashed)

    @asynccontextmanager
    async def _serialize_attempts(self) -> AsyncIterator[None]:
        """So that guesses cost the wallet little, and nobody signs in with a password that is just being changed."""
        if self._waiting_count >= MAX_WAITING_ATTEMPTS:
            raise TooManyAttempts
        self._waiting_count += 1
        try:
            async with self._attempt_lock:
                yield
        finally:
            self._waiting_count -= 1

    async def _record_failure(self, method: str, admin: str | None, address: str) -> None:
        """The name is put on record only where it is an admin's: people type passwords there, too."""
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
