"""Operations on the secrets with which the providers of an agent sign their calls."""

import asyncio
from typing import assert_never

from minwallet.operations.access_requests import (
    ProtocolSecretAdd,
    ProtocolSecretList,
    ProtocolSecretRequest,
    ProtocolSecretRevoke,
)
from minwallet.operations.access_schemas import ProtocolSecretResponse
from minwallet.operations.agents import get_agent
from minwallet.operations.errors import ErrorCode, OperationError, Subject
from minwallet.operations.requests import Reply
from minwallet.operations.timestamps import format_iso
from minwallet.protocols.registry import is_installed, list_protocols, load_protocol
from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.models import Agent, ProtocolSecret
from minwallet.wallet.protocol_secrets import compute_fingerprint
from minwallet.wallet.service import Wallet


async def handle_protocol_secrets(
    wallet: Wallet, request: ProtocolSecretRequest, actor: str, audit: AuditEvent | None
) -> Reply:
    """Execute the request and return the reply. A change adds `audit`. Raise OperationError or StoreError."""
    agent = await get_agent(wallet.store, request.agent)
    match request:
        case ProtocolSecretAdd():
            return await _add_secret(wallet, agent, request, actor, audit)
        case ProtocolSecretList():
            secrets = await wallet.store.accounts.list_protocol_secrets(agent.agent_id)
            return {"protocol_secrets": [_build_response(agent, secret) for secret in secrets]}
        case ProtocolSecretRevoke():
            return await _revoke_secret(wallet, agent, request, audit)
        case _:
            assert_never(request)


async def _add_secret(
    wallet: Wallet, agent: Agent, request: ProtocolSecretAdd, actor: str, audit: AuditEvent | None
) -> Reply:
    _require_signatures(request.protocol)
    # The hash is slow, so a thread computes it and the event loop does not wait.
    fingerprint = await asyncio.to_thread(compute_fingerprint, agent.name, request.protocol, request.secret)
    secret = ProtocolSecret(request.protocol, fingerprint, wallet.clock_ms(), actor)
    owner = await wallet.store.accounts.add_protocol_secret(
        agent.agent_id, secret, request.secret, audit=_about(audit, secret)
    )
    if owner is not None:
        # A secret identifies the agent of a call. If two agents had the same one, every call of both would be refused.
        raise OperationError(
            f"agent {agent.name} already has this secret for {secret.protocol}: {fingerprint}"
            if owner == agent.name
            else f"another agent already has this secret for {secret.protocol}; each agent needs a secret of its own",
            code=ErrorCode.TAKEN,
            subject=Subject.PROTOCOL_SECRET,
            agent=agent.name,
        )
    await wallet.protocol_secrets.refresh()
    return _build_response(agent, secret)


def _require_signatures(protocol: str) -> None:
    """Raise OperationError if the protocol is not installed, or does not sign its calls."""
    if not is_installed(protocol):
        reason = f"unknown protocol '{protocol}'; installed: {', '.join(list_protocols())}"
        raise OperationError(reason)
    if load_protocol(protocol).signature is None:
        raise OperationError(f"protocol {protocol} does not sign its calls, so it has no secrets")


async def _revoke_secret(
    wallet: Wallet, agent: Agent, request: ProtocolSecretRevoke, audit: AuditEvent | None
) -> Reply:
    secrets = await wallet.store.accounts.list_protocol_secrets(agent.agent_id)
    secret = _find_live_secret(agent, secrets, request)
    now_ms = wallet.clock_ms()
    await wallet.store.accounts.revoke_protocol_secret(
        agent.agent_id, secret.protocol, secret.fingerprint, now_ms, audit=_about(audit, secret)
    )
    await wallet.protocol_secrets.refresh()
    return _build_response(agent, secret._replace(revoked_at_ms=now_ms))


def _about(audit: AuditEvent | None, secret: ProtocolSecret) -> AuditEvent | None:
    """Return the event with the secret's fingerprint as its subject: the request does not have it."""
    return audit and audit._replace(subject=secret.fingerprint)


def _find_live_secret(agent: Agent, secrets: list[ProtocolSecret], request: ProtocolSecretRevoke) -> ProtocolSecret:
    """Return the only live secret with this protocol and fingerprint. Raise OperationError if it is not exactly one."""
    found = [
        secret
        for secret in secrets
        if secret.revoked_at_ms is None
        and secret.protocol == request.protocol
        and secret.fingerprint.startswith(request.fingerprint)
    ]
    if len(found) == 1:
        return found[0]
    about = f"for {request.protocol} whose fingerprint begins with '{request.fingerprint}'"
    if found:
        fingerprints = ", ".join(secret.fingerprint for secret in found)
        raise OperationError(
            f"agent {agent.name} has {len(found)} live secrets {about} ({fingerprints}); give more characters"
        )
    raise OperationError(
        f"agent {agent.name} has no live secret {about}",
        code=ErrorCode.NOT_FOUND,
        subject=Subject.PROTOCOL_SECRET,
        agent=agent.name,
    )


def _build_response(agent: Agent, secret: ProtocolSecret) -> ProtocolSecretResponse:
    return ProtocolSecretResponse(
        agent=agent.name,
        protocol=secret.protocol,
        fingerprint=secret.fingerprint,
        created_at=format_iso(secret.created_at_ms),
        created_by=secret.created_by,
        revoked_at=format_iso(secret.revoked_at_ms),
    )
