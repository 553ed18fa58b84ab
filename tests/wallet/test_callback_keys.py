"""The live callback keys in memory."""

import asyncio

import pytest

from minwallet.storage.models import CallbackKey
from minwallet.wallet import callback_keys
from minwallet.wallet.callback_keys import CALLBACK_KEY_LENGTH, CallbackKeys, build_key_hint, generate_callback_key
from minwallet.wallet.sessions import hash_token
from tests.storage.reference_engine.memory_store import MemoryStore

pytestmark = pytest.mark.anyio


async def add_key(store: MemoryStore, agent_id: int) -> str:
    secret = generate_callback_key()
    key = CallbackKey(hash_token(secret), build_key_hint(secret), 1, "test", None)
    await store.accounts.add_callback_key(agent_id, key)
    return secret


async def wait_until_known(keys: CallbackKeys, secret: str) -> None:
    for _ in range(1000):
        if keys.find_agent(secret):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the keys are not read again")


async def test_a_key_is_known_from_its_refresh_to_the_refresh_after_its_end() -> None:
    """The look-ups between read no store, so a flood of unknown keys costs no read."""
    store = MemoryStore()
    keys, secret = CallbackKeys(store), await add_key(store, 1)
    assert len(secret) == CALLBACK_KEY_LENGTH
    assert keys.find_agent(secret) is None
    await keys.refresh()
    assert keys.find_agent(secret) == 1
    assert keys.find_agent(secret[:-1]) is None
    await store.accounts.revoke_callback_key(hash_token(secret), 2)
    assert keys.find_agent(secret) == 1
    await keys.refresh()
    assert keys.find_agent(secret) is None


async def test_changes_by_another_process_are_read_periodically(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then the known keys stay."""
    monkeypatch.setattr(callback_keys, "REFRESH_INTERVAL_S", 0.01)
    store = MemoryStore()
    keys, first = CallbackKeys(store), await add_key(store, 1)
    task = asyncio.create_task(keys.run())
    try:
        await wait_until_known(keys, first)
        second = await add_key(store, 1)
        await wait_until_known(keys, second)
        assert keys.find_agent(first) == 1
    finally:
        task.cancel()


async def test_an_older_state_does_not_replace_a_newer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow read that began before a revocation must not bring the key back."""
    store = MemoryStore()
    keys, secret = CallbackKeys(store), await add_key(store, 1)
    read, is_first_read_done = store.accounts.read_live_callback_keys, asyncio.Event()

    async def read_slowly() -> dict[bytes, int]:
        state = await read()
        if not is_first_read_done.is_set():
            await is_first_read_done.wait()
        return state

    monkeypatch.setattr(store.accounts, "read_live_callback_keys", read_slowly)
    slow = asyncio.create_task(keys.refresh())
    await asyncio.sleep(0)
    await store.accounts.revoke_callback_key(hash_token(secret), 2)
    after_revocation = asyncio.create_task(keys.refresh())
    await asyncio.sleep(0)
    is_first_read_done.set()
    await asyncio.gather(after_revocation, slow)
    assert keys.find_agent(secret) is None
