"""What the operator's desk does about the back office itself: keys, links, and the record of who did what."""

import json
from typing import assert_never

from minwallet.storage.admin_store import Admin, AdminSession, AuditEvent, NewApiKey
from minwallet.wallet import documents
from minwallet.wallet.agents import find_agent
from minwallet.wallet.decline import Decline, Why
from minwallet.wallet.keys import LINK_TTL_S, hash_secret, new_key, new_secret
from minwallet.wallet.requests import (
    AdminLink,
    AdminList,
    AdminReset,
    AgentAdd,
    AgentSet,
    KeyAdd,
    KeyList,
    KeyRevoke,
    LimitSet,
    OfficeRequest,
    PlayerAdd,
    PlayerExclude,
    PlayerSetStatus,
    Reply,
    Request,
    Seed,
    SessionEnd,
    SessionOpen,
    SessionRevoke,
    Transfer,
)
from minwallet.wallet.service import Wallet

CHANGES = (
    *(AgentAdd, AgentSet, PlayerAdd, PlayerSetStatus, LimitSet, PlayerExclude, Transfer, Seed),
    *(SessionOpen, SessionRevoke, SessionEnd, KeyAdd, KeyRevoke, AdminLink, AdminReset),
)
"""What is put on record. What is pulled from a provider is none of anybody's doing."""

UNTOLD = {"do", "agent", "player_id", "name", "token", "wallet_token", "rows"}
"""What the record has in a column of its own, or must not have."""


async def perform(wallet: Wallet, request: OfficeRequest) -> Reply:
    """Carry the request out, or raise Decline. May raise StoreError."""
    match request:
        case KeyAdd():
            return await _add_key(wallet, request)
        case KeyList():
            return {"keys": [documents.key(key) for key in await wallet.store.list_keys()]}
        case KeyRevoke():
            if not await wallet.store.revoke_key(request.name, wallet.clock_ms()):
                raise Decline(f"there is no key {request.name}", why=Why.NOT_FOUND, hint="see: minwallet key list")
            return {"revoked": True}
        case AdminLink():
            return await _make_link(wallet, request.name)
        case AdminReset():
            return await _reset(wallet, request.name)
        case AdminList():
            return {"admins": [documents.admin(admin) for admin in await wallet.store.list_admins()]}
        case _:
            assert_never(request)


async def record(wallet: Wallet, request: Request, reply: Reply, actor: str) -> None:
    """Put on record what was done, by whom. What moved money has that in the ledger, too."""
    if not isinstance(request, CHANGES):
        return
    # To ask for nothing is what some requests are about.
    may_be_none = isinstance(request, LimitSet | PlayerExclude)
    action = AuditEvent(
        wallet.clock_ms(),
        actor,
        request.do,
        getattr(request, "agent", None),
        getattr(request, "player_id", None) or getattr(request, "name", None),
        request.model_dump_json(exclude=UNTOLD, exclude_none=not may_be_none, exclude_defaults=may_be_none),
        reply.get("seq"),
    )
    await wallet.store.add_audit_event(action)


async def note(wallet: Wallet, actor: str, action: str, subject: str | None, **detail: object) -> None:
    """Put on record what is no request: that somebody signed in, say, or failed to."""
    await wallet.store.add_audit_event(AuditEvent(wallet.clock_ms(), actor, action, None, subject, json.dumps(detail)))


async def _add_key(wallet: Wallet, request: KeyAdd) -> Reply:
    agent_id = (await find_agent(wallet.store, request.agent)).agent_id if request.agent else None
    key = new_key()
    new = NewApiKey(hash_secret(key), f"{key[:7]}…", request.name, request.scope, agent_id)
    if not await wallet.store.add_key(new, wallet.clock_ms()):
        raise Decline(f"there is, or was, a key {request.name}; choose another name", why=Why.TAKEN)
    return {"key": key, "name": request.name, "scope": request.scope, "agent": request.agent}


async def _make_link(wallet: Wallet, name: str) -> Reply:
    """A link for an admin who may be new."""
    store, now_ms, token = wallet.store, wallet.clock_ms(), new_secret()
    if name not in [admin.name for admin in await store.list_admins()]:
        await store.upsert_admin(Admin(name, None), now_ms)
    expires_at_ms = now_ms + LINK_TTL_S * 1000
    await store.add_admin_session(hash_secret(token), AdminSession(name, expires_at_ms), is_link=True, now_ms=now_ms)
    return {"admin": name, "path": f"/admin/enter?token={token}", "expires_at": documents.time_text(expires_at_ms)}


async def _reset(wallet: Wallet, name: str) -> Reply:
    store = wallet.store
    if name not in [admin.name for admin in await store.list_admins()]:
        raise Decline(f"there is no admin {name}", why=Why.NOT_FOUND, hint="see: minwallet admin list")
    await store.upsert_admin(Admin(name, None), wallet.clock_ms())
    await store.delete_admin_sessions(name)
    return documents.AdminShown(name=name, has_password=False)
