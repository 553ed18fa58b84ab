"""Random histories of both protocols (retries, reorderings, cancels before bets, restarts) against a naive model.

The rules are here; a subclass connects them to a wallet.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from minwallet.ledger.limits import LimitKind, LimitPeriod
from minwallet.ledger.time_units import DAY_MS
from minwallet.operations.requests import (
    Adjustment,
    LimitSet,
    OperationRequest,
    PlayerExclude,
    PlayerList,
    PlayerSetStatus,
    Reply,
    SessionOpen,
    SessionRevoke,
    Transfer,
)
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import HttpRequest, HttpResponse
from minwallet.storage.models import NewAccount, PlayerStatus
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.sessions import build_new_session
from tests.wallet.wallet_model import MAX_CENTS, ExpectedAnswer, ModelAccount, WalletModel

START_MS = 1_700_000_000_000
"""The time at which the accounts are opened."""


ACCOUNTS = (("ann", "USD"), ("ann", "EUR"), ("ben", "USD"))
"""Two players, one of them with two currencies."""

SETTLE_MS = DAY_MS
"""The time after the end of a session in which wins without a bet are paid, as the settings have it."""

LONG_TTL_S = 10 * 365 * 24 * 3600

# How far back an id was new: histories must meet themselves again and again, and yet go on.
id_offsets = st.sampled_from([0, 1, 1, 1, 2, 3])
new_or_used_ids = st.sampled_from([0, 0, 0, 1, 2])
round_offsets = st.none() | st.sampled_from([1, 1, 2, 3])
amounts = st.sampled_from([0, 40, 40, 40, 130, 130, 500, MAX_CENTS])
LIMIT_AMOUNTS = [None, 0, 100, 150, 300]
account_indexes = st.sampled_from([0, 0, 0, 1, 2])
session_states = st.sampled_from(["yes"] * 8 + ["expired", "revoked"])


async def populate(store: SqliteStore, agents: Sequence[str]) -> None:
    """Create the accounts for a history of each agent, with a session that lasts, one to be revoked, one expired."""
    for agent in agents:
        await store.accounts.add_agent(agent, agent, None, START_MS)
    new_accounts = [
        NewAccount(
            agent,
            player,
            currency,
            100,
            50,
            build_new_session(initial_token(agent, account_index, session_state), expires_at_ms),
        )
        for agent in agents
        for account_index, (player, currency) in enumerate(ACCOUNTS)
        for session_state, expires_at_ms in (("yes", None), ("expired", START_MS), ("revoked", None))
    ]
    created = await store.accounts.create_accounts(new_accounts, START_MS)
    assert created.players == 2 * len(agents), created


def initial_token(agent: str, account_index: int, session_state: str) -> str:
    return f"{session_state}_{agent}_{account_index}"


class WalletStateMachine(RuleBasedStateMachine):
    """The players of one agent. A subclass implements `set_up_wallet`, `send_call`, `execute_request`, `maybe_restart`
    and `check_and_stop`, and sets `now_ms`.
    """

    agent: str
    now_ms: int

    def set_up_wallet(self) -> None:
        """Start, with the accounts that `populate` makes for `self.agent`."""
        raise NotImplementedError

    def send_call(self, account_index: int, protocol: str, request: HttpRequest) -> HttpResponse:
        """Return the wallet's response to this request."""
        raise NotImplementedError

    def execute_request(self, request: OperationRequest) -> Reply | None:
        """Return the reply. Return None if the operation fails."""
        raise NotImplementedError

    def maybe_restart(self, roll: int, is_graceful: bool) -> None:
        """Restart the wallet, cleanly or not, or do nothing, at random."""
        raise NotImplementedError

    def check_and_stop(self) -> None:
        """Stop, and verify the ledger."""
        raise NotImplementedError

    @initialize()
    def set_up(self) -> None:
        self.set_up_wallet()
        self.model = WalletModel()
        given = 100 if self.now_ms // DAY_MS == START_MS // DAY_MS else 0
        self.accounts = [
            ModelAccount(player, currency, 100, 50, deposited=given, cash_without_play=100)
            for player, currency in ACCOUNTS
        ]
        self.protocols = {name: load_protocol(name) for name in ("wallet-v2", "vela")}
        self.transfer_count = 0
        self.limit_periods: dict[tuple[int, LimitKind], LimitPeriod] = {}
        self.newest_ids = {"wallet-v2": 3, "vela": 3, "third": 3}
        self.tokens = {
            (place, live): initial_token(self.agent, place, live)
            for place in range(len(ACCOUNTS))
            for live in ("yes", "expired", "revoked")
        }
        self.session_ends = {(place, "expired"): START_MS for place in range(len(ACCOUNTS))}
        for place in range(len(ACCOUNTS)):
            assert self.execute_request(SessionRevoke(token=self.tokens[place, "revoked"]))
            self.session_ends[place, "revoked"] = self.now_ms

    def pick_id(self, protocol: str, offset: int) -> int:
        """Return the id created `offset` ids ago, or a new one for 0."""
        if not offset:
            self.newest_ids[protocol] += 1
        return self.newest_ids[protocol] - max(offset - 1, 0)

    def call_wallet(self, account_index: int, protocol: str, request: HttpRequest) -> ExpectedAnswer:
        answer = self.protocols[protocol].parse_response(self.send_call(account_index, protocol, request))
        assert isinstance(answer.code, int)
        return (answer.code, answer.balance, answer.balance2)

    def call_wallet_v2(
        self, account_index: int, session_state: str, operation: str, **fields: object
    ) -> ExpectedAnswer:
        given = {name: value for name, value in fields.items() if value is not None}
        body = {"code": self.tokens[account_index, session_state], "type": operation, "game": 1, **given}
        return self.call_wallet(
            account_index, "wallet-v2", HttpRequest("POST", "/wallet", body=json.dumps(body).encode())
        )

    def call_vela(self, account_index: int, session_state: str, operation: str, **fields: object) -> ExpectedAnswer:
        given = {name: value for name, value in fields.items() if value is not None}
        query = urlencode({"access_token": self.tokens[account_index, session_state], **given})
        (path,) = [each.path for each in self.protocols["vela"].routes if each.operation == operation][:1]
        return self.call_wallet(account_index, "vela", HttpRequest("GET", path, query.encode()))

    @rule(seat=account_indexes, live=session_states, back=new_or_used_ids, stake=amounts, in_round=round_offsets)
    def bet(self, seat: int, live: str, back: int, stake: int, in_round: int | None) -> None:
        id_, round_ = self.pick_id("wallet-v2", back), in_round and self.pick_id("wallet-v2", in_round)
        expected = self.model.bet(self.accounts[seat], live, id_, stake, round_)
        assert self.call_wallet_v2(seat, live, "bet", id=id_, bet=stake, round_id=round_) == expected

    @rule(seat=account_indexes, live=session_states, back=new_or_used_ids, payout=amounts, in_round=round_offsets)
    def win(self, seat: int, live: str, back: int, payout: int, in_round: int | None) -> None:
        round_ = in_round and self.pick_id("wallet-v2", in_round)
        id_ = self.pick_id("wallet-v2", back)
        is_settling = self.now_ms < self.session_ends.get((seat, live), self.now_ms) + SETTLE_MS
        expected = self.model.win(self.accounts[seat], live, id_, payout, round_, is_settling=is_settling)
        assert self.call_wallet_v2(seat, live, "win", id=id_, win=payout, round_id=round_) == expected

    @rule(seat=account_indexes, live=session_states, back=id_offsets)
    def cancel(self, seat: int, live: str, back: int) -> None:
        id_ = self.pick_id("wallet-v2", back)
        assert self.call_wallet_v2(seat, live, "cancel", id=id_) == self.model.cancel(self.accounts[seat], id_)

    @rule(seat=account_indexes, live=session_states)
    def credit(self, seat: int, live: str) -> None:
        assert self.call_wallet_v2(seat, live, "credit") == self.model.credit(self.accounts[seat], live)

    @rule(seat=account_indexes, live=session_states, back=new_or_used_ids, stake=amounts, win=st.none() | amounts)
    def vela_bet(self, seat: int, live: str, back: int, stake: int, win: int | None) -> None:
        ticket = self.pick_id("vela", back)
        operation = "bet" if win is None else "betwin"
        expected = self.model.vela_bet(self.accounts[seat], live, ticket, stake, win)
        assert self.call_vela(seat, live, operation, ticket_id=ticket, total_bet=stake, total_win=win) == expected

    @rule(
        seat=account_indexes,
        live=session_states,
        back=id_offsets,
        payout=amounts,
        used=st.sampled_from([None, None, 7]),
    )
    def vela_result(self, seat: int, live: str, back: int, payout: int, used: int | None) -> None:
        ticket = self.pick_id("vela", back)
        expected = self.model.vela_result(self.accounts[seat], ticket, payout, used)
        assert self.call_vela(seat, live, "result", ticket_id=ticket, total_win=payout, total_used=used) == expected

    @rule(seat=account_indexes, live=session_states, back=id_offsets)
    def vela_refund(self, seat: int, live: str, back: int) -> None:
        ticket = self.pick_id("vela", back)
        expected = self.model.vela_refund(self.accounts[seat], ticket)
        assert self.call_vela(seat, live, "refund", ticket_id=ticket) == expected

    @rule(seat=account_indexes, lost=st.integers(0, 60), rest=st.sampled_from([0, 0, 1]), with_bonus=st.booleans())
    def spend_and_refund_betwin(self, seat: int, lost: int, rest: int, with_bonus: bool) -> None:
        """Stake all on a betwin, bet most of the cash that is left, then refund the betwin: cash is below its win."""
        account = self.accounts[seat]
        stake = account.credit if with_bonus else account.cash
        self.vela_bet(seat, "yes", 0, stake, max(stake - lost, 0))
        betwin = self.newest_ids["vela"]
        self.bet(seat, "yes", 0, max(account.cash - rest, 0), None)
        expected = self.model.vela_refund(account, betwin)
        assert self.call_vela(seat, "yes", "refund", ticket_id=betwin) == expected

    @rule(seat=account_indexes, live=session_states, cancelled=st.permutations([0, 1, 2]))
    def cancel_bets_of_a_won_round(self, seat: int, live: str, cancelled: list[int]) -> None:
        """Place three bets in one round, win, then cancel all three: the last one stays."""
        self.bet(seat, "yes", 0, 1, None)
        round_ = self.newest_ids["wallet-v2"]
        for offset in (2, 3):
            self.bet(seat, "yes", 0, 1, offset)
        self.win(seat, live, 0, 2, 3)
        for place in cancelled:
            expected = self.model.cancel(self.accounts[seat], round_ + place)
            assert self.call_wallet_v2(seat, live, "cancel", id=round_ + place) == expected

    @rule(seat=account_indexes, cents=st.sampled_from([1, 60]), bonus=st.booleans(), out=st.booleans())
    def transfer(self, seat: int, cents: int, bonus: bool, out: bool) -> None:
        account = self.accounts[seat]
        self.transfer_count += 1
        reply = self.execute_request(
            Transfer(
                operation="withdraw" if out else "deposit",
                agent=self.agent,
                player_id=account.player,
                currency=account.currency,
                amount=cents,
                bonus=bonus,
                reference=f"{self.agent}-{self.transfer_count}",
            )
        )
        change = -cents if out else cents
        cash, bonus_left = account.cash + (0 if bonus else change), account.bonus + (change if bonus else 0)
        is_possible = min(cash, bonus_left) >= 0 and cash + bonus_left <= MAX_CENTS
        is_possible = is_possible and (out or account.can_deposit(0 if bonus else cents))
        assert (reply is not None) == is_possible
        if reply is not None:
            assert (reply["cash"], reply["bonus"]) == (cash, bonus_left)
            account.cash, account.bonus = cash, bonus_left
            account.cash_without_play += 0 if bonus else change
            account.deposited += 0 if bonus or out else cents

    @rule(seat=account_indexes, cents=st.sampled_from([1, 60, -1, -60, -500, MAX_CENTS]), bonus=st.booleans())
    def adjust(self, seat: int, cents: int, bonus: bool) -> None:
        """Correct a balance: limits, exclusion and a block do not matter, and usage stays the same."""
        account = self.accounts[seat]
        self.transfer_count += 1
        reply = self.execute_request(
            Adjustment(
                agent=self.agent,
                player_id=account.player,
                currency=account.currency,
                amount=cents,
                bonus=bonus,
                reference=f"{self.agent}-{self.transfer_count}",
                reason="a test",
            )
        )
        cash, bonus_left = account.cash + (0 if bonus else cents), account.bonus + (cents if bonus else 0)
        assert (reply is not None) == (min(cash, bonus_left) >= 0 and cash + bonus_left <= MAX_CENTS)
        if reply is not None:
            assert (reply["cash"], reply["bonus"]) == (cash, bonus_left)
            account.cash, account.bonus = cash, bonus_left
            account.cash_without_play += 0 if bonus else cents

    @rule(
        seat=account_indexes,
        kind=st.sampled_from(LimitKind),
        per=st.sampled_from(LimitPeriod),
        cents=st.sampled_from(LIMIT_AMOUNTS),
    )
    def set_limit(self, seat: int, kind: LimitKind, per: LimitPeriod, cents: int | None) -> None:
        """Set an account's only limit of a kind, per day, week or month: all usage is on one day."""
        per = self.limit_periods.setdefault((seat, kind), per)
        self.accounts[seat].set_limit(kind, cents)
        player, currency = ACCOUNTS[seat]
        asked = LimitSet(agent=self.agent, player_id=player, currency=currency, kind=kind, per=per, amount=cents)
        assert self.execute_request(asked)

    @rule(player=st.sampled_from(["ann", "ben"]), days=st.sampled_from([None, None, None, 1, 30]))
    def exclude(self, player: str, days: int | None) -> None:
        """Exclude a player: the end of an exclusion takes effect a day after the request."""
        for account in self.accounts:
            if account.player == player:
                account.excluded |= days is not None
        now = datetime.fromtimestamp(self.now_ms / 1000, UTC)
        until = None if days is None else (now + timedelta(days=days)).isoformat().replace("+00:00", "Z")
        assert self.execute_request(PlayerExclude(agent=self.agent, player_id=player, until=until))

    @rule(player=st.sampled_from(["ann", "ben"]), blocked=st.booleans())
    def set_blocked(self, player: str, blocked: bool) -> None:
        for account in self.accounts:
            if account.player == player:
                account.blocked = blocked
        status = PlayerStatus.BLOCKED if blocked else PlayerStatus.ACTIVE
        assert self.execute_request(PlayerSetStatus(agent=self.agent, player_id=player, status=status))

    @rule(seat=account_indexes)
    def replace_session(self, seat: int) -> None:
        """Revoke the player's live session, and open another."""
        player, currency = ACCOUNTS[seat]
        opened = self.execute_request(
            SessionOpen(agent=self.agent, player_id=player, currency=currency, ttl_s=LONG_TTL_S)
        )
        assert opened
        assert self.execute_request(SessionRevoke(token=self.tokens[seat, "yes"]))
        self.tokens[seat, "revoked"], self.tokens[seat, "yes"] = self.tokens[seat, "yes"], opened["token"]
        self.session_ends[seat, "revoked"] = self.now_ms

    @rule(dice=st.sampled_from(range(20)), softly=st.booleans())
    def restart(self, dice: int, softly: bool) -> None:
        self.maybe_restart(dice, softly)

    @invariant()
    def balances_match_the_model(self) -> None:
        if hasattr(self, "model"):
            reply = self.execute_request(PlayerList(agent=self.agent))
            assert reply is not None
            held = {
                (player["player_id"], account["currency"]): (account["cash"], account["bonus"])
                for player in reply["players"]
                for account in player["accounts"]
            }
            assert held == {(each.player, each.currency): (each.cash, each.bonus) for each in self.accounts}

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.check_and_stop()
