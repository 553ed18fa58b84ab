"""Tests of API keys, admins, their sessions and the audit log, with every engine."""

import json
from pathlib import Path

import pytest

from minwallet.storage.admin_store import (
    Admin,
    AdminSession,
    ApiKey,
    AuditEvent,
    AuditRecord,
    EndedAccess,
    NewApiKey,
)
from minwallet.storage.errors import StoreError
from minwallet.storage.models import CallbackKey, LiveSecret, ProtocolSecret
from minwallet.storage.sqlite import SqliteStore
from minwallet.storage.store import Store
from minwallet.wallet.sessions import build_new_session, hash_token
from tests.storage.store_helpers import NOW, Run, create_players, make_new_account

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


def add_link(
    store: Store, run: Run, admin: str, token_hash: bytes, *, by: str = "command line", only_new: bool = False
) -> bool:
    """Add a login link that is valid for 10 ms."""
    link = AdminSession(admin, NOW + 10)
    return run(store.admin.add_login_link(token_hash, link, NOW, created_by=by, only_new=only_new))


def sign_in(store: Store, run: Run, admin: str, cookie: bytes) -> None:
    """Sign the admin in for 10 ms, by a link."""
    link_hash = bytes(31) + cookie[:1]
    add_link(store, run, admin, link_hash)
    assert run(store.admin.exchange_login_link(link_hash, cookie, AdminSession(admin, NOW + 10), NOW))


def test_a_login_link_works_once(store: Store, run: Run) -> None:
    """An expired link does not work. A link is not valid as a cookie, and a cookie not as a link."""
    session = AdminSession("ann", NOW + 100)
    add_link(store, run, "ann", KEY)
    assert run(store.admin.find_admin_session(KEY, NOW)) is None
    assert run(store.admin.find_login_link(KEY, NOW + 9)) == "ann"
    assert run(store.admin.find_login_link(KEY, NOW + 10)) is None
    assert run(store.admin.exchange_login_link(KEY, OTHER, session, NOW + 10)) is False
    assert run(store.admin.exchange_login_link(KEY, OTHER, session._replace(admin="bob"), NOW)) is False
    assert run(store.admin.exchange_login_link(KEY, OTHER, session, NOW + 9)) is True
    assert run(store.admin.exchange_login_link(KEY, b"n" * 32, session, NOW + 9)) is False
    assert run(store.admin.find_login_link(KEY, NOW)) is None
    assert run(store.admin.find_login_link(OTHER, NOW)) is None
    assert run(store.admin.find_admin_session(OTHER, NOW + 99)) == session


def test_a_link_for_new_names_only_does_not_sign_others_in(store: Store, run: Run) -> None:
    """The admin is created with the first link, and stays when the link has expired."""
    assert add_link(store, run, "ann", KEY, only_new=True) is True
    assert add_link(store, run, "ann", OTHER, only_new=True) is False
    assert run(store.admin.find_login_link(OTHER, NOW)) is None
    assert add_link(store, run, "ann", OTHER) is True
    assert run(store.admin.list_admins()) == [Admin("ann", None)]


def test_an_admin_session_lasts_until_it_expires_or_is_deleted(store: Store, run: Run) -> None:
    """Sessions are deleted one by one, or all of an admin's with the links."""
    first, second, bobs, link = (bytes([number]) * 32 for number in range(1, 5))
    for name, cookie in (("ann", first), ("ann", second), ("bob", bobs)):
        sign_in(store, run, name, cookie)
    add_link(store, run, "ann", link)
    assert run(store.admin.find_admin_session(first, NOW + 9)) == AdminSession("ann", NOW + 10)
    assert run(store.admin.find_admin_session(first, NOW + 10)) is None
    run(store.admin.delete_admin_session(first))
    assert [run(store.admin.find_admin_session(each, NOW)) is not None for each in (first, second, bobs)] == [
        False,
        True,
        True,
    ]
    assert run(store.admin.reset_admin("ann", NOW)) == EndedAccess(1, ("ann",), (), (), (), 0)
    assert [run(store.admin.find_admin_session(each, NOW)) is not None for each in (second, bobs)] == [False, True]
    assert run(store.admin.find_login_link(link, NOW)) is None
    assert run(store.admin.reset_admin("nobody", NOW)) is None


def test_a_password_is_set_by_a_valid_session_only(store: Store, run: Run) -> None:
    """It ends all other sessions and links of the admin. A session that has ended meanwhile sets nothing."""
    new, session = b"n" * 32, AdminSession("ann", NOW + 10)
    sign_in(store, run, "bob", OTHER)
    sign_in(store, run, "ann", KEY)
    add_link(store, run, "ann", b"l" * 32)
    set_password = store.admin.set_password
    assert run(set_password(Admin("ann", "salted"), new, session, NOW, old_token_hash=OTHER)) is False
    assert run(set_password(Admin("ann", "salted"), new, session, NOW + 10, old_token_hash=KEY)) is False
    assert run(store.admin.list_admins()) == [Admin("ann", None), Admin("bob", None)]
    assert run(set_password(Admin("ann", "salted"), new, session, NOW, old_token_hash=KEY)) is True
    assert run(store.admin.list_admins()) == [Admin("ann", "salted"), Admin("bob", None)]
    assert run(store.admin.find_admin_session(new, NOW)) == session
    assert run(store.admin.find_admin_session(KEY, NOW)) is None
    assert run(store.admin.find_login_link(b"l" * 32, NOW)) is None
    assert run(store.admin.find_admin_session(OTHER, NOW)) is not None


def test_only_the_current_password_signs_in(store: Store, run: Run) -> None:
    """A password that was replaced or removed since it was verified adds no session."""
    sign_in(store, run, "ann", KEY)
    session = AdminSession("ann", NOW + 10)
    run(store.admin.set_password(Admin("ann", "salted"), b"n" * 32, session, NOW, old_token_hash=KEY))
    assert run(store.admin.add_admin_session(OTHER, session, NOW, password="other")) is False
    assert run(store.admin.add_admin_session(OTHER, session, NOW, password="salted")) is True
    run(store.admin.reset_admin("ann", NOW))
    assert run(store.admin.add_admin_session(OTHER, session, NOW, password="salted")) is False
    assert run(store.admin.find_admin_session(OTHER, NOW)) is None


def test_credentials_are_an_admin_session_or_a_password(store: Store, run: Run) -> None:
    """An unused login link is not a credential."""
    assert run(store.admin.has_credentials()) is False
    add_link(store, run, "ann", b"l" * 32)
    assert run(store.admin.has_credentials()) is False
    sign_in(store, run, "ann", KEY)
    assert run(store.admin.has_credentials()) is True
    session = AdminSession("ann", NOW + 10)
    run(store.admin.set_password(Admin("ann", "salted"), OTHER, session, NOW, old_token_hash=KEY))
    run(store.admin.delete_admin_session(OTHER))
    assert run(store.admin.has_credentials()) is True
    run(store.admin.reset_admin("ann", NOW))
    assert run(store.admin.has_credentials()) is False


def test_a_reset_ends_what_the_admin_made(store: Store, run: Run) -> None:
    """Keys, links and sessions of players end. Invited admins, and keys without a maker, are listed and stay."""
    (player,) = run(create_players(store, make_new_account("pat")))
    token = build_new_session("token", None)._replace(opened_by_admin="eve")
    eves, colleagues = "admin eve", {"uma": "admin eve", "vic": "admin uma", "wim": "admin bob"}
    for admin, maker in {"eve": "command line", **colleagues}.items():
        add_link(store, run, admin, hash_token(admin), by=maker)
    makers: dict[str, str | None] = {"a": eves, "b": "admin bob", "c": None, "d": eves}
    for name, key_maker in makers.items():
        run(store.admin.add_key(NewApiKey(hash_token(name), "mw_a…", name, "write", None, key_maker), NOW))
    run(store.admin.revoke_key("d", NOW))
    run(store.sessions.add_session(player.accounts[0].account_id, token, NOW))
    run(store.accounts.add_agent("two", "two", None, NOW))
    # A program made the third one with a key of eve, and the last one with a key of bob.
    for number, (agent_id, by) in enumerate(((1, eves), (1, "admin bob"), (2, "key d"), (2, "key b"))):
        key = CallbackKey(b"%d" % number * 32, f"mwc_{number}…", NOW, by, None)
        run(store.accounts.add_callback_key(agent_id, key))
        secret = ProtocolSecret("vela", f"{number:012}", NOW, by)
        assert run(store.accounts.add_protocol_secret(agent_id, secret, f"secret {number}")) is None
    secrets = ("vela 000000000000 of agent default", "vela 000000000002 of agent two")
    callback_keys = ("mwc_0… of agent default", "mwc_2… of agent two")
    event = AuditEvent(NOW, "admin bob", "admin_reset", None, "eve", "{}")
    kept = run(store.admin.reset_admin("eve", NOW + 1, audit=event, keep_keys=True))
    invited, without_maker = ("uma", "vic"), ("c",)
    assert kept == EndedAccess(0, ("eve", "uma"), (), (), (), 0, invited, without_maker)
    ended = run(store.admin.reset_admin("eve", NOW + 2, audit=event))
    assert ended == EndedAccess(0, (), ("a",), callback_keys, secrets, 1, invited, without_maker)
    revoked = {key.name: key.revoked_at_ms for key in run(store.admin.list_keys())}
    assert revoked == {"a": NOW + 2, "b": None, "c": None, "d": NOW}
    assert run(store.accounts.read_live_callback_keys()) == {b"1" * 32: 1, b"3" * 32: 2}
    live = [LiveSecret(1, "secret 1"), LiveSecret(2, "secret 3")]
    assert run(store.accounts.read_live_protocol_secrets()) == {"vela": live}
    assert [each.revoked_at_ms for each in run(store.sessions.list_sessions(player.player_key))] == [NOW + 2]
    assert run(store.admin.find_login_link(hash_token("wim"), NOW)) == "wim"
    details = [json.loads(record.event.detail) for record in run(store.admin.list_audit_records(None, 9))]
    nothing = {"sessions": 0, "links": [], "keys": [], "callback_keys": [], "protocol_secrets": []}
    made = {"keys": ["a"], "callback_keys": list(callback_keys), "protocol_secrets": list(secrets)}
    assert details == [
        {**nothing, **made, "player_sessions": 1},
        {**nothing, "links": ["eve", "uma"], "player_sessions": 0},
    ]


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
