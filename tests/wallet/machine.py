"""Random histories of both protocols (retries, reorderings, cancels before bets, restarts) against a naive model.

The rules are here; how the wallet is reached, a subclass says.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from minwallet.ledger.limits import LimitKind, LimitPeriod
from minwallet.protocols.registry import load_protocol
from minwallet.storage.models import NewAccount, PlayerStatus
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.requests import (
    LimitSet,
    PlayerExclude,
    PlayerList,
    PlayerSetStatus,
    Reply,
    Request,
    SessionOpen,
    SessionRevoke,
    Transfer,
)
from minwallet.wallet.sessions import new_session
from tests.wallet.model import MOST, Account, Answer, Model

NOW_MS = 1_700_000_000_000
"""When the accounts are opened."""

DAY_MS = 24 * 3600 * 1000

PLACES = (("ann", "USD"), ("ann", "EUR"), ("ben", "USD"))
"""Two players, one of them with two currencies."""

LASTING_S = 10 * 365 * 24 * 3600

# How far back an id was new: histories must meet themselves again and again, and yet go on.
backs = st.sampled_from([0, 1, 1, 1, 2, 3])
new_or_back = st.sampled_from([0, 0, 0, 1, 2])
rounds = st.none() | st.sampled_from([1, 1, 2, 3])
amounts = st.sampled_from([0, 40, 40, 40, 130, 130, 500, MOST])
LIMITS = [None, 0, 100, 150, 300]
seats = st.sampled_from([0, 0, 0, 1, 2])
sessions = st.sampled_from(["yes"] * 8 + ["expired", "revoked"])


async def furnish(store: SqliteStore, agents: Sequence[str]) -> None:
    """Accounts for a history of each of these agents, with a session that lasts, one to be revoked and one that is
    over.
    """
    for agent in agents:
        await store.add_agent(agent, agent, None, NOW_MS)
    openings = [
        NewAccount(agent, player, currency, 100, 50, new_session(first_token(agent, place, live), ends))
        for agent in agents
        for place, (player, currency) in enumerate(PLACES)
        for live, ends in (("yes", None), ("expired", NOW_MS), ("revoked", None))
    ]
    opened = await store.create_accounts(openings, NOW_MS)
    assert opened.players == 2 * len(agents), opened


def first_token(agent: str, place: int, live: str) -> str:
    return f"{live}_{agent}_{place}"


class Wallets(RuleBasedStateMachine):
    """The players of one agent. A subclass has `begin`, `send`, `ask`, `begin_again` and `end`, and what time it is."""

    agent: str
    now_ms: int

    def begin(self) -> None:
        """Start, with the accounts that `furnish` makes for `self.agent`."""
        raise NotImplementedError

    def send(self, place: int, protocol: str, operation: str, raw: bytes) -> bytes:
        """The wallet's answer to these bytes."""
        raise NotImplementedError

    def ask(self, request: Request) -> Reply | None:
        """The desk's reply, None where it declines."""
        raise NotImplementedError

    def begin_again(self, dice: int, softly: bool) -> None:
        """Stop and start the wallet, softly or not, or go on if the dice say so."""
        raise NotImplementedError

    def end(self) -> None:
        """Stop, and look whether everything is in order."""
        raise NotImplementedError

    @initialize()
    def open(self) -> None:
        self.begin()
        self.model = Model()
        given = 100 if self.now_ms // DAY_MS == NOW_MS // DAY_MS else 0
        self.accounts = [Account(player, currency, 100, 50, given=given, put=100) for player, currency in PLACES]
        self.protocols = {name: load_protocol(name) for name in ("wallet-v2", "vela")}
        self.transfers = 0
        self.spans: dict[tuple[int, LimitKind], LimitPeriod] = {}
        self.newest = {"wallet-v2": 3, "vela": 3}
        self.tokens = {
            (place, live): first_token(self.agent, place, live)
            for place in range(len(PLACES))
            for live in ("yes", "expired", "revoked")
        }
        for place in range(len(PLACES)):
            assert self.ask(SessionRevoke(token=self.tokens[place, "revoked"]))

    def id_(self, protocol: str, back: int) -> int:
        """An id that was new so many ids ago; 0 makes a new one."""
        if not back:
            self.newest[protocol] += 1
        return self.newest[protocol] - max(back - 1, 0)

    def call(self, place: int, protocol: str, operation: str, raw: bytes) -> Answer:
        answer = self.protocols[protocol].parse_response(self.send(place, protocol, operation, raw))
        return (answer.code, answer.balance, answer.balance2)

    def v2(self, place: int, live: str, operation: str, **fields: object) -> Answer:
        given = {name: value for name, value in fields.items() if value is not None}
        body = {"code": self.tokens[place, live], "type": operation, "game": 1, **given}
        return self.call(place, "wallet-v2", "", json.dumps(body).encode())

    def vela(self, place: int, live: str, operation: str, **fields: object) -> Answer:
        given = {name: value for name, value in fields.items() if value is not None}
        query = urlencode({"access_token": self.tokens[place, live], **given})
        return self.call(place, "vela", operation, query.encode())

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
        reply = self.ask(
            Transfer(
                do="withdraw" if out else "deposit",
                agent=self.agent,
                player_id=account.player,
                currency=account.currency,
                amount=cents,
                bonus=bonus,
                reference=f"{self.agent}-{self.transfers}",
            )
        )
        moved = -cents if out else cents
        cash, bonus_left = account.cash + (0 if bonus else moved), account.bonus + (moved if bonus else 0)
        possible = min(cash, bonus_left) >= 0 and cash + bonus_left <= MOST
        possible = possible and (out or account.may_be_given(0 if bonus else cents))
        assert (reply is not None) == possible
        if reply is not None:
            assert (reply["cash"], reply["bonus"]) == (cash, bonus_left)
            account.cash, account.bonus = cash, bonus_left
            account.put += 0 if bonus else moved
            account.given += 0 if bonus or out else cents

    @rule(seat=seats, kind=st.sampled_from(LimitKind), per=st.sampled_from(LimitPeriod), cents=st.sampled_from(LIMITS))
    def limit(self, seat: int, kind: LimitKind, per: LimitPeriod, cents: int | None) -> None:
        """An account has one limit of a kind, per day, week or month: all that counts happens on one day."""
        per = self.spans.setdefault((seat, kind), per)
        self.accounts[seat].limit(kind, cents)
        player, currency = PLACES[seat]
        asked = LimitSet(agent=self.agent, player_id=player, currency=currency, kind=kind, per=per, amount=cents)
        assert self.ask(asked)

    @rule(player=st.sampled_from(["ann", "ben"]), days=st.sampled_from([None, None, None, 1, 30]))
    def exclude(self, player: str, days: int | None) -> None:
        """An exclusion cannot be ended on the day on which it is asked for."""
        for account in self.accounts:
            if account.player == player:
                account.excluded |= days is not None
        now = datetime.fromtimestamp(self.now_ms / 1000, UTC)
        until = None if days is None else (now + timedelta(days=days)).isoformat().replace("+00:00", "Z")
        assert self.ask(PlayerExclude(agent=self.agent, player_id=player, until=until))

    @rule(player=st.sampled_from(["ann", "ben"]), blocked=st.booleans())
    def block(self, player: str, blocked: bool) -> None:
        for account in self.accounts:
            if account.player == player:
                account.blocked = blocked
        status = PlayerStatus.BLOCKED if blocked else PlayerStatus.ACTIVE
        assert self.ask(PlayerSetStatus(agent=self.agent, player_id=player, status=status))

    @rule(seat=seats)
    def revoke(self, seat: int) -> None:
        """The session that lasted is the revoked one now, and the player gets another."""
        player, currency = PLACES[seat]
        opened = self.ask(SessionOpen(agent=self.agent, player_id=player, currency=currency, ttl_s=LASTING_S))
        assert opened
        assert self.ask(SessionRevoke(token=self.tokens[seat, "yes"]))
        self.tokens[seat, "revoked"], self.tokens[seat, "yes"] = self.tokens[seat, "yes"], opened["token"]

    @rule(dice=st.sampled_from(range(40)), softly=st.booleans())
    def restart(self, dice: int, softly: bool) -> None:
        self.begin_again(dice, softly)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        if hasattr(self, "model"):
            reply = self.ask(PlayerList(agent=self.agent))
            assert reply is not None
            held = {
                (player["player_id"], account["currency"]): (account["cash"], account["bonus"])
                for player in reply["players"]
                for account in player["accounts"]
            }
            assert held == {(each.player, each.currency): (each.cash, each.bonus) for each in self.accounts}

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.end()
