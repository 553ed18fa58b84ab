"""Keys, sign-ins and the record of who did what, in every engine."""

from pathlib import Path

import pytest

from minwallet.storage.base import Store, StoreFault
from minwallet.storage.office import Action, Admin, ApiKey, NewKey, Numbered, SignIn
from minwallet.storage.sqlite import SqliteStore
from tests.storage.shelf import NOW, Run

KEY, OTHER = b"k" * 32, b"o" * 32

DAY_MS = 24 * 3600 * 1000


def test_a_key_is_found_by_its_hash(store: Store, run: Run) -> None:
    """With whom it reaches; a name is given once, even after the key was revoked."""
    run(store.add_agent("two", "two", None, NOW))
    assert run(store.add_key(NewKey(KEY, "mw_a…", "site", "write", None), NOW))
    assert run(store.add_key(NewKey(OTHER, "mw_b…", "partner", "read", 2), NOW + 1))
    assert run(store.revoke_key("site", NOW + 2)) is True
    assert run(store.add_key(NewKey(b"n" * 32, "mw_c…", "site", "read", None), NOW)) is False
    assert run(store.find_key(KEY)) == ApiKey("site", "mw_a…", "write", None, NOW, NOW + 2)
    assert run(store.find_key(b"n" * 32)) is None
    assert run(store.list_keys()) == [
        ApiKey("partner", "mw_b…", "read", "two", NOW + 1, None),
        ApiKey("site", "mw_a…", "write", None, NOW, NOW + 2),
    ]


def test_a_key_is_revoked_once(store: Store, run: Run) -> None:
    """The first time counts; a key that nobody has is not revoked."""
    run(store.add_key(NewKey(KEY, "mw_a…", "site", "write", None), NOW))
    assert [run(store.revoke_key("site", NOW + later)) for later in (1, 2)] == [True, True]
    assert run(store.revoke_key("other", NOW)) is False
    assert [key.revoked_at_ms for key in run(store.list_keys())] == [NOW + 1]


def test_a_link_signs_in_once(store: Store, run: Run) -> None:
    """And not after it has expired; it is no cookie, and a cookie is no link."""
    run(store.keep_admin(Admin("ann", None), NOW))
    run(store.add_sign_in(KEY, SignIn("ann", NOW + 10), is_link=True, now_ms=NOW))
    run(store.add_sign_in(OTHER, SignIn("ann", NOW + 10), is_link=False, now_ms=NOW))
    assert run(store.find_sign_in(KEY, NOW)) is None
    assert run(store.take_link(OTHER, NOW)) is None
    assert run(store.take_link(KEY, NOW + 10)) is None
    assert run(store.take_link(KEY, NOW + 9)) == "ann"
    assert run(store.take_link(KEY, NOW + 9)) is None


def test_a_cookie_is_good_until_it_expires_or_is_ended(store: Store, run: Run) -> None:
    """One by one, or all that an admin has, links too."""
    for name in ("ann", "bob"):
        run(store.keep_admin(Admin(name, None), NOW))
    sign_ins = {bytes([number]) * 32: name for number, name in enumerate(["ann", "ann", "ann", "bob"])}
    for number, (token_hash, name) in enumerate(sign_ins.items()):
        run(store.add_sign_in(token_hash, SignIn(name, NOW + 10), is_link=number == 2, now_ms=NOW))
    first, second, link, bobs = sign_ins
    assert run(store.find_sign_in(first, NOW + 9)) == SignIn("ann", NOW + 10)
    assert run(store.find_sign_in(first, NOW + 10)) is None
    run(store.end_sign_in(first))
    assert [run(store.find_sign_in(each, NOW)) is not None for each in (first, second, bobs)] == [False, True, True]
    run(store.end_sign_ins("ann"))
    assert [run(store.find_sign_in(each, NOW)) is not None for each in (second, bobs)] == [False, True]
    assert run(store.take_link(link, NOW)) is None


def test_somebody_has_signed_in_with_a_cookie_or_a_password(store: Store, run: Run) -> None:
    """A link that nobody used is no sign of anybody."""
    assert run(store.has_signed_in()) is False
    run(store.keep_admin(Admin("ann", None), NOW))
    run(store.add_sign_in(KEY, SignIn("ann", NOW + 10), is_link=True, now_ms=NOW))
    assert run(store.has_signed_in()) is False
    run(store.keep_admin(Admin("ann", "salted"), NOW + 1))
    assert run(store.has_signed_in()) is True
    assert run(store.list_admins()) == [Admin("ann", "salted")]
    run(store.keep_admin(Admin("ann", None), NOW + 2))
    assert run(store.has_signed_in()) is False
    run(store.add_sign_in(OTHER, SignIn("ann", NOW + DAY_MS), is_link=False, now_ms=NOW))
    assert run(store.has_signed_in()) is True


def test_actions_are_listed_newest_first(store: Store, run: Run) -> None:
    """Page by page."""
    actions = [Action(NOW + number, "ann", "deposit", "default", "bob", "{}", number) for number in range(1, 4)]
    for action in actions:
        run(store.add_action(action))
    listed = [Numbered(number, action) for number, action in enumerate(actions, 1)][::-1]
    assert run(store.list_actions(None, 9)) == listed
    assert run(store.list_actions(None, 2)) == listed[:2]
    assert run(store.list_actions(2, 9)) == listed[2:]


@pytest.mark.parametrize("statement", ["UPDATE actions SET actor = 'bob'", "DELETE FROM actions"])
def test_what_was_done_stays_on_record(statement: str, tmp_path: Path, run: Run) -> None:
    """The file itself refuses to change or remove an action."""
    store = run(SqliteStore.open(tmp_path / "wallet.db", create=True))
    run(store.add_action(Action(NOW, "ann", "deposit", None, None, "{}")))
    with pytest.raises(StoreFault, match="never"):
        run(store._write(lambda db: db.execute(statement)))
    run(store.close())
