"""Operations on the callback keys of agents."""

from typing import assert_never

from minwallet.operations.access_requests import CallbackKeyAdd, CallbackKeyList, CallbackKeyRequest, CallbackKeyRevoke
from minwallet.operations.access_schemas import CallbackKeyResponse
from minwallet.operations.agents import get_agent
from minwallet.operations.errors import ErrorCode, OperationError, Subject
from minwallet.operations.requests import Reply
from minwallet.operations.timestamps import format_iso
from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.models import Agent, CallbackKey
from minwallet.wallet.callback_keys import HINT_LENGTH, build_key_hint, generate_callback_key
from minwallet.wallet.service import Wallet
from minwallet.wallet.sessions import hash_token


async def handle_callback_keys(
    wallet: Wallet, request: CallbackKeyRequest, actor: str, audit: AuditEvent | None
) -> Reply:
    """Execute the request and return the reply. A change adds `audit`. Raise OperationError or StoreError."""
    agent = await get_agent(wallet.store, request.agent)
    match request:
        case CallbackKeyAdd():
            return await _add_key(wallet, agent, actor, audit)
        case CallbackKeyList():
            keys = await wallet.store.accounts.list_callback_keys(agent.agent_id)
            return {"callback_keys": [_build_response(agent, key) for key in keys]}
        case CallbackKeyRevoke():
            return await _revoke_key(wallet, agent, request.key_prefix, audit)
        case _:
            assert_never(request)


async def _add_key(wallet: Wallet, agent: Agent, actor: str, audit: AuditEvent | None) -> Reply:
    secret = generate_callback_key()
    key = CallbackKey(hash_token(secret), build_key_hint(secret), wallet.clock_ms(), actor, None)
    await wallet.store.accounts.add_callback_key(agent.agent_id, key, audit=_about(audit, key))
    await wallet.callback_keys.refresh()
    return {"agent": agent.name, "callback_key": secret}


async def _revoke_key(wallet: Wallet, agent: Agent, prefix: str, audit: AuditEvent | None) -> Reply:
    keys = await wallet.store.accounts.list_callback_keys(agent.agent_id)
    key = _find_live_key(agent, keys, prefix.rstrip("…"))
    now_ms = wallet.clock_ms()
    await wallet.store.accounts.revoke_callback_key(key.key_hash, now_ms, audit=_about(audit, key))
    await wallet.callback_keys.refresh()
    return _build_response(agent, key._replace(revoked_at_ms=now_ms))


def _about(audit: AuditEvent | None, key: CallbackKey) -> AuditEvent | None:
    """Return the event with the key's hint as its subject: the request does not have it."""
    return audit and audit._replace(subject=key.hint)


def _find_live_key(agent: Agent, keys: list[CallbackKey], prefix: str) -> CallbackKey:
    """Return the agent's only live key with this beginning. Raise OperationError if there is none, or several.

    The store has only the beginning of a key and its hash, so a longer text must be the whole key.
    """
    live = [key for key in keys if key.revoked_at_ms is None]
    if len(prefix) > HINT_LENGTH:
        found = [key for key in live if key.key_hash == hash_token(prefix)]
    else:
        found = [key for key in live if key.hint.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    if found:
        hints = ", ".join(key.hint for key in found)
        raise OperationError(
            f"agent {agent.name} has {len(found)} live callback keys that begin with '{prefix}' ({hints}); give more"
            " characters"
        )
    shown = build_key_hint(prefix) if len(prefix) > HINT_LENGTH else prefix
    raise OperationError(
        f"agent {agent.name} has no live callback key that begins with '{shown}'",
        code=ErrorCode.NOT_FOUND,
        subject=Subject.CALLBACK_KEY,
        agent=agent.name,
    )


def _build_response(agent: Agent, key: CallbackKey) -> CallbackKeyResponse:
    return CallbackKeyResponse(
        agent=agent.name,
        callback_key=key.hint,
        created_at=format_iso(key.created_at_ms),
        created_by=key.created_by,
        revoked_at=format_iso(key.revoked_at_ms),
    )
