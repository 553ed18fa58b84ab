"""Tests of the callback keys of agents, with every engine."""

from minwallet.storage.models import CallbackKey
from minwallet.storage.store import Store
from tests.storage.store_helpers import NOW, Run

FIRST, SECOND, THIRD = (
    CallbackKey(letter * 32, f"mwc_{letter.decode()}…", NOW + number, "command line", None)
    for number, letter in enumerate((b"c", b"a", b"b"))
)


def test_callback_keys_belong_to_an_agent(store: Store, run: Run) -> None:
    """An agent has several, listed in order of their creation."""
    run(store.accounts.add_agent("two", "two", None, NOW))
    for agent_id, key in ((1, FIRST), (2, THIRD), (1, SECOND)):
        run(store.accounts.add_callback_key(agent_id, key))
    assert run(store.accounts.list_callback_keys(1)) == [FIRST, SECOND]
    assert run(store.accounts.list_callback_keys(2)) == [THIRD]
    assert run(store.accounts.list_callback_keys(3)) == []
    assert run(store.accounts.read_live_callback_keys()) == {
        FIRST.key_hash: 1,
        SECOND.key_hash: 1,
        THIRD.key_hash: 2,
    }


def test_a_callback_key_is_revoked_once(store: Store, run: Run) -> None:
    """The first revocation counts. The key stays in the list."""
    for key in (FIRST, SECOND):
        run(store.accounts.add_callback_key(1, key))
    for later in (1, 2):
        run(store.accounts.revoke_callback_key(FIRST.key_hash, NOW + later))
    assert run(store.accounts.list_callback_keys(1)) == [FIRST._replace(revoked_at_ms=NOW + 1), SECOND]
    assert run(store.accounts.read_live_callback_keys()) == {SECOND.key_hash: 1}
