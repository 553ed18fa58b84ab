"""Replies of both protocols: one table of outcomes, refusals and HTTP statuses."""

import json
from typing import Any

import pytest

from minwallet.ledger.commands import Balance, Bet
from minwallet.ledger.entries import Refusal
from minwallet.ledger.outcomes import Outcome, Unauthenticated
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import Call, Malformed, RetryBalance
from tests.protocols.golden_pairs import BUILT_IN_PROTOCOLS
from tests.protocols.sample_outcomes import APPLIED, CLOSED, CLOSED_AGAIN, HOLDER, REPLAYED, SHOWN, make_refused

NOW_MS, NOW = 1_695_266_603_999, "21-09-2023 03:23:23"

CALLS = {"wallet-v2": Call("credit", "t", Balance()), "vela": Call("bet", "t", Bet("3", 500, "3"))}

CANCEL_SUCCEEDED = {"result": 1, "time": NOW}
REFUND_FAILED = {"status_code": 2, "message": "Invalid Transaction ID"}

REPLIES: dict[str, tuple[Outcome | Unauthenticated, dict[str, object], dict[str, object]]] = {
    # wallet-v2 adds cash and bonus in `credit`; vela returns cash as `balance` and bonus as `balance2`.
    "balance": (
        SHOWN,
        {"result": 1, "credit": 1200, "player_id": "usr-1122334455", "currency": "USD", "time": NOW},
        {"status_code": 0, "balance": 1000, "balance2": 200, "member_id": "usr-1122334455", "currency": "USD"},
    ),
    # Both return what is left after the bet.
    "applied": (
        APPLIED,
        {"result": 1, "credit": 100, "time": NOW},
        {"status_code": 0, "balance": 0, "balance2": 100},
    ),
    # wallet-v2 repeats its first answer; vela returns the current balances.
    "replayed": (
        REPLAYED,
        {"result": 1, "credit": 100, "time": NOW},
        {"status_code": 0, "balance": 5, "balance2": 6},
    ),
    # wallet-v2: "If such transaction canceled or does not exist =1". vela refuses the refund, because it returned no
    # money, although it closes the ticket.
    "cancel of an unknown id": (
        CLOSED,
        {**CANCEL_SUCCEEDED, "credit": 1200},
        {**REFUND_FAILED, "balance": 1000, "balance2": 200},
    ),
    # wallet-v2 repeats the credit of the first answer; vela returns the current balances.
    "repeated cancel of an unknown id": (
        CLOSED_AGAIN,
        {**CANCEL_SUCCEEDED, "credit": 1200},
        {**REFUND_FAILED, "balance": 5, "balance2": 6},
    ),
    # Without a session there is no balance.
    "unknown session": (
        Unauthenticated(),
        {"result": 0, "err_code": 102, "err_desc": "session not found", "time": NOW},
        {"status_code": 1, "message": "Invalid Token"},
    ),
}

REFUSALS = {
    Refusal.SESSION_UNKNOWN: ((102, "session not found"), (1, "Invalid Token")),
    Refusal.PLAYER_UNKNOWN: ((102, "session not found"), (1, "Invalid Token")),
    Refusal.PLAYER_MISMATCH: ((102, "session not found"), (1, "Invalid Token")),
    Refusal.CURRENCY_MISMATCH: ((102, "session not found"), (1, "Invalid Token")),
    Refusal.SESSION_REVOKED: ((102, "session not found"), (1, "Invalid Token")),
    Refusal.SESSION_EXPIRED: ((103, "session expired"), (1, "Invalid Token")),
    Refusal.PLAYER_BLOCKED: ((104, "player blocked"), (1, "Player blocked")),
    Refusal.PLAYER_EXCLUDED: ((104, "player blocked"), (1, "Player blocked")),
    Refusal.LOSS_LIMIT: ((104, "player blocked"), (1, "Player blocked")),
    Refusal.DEPOSIT_LIMIT: ((104, "player blocked"), (1, "Player blocked")),
    Refusal.INSUFFICIENT_FUNDS: ((105, "insufficient funds"), (3, "Insufficient Funds")),
    Refusal.ID_TAKEN: ((106, "transaction id already used"), (2, "Invalid Transaction ID")),
    Refusal.CANCELLED: ((107, "transaction cancelled"), (2, "Invalid Transaction ID")),
    Refusal.ROUND_SETTLED: ((108, "round already settled"), (2, "Invalid Transaction ID")),
    Refusal.ROUND_CANCELLED: ((109, "round cancelled"), (2, "Invalid Transaction ID")),
    Refusal.OUT_OF_RANGE: ((110, "amount out of range"), (2, "Invalid Transaction ID")),
    Refusal.WIN_SPENT: ((110, "amount out of range"), (2, "Invalid Transaction ID")),
    Refusal.NOT_A_BET: ((111, "not a bet"), (2, "Invalid Transaction ID")),
    Refusal.NO_OPEN_BET: ((111, "not a bet"), (2, "Invalid Transaction ID")),
}

both_protocols = pytest.mark.parametrize("protocol", BUILT_IN_PROTOCOLS)


def render(protocol: str, outcome: Outcome | Unauthenticated) -> Any:  # noqa: ANN401 the reply's JSON
    return json.loads(load_protocol(protocol).render(CALLS[protocol], outcome, HOLDER, NOW_MS).body)


@both_protocols
@pytest.mark.parametrize(("outcome", "wallet_v2", "vela"), REPLIES.values(), ids=REPLIES)
def test_each_outcome_has_its_reply(
    protocol: str, outcome: Outcome | Unauthenticated, wallet_v2: dict[str, object], vela: dict[str, object]
) -> None:
    """A reply has the fields of its protocol, with the balances after the call."""
    assert render(protocol, outcome) == {"wallet-v2": wallet_v2, "vela": vela}[protocol]


@both_protocols
def test_a_retry_has_the_balance_that_the_protocol_declares(protocol: str) -> None:
    """`retry_balance` says if a Replayed outcome is rendered like the first one or with the present balances."""
    balances = "credit" if protocol == "wallet-v2" else "balance2"
    first, retry = render(protocol, APPLIED)[balances], render(protocol, REPLAYED)[balances]
    current = {"wallet-v2": REPLAYED.cash + REPLAYED.bonus, "vela": REPLAYED.bonus}[protocol]
    assert first != current
    expected = {RetryBalance.FIRST: first, RetryBalance.CURRENT: current}
    assert retry == expected[load_protocol(protocol).retry_balance]


@both_protocols
@pytest.mark.parametrize("refusal", Refusal)
def test_each_refusal_has_its_code(protocol: str, refusal: Refusal) -> None:
    """A refusal has a code and a message, and the balances of a known session."""
    wallet_v2, vela = REFUSALS[refusal]
    expected = {
        "wallet-v2": {"result": 0, "err_code": wallet_v2[0], "err_desc": wallet_v2[1], "credit": 1200, "time": NOW},
        "vela": {"status_code": vela[0], "message": vela[1], "balance": 1000, "balance2": 200},
    }
    assert render(protocol, make_refused(refusal)) == expected[protocol]


@pytest.mark.parametrize(
    ("protocol", "malformed", "reply"),
    [
        (
            "wallet-v2",
            Malformed("bet", 100, "id: is missing"),
            {"result": 0, "err_code": 100, "err_desc": "id: is missing", "time": NOW},
        ),
        (
            "vela",
            Malformed("bet", 2001, "total_bet: is missing"),
            {"status_code": 2001, "message": "total_bet: is missing"},
        ),
    ],
)
def test_a_malformed_request_gets_an_error_that_names_the_field(
    protocol: str, malformed: Malformed, reply: dict[str, object]
) -> None:
    """The error has the fields of the protocol, and its message names the field of the request."""
    assert json.loads(load_protocol(protocol).render_error(malformed, NOW_MS).body) == reply


@both_protocols
@pytest.mark.parametrize(
    ("status", "wallet_v2", "vela"),
    [
        (403, 100, 2001),
        (405, 100, 2001),
        (413, 100, 2001),
        (414, 100, 2001),
        (429, 500, 500),
        (500, 500, 500),
        (503, 500, 500),
    ],
)
def test_each_http_error_has_a_code(protocol: str, status: int, wallet_v2: int, vela: int) -> None:
    """Code 500 means that a retry may succeed; 100 and 2001 mean that a retry fails too."""
    expected = {"wallet-v2": wallet_v2, "vela": vela}[protocol]
    assert load_protocol(protocol).error_code_for_status(status) == expected
