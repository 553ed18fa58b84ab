"""A change and its row in the audit log are one transaction: if the row cannot be written, nothing has changed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from minwallet.operations import access_requests, requests
from minwallet.operations.admin_auth import FAILURE_AUDIT_INTERVAL_MS, AdminAuth
from minwallet.operations.dispatch import execute
from minwallet.operations.errors import OperationError, OperationFailure
from minwallet.storage.errors import StoreError
from minwallet.storage.models import PlayerStatus
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.service import Wallet
from tests.operations.test_audit_log import AUDITED_REQUESTS, TOKEN, build_ann_request

pytestmark = pytest.mark.anyio

FAILING_AUDIT = "CREATE TRIGGER audit_fails BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ABORT, 'no audit'); END"

PASSWORD = "correct horse battery"


class AuditedWallet(Wallet):
    """A wallet on a SQLite file, at a clock that the test moves."""

    def __init__(self, store: SqliteStore) -> None:
        self.now_ms = 1_700_000_000_000
        super().__init__(store, lambda: self.now_ms)
        self.sqlite = store

    async def run(self, request: requests.OperationRequest) -> dict[str, Any]:
        """Execute the request, which must succeed."""
        reply = await execute(self, request, "command line")
        assert not isinstance(reply, OperationFailure), reply
        return dict(reply)

    async def dump(self) -> list[str]:
        """Return all rows of the file as SQL."""
        return await self.sqlite.read(lambda db: [line for line in db.iterdump() if "audit_fails" not in line])

    async def list_actions(self) -> list[str]:
        return [record.event.action for record in await self.store.admin.list_audit_records(None, 999)][::-1]

    @asynccontextmanager
    async def failing_audit(self) -> AsyncIterator[None]:
        """Make every row of the audit log fail during the block, which must change nothing."""
        before = await self.dump()
        await self.sqlite.write(lambda db: db.execute(FAILING_AUDIT))
        yield
        await self.sqlite.write(lambda db: db.execute("DROP TRIGGER audit_fails"))
        assert await self.dump() == before


@pytest.fixture
async def wallet(db: Path) -> AsyncIterator[AuditedWallet]:
    async with AuditedWallet(await SqliteStore.open(db, create=True)) as opened:
        yield opened


def name_case(index: int) -> str:
    return f"{index}-{AUDITED_REQUESTS[index].operation}"


@pytest.mark.parametrize("index", range(len(AUDITED_REQUESTS)), ids=name_case)
async def test_no_change_without_its_audit_row(wallet: AuditedWallet, index: int) -> None:
    """Each audited request fails as a whole, and succeeds when it is repeated: with one row, and with a change."""
    for request in AUDITED_REQUESTS[:index]:
        await wallet.run(request)
    request = AUDITED_REQUESTS[index]
    async with wallet.failing_audit():
        with pytest.raises(StoreError, match="no audit"):
            await execute(wallet, request, "admin boss")
    before, actions = await wallet.dump(), await wallet.list_actions()
    await wallet.run(request)
    assert await wallet.list_actions() == [*actions, request.operation]
    changed = {line.split('"')[1] for line in set(await wallet.dump()) ^ set(before)}
    assert "audit_log" in changed
    assert len(changed) > 1


NO_CHANGES: list[requests.OperationRequest] = [
    build_ann_request(requests.PlayerSetStatus, status=PlayerStatus.BLOCKED),
    build_ann_request(requests.Transfer, operation="deposit", amount=100, reference="r1"),
    requests.Seed(rows=(requests.SeedRow(line=1, player_id="bob", currency="USD", balance=1, token=TOKEN),)),
    requests.SessionRevoke(token=TOKEN),
    build_ann_request(requests.SessionEnd, session=2),
    access_requests.KeyRevoke(name="site"),
    requests.AgentSet(name="two"),
]


@pytest.mark.parametrize("request_", NO_CHANGES, ids=lambda each: each.operation)
async def test_no_audit_row_without_a_change(wallet: AuditedWallet, request_: requests.OperationRequest) -> None:
    """A request that finds everything as it should be succeeds, and is not audited."""
    for each in AUDITED_REQUESTS:
        await wallet.run(each)
    before = await wallet.dump()
    await wallet.run(request_)
    assert await wallet.dump() == before


async def test_a_refused_transfer_is_not_audited(wallet: AuditedWallet) -> None:
    """It has no ledger entry either."""
    await wallet.run(AUDITED_REQUESTS[2])
    before = await wallet.dump()
    withdrawal = build_ann_request(requests.Transfer, operation="withdraw", amount=501, reference="r9")
    assert isinstance(await execute(wallet, withdrawal, "admin boss"), OperationFailure)
    rows = set(await wallet.dump()) - set(before)
    # The first command of a scope of ids creates it.
    assert not [row for row in rows if 'INTO "id_scopes"' not in row]


async def test_a_transfer_and_its_audit_row_name_each_other(wallet: AuditedWallet) -> None:
    """The row has the number and the time of the ledger entry."""
    await wallet.run(AUDITED_REQUESTS[2])
    reply = await wallet.run(AUDITED_REQUESTS[4])
    (entry,) = await wallet.store.ledger.read_entries([1], 1)
    (record,) = await wallet.store.admin.list_audit_records(None, 1)
    assert (record.event.seq, record.event.at_ms) == (entry.seq, entry.at_ms) == (reply["seq"], wallet.now_ms)


async def test_a_failing_audit_row_costs_its_own_transfer_only(wallet: AuditedWallet) -> None:
    """Transfers of the same batch are applied, with their rows."""
    names = ("ann", "bob", "eva")
    fields = {"operation": "deposit", "agent": "default", "amount": 1}
    for name in names:
        await wallet.run(requests.PlayerAdd(agent="default", player_id=name, currency="USD"))
    for_bob = FAILING_AUDIT.replace("BEGIN", "WHEN new.subject = 'bob' BEGIN", 1)
    await wallet.sqlite.write(lambda db: db.execute(for_bob))
    deposits = [requests.Transfer.model_validate({"player_id": each, "reference": each, **fields}) for each in names]
    outcomes = await asyncio.gather(*(execute(wallet, each, "x") for each in deposits), return_exceptions=True)
    assert [isinstance(each, StoreError) for each in outcomes] == [False, True, False]
    players = await wallet.store.accounts.list_players("default")
    assert [player.accounts[0].cash for player in players] == [1, 0, 1]
    assert (await wallet.list_actions())[len(names) :] == ["deposit", "deposit"]


async def sign_in_by_link(wallet: AuditedWallet, auth: AdminAuth, name: str = "eve") -> str:
    """Return the cookie of an admin who signs in by a link."""
    link = await wallet.run(access_requests.AdminLink(name=name))
    login = await auth.sign_in_with_link(link["path"].partition("=")[2], "::1")
    assert login
    return login.cookie


SignInStep = Callable[[AuditedWallet, AdminAuth, str, str], Coroutine[Any, Any, object]]

SIGN_IN_STEPS: dict[str, SignInStep] = {
    "sign_in": lambda wallet, auth, cookie, link: auth.sign_in_with_link(link, "::1"),
    "sign_in by password": lambda wallet, auth, cookie, link: auth.sign_in_with_password("eve", PASSWORD, "::1"),
    "password_set": lambda wallet, auth, cookie, link: auth.set_password("eve", cookie, PASSWORD, f"{PASSWORD}2", ""),
    "sign_out": lambda wallet, auth, cookie, link: auth.sign_out("eve", cookie),
}


@pytest.mark.parametrize("name", SIGN_IN_STEPS)
async def test_no_sign_in_without_its_audit_row(wallet: AuditedWallet, name: str) -> None:
    """Signing in and out, and setting a password, happen with their rows or not at all. A link can be used again."""
    auth = AdminAuth(wallet)
    cookie = await sign_in_by_link(wallet, auth)
    cookie = (await auth.set_password("eve", cookie, "", PASSWORD, "::1")).cookie
    link = (await wallet.run(access_requests.AdminLink(name="eve2")))["path"].partition("=")[2]
    actions = await wallet.list_actions()
    async with wallet.failing_audit():
        with pytest.raises(StoreError, match="no audit"):
            await SIGN_IN_STEPS[name](wallet, auth, cookie, link)
    assert await SIGN_IN_STEPS[name](wallet, auth, cookie, link) or name == "sign_out"
    assert await wallet.list_actions() == [*actions, name.partition(" ")[0]]


async def test_failed_sign_ins_are_counted_until_their_row_is_written(wallet: AuditedWallet) -> None:
    """A row that could not be written is written later, with all failures since. Nobody signs in before."""
    auth = AdminAuth(wallet)
    async with wallet.failing_audit():
        for _ in range(2):
            with pytest.raises(StoreError, match="no audit"):
                await auth.sign_in_with_link("unknown", "::1")
    assert await auth.sign_in_with_link("unknown", "::2") is None
    wallet.now_ms += FAILURE_AUDIT_INTERVAL_MS
    assert await auth.sign_in_with_link("unknown", "::3") is None
    events = [record.event for record in await wallet.store.admin.list_audit_records(None, 9)]
    assert [(event.action, event.detail) for event in events] == [
        ("sign_in_failed", '{"by": "link", "address": "::3", "tries": 1}'),
        ("sign_in_failed", '{"by": "link", "address": "::2", "tries": 3}'),
    ]


async def test_a_reset_beats_a_sign_in_that_has_begun(wallet: AuditedWallet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that is verified, or set, while the admin is reset signs nobody in."""
    auth = AdminAuth(wallet)
    cookie = await sign_in_by_link(wallet, auth)
    cookie = (await auth.set_password("eve", cookie, "", PASSWORD, "::1")).cookie

    def reset_meanwhile(method: str) -> None:
        original = getattr(wallet.store.admin, method)

        async def late(*args: object, **options: object) -> object:
            await wallet.run(access_requests.AdminReset(name="eve"))
            return await original(*args, **options)

        monkeypatch.setattr(wallet.store.admin, method, late)

    reset_meanwhile("add_admin_session")
    assert await auth.sign_in_with_password("eve", PASSWORD, "::1") is None
    monkeypatch.undo()
    cookie = await sign_in_by_link(wallet, auth)
    reset_meanwhile("set_password")
    with pytest.raises(OperationError, match="this sign-in has ended"):
        await auth.set_password("eve", cookie, "", PASSWORD, "::1")
    assert (await wallet.store.admin.list_admins())[0].password is None
    assert await auth.find_by_cookie(cookie) is None
