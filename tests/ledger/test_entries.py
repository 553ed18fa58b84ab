"""The hash chain: the hash of an entry covers all its fields and the previous entry."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.ledger.commands import (
    Bet,
    BetWin,
    Cancel,
    Deposit,
    EndRound,
    MoneyCommand,
    Rollback,
    RollbackRound,
    Settle,
    Win,
)
from minwallet.ledger.decide import decide
from minwallet.ledger.entries import Entry, Kind, Refusal, State, chain_entry, compute_genesis_hash, find_open_bets
from tests.ledger.builders import HEAD, ME, NOW_MS, OTHER, snapshot, written_entry
from tests.ledger.in_memory_ledger import InMemoryLedger

ENTRY = written_entry(decide(snapshot(), Bet("3", 500, "3", "1012", '{"key":"red"}'), NOW_MS))

CHANGES: dict[str, Any] = {
    "seq": 101,
    "at_ms": NOW_MS + 1,
    "previous_seq": 1,
    "protocol": "vela",
    "kind": Kind.BETWIN,
    "id": "4",
    "round": None,
    "game": "",
    "detail": None,
    "stake": 501,
    "payout": 1,
    "amount": -501,
    "bonus_amount": 1,
    "cash_after": 501,
    "bonus_after": 201,
    "state": State.ORPHAN,
    "refusal": Refusal.CANCELLED,
    "reference": "9",
}


@pytest.mark.parametrize("field", CHANGES)
def test_the_hash_covers_every_field(field: str) -> None:
    """A change of any field changes the hash."""
    changed = ENTRY._replace(**{field: CHANGES[field]})
    assert chain_entry(changed[:-1], HEAD).hash != ENTRY.hash


def test_the_table_has_all_hashed_fields() -> None:
    """The table above has all fields except the hash and the account's number, which the genesis hash covers."""
    assert {*CHANGES, "account_id", "hash"} == set(Entry._fields)


def test_the_hash_covers_the_previous_hash() -> None:
    """The same fields after another head have another hash."""
    assert chain_entry(ENTRY[:-1], b"another head").hash != ENTRY.hash


numbers, texts = st.integers(-(2**63), 2**63 - 1), st.none() | st.text()


@given(
    st.tuples(*4 * [numbers], st.sampled_from(["wallet-v2", "vela"]), st.sampled_from(Kind)),
    st.tuples(*4 * [texts], *6 * [numbers]),
    st.tuples(st.sampled_from(State), st.none() | st.sampled_from(Refusal), texts),
)
def test_the_hash_can_be_recomputed(who: tuple[Any, ...], what: tuple[Any, ...], how: tuple[Any, ...]) -> None:
    """The hash is SHA-256 over the head and the fields as compact JSON, without the account's number.

    Only a rollback has a reference. The hash of any other entry is as it was before rollbacks existed.
    """
    fields = (*who, *what, *how)
    hashed = fields if fields[-1] is not None else fields[:-1]
    signed = json.dumps([*hashed[:2], *hashed[3:]], separators=(",", ":")).encode()
    assert [*chain_entry(fields, HEAD)] == [*fields, hashlib.sha256(HEAD + signed).digest()]


@pytest.mark.parametrize("owner", [("other", "alice", "USD"), ("default", "bob", "USD"), ("default", "alice", "EUR")])
def test_the_genesis_hash_covers_the_owner(owner: tuple[str, str, str]) -> None:
    """Agent, player and currency are in the chain from the start, so entries cannot change their owner."""
    assert compute_genesis_hash(*owner) != HEAD


def test_an_accounts_entries_form_a_chain() -> None:
    """Each entry covers the hash of the account's previous entry, whatever other accounts wrote in between."""
    book = InMemoryLedger()
    book.execute(Deposit("r1", 1000), ME)
    book.execute(Deposit("r2", 1000), OTHER)
    book.execute(Bet("3", 10, "3"), ME)
    book.execute(Cancel("3"), ME)
    mine = [entry for entry in book.entries if entry.account_id == ME]
    assert [entry.previous_seq for entry in mine] == [0, 1, 3]
    head = compute_genesis_hash("default", "alice", "USD")
    for entry in mine:
        assert chain_entry(entry[:-1], head) == entry
        head = entry.hash


def test_an_entry_has_time_number_and_protocol() -> None:
    """The time is the one given to `decide`, and the number is the next one of the store."""
    assert (ENTRY.seq, ENTRY.at_ms, ENTRY.account_id, ENTRY.protocol) == (100, NOW_MS, ME, "wallet-v2")


@pytest.mark.parametrize(
    ("commands", "open_ids"),
    [
        ([Bet("1", 1, "1"), Bet("2", 1, "2")], ["1", "2"]),
        ([Bet("1", 1, "1"), Cancel("1"), Bet("2", 1, "1")], ["2"]),
        ([Bet("1", 1, "1"), Win("2", 0, "1")], []),
        ([Bet("1", 1, "1"), Win("2", 0, "1"), Bet("3", 1, "1")], ["3"]),
        ([Bet("1", 1, "1"), Win("2", 0, "1"), Bet("3", 1, "1"), Win("4", 0, "1")], []),
        ([Bet("1", 1, "1"), Win("2", 0)], ["1"]),
        ([Bet("1", 99, "1"), BetWin("2", 1, 1), Cancel("3")], []),
        ([Bet("1", 4, "1"), Rollback("2", "1")], []),
        ([Bet("1", 4, "1"), Rollback("2", "1", 3)], ["1"]),
        ([Bet("1", 4, "1"), Rollback("2", "1", 3), Rollback("3", "1", 1)], []),
        ([Bet("1", 4, "1"), Rollback("2", "1", 3), Settle("1", 2)], []),
        ([Bet("1", 4, "1"), Rollback("2", "1", 3), Settle("1", 0)], []),
        ([Bet("1", 4, "1"), Win("2", 3, "1"), Rollback("3", "2", 2)], []),
        ([Bet("1", 4, "1"), Win("2", 3, "1"), Rollback("3", "2")], ["1"]),
        ([Bet("1", 4, "1"), Win("2", 3, "1"), Win("3", 3, "1"), Rollback("4", "3")], []),
        ([Bet("1", 4, "1"), Win("2", 3, "1"), Rollback("3", "1", even_if_settled=True)], []),
        ([Bet("1", 4, "1"), Win("2", 3, "1"), Rollback("3", "1", 1, even_if_settled=True)], []),
        ([Bet("1", 1, "1"), Bet("2", 1, "2"), EndRound("3", "1"), Bet("4", 1, "1")], ["2", "4"]),
        ([Bet("1", 1, "1"), Bet("2", 1, "2"), RollbackRound("3", "1")], ["2"]),
    ],
)
def test_open_bets_are_applied_and_neither_settled_nor_reversed(
    commands: list[MoneyCommand], open_ids: list[str]
) -> None:
    """A standing win, an end or a rollback of a round settles its bets before it, in any order of the entries given."""
    ledger = InMemoryLedger()
    for command in [Deposit("d", 10), *commands]:
        ledger.execute(command)
    assert [entry.id for entry in find_open_bets(ledger.entries)] == open_ids
    assert [entry.id for entry in find_open_bets(ledger.entries[::-1])] == open_ids[::-1]


def test_the_first_entry_of_a_ledger_can_be_an_open_bet() -> None:
    """A bet of 0 needs no deposit before it, so its number may be 1."""
    ledger = InMemoryLedger()
    ledger.execute(Bet("1", 0, "1"))
    (entry,) = find_open_bets(ledger.entries)
    assert entry.seq == 1


@pytest.mark.parametrize(
    "reversals",
    [
        [Rollback("3", "1", 3), Settle("1", 2)],
        [Rollback("3", "1", 0), Settle("1", 0)],
        [Settle("1", 2), Rollback("3", "1", 3, even_if_settled=True)],
        [Settle("1", 2), Rollback("3", "1", even_if_settled=True)],
    ],
)
def test_a_result_stays_whatever_is_refunded_of_its_bet(reversals: list[MoneyCommand]) -> None:
    """The refunds of an id with a result are those of the bet, also if the bet is not among the entries."""
    ledger = InMemoryLedger()
    for command in [Deposit("d", 10), Bet("1", 4, "9"), Bet("2", 4, "9"), *reversals]:
        ledger.execute(command)
    later = [entry for entry in ledger.entries if entry.seq > 2]
    assert find_open_bets(ledger.entries) == find_open_bets(later) == []
    ledger.execute(Bet("4", 1, "9"))
    assert [entry.id for entry in find_open_bets([*later, ledger.entries[-1]])] == ["4"]
