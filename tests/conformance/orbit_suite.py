"""A conformance suite of a protocol package: orbit signs its calls, and has text ids, decimals, forms and rollbacks."""

from minwallet.conformance.checks import ACCEPTED, balance_change, refusal_code
from minwallet.conformance.command_requests import CommandRequests
from minwallet.conformance.dsl import Bindings, ProtocolSuite, RequestSpec, concurrently, must, should
from minwallet.ledger.commands import Group, Rollback
from minwallet.protocols.registry import load_protocol

ORBIT = load_protocol("orbit")

orders = CommandRequests(ORBIT)
bet, win, refund = orders.bet, orders.win, orders.rollback

REFUND, ROLLBACK, SIGN = (
    "refund returns the bet",
    "rollback reverses all of them or none",
    "X-Orbit-Sign signs requests",
)


def rollback(name: str, *references: str) -> RequestSpec:
    """Return the rollback of a list of transactions."""

    def build(names: Bindings) -> Group:
        parts = [names.resolve_id(each) for each in references]
        return Group(tuple(Rollback(f"{names.resolve_id(name)}:{part}", part) for part in parts))

    return RequestSpec("rollback", f"rollback {name} of {' and '.join(references)}", build)


# fmt: off
CASES = (
    must("bet", "A bet takes its stake.", "bet", bet("a", 5).accepted(-5, check=balance_change(-5))),
    must("bet-retry", "A retry takes nothing more.", "All ids of an agent are unique.",
         bet("a", 5).accepted(-5), bet("a", 5).moves(-5, should=ACCEPTED)),
    must("bet-id-other-stake", "A used id with another stake is refused.", "All ids of an agent are unique.",
         bet("a", 5).accepted(-5), bet("a", 6).refused(-5, should=refusal_code("REFUSED", "A used id is refused."))),
    must("bet-once", "Concurrent copies of a bet take its stake once.", "All ids of an agent are unique.",
         concurrently(*[bet("a", 5)] * 4).moves(-5)),
    must("win", "A win pays its amount.", "win", bet("a", 5).accepted(-5), win("b", 8, "a").accepted(3)),
    must("win-without-session", "A win needs no session.", "`session` may be empty for wins",
         bet("a", 5).accepted(-5), win("b", 5, "a").with_fields(session="").accepted()),
    must("refund", "A refund returns the stake.", REFUND, bet("a", 5).accepted(-5), refund("b", "a").accepted()),
    must("refund-of-a-part", "A partial refund returns its amount.", REFUND,
         bet("a", 5).accepted(-5), refund("b", "a", 2).accepted(-3)),
    must("refund-in-parts", "Partial refunds never exceed the stake.", REFUND,
         bet("a", 5).accepted(-5), refund("b", "a", 2).accepted(-3), refund("c", "a", 3).accepted(),
         refund("d", "a", 1).refused()),
    must("refund-first", "A bet after its refund takes no money.", REFUND,
         refund("b", "a").moves(0), bet("a", 5).not_accepted()),
    must("rollback", "A rollback reverses several bets.", ROLLBACK,
         bet("a", 5).accepted(-5), bet("b", 3).accepted(-8), rollback("c", "a", "b").accepted()),
    must("rollback-retry", "A retry of a rollback moves nothing.", ROLLBACK,
         bet("a", 5).accepted(-5), rollback("c", "a").accepted(), rollback("c", "a").moves(0, should=ACCEPTED)),
    must("unsigned", "A request without a signature moves no money.", SIGN, bet("a", 5).unsigned().refused()),
    must("forged", "A forged signature moves no money.", SIGN, bet("a", 5).forged().refused()),
    must("stale", "An old signature moves no money.", SIGN, bet("a", 5).stale().refused()),
    must("other-player", "A request for another player than its session's is refused.", "player_id",
         bet("a", 5).naming("second").refused(should=refusal_code("BAD_PLAYER", "The code is BAD_PLAYER."))),
    must("amount-as-text", "An amount that is no number is refused.", "Amounts are decimals",
         bet("a", 5).with_fields(amount="five").refused(), bet("a", 5).without("amount").refused()),
    should("amount-of-a-tenth-of-a-cent", "An amount with three decimals is refused.", "The wallet keeps cents.",
           bet("a", 5).with_fields(amount="0.051").refused()),
)
# fmt: on

ORBIT_SUITE = ProtocolSuite(
    ORBIT,
    balance_request=orders.query(),
    cancel_bet=lambda bet_id: refund(f"refund of {bet_id}", bet_id),
    id_field="transaction_id",
    drain=lambda letter, amount: [bet(letter, amount)],
    cases=CASES,
    format_id=lambda number: f"tx-{number}",
)
