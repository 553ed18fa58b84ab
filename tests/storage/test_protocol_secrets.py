"""Tests of the secrets with which providers sign their calls, with every engine."""

from pathlib import Path

from minwallet.storage.models import LiveSecret, ProtocolSecret
from minwallet.storage.sqlite import SqliteStore
from minwallet.storage.store import Store
from tests.storage.store_helpers import NOW, Run

FIRST = ProtocolSecret("vela", "0123456789ab", NOW, "command line")
SECOND = ProtocolSecret("vela", "00aa00aa00aa", NOW + 1, "command line")
OTHER = ProtocolSecret("other", "ffffffffffff", NOW + 2, "admin ann")


def add(store: Store, run: Run, agent_id: int, secret: ProtocolSecret, text: str) -> bool:
    return run(store.accounts.add_protocol_secret(agent_id, secret, text)) is None


def test_secrets_belong_to_an_agent_and_a_protocol(store: Store, run: Run) -> None:
    """An agent has several, all valid at once: listed oldest first, tried newest first."""
    run(store.accounts.add_agent("two", "two", None, NOW))
    assert add(store, run, 1, FIRST, "first-secret")
    assert add(store, run, 1, SECOND, "second-secret")
    assert add(store, run, 2, FIRST._replace(created_at_ms=NOW + 5), "secret-of-two")
    assert add(store, run, 1, OTHER, "other-secret")
    assert run(store.accounts.list_protocol_secrets(1)) == [OTHER, FIRST, SECOND]
    assert run(store.accounts.list_protocol_secrets(2)) == [FIRST._replace(created_at_ms=NOW + 5)]
    assert run(store.accounts.list_protocol_secrets(3)) == []
    assert run(store.accounts.read_live_protocol_secrets()) == {
        "vela": [LiveSecret(2, "secret-of-two"), LiveSecret(1, "second-secret"), LiveSecret(1, "first-secret")],
        "other": [LiveSecret(1, "other-secret")],
    }


def test_a_secret_is_added_once(store: Store, run: Run) -> None:
    """Its time and its author stay those of the first addition."""
    assert add(store, run, 1, FIRST, "first-secret")
    assert not add(store, run, 1, FIRST._replace(created_at_ms=NOW + 9, created_by="other"), "first-secret")
    assert run(store.accounts.list_protocol_secrets(1)) == [FIRST]


def test_two_agents_cannot_have_the_same_live_secret_for_a_protocol(store: Store, run: Run) -> None:
    """It would not tell which agent a call is from. This holds for a secret that is added again, too."""
    run(store.accounts.add_agent("two", "two", None, NOW))
    of_two = FIRST._replace(fingerprint="222222222222")
    assert add(store, run, 1, FIRST, "the-same")
    assert run(store.accounts.add_protocol_secret(2, of_two, "the-same")) == "default"
    assert run(store.accounts.add_protocol_secret(1, FIRST, "the-same")) == "default"
    assert run(store.accounts.list_protocol_secrets(2)) == []
    assert add(store, run, 2, OTHER, "the-same")
    run(store.accounts.revoke_protocol_secret(1, FIRST.protocol, FIRST.fingerprint, NOW + 1))
    assert add(store, run, 2, of_two, "the-same")
    assert run(store.accounts.add_protocol_secret(1, FIRST, "the-same")) == "two"
    assert run(store.accounts.read_live_protocol_secrets()) == {
        "vela": [LiveSecret(2, "the-same")],
        "other": [LiveSecret(2, "the-same")],
    }


def test_a_secret_is_revoked_once(store: Store, run: Run) -> None:
    """The first revocation counts. The secret stays in the list, without its text."""
    for secret, text in ((FIRST, "first-secret"), (SECOND, "second-secret")):
        assert add(store, run, 1, secret, text)
    for later in (3, 4):
        run(store.accounts.revoke_protocol_secret(1, FIRST.protocol, FIRST.fingerprint, NOW + later))
    run(store.accounts.revoke_protocol_secret(1, "other", SECOND.fingerprint, NOW))
    assert run(store.accounts.list_protocol_secrets(1)) == [FIRST._replace(revoked_at_ms=NOW + 3), SECOND]
    assert run(store.accounts.read_live_protocol_secrets()) == {"vela": [LiveSecret(1, "second-secret")]}


def test_a_revoked_secret_may_be_added_again(store: Store, run: Run) -> None:
    """A revocation by mistake would stop a provider that has only one secret."""
    assert add(store, run, 1, FIRST, "first-secret")
    run(store.accounts.revoke_protocol_secret(1, FIRST.protocol, FIRST.fingerprint, NOW + 1))
    again = FIRST._replace(created_at_ms=NOW + 2, created_by="admin ann")
    assert add(store, run, 1, again, "first-secret")
    assert run(store.accounts.list_protocol_secrets(1)) == [again]
    assert run(store.accounts.read_live_protocol_secrets()) == {"vela": [LiveSecret(1, "first-secret")]}


def test_a_live_secret_is_not_shown_by_its_repr() -> None:
    """A failed assertion and an exception show the values that they are about."""
    assert "first-secret" not in f"{LiveSecret(1, 'first-secret')!r} {LiveSecret(1, 'first-secret')}"


def test_a_revoked_secret_is_overwritten_in_the_file(tmp_path: Path, run: Run) -> None:
    """SQLite leaves parts of deleted text in the free space of a page otherwise."""
    path, words = tmp_path / "wallet.db", [[f"<{number}.{part:03}>" for part in range(30)] for number in range(20)]
    store = run(SqliteStore.open(path, create=True))
    for number, parts in enumerate(words):
        add(store, run, 1, FIRST._replace(fingerprint=f"{number:012x}"), "".join(parts))
    run(store.close())
    assert _find_words(path, words) == [word for parts in words for word in parts]
    store = run(SqliteStore.open(path, create=False))
    for number in range(0, 20, 2):
        run(store.accounts.revoke_protocol_secret(1, "vela", f"{number:012x}", NOW + 1))
    run(store.close())
    assert _find_words(path, words) == [word for parts in words[1::2] for word in parts]


def _find_words(path: Path, words: list[list[str]]) -> list[str]:
    """Return the words that the file contains anywhere."""
    content = path.read_bytes()
    return [word for parts in words for word in parts if word.encode() in content]
