"""Tests of API keys, admins, their sessions and the audit log, with every engine."""

from pathlib import Path

import pytest

from minwallet.ledger.time_units import DAY_MS
from minwallet.storage.admin_store import Admin, AdminSession, ApiKey, AuditEvent, AuditRecord, NewApiKey
from minwallet.storage.errors import StoreError
from minwallet.storage.sqlite import SqliteStore
from minwallet.storage.store import Store
from tests.storage.store_helpers import NOW, Run

KEY, OTHER = b"k" * 32, b"o" * 32


def test_a_key_is_found_by_its_hash(store: Store, run: Run) -> None:
    """The key has its agent. A name is used once, even after its key was revoked."""
    run(store.accounts.add_agent("two", "two", None, NOW))
    assert run(store.admin.add_key(NewApiKey(KEY, "mw_a…", "site", "write", None), NOW))
    assert run(store.admin.add_key(NewApiKey(OTHER, "mw_b…", "partner", "read", 2), NOW + 1))
    assert run(store.admin.revoke_key("site", NOW + 2)) is True
    assert run(store.admin.add_key(NewApiKey(b"n" * 32, "mw_c…", "site", "read", None), NOW)) is False
    assert run(store.admin.find_key(KEY)) == ApiKey("site", "mw_a…", "write", None, NOW, NOW + 2)
    assert run(store.admin.find_key(b"n" * 32)) is None
    assert run(store.admin.list_keys()) == [
        ApiKey("partner", "mw_b…", "read", "two", NOW + 1, None),
        ApiKey("site", "mw_a…", "write", None, NOW, NOW + 2),
    ]


def test_a_key_is_revoked_once(store: Store, run: Run) -> None:
    """The first revocation counts. An unknown key cannot be revoked."""
    run(store.admin.add_key(NewApiKey(KEY, "mw_a…", "site", "write", None), NOW))
    assert [run(store.admin.revoke_key("site", NOW + later)) for later in (1, 2)] == [True, True]
    assert run(store.admin.revoke_key("other", NOW)) is False
    assert [key.revoked_at_ms for key in run(store.admin.list_keys())] == [NOW + 1]


def test_a_login_link_works_once(store: Store, run: Run) -> None:
    """An expired link does not work. A link is not valid as a cookie, and a cookie not as a link."""
    run(store.admin.upsert_admin(Admin("ann", None), NOW))
    run(store.admin.add_admin_session(KEY, AdminSession("ann", NOW + 10), is_link=True, now_ms=NOW))
    run(store.admin.add_admin_session(OTHER, AdminSession("ann", NOW + 10), is_link=False, now_ms=NOW))
    assert run(store.admin.find_admin_session(KEY, NOW)) is None
    assert run(store.admin.consume_login_link(OTHER, NOW)) is None
    assert run(store.admin.consume_login_link(KEY, NOW + 10)) is None
    assert run(store.admin.consume_login_link(KEY, NOW + 9)) == "ann"
    assert run(store.admin.consume_login_link(KEY, NOW + 9)) is None


def test_an_admin_session_lasts_until_it_expires_or_is_deleted(store: Store, run: Run) -> None:
    """Sessions are deleted one by one, or all of an admin's with the links."""
    for name in ("ann", "bob"):
        run(store.admin.upsert_admin(Admin(name, None), NOW))
    sign_ins = {bytes([number]) * 32: name for number, name in enumerate(["ann", "ann", "ann", "bob"])}
    for number, (token_hash, name) in enumerate(sign_ins.items()):
        run(store.admin.add_admin_session(token_hash, AdminSession(name, NOW + 10), is_link=number == 2, now_ms=NOW))
    first, second, link, bobs = sign_ins
    assert run(store.admin.find_admin_session(first, NOW + 9)) == AdminSession("ann", NOW + 10)
    assert run(store.admin.find_admin_session(first, NOW + 10)) is None
    run(store.admin.delete_admin_session(first))
    assert [run(store.admin.find_admin_session(each, NOW)) is not None for each in (first, second, bobs)] == [
        False,
        True,
        True,
    ]
    run(store.admin.delete_admin_sessions("ann"))
    assert [run(store.admin.find_admin_session(each, NOW)) is not None for each in (second, bobs)] == [False, True]
    assert run(store.admin.consume_login_link(link, NOW)) is None


def test_credentials_are_an_admin_session_or_a_password(store: Store, run: Run) -> None:
    """An unused login link is not a credential."""
    assert run(store.admin.has_credentials()) is False
    run(store.admin.upsert_admin(Admin("ann", None), NOW))
    run(store.admin.add_admin_session(KEY, AdminSession("ann", NOW + 10), is_link=True, now_ms=NOW))
    assert run(store.admin.has_credentials()) is False
    run(store.admin.upsert_admin(Admin("ann", "salted"), NOW + 1))
    assert run(store.admin.has_credentials()) is True
    assert run(store.admin.list_admins()) == [Admin("ann", "salted")]
    run(store.admin.upsert_admin(Admin("ann", None), NOW + 2))
    assert run(store.admin.has_credentials()) is False
    run(store.admin.add_admin_session(OTHER, AdminSession("ann", NOW + DAY_MS), is_link=False, now_ms=NOW))
    assert run(store.admin.has_credentials()) is True


def test_audit_records_are_listed_newest_first(store: Store, run: Run) -> None:
    """Records are read page by page."""
    actions = [AuditEvent(NOW + number, "ann", "deposit", "default", "bob", "{}", number) for number in range(1, 4)]
    for action in actions:
        run(store.admin.add_audit_event(action))
    listed = [AuditRecord(number, action) for number, action in enumerate(actions, 1)][::-1]
    assert run(store.admin.list_audit_records(None, 9)) == listed
    assert run(store.admin.list_audit_records(None, 2)) == listed[:2]
    assert run(store.admin.list_audit_records(2, 9)) == listed[2:]


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET actor = 'bob'", "DELETE FROM audit_log"])
def test_the_audit_log_is_append_only(statement: str, tmp_path: Path, run: Run) -> None:
    """The schema rejects a change or a deletion of an event."""
    store = run(SqliteStore.open(tmp_path / "wallet.db", create=True))
    run(store.admin.add_audit_event(AuditEvent(NOW, "ann", "deposit", None, None, "{}")))
    with pytest.raises(StoreError, match="never"):
        run(store.write(lambda db: db.execute(statement)))
    run(store.close())
