"""Tests of agents, players, accounts and sessions, with every engine."""

from minwallet.ledger.commands import Deposit
from minwallet.ledger.entries import Kind
from minwallet.ledger.limits import COOLING_OFF_MS
from minwallet.storage.models import (
    AccountProblem,
    AccountsCreated,
    Agent,
    PlayerFilter,
    PlayerStatus,
    SessionHolder,
    SessionRow,
    StatusFilter,
)
from minwallet.storage.store import Store
from minwallet.wallet.sessions import build_new_session, hash_token
from tests.storage.store_helpers import NOW, Run, create_players, make_new_account, make_operator_command


def test_a_fresh_store_has_one_agent(store: Store, run: Run) -> None:
    """A new store has the agent `default` and no players."""
    assert run(store.accounts.list_agents()) == [Agent(1, "default", "default", None)]
    assert run(store.accounts.list_players("default")) == []
    assert run(store.ledger.count_entries()) == 0


def test_agents_share_no_name_token_or_host(store: Store, run: Run) -> None:
    """Taken values are refused. Several agents may have no host id."""
    assert run(store.accounts.add_agent("b", "tb", "h", NOW)) == Agent(2, "b", "tb", "h")
    assert run(store.accounts.add_agent("a", "ta", None, NOW)) == Agent(3, "a", "ta", None)
    assert run(store.accounts.add_agent("b", "t1", None, NOW)) is None
    assert run(store.accounts.add_agent("c", "tb", None, NOW)) is None
    assert run(store.accounts.add_agent("c", "tc", "h", NOW)) is None
    assert [agent.name for agent in run(store.accounts.list_agents())] == ["a", "b", "default"]


def test_players_are_found_with_their_accounts(store: Store, run: Run) -> None:
    """Players are in order of their ids, accounts in order of currency, and agents are separate."""
    run(store.accounts.add_agent("other", "other", None, NOW))
    new_accounts = [
        make_new_account("bob", 1),
        make_new_account("ann", 2),
        make_new_account("bob", 3, 4, currency="EUR"),
        make_new_account("ann", agent="other"),
    ]
    assert run(store.accounts.create_accounts(new_accounts, NOW)) == AccountsCreated(players=3, accounts=4)
    ann, bob = run(store.accounts.list_players("default"))
    assert (ann.player_id, ann.agent, ann.status, ann.accounts) == ("ann", "default", "active", ((2, "USD", 2, 0),))
    assert (bob.player_id, bob.accounts) == ("bob", ((3, "EUR", 3, 4), (1, "USD", 1, 0)))
    assert run(store.accounts.find_player("default", "bob")) == bob
    (other,) = run(store.accounts.list_players("other"))
    assert (other.agent, other.accounts) == ("other", ((4, "USD", 0, 0),))
    assert run(store.accounts.find_player("default", "nobody")) is None
    assert run(store.accounts.find_player("nobody", "ann")) is None
    assert run(store.accounts.list_players("nobody")) == []


def test_a_status_stays_until_it_is_changed(store: Store, run: Run) -> None:
    """A status belongs to one player."""
    ann, bob = run(create_players(store, make_new_account("ann"), make_new_account("bob")))
    run(store.accounts.set_player_status(ann.player_key, PlayerStatus.BLOCKED))
    assert run(store.accounts.list_players("default")) == [ann._replace(status=PlayerStatus.BLOCKED), bob]
    run(store.accounts.set_player_status(ann.player_key, PlayerStatus.ACTIVE))
    assert run(store.accounts.list_players("default")) == [ann, bob]


def test_an_account_opens_with_a_deposit(store: Store, run: Run) -> None:
    """The first balances are a deposit. An account without money has no entry."""
    run(create_players(store, make_new_account("ann", 100, 7), make_new_account("bob")))
    (entry,) = run(store.ledger.read_entries([1, 2], 9))
    assert (entry.kind, entry.amount, entry.bonus_amount, entry.at_ms) == (Kind.DEPOSIT, 100, 7, NOW)


def test_opening_twice_changes_nothing(store: Store, run: Run) -> None:
    """Existing players and balances stay unchanged. Missing ones are created."""
    run(create_players(store, make_new_account("ann", 100, token="t1")))
    again = [make_new_account("ann", 999, token="t1"), make_new_account("ann", 5, currency="EUR")]
    assert run(store.accounts.create_accounts(again, NOW + 9)) == AccountsCreated(players=0, accounts=1)
    found = run(store.accounts.find_player("default", "ann"))
    assert found
    assert [account[1:] for account in found.accounts] == [("EUR", 5, 0), ("USD", 100, 0)]
    assert len(run(store.sessions.list_sessions(found.player_key))) == 1


def test_accounts_are_opened_all_or_none(store: Store, run: Run) -> None:
    """An unknown agent or another account's token rejects all accounts. Each problem has its position."""
    (ann,) = run(create_players(store, make_new_account("ann", 1, token="t1")))
    new_accounts = [
        make_new_account("bob", 5, token="t2"),
        make_new_account("cat", agent="ghost"),
        make_new_account("dan", 5, token="t1"),
        make_new_account("eve", token="t2"),
        make_new_account("fay", agent="ghost"),
    ]
    created = run(store.accounts.create_accounts(new_accounts, NOW))
    assert (created.players, created.accounts) == (0, 0)
    assert [problem.position for problem in created.problems] == [1, 2, 3, 4]
    assert "ghost" in created.problems[0].reason
    assert "token" in created.problems[1].reason
    assert run(store.accounts.list_players("default")) == [ann]
    assert run(store.find_session_holder(hash_token("t2"))) is None
    assert run(store.ledger.count_entries()) == 1
    assert run(store.accounts.create_accounts([make_new_account("bob", 5, token="t2")], NOW)) == AccountsCreated(1, 1)


def test_account_problems_are_found_without_a_change(store: Store, run: Run) -> None:
    """An unknown agent and another account's token are problems. An existing player is none."""
    (ann,) = run(create_players(store, make_new_account("ann", 1, token="t1")))
    new_accounts = [
        make_new_account("ann", 5, token="t1"),
        make_new_account("ann", 5, currency="EUR", token="t1"),
        make_new_account("bob", 5, token="t2"),
        make_new_account("cat", agent="ghost", token="t1"),
        make_new_account("dan", token="t1"),
    ]
    taken = "its token stands for another player or currency; choose another token"
    assert run(store.accounts.find_account_problems(new_accounts)) == [
        AccountProblem(1, taken),
        AccountProblem(3, "unknown agent 'ghost'", "ghost"),
        AccountProblem(4, taken),
    ]
    assert run(store.accounts.list_players("default")) == [ann]


def test_players_are_found_by_their_status_at_a_time(store: Store, run: Run) -> None:
    """A scheduled end of an exclusion counts from its time on. A player may be blocked and excluded."""
    ann, bob, cat, _ = run(create_players(store, *(make_new_account(name) for name in ("ann", "bob", "cat", "dan"))))
    run(store.accounts.set_player_status(cat.player_key, PlayerStatus.BLOCKED))
    for player in (ann, bob, cat):
        run(store.limits.request_exclusion(player.player_key, NOW + 9 * COOLING_OFF_MS, NOW))
    run(store.limits.request_exclusion(bob.player_key, None, NOW))

    def found(status: StatusFilter, at_ms: int) -> list[str]:
        player_filter = PlayerFilter("default", "", status, at_ms)
        return [player.player_id for player in run(store.accounts.search_players(player_filter, "", 9))]

    for at_ms, excluded in ((NOW, ["ann", "bob", "cat"]), (NOW + COOLING_OFF_MS, ["ann", "cat"])):
        assert found(StatusFilter.EXCLUDED, at_ms) == excluded
        assert found(StatusFilter.BLOCKED, at_ms) == ["cat"]
        assert found(StatusFilter.ACTIVE, at_ms) == [name for name in ("bob", "dan") if name not in excluded]
    assert found(StatusFilter.EXCLUDED, NOW + 9 * COOLING_OFF_MS) == []
    ends = [each.find_exclusion_end(NOW) for each in run(store.accounts.list_players("default"))]
    assert ends == [NOW + 9 * COOLING_OFF_MS] * 3 + [None]


def test_opening_many_is_one_step(store: Store, run: Run) -> None:
    """More accounts than one statement inserts are created in one transaction."""
    new_accounts = [make_new_account(f"p{number}", number) for number in range(1201)]
    assert run(store.accounts.create_accounts(new_accounts, NOW)) == AccountsCreated(1201, 1201)
    assert run(store.ledger.count_entries()) == 1200
    found = run(store.accounts.find_player("default", "p1200"))
    assert found
    assert found.accounts[0].cash == 1200


def test_a_deposit_cannot_take_another_players_opening_id(store: Store, run: Run) -> None:
    """No reference of an operator's deposit prevents the first deposit of a new player."""
    run(create_players(store, make_new_account("ann")))
    run(store.apply([make_operator_command(Deposit("opening:bob:USD", 1), 1)], NOW))
    run(store.accounts.create_accounts([make_new_account("bob", 500)], NOW))
    bob = run(store.accounts.find_player("default", "bob"))
    assert bob
    assert bob.accounts == ((2, "USD", 500, 0),)


def test_a_token_stands_for_one_account(store: Store, run: Run) -> None:
    """A session is found by the hash of its token, with the values that never change."""
    ann, _ = run(create_players(store, make_new_account("ann", token="t1"), make_new_account("ann", currency="EUR")))
    assert run(store.find_session_holder(hash_token("t1"))) == SessionHolder(
        1, 1, ann.player_key, "ann", "USD", 1, "default"
    )
    run(store.sessions.add_session(2, build_new_session("t2", NOW), NOW))
    assert run(store.find_session_holder(hash_token("t2"))) == SessionHolder(
        2, 2, ann.player_key, "ann", "EUR", 1, "default"
    )
    assert run(store.find_session_holder(hash_token("t3"))) is None


def test_sessions_are_listed_newest_first(store: Store, run: Run) -> None:
    """Sessions of all accounts of the player are listed, with the beginning of the token only."""
    ann, _, _ = run(
        create_players(store, make_new_account("ann"), make_new_account("ann", currency="EUR"), make_new_account("bob"))
    )
    run(store.sessions.add_session(1, build_new_session("first_token", None), NOW))
    run(store.sessions.add_session(2, build_new_session("second_token", NOW + 10), NOW + 1))
    run(store.sessions.add_session(3, build_new_session("bobs_token", None), NOW + 2))
    assert run(store.sessions.list_sessions(ann.player_key)) == [
        SessionRow(2, "sec…", "EUR", NOW + 1, NOW + 10, None),
        SessionRow(1, "fi…", "USD", NOW, None, None),
    ]
    assert [row.hint for row in run(store.sessions.list_sessions(ann.player_key, 1))] == ["sec…"]
    assert [row.hint for row in run(store.sessions.list_sessions(ann.player_key, 5, before=2))] == ["fi…"]


def test_a_session_is_revoked_by_its_number_as_well(store: Store, run: Run) -> None:
    """A player's session is revoked by its number, with the same effect as by its token."""
    ann, bob = run(create_players(store, make_new_account("ann", token="t1"), make_new_account("bob", token="t2")))
    assert run(store.sessions.revoke_player_session(bob.player_key, 1, NOW + 1)) is False
    assert run(store.sessions.revoke_player_session(ann.player_key, 7, NOW + 1)) is False
    assert [row.revoked_at_ms for row in run(store.sessions.list_sessions(ann.player_key))] == [None]
    assert run(store.sessions.revoke_player_session(ann.player_key, 1, NOW + 1)) is True
    assert run(store.sessions.revoke_player_session(ann.player_key, 1, NOW + 2)) is True
    assert [row.revoked_at_ms for row in run(store.sessions.list_sessions(ann.player_key))] == [NOW + 1]


def test_players_are_found_by_a_part_of_their_id(store: Store, run: Run) -> None:
    """The search ignores case, has pages, and is limited to the agent. No character of the text is special."""
    run(store.accounts.add_agent("other", "t", None, NOW))
    names = ["anna", "Hanna", "bob", "an_a"]
    run(create_players(store, *(make_new_account(name) for name in names), make_new_account("anna", agent="other")))

    def found(text: str, after: str = "", limit: int = 9) -> list[str]:
        found = run(store.accounts.search_players(PlayerFilter("default", text), after, limit))
        return [player.player_id for player in found]

    assert found("") == ["Hanna", "an_a", "anna", "bob"]
    assert found("ANN") == ["Hanna", "anna"]
    assert found("n_a") == ["an_a"]
    assert found("%") == []
    assert found("", limit=2) == ["Hanna", "an_a"]
    assert found("", after="an_a") == ["anna", "bob"]
    assert run(store.accounts.search_players(PlayerFilter("nobody"), "", 9)) == []
    assert run(store.accounts.find_agents_of_player("anna", 9)) == ["default", "other"]
    assert run(store.accounts.find_agents_of_player("anna", 1)) == ["default"]
    assert run(store.accounts.find_agents_of_player("Anna", 9)) == []


def test_a_session_is_revoked_once(store: Store, run: Run) -> None:
    """The first revocation counts. An unknown token cannot be revoked."""
    (ann,) = run(create_players(store, make_new_account("ann", token="t1")))
    assert run(store.sessions.revoke_session(hash_token("t1"), NOW + 1)) is True
    assert run(store.sessions.revoke_session(hash_token("t1"), NOW + 2)) is True
    assert run(store.sessions.revoke_session(hash_token("t2"), NOW)) is False
    (session,) = run(store.sessions.list_sessions(ann.player_key))
    assert session.revoked_at_ms == NOW + 1
    assert run(store.find_session_holder(hash_token("t1")))
