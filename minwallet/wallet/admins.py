"""Signing in to the back office: by a link that is good once, or by name and password; and out again.

Of links and cookies only hashes are kept, and what anybody did about them is on record.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from minwallet.storage.admin_store import Admin, AdminSession
from minwallet.wallet.decline import Decline
from minwallet.wallet.keys import (
    COOKIE_TTL_S,
    NOBODYS_PASSWORD,
    SHORTEST_PASSWORD,
    hash_password,
    hash_secret,
    is_password,
    new_secret,
)
from minwallet.wallet.office import note
from minwallet.wallet.service import Wallet

LONGEST_PASSWORD = 1000

MOST_WAITING = 8
"""How many tries may wait for their turn: each takes some tenths of a second and 32 MiB."""

TELL_EVERY_MS = 60_000
"""Failed tries are put on record together, one row in this time at the most; and before somebody signs in."""


class Entered(NamedTuple):
    """Somebody who has just signed in; `cookie` is told to the browser only."""

    admin: str
    cookie: str


class _Failed(NamedTuple):
    """The last of so many failed tries that are not on record yet."""

    by: str
    admin: str | None
    address: str
    tries: int


class Busy(Exception):
    """Too many people are trying to sign in at once; try again in some seconds."""


class Admins:
    """Everything about signing in. Every method may raise StoreError."""

    def __init__(self, wallet: Wallet) -> None:
        self._wallet = wallet
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._failed: _Failed | None = None
        self._told_at_ms = 0

    async def find(self, cookie: str) -> str | None:
        """Who has this cookie, as long as it is good."""
        if not cookie:
            return None
        found = await self._wallet.store.find_admin_session(hash_secret(cookie), self._wallet.clock_ms())
        return found.admin if found else None

    async def enter(self, token: str, address: str) -> Entered | None:
        """Use a link up; None for one that is used, expired, or never was."""
        admin = await self._wallet.store.consume_login_link(hash_secret(token), self._wallet.clock_ms())
        if admin is None:
            await self._count_failure("link", None, address)
            return None
        return await self._let_in(admin, "link", address)

    async def sign_in(self, name: str, password: str, address: str) -> Entered | None:
        """None where name or password is wrong, after the same time in either case. Busy where too many wait."""
        async with self._one_at_a_time():
            found = await self._find_admin(name)
            if await self._is_password(password, found) and found:
                return await self._let_in(found.name, "password", address)
            await self._count_failure("password", found.name if found else None, address)
            return None

    async def sign_out(self, admin: str, cookie: str) -> None:
        """End the sign-in of this cookie."""
        await self._wallet.store.delete_admin_session(hash_secret(cookie))
        await note(self._wallet, f"admin {admin}", "sign_out", admin)

    async def set_password(self, admin: str, old: str, new: str, address: str) -> Entered:
        """Set or change the password, end all of the admin's sign-ins and links, and begin a new one.

        Declines where `old` is not the password there is, or `new` will not do. Busy where too many wait.
        """
        if not SHORTEST_PASSWORD <= len(new) <= LONGEST_PASSWORD:
            raise Decline(f"a password has at least {SHORTEST_PASSWORD} symbols; several words are easy to remember")
        store = self._wallet.store
        async with self._one_at_a_time():
            found = await self._find_admin(admin)
            if found and found.password and not await self._is_password(old, found):
                await self._count_failure("password", admin, address)
                raise Decline("this is not your current password; nothing was changed")
            hashed = await asyncio.to_thread(hash_password, new)
            await store.upsert_admin(Admin(admin, hashed), self._wallet.clock_ms())
            await store.delete_admin_sessions(admin)
            await note(self._wallet, f"admin {admin}", "password_set", admin)
            return Entered(admin, await self._new_cookie(admin))

    async def _let_in(self, admin: str, how: str, address: str) -> Entered:
        cookie = await self._new_cookie(admin)
        await self._tell_failures()
        await note(self._wallet, f"admin {admin}", "sign_in", admin, by=how, address=address)
        return Entered(admin, cookie)

    async def _new_cookie(self, admin: str) -> str:
        cookie, now_ms = new_secret(), self._wallet.clock_ms()
        sign_in = AdminSession(admin, now_ms + COOKIE_TTL_S * 1000)
        await self._wallet.store.add_admin_session(hash_secret(cookie), sign_in, is_link=False, now_ms=now_ms)
        return cookie

    async def _find_admin(self, name: str) -> Admin | None:
        return next((admin for admin in await self._wallet.store.list_admins() if admin.name == name), None)

    async def _is_password(self, password: str, admin: Admin | None) -> bool:
        """Takes as long for nobody, or for somebody without a password, as for everybody else."""
        hashed = (admin and admin.password) or NOBODYS_PASSWORD
        return await asyncio.to_thread(is_password, password, hashed)

    @asynccontextmanager
    async def _one_at_a_time(self) -> AsyncIterator[None]:
        """So that guesses cost the wallet little, and nobody signs in with a password that is just being changed."""
        if self._waiting >= MOST_WAITING:
            raise Busy
        self._waiting += 1
        try:
            async with self._turn:
                yield
        finally:
            self._waiting -= 1

    async def _count_failure(self, by: str, admin: str | None, address: str) -> None:
        """The name is put on record only where it is an admin's: people type passwords there, too."""
        self._failed = _Failed(by, admin, address, self._failed.tries + 1 if self._failed else 1)
        if self._wallet.clock_ms() - self._told_at_ms >= TELL_EVERY_MS:
            await self._tell_failures()

    async def _tell_failures(self) -> None:
        failed, self._failed = self._failed, None
        if failed:
            self._told_at_ms = self._wallet.clock_ms()
            by, admin, address, tries = failed
            await note(self._wallet, "nobody", "sign_in_failed", admin, by=by, address=address, tries=tries)
