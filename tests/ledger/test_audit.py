"""The audit: an untouched history verifies, and whatever was done to it is named."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from minwallet.ledger.audit import AccountRef, Audit
from minwallet.ledger.commands import Bet, Cancel, Deposit, Win, Withdraw
from minwallet.ledger.decide import Account
from minwallet.ledger.entries import Entry, State, chain_entry
from tests.ledger.builders import ME, OTHER
from tests.ledger.in_memory_ledger import InMemoryLedger

ACCOUNT_REFS = {ME: AccountRef("default", "alice", "USD"), OTHER: AccountRef("default", "bob", "USD")}
ALICE = "alice USD of agent default"

Entries = Sequence[Entry]


def build_ledger() -> InMemoryLedger:
    """Seven rows: 1 to 6 but the second are alice's, who ends with 1000 cash and 130 bonus."""
    ledger = InMemoryLedger()
    ledger.execute(Deposit("r1", 1000, 200))
    ledger.execute(Deposit("r2", 500), OTHER)
    ledger.execute(Bet("3", 1070, "3", "1012"))
    ledger.execute(Win("4", 900, "3", "1012"))
    ledger.execute(Bet("5", 5000, "5"))
    ledger.execute(Deposit("r3", 100))
    ledger.execute(Withdraw("r4", 500), OTHER)
    return ledger


def find_problems(entries: Entries, accounts: Sequence[Account]) -> list[str]:
    """What is wrong with these rows and accounts."""
    auditor = Audit()
    auditor.register(ACCOUNT_REFS)
    auditor.add(entries)
    auditor.finish(accounts)
    assert auditor.entry_count == len(entries)
    return auditor.problems


def problems_after(change: Callable[[list[Entry]], None]) -> list[str]:
    """What the audit says once somebody has changed the rows, and left the accounts alone."""
    book = build_ledger()
    rows = list(book.entries)
    change(rows)
    return find_problems(rows, list(book.accounts.values()))


def chain_break_at(seq: int, owner: str = ALICE) -> str:
    return f"entry {seq} ({owner}): the hash chain breaks here; a row was changed or lost"


def test_a_clean_history_verifies() -> None:
    """Bets, wins, refusals, deposits and withdrawals of two players: no problems."""
    book = build_ledger()
    assert book.accounts[ME][1:3] == (1000, 130)
    assert find_problems(book.entries, list(book.accounts.values())) == []


def test_an_empty_wallet_verifies() -> None:
    """Accounts without rows hold nothing, and that is right."""
    assert find_problems([], list(InMemoryLedger().accounts.values())) == []


def test_rows_may_be_added_in_pages() -> None:
    """Rows and owners come as they are read; meeting an account again forgets nothing."""
    book = build_ledger()
    auditor = Audit()
    for entry in book.entries:
        auditor.register({entry.account_id: ACCOUNT_REFS[entry.account_id]})
        auditor.add([entry])
    auditor.finish(book.accounts.values())
    assert auditor.problems == []


def test_a_changed_amount_is_named() -> None:
    """The row no longer fits its hash nor its balance, and the account no longer fits the sum."""

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


def test_a_field_of_another_kind_is_named() -> None:
    """A damaged file may have text where numbers belong; the other rows are looked at all the same."""

    def change(rows: list[Entry]) -> None:
        rows[2] = rows[2]._replace(amount="x")  # type: ignore[arg-type]  # as a damaged file has it

    problems = problems_after(change)
    assert problems[:3] == [
        chain_break_at(3),
        "entry 3: a field has the wrong type",
        chain_break_at(4),
    ]


def test_an_account_without_a_player_is_reported() -> None:
    """Its player is gone; the other accounts are looked at all the same."""
    nobody = Account(99, 1, 0, b"", 0)
    assert find_problems([], [nobody, *InMemoryLedger().accounts.values()]) == ["account 99: has no player"]


@pytest.mark.parametrize(
    ("field", "value"), [("id", "44"), ("game", None), ("at_ms", 1), ("stake", 1), ("state", State.ORPHAN)]
)
def test_a_changed_field_is_named(field: str, value: Any) -> None:  # noqa: ANN401 whatever the field holds
    """A change that no balance shows breaks the chain at that very row."""

    def change(rows: list[Entry]) -> None:
        rows[2] = rows[2]._replace(**{field: value})

    assert problems_after(change) == [chain_break_at(3)]


def test_a_changed_hash_is_named() -> None:
    """The row does not fit its hash, and the next one does not follow from it."""

    def change(rows: list[Entry]) -> None:
        rows[2] = rows[2]._replace(hash=bytes(32))

    assert problems_after(change) == [chain_break_at(3), chain_break_at(4)]


def test_a_removed_row_is_named() -> None:
    """The row after it does not follow, and what it moved is missing."""
    problems = problems_after(lambda rows: rows.__delitem__(2))
    assert problems[0] == chain_break_at(4)
    assert f"{ALICE}: the account holds cash 10.00 and bonus 1.30" in problems[-1]


def test_a_removed_refusal_is_named() -> None:
    """Nothing moved in it, and still it is missed."""
    assert problems_after(lambda rows: rows.__delitem__(4)) == [chain_break_at(6)]


def test_missing_newest_rows_are_named() -> None:
    """Nothing follows them, but the account's head does."""
    assert problems_after(lambda rows: rows.__delitem__(5)) == [
        f"{ALICE}: the account holds cash 10.00 and bonus 1.30, but its entries sum to cash 9.00 and bonus 1.30",
        f"{ALICE}: the newest entries are missing; the chain does not end at its head",
    ]


def test_swapped_rows_are_named() -> None:
    """The one that came too late is named, and the chain breaks at both."""

    def change(rows: list[Entry]) -> None:
        rows[2], rows[3] = rows[3], rows[2]

    problems = problems_after(change)
    assert chain_break_at(4) in problems
    assert f"entry 3 ({ALICE}): comes after entry 4" in problems
    assert chain_break_at(3) in problems


def test_a_row_twice_is_named() -> None:
    """A copy does not follow from its original."""
    problems = problems_after(lambda rows: rows.insert(6, rows[5]))
    assert f"entry 6 ({ALICE}): comes after entry 6" in problems
    assert chain_break_at(6) in problems


def test_a_wrong_previous_row_is_named() -> None:
    """The number of the row before is checked against what was seen, even where the hash was made to fit."""

    def change(rows: list[Entry]) -> None:
        rows[5] = chain_entry(rows[5]._replace(previous_seq=4)[:-1], rows[4].hash)

    assert problems_after(change)[0] == chain_break_at(6)


def test_a_row_of_another_player_is_named() -> None:
    """A row that changes owners fits neither chain."""

    def change(rows: list[Entry]) -> None:
        rows[6] = rows[6]._replace(account_id=ME)

    assert chain_break_at(7) in problems_after(change)


def test_a_row_without_an_account_is_reported() -> None:
    """A row whose account does not exist cannot be checked, and is a problem by itself."""

    def change(rows: list[Entry]) -> None:
        rows[6] = rows[6]._replace(account_id=99)

    assert problems_after(change)[0] == "entry 7: account 99 does not exist"


def test_an_overdrawn_balance_is_named() -> None:
    """Sums that agree are not enough: no balance is ever negative."""

    def change(rows: list[Entry]) -> None:
        rows[6] = chain_entry(rows[6]._replace(amount=-501, cash_after=-1)[:-1], rows[1].hash)

    assert problems_after(change)[0] == (
        "entry 7 (bob USD of agent default): leaves cash -0.01 and bonus 0.00, "
        "but the entries up to it sum to cash -0.01 and bonus 0.00"
    )


def test_a_forged_history_does_not_end_at_the_head() -> None:
    """Whoever changes a row and recomputes every later hash still has to change the account."""

    def change(rows: list[Entry]) -> None:
        rows[4] = chain_entry(rows[4]._replace(stake=1)[:-1], rows[3].hash)
        rows[5] = chain_entry(rows[5][:-1], rows[4].hash)

    assert problems_after(change) == [f"{ALICE}: the newest entries are missing; the chain does not end at its head"]


@pytest.mark.parametrize(("field", "words"), [("cash", "cash 10.01 and bonus 1.30"), ("bonus", "cash 10.00 and bonus")])
def test_a_wrong_balance_is_named(field: str, words: str) -> None:
    """The account's own figures must be the sums of its rows."""
    book = build_ledger()
    mine = book.accounts[ME]
    wrong = mine._replace(cash=1001) if field == "cash" else mine._replace(bonus=0)
    (problem,) = find_problems(book.entries, [wrong, book.accounts[OTHER]])
    assert problem.startswith(f"{ALICE}: the account holds {words}")
    assert problem.endswith("but its entries sum to cash 10.00 and bonus 1.30")


@pytest.mark.parametrize("field", ["head", "last_seq"])
def test_a_wrong_head_is_named(field: str) -> None:
    """The account must end where its rows end, by hash and by number."""
    book = build_ledger()
    mine = book.accounts[ME]
    wrong = mine._replace(head=bytes(32)) if field == "head" else mine._replace(last_seq=5)
    assert find_problems(book.entries, [wrong, book.accounts[OTHER]]) == [
        f"{ALICE}: the newest entries are missing; the chain does not end at its head"
    ]


def test_a_cancelled_bet_verifies() -> None:
    """Money that went back is money that adds up."""
    book = build_ledger()
    book.execute(Bet("8", 1100, "8"))
    book.execute(Cancel("8"))
    assert book.accounts[ME][1:3] == (1000, 130)
    assert find_problems(book.entries, list(book.accounts.values())) == []
