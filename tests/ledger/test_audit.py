"""The audit: an unchanged history verifies, and each change of it is reported."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from minwallet.ledger.audit import AccountRef, Audit
from minwallet.ledger.commands import Adjust, Bet, Cancel, Deposit, Win, Withdraw
from minwallet.ledger.entries import Entry, State, chain_entry
from minwallet.ledger.snapshot import Account
from tests.ledger.builders import ME, OTHER
from tests.ledger.in_memory_ledger import InMemoryLedger

ACCOUNT_REFS = {ME: AccountRef("default", "alice", "USD"), OTHER: AccountRef("default", "bob", "USD")}
ALICE = "alice USD of agent default"

Entries = Sequence[Entry]


def build_ledger() -> InMemoryLedger:
    """Return a ledger with eight entries. Entries 1 and 3 to 6 belong to alice, who ends with 1000 cash and 130
    bonus."""
    ledger = InMemoryLedger()
    ledger.execute(Deposit("r1", 1000, 200))
    ledger.execute(Deposit("r2", 500), OTHER)
    ledger.execute(Bet("3", 1070, "3", "1012"))
    ledger.execute(Win("4", 900, "3", "1012"))
    ledger.execute(Bet("5", 5000, "5"))
    ledger.execute(Deposit("r3", 100))
    ledger.execute(Withdraw("r4", 500), OTHER)
    ledger.execute(Adjust("r5", 70, 7), OTHER)
    return ledger


def find_problems(entries: Entries, accounts: Sequence[Account]) -> list[str]:
    """Return the problems that the audit finds in these entries and accounts."""
    auditor = Audit()
    auditor.register(ACCOUNT_REFS)
    auditor.add(entries)
    auditor.finish(accounts)
    assert auditor.entry_count == len(entries)
    return auditor.problems


def problems_after(change: Callable[[list[Entry]], None]) -> list[str]:
    """Return the problems that the audit finds after a change of the entries, with unchanged accounts."""
    book = build_ledger()
    rows = list(book.entries)
    change(rows)
    return find_problems(rows, list(book.accounts.values()))


def chain_break_at(seq: int, owner: str = ALICE) -> str:
    return f"entry {seq} ({owner}): the hash chain breaks here; a row was changed or lost"


def test_a_clean_history_verifies() -> None:
    """Bets, wins, refusals, deposits, withdrawals and adjustments of two players have no problems."""
    book = build_ledger()
    assert book.accounts[ME][1:3] == (1000, 130)
    assert find_problems(book.entries, list(book.accounts.values())) == []


def test_an_empty_wallet_verifies() -> None:
    """An account without entries holds nothing."""
    assert find_problems([], list(InMemoryLedger().accounts.values())) == []


def test_rows_may_be_added_in_pages() -> None:
    """Entries and accounts may be added in pieces, and an account may be registered twice."""
    book = build_ledger()
    auditor = Audit()
    for entry in book.entries:
        auditor.register({entry.account_id: ACCOUNT_REFS[entry.account_id]})
        auditor.add([entry])
    auditor.finish(book.accounts.values())
    assert auditor.problems == []


def test_a_changed_amount_is_reported() -> None:
    """The entry does not match its hash or its balance, and the account does not match the sum."""

    def change(rows: list[Entry]) -> None:
        rows[3] = rows[3]._replace(amount=901)

    assert problems_after(change) == [
        chain_break_at(4),
        f"entry 4 ({ALICE}): leaves cash 9.00 and bonus 1.30, but the entries up to it sum to cash 9.01 and bonus 1.30",
        f"entry 5 ({ALICE}): leaves cash 9.00 and bonus 1.30, but the entries up to it sum to cash 9.01 and bonus 1.30",
        f"entry 6 ({ALICE}): leaves cash 10.00 and bonus 1.30, "
        "but the entries up to it sum to cash 10.01 and bonus 1.30",
        f"{ALICE}: the account holds cash 10.00 and bonus 1.30, but its entries sum to cash 10.01 and bonus 1.30",
    ]


def test_a_field_of_another_type_is_reported() -> None:
    """A damaged file may have text instead of a number; the other entries are checked too."""

    def change(rows: list[Entry]) -> None:
        rows[2] = rows[2]._replace(amount="x")  # type: ignore[arg-type]  # as a damaged file has it

    problems = problems_after(change)
    assert problems[:3] == [
        chain_break_at(3),
        "entry 3: a field has the wrong type",
        chain_break_at(4),
    ]


def test_an_account_without_a_player_is_reported() -> None:
    """The other accounts are checked too."""
    nobody = Account(99, 1, 0, b"", 0)
    assert find_problems([], [nobody, *InMemoryLedger().accounts.values()]) == ["account 99: has no player"]


@pytest.mark.parametrize(
    ("field", "value"), [("id", "44"), ("game", None), ("at_ms", 1), ("stake", 1), ("state", State.ORPHAN)]
)
def test_a_changed_field_is_reported(field: str, value: Any) -> None:  # noqa: ANN401 whatever the field holds
    """A change that affects no balance breaks the chain at the changed entry."""

    def change(rows: list[Entry]) -> None:
        rows[2] = rows[2]._replace(**{field: value})

    assert problems_after(change) == [chain_break_at(3)]


def test_a_changed_hash_is_reported() -> None:
    """The entry does not match its hash, and the next entry does not match either."""

    def change(rows: list[Entry]) -> None:
        rows[2] = rows[2]._replace(hash=bytes(32))

    assert problems_after(change) == [chain_break_at(3), chain_break_at(4)]


def test_a_removed_entry_is_reported() -> None:
    """The next entry breaks the chain, and the amount of the removed entry is missing."""
    problems = problems_after(lambda rows: rows.__delitem__(2))
    assert problems[0] == chain_break_at(4)
    assert f"{ALICE}: the account holds cash 10.00 and bonus 1.30" in problems[-1]


def test_a_removed_refusal_is_reported() -> None:
    """A refusal moves no money, but the next entry breaks the chain."""
    assert problems_after(lambda rows: rows.__delitem__(4)) == [chain_break_at(6)]


def test_missing_newest_entries_are_reported() -> None:
    """No entry follows them, but the head of the account does not match."""
    assert problems_after(lambda rows: rows.__delitem__(5)) == [
        f"{ALICE}: the account holds cash 10.00 and bonus 1.30, but its entries sum to cash 9.00 and bonus 1.30",
        f"{ALICE}: the newest entries are missing; the chain does not end at its head",
    ]


def test_swapped_entries_are_reported() -> None:
    """The entry in the wrong order is reported, and the chain breaks at both entries."""

    def change(rows: list[Entry]) -> None:
        rows[2], rows[3] = rows[3], rows[2]

    problems = problems_after(change)
    assert chain_break_at(4) in problems
    assert f"entry 3 ({ALICE}): comes after entry 4" in problems
    assert chain_break_at(3) in problems


def test_a_repeated_entry_is_reported() -> None:
    """A copy of an entry does not follow from its original."""
    problems = problems_after(lambda rows: rows.insert(6, rows[5]))
    assert f"entry 6 ({ALICE}): comes after entry 6" in problems
    assert chain_break_at(6) in problems


def test_a_wrong_previous_entry_is_reported() -> None:
    """The number of the previous entry is checked even if the hash matches."""

    def change(rows: list[Entry]) -> None:
        rows[5] = chain_entry(rows[5]._replace(previous_seq=4)[:-1], rows[4].hash)

    assert problems_after(change)[0] == chain_break_at(6)


def test_an_entry_of_another_player_is_reported() -> None:
    """An entry that changes its account breaks both chains."""

    def change(rows: list[Entry]) -> None:
        rows[6] = rows[6]._replace(account_id=ME)

    assert chain_break_at(7) in problems_after(change)


def test_an_entry_without_an_account_is_reported() -> None:
    """An entry whose account does not exist is a problem itself."""

    def change(rows: list[Entry]) -> None:
        rows[6] = rows[6]._replace(account_id=99)

    assert problems_after(change)[0] == "entry 7: account 99 does not exist"


def test_a_negative_balance_is_reported() -> None:
    """A negative balance is a problem even if the sums match."""

    def change(rows: list[Entry]) -> None:
        rows[6] = chain_entry(rows[6]._replace(amount=-501, cash_after=-1)[:-1], rows[1].hash)

    assert problems_after(change)[0] == (
        "entry 7 (bob USD of agent default): leaves cash -0.01 and bonus 0.00, "
        "but the entries up to it sum to cash -0.01 and bonus 0.00"
    )


def test_a_recomputed_chain_does_not_end_at_the_head() -> None:
    """If an entry is changed and all later hashes are recomputed, the head of the account does not match."""

    def change(rows: list[Entry]) -> None:
        rows[4] = chain_entry(rows[4]._replace(stake=1)[:-1], rows[3].hash)
        rows[5] = chain_entry(rows[5][:-1], rows[4].hash)

    assert problems_after(change) == [f"{ALICE}: the newest entries are missing; the chain does not end at its head"]


@pytest.mark.parametrize(("field", "words"), [("cash", "cash 10.01 and bonus 1.30"), ("bonus", "cash 10.00 and bonus")])
def test_a_wrong_balance_is_reported(field: str, words: str) -> None:
    """The balances of an account must be the sums of its entries."""
    book = build_ledger()
    mine = book.accounts[ME]
    wrong = mine._replace(cash=1001) if field == "cash" else mine._replace(bonus=0)
    (problem,) = find_problems(book.entries, [wrong, book.accounts[OTHER]])
    assert problem.startswith(f"{ALICE}: the account holds {words}")
    assert problem.endswith("but its entries sum to cash 10.00 and bonus 1.30")


@pytest.mark.parametrize("field", ["head", "last_seq"])
def test_a_wrong_head_is_reported(field: str) -> None:
    """The account's last hash and last number must be those of its newest entry."""
    book = build_ledger()
    mine = book.accounts[ME]
    wrong = mine._replace(head=bytes(32)) if field == "head" else mine._replace(last_seq=5)
    assert find_problems(book.entries, [wrong, book.accounts[OTHER]]) == [
        f"{ALICE}: the newest entries are missing; the chain does not end at its head"
    ]


def test_a_cancelled_bet_verifies() -> None:
    """A bet and its cancel sum to zero."""
    book = build_ledger()
    book.execute(Bet("8", 1100, "8"))
    book.execute(Cancel("8"))
    assert book.accounts[ME][1:3] == (1000, 130)
    assert find_problems(book.entries, list(book.accounts.values())) == []
