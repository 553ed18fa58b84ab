"""Operations on access to the wallet: API keys, admins, and their sign-in links."""

from typing import assert_never

from minwallet.operations import schemas
from minwallet.operations.agents import get_agent
from minwallet.operations.credentials import LOGIN_LINK_TTL_S, generate_api_key, generate_secret, hash_secret
from minwallet.operations.errors import ErrorCode, OperationError, Subject
from minwallet.operations.requests import (
    AdminLink,
    AdminList,
    AdminRequest,
    AdminReset,
    KeyAdd,
    KeyList,
    KeyRevoke,
    Reply,
)
from minwallet.operations.timestamps import format_iso
from minwallet.storage.admin_store import Admin, AdminSession, NewApiKey
from minwallet.wallet.service import Wallet


async def handle_admin(wallet: Wallet, request: AdminRequest) -> Reply:
    """Execute the request and return the reply. Raise OperationError or StoreError."""
    match request:
        case KeyAdd():
            return await _add_key(wallet, request)
        case KeyList():
            return {"keys": [schemas.build_api_key_response(key) for key in await wallet.store.admin.list_keys()]}
        case KeyRevoke():
            if not await wallet.store.admin.revoke_key(request.name, wallet.clock_ms()):
                raise OperationError(f"unknown key '{request.name}'", code=ErrorCode.NOT_FOUND, subject=Subject.KEY)
            return {"revoked": True}
        case AdminLink():
            return await _create_login_link(wallet, request.name)
        case AdminReset():
            return await _reset_admin(wallet, request.name)
        case AdminList():
            return {"admins": [schemas.build_admin_response(admin) for admin in await wallet.store.admin.list_admins()]}
        case _:
            assert_never(request)


async def _add_key(wallet: Wallet, request: KeyAdd) -> Reply:
    agent_id = (await get_agent(wallet.store, request.agent)).agent_id if request.agent else None
    key = generate_api_key()
    new = NewApiKey(hash_secret(key), f"{key[:7]}…", request.name, request.scope, agent_id)
    if not await wallet.store.admin.add_key(new, wallet.clock_ms()):
        # The name of a revoked key stays taken: the audit log refers to keys by their names.
        reason = f"key name '{request.name}' is already used, perhaps by a revoked key; choose another"
        raise OperationError(reason, code=ErrorCode.TAKEN)
    return {"key": key, "name": request.name, "scope": request.scope, "agent": request.agent}


async def _create_login_link(wallet: Wallet, name: str) -> Reply:
    """Create a sign-in link, and the admin if there is none with this name."""
    store, now_ms, token = wallet.store, wallet.clock_ms(), generate_secret()
    if name not in [admin.name for admin in await store.admin.list_admins()]:
        await store.admin.upsert_admin(Admin(name, None), now_ms)
    expires_at_ms = now_ms + LOGIN_LINK_TTL_S * 1000
    await store.admin.add_admin_session(
        hash_secret(token), AdminSession(name, expires_at_ms), is_link=True, now_ms=now_ms
    )
    return {"admin": name, "path": f"/admin/enter?token={token}", "expires_at": format_iso(expires_at_ms)}


async def _reset_admin(wallet: Wallet, name: str) -> Reply:
    store = wallet.store
    if name not in [admin.name for admin in await store.admin.list_admins()]:
        raise OperationError(f"unknown admin '{name}'", code=ErrorCode.NOT_FOUND, subject=Subject.ADMIN)
    await store.admin.upsert_admin(Admin(name, None), wallet.clock_ms())
    await store.admin.delete_admin_sessions(name)
    return schemas.AdminResponse(name=name, has_password=False)
