"""Two engines with one history: they return the same results and write the same rows, including hashes."""

import asyncio
import operator
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from minwallet.ledger.audit import Audit
from minwallet.ledger.commands import (
    Adjust,
    Authenticate,
    Balance,
    Bet,
    BetWin,
    Cancel,
    Deposit,
    EndRound,
    Group,
    MoneyCommand,
    Rollback,
    RollbackRound,
    Settle,
    Win,
    WinCategory,
    Withdraw,
)
from minwallet.ledger.limits import LimitKind, LimitPeriod
from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.time_units import DAY_MS
from minwallet.storage.limit_store import LimitChange
from minwallet.storage.models import AccountCommand, NewAccount, PlayerStatus
from minwallet.storage.queries import Filter
from minwallet.storage.store import Store
from minwallet.wallet.sessions import build_new_session, hash_token
from tests.storage.store_helpers import NOW, ORBIT, VELA, WALLET_V2, make_command, make_operator_command, open_store

T = TypeVar("T")

ACCOUNTS_BY_PLAYER = {1: (1, 2), 2: (3,), 3: (4,)}
"""The accounts of each player. The first player has two currencies, the last one another agent."""

ids = st.sampled_from(["0", "1", "2", "3", str(2**64 - 1)])
rounds = st.none() | ids
cents = st.integers(0, 300) | st.sampled_from([MAX_CENTS, MAX_CENTS - 100])
games = st.sampled_from([None, "1012"])

wallet_v2_commands = st.one_of(
    st.builds(Bet, ids, cents, ids, games),
    st.builds(lambda id_, stake: Bet(id_, stake, id_), ids, cents),
    st.builds(Win, ids, cents, rounds, games),
    st.builds(Cancel, ids, rounds),
)
vela_commands = st.one_of(
    st.builds(lambda id_, stake, detail: Bet(id_, stake, id_, None, detail), ids, cents, st.sampled_from([None, "{}"])),
    st.builds(Settle, ids, cents, games),
    st.builds(BetWin, ids, cents, cents, games),
    st.builds(Cancel, ids),
)
orbit_ids = st.sampled_from(["0", "1", "2", "3", "r1", "r2", "r3"])
orbit_commands = st.one_of(
    st.builds(Bet, orbit_ids, cents, ids, games, st.none(), st.booleans()),
    st.builds(Win, orbit_ids, cents, rounds, games, st.none() | st.sampled_from(WinCategory)),
    st.builds(Settle, orbit_ids, cents, games, st.none(), st.booleans()),
    st.builds(BetWin, orbit_ids, cents, cents, games, st.booleans()),
    st.builds(Cancel, orbit_ids, rounds),
    st.builds(Rollback, orbit_ids, orbit_ids, st.none() | cents, st.booleans(), st.booleans(), rounds, games),
    st.builds(RollbackRound, orbit_ids, ids, st.booleans()),
    st.builds(EndRound, orbit_ids, ids, games),
)
groups = st.lists(orbit_commands, min_size=1, max_size=4).map(lambda commands: Group(tuple(commands)))
COMMANDS: dict[str, st.SearchStrategy[MoneyCommand | Group]] = {
    WALLET_V2: wallet_v2_commands,
    VELA: vela_commands,
    ORBIT: orbit_commands | groups,
}
references = st.sampled_from(["a", "b", "c"])
operator_commands = st.one_of(
    st.builds(Deposit, references, cents, st.integers(0, 9)),
    st.builds(Withdraw, references, cents, st.integers(0, 9)),
    st.builds(Adjust, references, cents | cents.map(operator.neg), st.integers(-9, 9)),
)


@st.composite
def batches(draw: st.DrawFn) -> list[AccountCommand]:
    """Draw a batch: up to one command of each player, in any order, with or without a session."""
    batch = []
    for player in draw(
        st.permutations(sorted(ACCOUNTS_BY_PLAYER)).flatmap(lambda all_: st.integers(1, 3).map(lambda n: all_[:n]))
    ):
        account = draw(st.sampled_from(ACCOUNTS_BY_PLAYER[player]))
        protocol = draw(st.sampled_from([WALLET_V2, VELA, ORBIT, ORBIT, "operator"]))
        if protocol == "operator":
            batch.append(make_operator_command(draw(operator_commands), account))
        else:
            account_command = make_command(
                draw(COMMANDS[protocol]), account, protocol, draw(st.sampled_from([None, account]))
            )
            batch.append(account_command._replace(settle_ms=draw(st.sampled_from([0, 30]))))
    return batch


def filters(now_ms: int) -> st.SearchStrategy[Filter]:
    """Draw a filter, mostly with one or two conditions."""
    times = st.none() | st.integers(NOW - 1, now_ms + 1)
    choices = {
        "agent": ["default", "two", "nobody"],
        "player_id": ["ann", "bob"],
        "currency": ["USD", "EUR"],
        "protocol": [WALLET_V2, VELA, ORBIT, "operator", "opening"],
        "kind": ["bet", "win", "cancel", "adjustment", "rollback", "round_rollback", "round_end"],
        "state": ["applied", "refused", "orphan"],
        "game": ["1012"],
        "round": ["1", "2"],
        "id": ["1", "2"],
    }
    some = {name: st.sampled_from([None, None, None, *values]) for name, values in choices.items()}
    return st.builds(Filter, **some, since_ms=times, until_ms=times)


class EngineEquivalence(RuleBasedStateMachine):
    """A state machine. Each rule does the same to both stores and compares the results."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._runner = asyncio.Runner()
        self.now_ms = NOW
        self.stores = [self._run(open_store(engine, Path(self._folder.name))) for engine in ("memory", "sqlite")]

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    @initialize(cash=st.integers(0, 300), bonus=st.integers(0, 100))
    def create_accounts(self, cash: int, bonus: int) -> None:
        names = [("default", "ann", "USD"), ("default", "ann", "EUR"), ("default", "bob", "USD"), ("two", "ann", "USD")]
        sessions = [build_new_session(f"token{number}", NOW + 40 if number % 2 else None) for number in range(4)]
        new_accounts = [NewAccount(*name, cash, bonus, session) for name, session in zip(names, sessions, strict=True)]
        for store in self.stores:
            self._run(store.accounts.add_agent("two", "two", None, NOW))
            assert self._run(store.accounts.create_accounts(new_accounts, NOW)).accounts == 4

    @rule(batch=batches(), pause_ms=st.integers(0, 5))
    def apply(self, batch: list[AccountCommand], pause_ms: int) -> None:
        self.now_ms += pause_ms
        by_memory, by_sqlite = (self._run(store.apply(batch, self.now_ms)) for store in self.stores)
        assert by_sqlite == by_memory

    @rule(batch=batches())
    def dry_run_a_command(self, batch: list[AccountCommand]) -> None:
        by_memory, by_sqlite = (self._run(store.dry_run(batch[0], self.now_ms)) for store in self.stores)
        assert by_sqlite == by_memory

    @rule(account=st.integers(1, 4), query=st.sampled_from([Balance(), Authenticate()]))
    def dry_run(self, account: int, query: Balance | Authenticate) -> None:
        asked = AccountCommand(query, WALLET_V2, account, account)
        by_memory, by_sqlite = (self._run(store.dry_run(asked, self.now_ms)) for store in self.stores)
        assert by_sqlite == by_memory

    @rule(player=st.integers(1, 3), status=st.sampled_from(PlayerStatus))
    def set_status(self, player: int, status: PlayerStatus) -> None:
        for store in self.stores:
            self._run(store.accounts.set_player_status(player, status))

    @rule(
        account=st.integers(1, 4),
        kind=st.sampled_from(LimitKind),
        per=st.sampled_from(LimitPeriod),
        limit=st.none() | cents,
    )
    def request_limit(self, account: int, kind: LimitKind, per: LimitPeriod, limit: int | None) -> None:
        for store in self.stores:
            self._run(store.limits.request_limit(LimitChange(account, kind, per, limit), self.now_ms))

    @rule(player=st.integers(1, 3), span_ms=st.none() | st.sampled_from([3, DAY_MS, 3 * DAY_MS]))
    def request_exclusion(self, player: int, span_ms: int | None) -> None:
        for store in self.stores:
            self._run(store.limits.request_exclusion(player, span_ms and self.now_ms + span_ms, self.now_ms))

    @precondition(lambda self: self.now_ms > NOW + 10)
    @rule(days=st.sampled_from([1, 7]))
    def advance_clock(self, days: int) -> None:
        self.now_ms += days * DAY_MS

    @precondition(lambda self: self.now_ms > NOW + 20)
    @rule(number=st.integers(0, 4))
    def revoke(self, number: int) -> None:
        token_hash = hash_token(f"token{number}")
        assert [self._run(store.sessions.revoke_session(token_hash, self.now_ms)) for store in self.stores] == [
            number < 4
        ] * 2

    @rule(limit=st.integers(1, 5))
    def aggregate_totals(self, limit: int) -> None:
        for store in self.stores:
            self._run(store.totals.aggregate_totals(limit))

    @rule(data=st.data(), limit=st.integers(1, 4), before=st.none() | st.integers(1, 20))
    def read_pages(self, data: st.DataObject, limit: int, before: int | None) -> None:
        """A page is the same for any filter."""
        wanted = data.draw(filters(self.now_ms))
        after = before or 0
        by_memory, by_sqlite = (self._run(store.ledger.read_page(wanted, before, limit)) for store in self.stores)
        assert by_sqlite == by_memory
        by_memory, by_sqlite = (
            self._run(store.ledger.read_entries_after(wanted, after, limit)) for store in self.stores
        )
        assert by_sqlite == by_memory
        agent = wanted.agent
        by_memory, by_sqlite = (self._run(store.ledger.read_open_bets(agent, before, limit)) for store in self.stores)
        assert by_sqlite == by_memory
        rounds_by_memory, rounds_by_sqlite = (self._run(store.ledger.count_open_rounds(limit)) for store in self.stores)
        assert rounds_by_sqlite == rounds_by_memory

    @invariant()
    def balances_match_ledger(self) -> None:
        """The balances equal the ledger, however many entries are aggregated."""
        by_memory, by_sqlite = (self._run(store.totals.read_currency_balances()) for store in self.stores)
        assert by_sqlite == by_memory
        assert all(holding.is_consistent for holding in by_sqlite)

    @invariant()
    def restrictions_are_equal(self) -> None:
        """Usages that SQLite counts row by row equal those that the reference engine computes from all rows."""
        for account in (1, 2, 3, 4):
            by_memory, by_sqlite = (
                self._run(store.limits.find_restrictions(account, self.now_ms)) for store in self.stores
            )
            assert by_sqlite == by_memory

    @invariant()
    def players_are_equal(self) -> None:
        by_memory, by_sqlite = (self._run(_read_players(store)) for store in self.stores)
        assert by_sqlite == by_memory

    def teardown(self) -> None:
        try:
            by_memory, by_sqlite = (self._run(_read_ledger(store)) for store in self.stores)
            assert by_sqlite == by_memory
            by_memory, by_sqlite = (self._run(_read_totals(store)) for store in self.stores)
            assert by_sqlite == by_memory
        finally:
            for store in self.stores:
                self._run(store.close())
            self._runner.close()
            self._folder.cleanup()


async def _read_players(store: Store) -> list[object]:
    sessions = [await store.sessions.list_sessions(player) for player in ACCOUNTS_BY_PLAYER]
    return [await store.accounts.list_players("default"), await store.accounts.list_players("two"), sessions]


async def _read_totals(store: Store) -> list[object]:
    orphan_wins = await store.totals.read_orphan_wins()
    while await store.totals.aggregate_totals(7):
        continue
    assert await store.totals.read_orphan_wins() == orphan_wins
    return [await store.totals.read_totals(0, 30_000, agent) for agent in (None, "default")] + [
        await store.totals.read_minute_counts(0),
        orphan_wins,
    ]


async def _read_ledger(store: Store) -> list[object]:
    """Return all rows and accounts, and the newest entries. Assert that an audit finds no problem."""
    audit, pages, seq = Audit(), [], 0
    while True:
        page = await store.ledger.read_audit_page(seq, 7)
        audit.register(page.owners)
        audit.add(page.rows)
        pages.append((page.rows, page.accounts))
        if page.accounts is not None:
            break
        seq = page.last_seq
    audit.finish(page.accounts)
    assert audit.problems == []
    return [pages, await store.ledger.read_entries([1, 2, 4], 11), await store.ledger.count_entries()]


TestEngineEquivalence = EngineEquivalence.TestCase
TestEngineEquivalence.settings = settings(max_examples=40, stateful_step_count=40, deadline=None, database=None)
