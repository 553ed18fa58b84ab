"""Entries that decisions write: every field of the entry, and its place in the history of its id."""

import hashlib
from typing import Any

import pytest

from minwallet.ledger.commands import (
    Adjust,
    Bet,
    BetWin,
    Cancel,
    Command,
    Deposit,
    EndRound,
    Rollback,
    RollbackRound,
    Settle,
    Win,
    WinCategory,
    Withdraw,
)
from minwallet.ledger.decide import decide
from minwallet.ledger.entries import Entry, Kind, Refusal, State, compute_genesis_hash
from minwallet.ledger.snapshot import Round, Snapshot, TransactionHistory
from tests.ledger.builders import HEAD, ME, NO_HISTORY, NOW_MS, history_of, snapshot, written_entry

BET = Bet("3", 1100, "2", "1012", '{"key":"red"}')

APPLIED, REFUSED = (State.APPLIED, None), State.REFUSED

# kind, id, round, game, detail, stake, payout, amount, bonus_amount, cash_after, bonus_after, state, refusal; and the
# reference of a rollback
TABLE: dict[str, tuple[Snapshot, Command, tuple[Any, ...]]] = {
    "a bet": (
        snapshot(),
        BET,
        (Kind.BET, "3", "2", "1012", '{"key":"red"}', 1100, 0, -1000, -100, 0, 100, *APPLIED),
    ),
    "a bet of a blocked player": (
        snapshot(is_blocked=True),
        BET,
        (Kind.BET, "3", "2", "1012", '{"key":"red"}', 1100, 0, 0, 0, 1000, 200, REFUSED, Refusal.PLAYER_BLOCKED),
    ),
    "a bet above the balance": (
        snapshot(cash=5),
        BET,
        (Kind.BET, "3", "2", "1012", '{"key":"red"}', 1100, 0, 0, 0, 5, 200, REFUSED, Refusal.INSUFFICIENT_FUNDS),
    ),
    "a win": (
        snapshot(),
        Win("4", 70, None, "1012"),
        (Kind.WIN, "4", None, "1012", None, 0, 70, 70, 0, 1070, 200, *APPLIED),
    ),
    "a result": (
        snapshot(history=history_of(BET)),
        Settle("3", 70, "1012", '{"total_used":9}'),
        (Kind.WIN, "3", "2", "1012", '{"total_used":9}', 0, 70, 70, 0, 1070, 200, *APPLIED),
    ),
    "a win with a category": (
        snapshot(),
        Win("4", 70, "3", "1012", WinCategory.FREE_ROUND),
        (Kind.WIN, "4", "3", "1012", '{"category":"free_round"}', 0, 70, 70, 0, 1070, 200, *APPLIED),
    ),
    "a betwin": (
        snapshot(),
        BetWin("3", 500, 70, "1012"),
        (Kind.BETWIN, "3", "3", "1012", None, 500, 70, -430, 0, 570, 200, *APPLIED),
    ),
    "a cancel": (
        snapshot(cash=0, bonus=100, history=history_of(BET)),
        Cancel("3"),
        (Kind.CANCEL, "3", "2", "1012", None, 0, 0, 1000, 100, 1000, 200, *APPLIED),
    ),
    "a cancel of an unknown id": (
        snapshot(),
        Cancel("3", "2"),
        (Kind.CANCEL, "3", "2", None, None, 0, 0, 0, 0, 1000, 200, State.CLOSED, None),
    ),
    "a cancel without a round": (
        snapshot(),
        Cancel("3"),
        (Kind.CANCEL, "3", "3", None, None, 0, 0, 0, 0, 1000, 200, State.CLOSED, None),
    ),
    "a rollback of a bet": (
        snapshot(cash=0, bonus=100, referenced=history_of(BET)),
        Rollback("5", "3"),
        (Kind.ROLLBACK, "5", "2", "1012", None, 0, 1100, 1000, 100, 1000, 200, *APPLIED, "3"),
    ),
    "a partial refund": (
        snapshot(cash=0, bonus=100, referenced=history_of(BET)),
        Rollback("5", "3", 300),
        (Kind.ROLLBACK, "5", "2", "1012", None, 0, 300, 200, 100, 200, 200, *APPLIED, "3"),
    ),
    "a rollback of a win": (
        snapshot(referenced=history_of(Win("3", 70, "2", "1012"))),
        Rollback("5", "3"),
        (Kind.ROLLBACK, "5", "2", "1012", None, 70, 0, -70, 0, 930, 200, *APPLIED, "3"),
    ),
    "a clamped rollback of a win": (
        snapshot(cash=50, referenced=history_of(Win("3", 70, "2", "1012"))),
        Rollback("5", "3", clamp=True),
        (Kind.ROLLBACK, "5", "2", "1012", None, 70, 0, -50, 0, 0, 200, *APPLIED, "3"),
    ),
    "a rollback of a betwin": (
        snapshot(referenced=history_of(BetWin("3", 500, 70, "1012"))),
        Rollback("5", "3"),
        (Kind.ROLLBACK, "5", "3", "1012", None, 0, 500, 430, 0, 1430, 200, *APPLIED, "3"),
    ),
    "a rollback of an unknown id": (
        snapshot(),
        Rollback("5", "3", 70),
        (Kind.ROLLBACK, "5", None, None, None, 0, 70, 0, 0, 1000, 200, State.CLOSED, None, "3"),
    ),
    "a rollback of a round": (
        snapshot(round_=Round(1, False, 9, cash=70, bonus=-30)),
        RollbackRound("5", "2"),
        (Kind.ROUND_ROLLBACK, "5", "2", None, None, 0, 0, -70, 30, 930, 230, *APPLIED),
    ),
    "a rollback of an unknown round": (
        snapshot(),
        RollbackRound("5", "2"),
        (Kind.ROUND_ROLLBACK, "5", "2", None, None, 0, 0, 0, 0, 1000, 200, State.CLOSED, None),
    ),
    "the end of a round": (
        snapshot(),
        EndRound("5", "2", "1012"),
        (Kind.ROUND_END, "5", "2", "1012", None, 0, 0, 0, 0, 1000, 200, *APPLIED),
    ),
    "a deposit": (
        snapshot(),
        Deposit("order-1", 30, 4, '{"by":"ann"}'),
        (Kind.DEPOSIT, "order-1", None, None, '{"by":"ann"}', 0, 0, 30, 4, 1030, 204, *APPLIED),
    ),
    "a withdrawal": (
        snapshot(),
        Withdraw("order-1", 30, 4, '{"by":"ann"}'),
        (Kind.WITHDRAW, "order-1", None, None, '{"by":"ann"}', 0, 0, -30, -4, 970, 196, *APPLIED),
    ),
    "an adjustment": (
        snapshot(),
        Adjust("order-1", -30, 4, '{"by":"ann"}'),
        (Kind.ADJUSTMENT, "order-1", None, None, '{"by":"ann"}', 0, 0, -30, 4, 970, 204, *APPLIED),
    ),
}


@pytest.mark.parametrize(("before", "command", "expected"), TABLE.values(), ids=TABLE)
def test_an_entry_has_the_request_and_its_effect(before: Snapshot, command: Command, expected: tuple[Any, ...]) -> None:
    """An entry has number, time, account, previous entry and protocol, then the request, then amounts and balances."""
    entry = written_entry(decide(before._replace(account=before.account._replace(last_seq=99)), command, NOW_MS))
    reference = () if isinstance(command, Rollback) else (None,)
    assert entry[:-1] == (100, NOW_MS, ME, 99, "wallet-v2", *expected, *reference)


def make_entry_of(kind: Kind, seq: int) -> Entry:
    return written_entry(decide(snapshot(seq=seq), Bet("3", 1, "3"), NOW_MS))._replace(kind=kind)


BET_ENTRY, RESULT_ENTRY, CANCEL_ENTRY = (
    make_entry_of(Kind.BET, 1),
    make_entry_of(Kind.WIN, 2),
    make_entry_of(Kind.CANCEL, 3),
)


@pytest.mark.parametrize(
    ("history", "entry", "expected"),
    [
        (NO_HISTORY, BET_ENTRY, TransactionHistory(BET_ENTRY, None, None)),
        (NO_HISTORY, CANCEL_ENTRY, TransactionHistory(None, None, CANCEL_ENTRY)),
        (NO_HISTORY, RESULT_ENTRY, TransactionHistory(RESULT_ENTRY, None, None)),
        (TransactionHistory(BET_ENTRY), RESULT_ENTRY, TransactionHistory(BET_ENTRY, RESULT_ENTRY, None)),
        (TransactionHistory(BET_ENTRY), CANCEL_ENTRY, TransactionHistory(BET_ENTRY, None, CANCEL_ENTRY)),
        (
            TransactionHistory(BET_ENTRY, RESULT_ENTRY),
            CANCEL_ENTRY,
            TransactionHistory(BET_ENTRY, RESULT_ENTRY, CANCEL_ENTRY),
        ),
        (TransactionHistory(None, None, CANCEL_ENTRY), BET_ENTRY, TransactionHistory(BET_ENTRY, None, CANCEL_ENTRY)),
        (
            TransactionHistory(BET_ENTRY, None, CANCEL_ENTRY),
            RESULT_ENTRY,
            TransactionHistory(BET_ENTRY, RESULT_ENTRY, CANCEL_ENTRY),
        ),
    ],
)
def test_append_puts_an_entry_in_its_place(
    history: TransactionHistory, entry: Entry, expected: TransactionHistory
) -> None:
    """A cancel is added beside the original entry and the settlement, and both stay."""
    assert history.append(entry) == expected


def test_a_genesis_hash_is_unique_to_its_account() -> None:
    """The hash covers agent, player and currency, and which of them is which."""
    names = [
        ("default", "alice", "USD"),
        ("other", "alice", "USD"),
        ("default", "bob", "USD"),
        ("default", "alice", "EUR"),
    ]
    assert len({compute_genesis_hash(*name) for name in [*names, ("alice", "default", "USD")]}) == 5
    assert compute_genesis_hash("default", "alice", "USD") == HEAD
    assert hashlib.sha256(b'["default", "alice", "USD"]').digest() == HEAD
