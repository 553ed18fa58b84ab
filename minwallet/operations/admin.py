"""Operations on access to the wallet: API keys, admins, and their sign-in links."""

from typing import assert_never

from minwallet.operations.access_requests import (
    AdminLink,
    AdminList,
    AdminRequest,
    AdminReset,
    KeyAdd,
    KeyList,
    KeyRevoke,
)
from minwallet.operations.access_schemas import (
    build_admin_reset_response,
    build_admin_response,
    build_api_key_response,
)
from minwallet.operations.agents import get_agent
from minwallet.operations.credentials import LOGIN_LINK_TTL_S, generate_api_key, generate_secret, hash_secret
from minwallet.operations.errors import ErrorCode, OperationError, Subject
from minwallet.operations.requests import Reply
from minwallet.operations.timestamps import format_iso
from minwallet.storage.actors import find_admin, is_owner
from minwallet.storage.admin_store import AdminSession, AuditEvent, NewApiKey
from minwallet.wallet.service import Wallet


async def handle_admin(wallet: Wallet, request: AdminRequest, actor: str, audit: AuditEvent | None) -> Reply:
    """Execute the request and return the reply. A change adds `audit`. Raise OperationError or StoreError."""
    match request:
        case KeyAdd():
            return await _add_key(wallet, request, actor, audit)
        case KeyList():
            return {"keys": [build_api_key_response(key) for key in await wallet.store.admin.list_keys()]}
        case KeyRevoke():
            if not await wallet.store.admin.revoke_key(request.name, wallet.clock_ms(), audit=audit):
                raise OperationError(f"unknown key '{request.name}'", code=ErrorCode.NOT_FOUND, subject=Subject.KEY)
            return {"revoked": True}
        case AdminLink():
            return await _create_login_link(wallet, request.name, actor, audit)
        case AdminReset():
            return await _reset_admin(wallet, request, audit)
        case AdminList():
            return {"admins": [build_admin_response(admin) for admin in await wallet.store.admin.list_admins()]}
        case _:
            assert_never(request)


async def _add_key(wallet: Wallet, request: KeyAdd, actor: str, audit: AuditEvent | None) -> Reply:
    agent_id = (await get_agent(wallet.store, request.agent)).agent_id if request.agent else None
    key = generate_api_key()
    new = NewApiKey(hash_secret(key), f"{key[:7]}…", request.name, request.scope, agent_id, actor)
    if not await wallet.store.admin.add_key(new, wallet.clock_ms(), audit=audit):
        # The name of a revoked key stays taken: the audit log refers to keys by their names.
        reason = f"key name '{request.name}' is already used, perhaps by a revoked key; choose another"
        raise OperationError(reason, code=ErrorCode.TAKEN)
    return {"key": key, "name": request.name, "scope": request.scope, "agent": request.agent}


async def _create_login_link(wallet: Wallet, name: str, actor: str, audit: AuditEvent | None) -> Reply:
    """Create a sign-in link, and the admin if there is none with this name.

    A link for another admin would let its maker act under that admin's name. So from outside a link is made only for a
    new name, or for oneself.
    """
    now_ms, token = wallet.clock_ms(), generate_secret()
    link = AdminSession(name, now_ms + LOGIN_LINK_TTL_S * 1000)
    only_new = not is_owner(actor) and find_admin(actor) != name
    if not await wallet.store.admin.add_login_link(
        hash_secret(token), link, now_ms, audit=audit, created_by=actor, only_new=only_new
    ):
        reason = f"admin '{name}' exists; only the command line makes links for other admins"
        raise OperationError(reason, code=ErrorCode.TAKEN)
    return {"admin": name, "path": f"/admin/enter?token={token}", "expires_at": format_iso(link.expires_at_ms)}


async def _reset_admin(wallet: Wallet, request: AdminReset, audit: AuditEvent | None) -> Reply:
    ended = await wallet.store.admin.reset_admin(
        request.name, wallet.clock_ms(), audit=audit, keep_keys=request.keep_keys
    )
    if ended is None:
        raise OperationError(f"unknown admin '{request.name}'", code=ErrorCode.NOT_FOUND, subject=Subject.ADMIN)
    if ended.callback_keys:
        await wallet.callback_keys.refresh()
    if ended.protocol_secrets:
        await wallet.protocol_secrets.refresh()
    return build_admin_reset_response(request.name, ended)
