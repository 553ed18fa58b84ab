"""Random histories of both protocols (retries, reorderings, cancels before bets, restarts) against a naive model.

Everything between the wire and the file is real: bytes are parsed, executed and rendered, and the file is on disk.
"""

import asyncio
import json
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlencode

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from minwallet.ledger.commands import Deposit, Withdraw
from minwallet.ledger.limits import LimitKind, Per
from minwallet.ledger.outcomes import Applied
from minwallet.protocols import load_protocol
from minwallet.protocols.wire import Call, Holder
from minwallet.storage.base import OPERATOR, Opening, Order, PlayerStatus
from minwallet.storage.limits import LimitAsked
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.desk import verify
from minwallet.wallet.service import Wallet
from minwallet.wallet.sessions import hash_token, new_session
from tests.wallet.model import MOST, Account, Answer, Model

pytestmark = pytest.mark.long

NOW_MS = 1_700_000_000_000
DAY_MS = 24 * 3600 * 1000

# How far back an id was new: histories must meet themselves again and again, and yet go on.
backs = st.sampled_from([0, 1, 1, 1, 2, 3])
new_or_back = st.sampled_from([0, 0, 0, 1, 2])
rounds = st.none() | st.sampled_from([1, 1, 2, 3])
amounts = st.sampled_from([0, 40, 40, 40, 130, 130, 500, MOST])
LIMITS = [None, 0, 100, 150, 300]
seats = st.sampled_from([0, 0, 0, 1, 2])
sessions = st.sampled_from(["yes"] * 8 + ["expired", "revoked"])


class Wallets(RuleBasedStateMachine):
    """Two players, one of them with two currencies, and one of another agent."""

    names: ClassVar = [("default", "ann", "USD"), ("default", "ann", "EUR"), ("default", "ben", "USD")]

    @initialize()
    def open(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "wallet.db"
        self.model, self.now_ms = Model(), NOW_MS
        self.accounts = [Account(player, currency, 100, 50, given=100, put=100) for _, player, currency in self.names]
        self.protocols = {name: load_protocol(name) for name in ("wallet-v2", "vela")}
        self.transfers = 0
        self.spans: dict[tuple[int, LimitKind], Per] = {}
        self.newest = {"wallet-v2": 3, "vela": 3}
        self.start()
        self.run_(self.seed)

    def start(self) -> None:
        self.stack = AsyncExitStack()

        async def start() -> Wallet:
            store = await SqliteStore.open(self.path, create=True)
            self.stack.push_async_callback(store.close)
            return Wallet(store, lambda: self.now_ms)

        self.wallet = self.runner.run(start())

    async def seed(self) -> None:
        openings = [
            Opening(agent, player, currency, 100, 50, new_session(self.token(place, "yes"), None))
            for place, (agent, player, currency) in enumerate(self.names)
        ]
        await self.wallet.store.open_accounts(openings, NOW_MS)
        for place in range(len(self.names)):
            account_id = place + 1
            for live, ends in (("expired", NOW_MS), ("revoked", None)):
                await self.wallet.store.add_session(account_id, new_session(self.token(place, live), ends), NOW_MS)
            await self.wallet.store.revoke_session(hash_token(self.token(place, "revoked")), NOW_MS)

    def run_(self, work: object) -> None:
        self.runner.run(work())  # type: ignore[operator]  # an async function without parameters

    def id_(self, protocol: str, back: int) -> int:
        """An id that was new so many ids ago; 0 makes a new one."""
        if not back:
            self.newest[protocol] += 1
        return self.newest[protocol] - max(back - 1, 0)

    def token(self, place: int, live: str) -> str:
        return f"{live}_{place}"

    def call(self, protocol_name: str, operation: str, raw: bytes) -> Answer:
        """The answer of the real wallet to these bytes."""
        protocol = self.protocols[protocol_name]
        call = protocol.parse(operation, raw)
        assert isinstance(call, Call), call

        async def execute() -> bytes:
            outcome, bearer = await self.wallet.call(
                call.token, call.command, protocol.name, ids_per_currency=protocol.ids_per_currency
            )
            holder = Holder(bearer.player_id, bearer.currency) if bearer else None
            return protocol.render(call, outcome, holder, NOW_MS)

        answer = protocol.read(self.runner.run(execute()))
        return (answer.code, answer.balance, answer.balance2)

    def v2(self, place: int, live: str, operation: str, **fields: object) -> Answer:
        given = {name: value for name, value in fields.items() if value is not None}
        body = {"code": self.token(place, live), "type": operation, "game": 1, **given}
        return self.call("wallet-v2", "", json.dumps(body).encode())

    def vela(self, place: int, live: str, operation: str, **fields: object) -> Answer:
        given = {name: value for name, value in fields.items() if value is not None}
        return self.call("vela", operation, urlencode({"access_token": self.token(place, live), **given}).encode())

    @rule(seat=seats, live=sessions, back=new_or_back, stake=amounts, in_round=rounds)
    def bet(self, seat: int, live: str, back: int, stake: int, in_round: int | None) -> None:
        id_, round_ = self.id_("wallet-v2", back), in_round and self.id_("wallet-v2", in_round)
        expected = self.model.bet(self.accounts[seat], live, id_, stake, round_)
        assert self.v2(seat, live, "bet", id=id_, bet=stake, round_id=round_) == expected

    @rule(seat=seats, live=sessions, back=new_or_back, payout=amounts, in_round=rounds)
    def win(self, seat: int, live: str, back: int, payout: int, in_round: int | None) -> None:
        round_ = in_round and self.id_("wallet-v2", in_round)
        id_ = self.id_("wallet-v2", back)
        expected = self.model.win(self.accounts[seat], id_, payout, round_)
        assert self.v2(seat, live, "win", id=id_, win=payout, round_id=round_) == expected

    @rule(seat=seats, live=sessions, back=backs)
    def cancel(self, seat: int, live: str, back: int) -> None:
        id_ = self.id_("wallet-v2", back)
        assert self.v2(seat, live, "cancel", id=id_) == self.model.cancel(self.accounts[seat], id_)

    @rule(seat=seats, live=sessions)
    def credit(self, seat: int, live: str) -> None:
        assert self.v2(seat, live, "credit") == self.model.credit(self.accounts[seat], live)

    @rule(seat=seats, live=sessions, back=new_or_back, stake=amounts, win=st.none() | amounts)
    def vela_bet(self, seat: int, live: str, back: int, stake: int, win: int | None) -> None:
        ticket = self.id_("vela", back)
        operation = "bet" if win is None else "betwin"
        expected = self.model.vela_bet(self.accounts[seat], live, ticket, stake, win)
        assert self.vela(seat, live, operation, ticket_id=ticket, total_bet=stake, total_win=win) == expected

    @rule(seat=seats, live=sessions, back=backs, payout=amounts, used=st.sampled_from([None, None, 7]))
    def vela_result(self, seat: int, live: str, back: int, payout: int, used: int | None) -> None:
        ticket = self.id_("vela", back)
        expected = self.model.vela_result(self.accounts[seat], ticket, payout, used)
        assert self.vela(seat, live, "result", ticket_id=ticket, total_win=payout, total_used=used) == expected

    @rule(seat=seats, live=sessions, back=backs)
    def vela_refund(self, seat: int, live: str, back: int) -> None:
        ticket = self.id_("vela", back)
        expected = self.model.vela_refund(self.accounts[seat], ticket)
        assert self.vela(seat, live, "refund", ticket_id=ticket) == expected

    @rule(seat=seats, cents=st.sampled_from([1, 60]), bonus=st.booleans(), out=st.booleans())
    def transfer(self, seat: int, cents: int, bonus: bool, out: bool) -> None:
        account = self.accounts[seat]
        self.transfers += 1
        cash_part, bonus_part = (0, cents) if bonus else (cents, 0)
        make, sign = (Withdraw, -1) if out else (Deposit, 1)
        order = Order(make(f"transfer{self.transfers}", cash_part, bonus_part), OPERATOR, seat + 1)
        outcome = self.runner.run(self.wallet.move(order, player_key=1 if account.player == "ann" else 2))
        cash, bonus_left = account.cash + sign * cash_part, account.bonus + sign * bonus_part
        possible = min(cash, bonus_left) >= 0 and cash + bonus_left <= MOST
        possible = possible and (out or account.may_be_given(cash_part))
        assert isinstance(outcome, Applied) == possible
        if possible:
            account.cash, account.bonus = cash, bonus_left
            account.put += sign * cash_part
            account.given += 0 if out else cash_part

    @rule(seat=seats, kind=st.sampled_from(LimitKind), per=st.sampled_from(Per), cents=st.sampled_from(LIMITS))
    def limit(self, seat: int, kind: LimitKind, per: Per, cents: int | None) -> None:
        """An account has one limit of a kind, per day, week or month: all that counts happens on one day."""
        per = self.spans.setdefault((seat, kind), per)
        self.accounts[seat].limit(kind, cents)
        self.runner.run(self.wallet.store.ask_limit(LimitAsked(seat + 1, kind, per, cents), self.now_ms))

    @rule(player=st.sampled_from(["ann", "ben"]), days=st.sampled_from([None, None, None, 1, 30]))
    def exclude(self, player: str, days: int | None) -> None:
        """An exclusion cannot be ended on the day on which it is asked for."""
        until_ms = days and self.now_ms + days * DAY_MS
        for account in self.accounts:
            if account.player == player:
                account.excluded |= days is not None
        self.runner.run(self.wallet.store.ask_exclusion(1 if player == "ann" else 2, until_ms, self.now_ms))

    @rule()
    def rest(self) -> None:
        self.now_ms += 30 * DAY_MS
        for account in self.accounts:
            account.rest()

    @rule(player=st.sampled_from(["ann", "ben"]), blocked=st.booleans())
    def block(self, player: str, blocked: bool) -> None:
        for account in self.accounts:
            if account.player == player:
                account.blocked = blocked
        status = PlayerStatus.BLOCKED if blocked else PlayerStatus.ACTIVE
        self.runner.run(self.wallet.store.set_player_status(1 if player == "ann" else 2, status))

    @rule()
    def restart(self) -> None:
        self.runner.run(self.stack.aclose())
        self.start()

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        if hasattr(self, "wallet"):
            players = self.runner.run(self.wallet.store.list_players("default"))
            held = {
                (each.player_id, currency): (cash, bonus) for each in players for _, currency, cash, bonus in each[4]
            }
            assert held == {(each.player, each.currency): (each.cash, each.bonus) for each in self.accounts}

    def teardown(self) -> None:
        if hasattr(self, "wallet"):
            found = self.runner.run(verify(self.wallet.store, lambda _done, _total: None))
            self.runner.run(self.stack.aclose())
            self.runner.close()
            self.folder.cleanup()
            assert found["problems"] == []


TestWallets = Wallets.TestCase
TestWallets.settings = settings(max_examples=100, stateful_step_count=50, deadline=None, print_blob=True)
