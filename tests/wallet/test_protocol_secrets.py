"""The live protocol secrets in memory."""

import asyncio
import re
from collections.abc import Sequence

import pytest

from minwallet.storage.models import LiveSecret, ProtocolSecret
from minwallet.wallet import protocol_secrets
from minwallet.wallet.protocol_secrets import FINGERPRINT_LENGTH, ProtocolSecrets, compute_fingerprint
from tests.storage.reference_engine.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

PROTOCOL = "signed"


async def add_secret(store: MemoryStore, agent_id: int, text: str, at_ms: int = 1) -> ProtocolSecret:
    secret = ProtocolSecret(PROTOCOL, f"{text:0<12}", at_ms, "test")
    assert await store.accounts.add_protocol_secret(agent_id, secret, text) is None
    return secret


async def wait_until_found(secrets: ProtocolSecrets, expected: Sequence[LiveSecret]) -> None:
    for _ in range(1000):
        if list(secrets.find(PROTOCOL)) == expected:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the secrets are not read again")


def test_a_fingerprint_depends_on_agent_protocol_and_secret() -> None:
    """So the same secret of two agents cannot be recognised in their lists."""
    found = {
        compute_fingerprint(agent, protocol, secret)
        for agent in ("default", "brand2")
        for protocol in ("signed", "other")
        for secret in ("0123456789abcdef", "0123456789abcdeg")
    }
    assert len(found) == 8
    assert all(re.fullmatch(rf"[0-9a-f]{{{FINGERPRINT_LENGTH}}}", each) for each in found)
    assert compute_fingerprint("default", "signed", "secret-1") == compute_fingerprint("default", "signed", "secret-1")


async def test_secrets_are_found_by_protocol_and_agent_newest_first() -> None:
    store = MemoryStore()
    await store.accounts.add_agent("two", "two", None, 1)
    for agent_id, text, at_ms in ((1, "old", 1), (2, "two", 2), (1, "new", 3)):
        await add_secret(store, agent_id, text, at_ms)
    secrets = ProtocolSecrets(store)
    await secrets.refresh()
    old, two, new = LiveSecret(1, "old"), LiveSecret(2, "two"), LiveSecret(1, "new")
    assert list(secrets.find(PROTOCOL)) == [new, two, old]
    assert list(secrets.find(PROTOCOL, 1)) == [new, old]
    assert list(secrets.find(PROTOCOL, 2)) == [two]
    assert list(secrets.find(PROTOCOL, 3)) == []
    assert list(secrets.find("other")) == []


async def test_a_secret_is_known_from_its_refresh_to_the_refresh_after_its_end() -> None:
    """The look-ups between read no store, so a flood of wrong signatures costs no read."""
    store = MemoryStore()
    secrets, secret = ProtocolSecrets(store), await add_secret(store, 1, "secret")
    assert not secrets.find(PROTOCOL)
    await secrets.refresh()
    assert list(secrets.find(PROTOCOL, 1)) == [LiveSecret(1, "secret")]
    await store.accounts.revoke_protocol_secret(1, PROTOCOL, secret.fingerprint, 2)
    assert secrets.find(PROTOCOL, 1)
    await secrets.refresh()
    assert not secrets.find(PROTOCOL)
    assert not secrets.find(PROTOCOL, 1)


async def test_changes_by_another_process_are_read_periodically(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then the known secrets stay."""
    monkeypatch.setattr(protocol_secrets, "REFRESH_INTERVAL_S", 0.01)
    store = MemoryStore()
    secrets = ProtocolSecrets(store)
    await add_secret(store, 1, "first", 1)
    task = asyncio.create_task(secrets.run())
    try:
        await wait_until_found(secrets, [LiveSecret(1, "first")])
        await add_secret(store, 1, "second", 2)
        await wait_until_found(secrets, [LiveSecret(1, "second"), LiveSecret(1, "first")])
    finally:
        task.cancel()


async def test_an_older_state_does_not_replace_a_newer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow read that began before a revocation must not bring the secret back."""
    store = MemoryStore()
    secrets, secret = ProtocolSecrets(store), await add_secret(store, 1, "secret")
    read, is_first_read_done = store.accounts.read_live_protocol_secrets, asyncio.Event()

    async def read_slowly() -> dict[str, list[LiveSecret]]:
        state = await read()
        if not is_first_read_done.is_set():
            await is_first_read_done.wait()
        return state

    monkeypatch.setattr(store.accounts, "read_live_protocol_secrets", read_slowly)
    slow = asyncio.create_task(secrets.refresh())
    await asyncio.sleep(0)
    await store.accounts.revoke_protocol_secret(1, PROTOCOL, secret.fingerprint, 2)
    after_revocation = asyncio.create_task(secrets.refresh())
    await asyncio.sleep(0)
    is_first_read_done.set()
    await asyncio.gather(after_revocation, slow)
    assert not secrets.find(PROTOCOL)
