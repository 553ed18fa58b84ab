"""The audit of a ledger: it recomputes every balance and the hash chain from the rows alone.

One pass over all rows is enough, in the order in which they were written. Memory grows with the accounts, not with the
rows: each account needs only its balances so far, its newest hash and the `seq` of its newest row.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from minwallet.ledger.entries import compute_genesis_hash, hash_entry
from minwallet.ledger.money import format_amount
from minwallet.ledger.snapshot import Account


class AccountRef(NamedTuple):
    """The owner and the currency of one account."""

    agent: str
    player_id: str
    currency: str

    def __str__(self) -> str:
        return f"{self.player_id} {self.currency} of agent {self.agent}"


EntryRow = Sequence[Any]
"""The fields of an Entry in their order, with the types that the store found.

The audit does not build an Entry from a row: it reads many millions of rows and keeps none of them.
"""


class Audit:
    """The audit of some accounts: `register` them, `add` their rows in order of `seq`, then `finish`.

    `problems` has one message for each error found. The audit never compares the rows of two accounts, so several
    audits may each take a part of the accounts.
    """

    def __init__(self) -> None:
        self.entry_count = 0
        self.problems: list[str] = []
        # Each account's cash, bonus, head and last_seq, as its rows so far leave them.
        self._accounts: dict[int, tuple[int, int, bytes, int]] = {}
        self._refs: dict[int, AccountRef] = {}
        self._last_seq = 0

    def register(self, refs: Mapping[int, AccountRef]) -> None:
        """Register accounts, before any of their rows is added; ignore those registered before."""
        for account_id, ref in refs.items():
            if account_id not in self._refs:
                self._refs[account_id] = ref
                self._accounts[account_id] = (0, 0, compute_genesis_hash(*ref), 0)

    def add(self, rows: Iterable[EntryRow]) -> None:
        """Check the next rows of the ledger."""
        for row in rows:
            try:
                self._check_row(row)
            except TypeError:
                # Only a damaged file has text in place of a number.
                self.problems.append(f"entry {row[0]}: a field has the wrong type")

    def _check_row(self, row: EntryRow) -> None:
        self.entry_count += 1
        seq, _, account_id, previous_seq = row[:4]
        amount, bonus_amount, cash_after, bonus_after, _, _, _, hash_ = row[12:]
        account = self._accounts.get(account_id)
        if account is None:
            self.problems.append(f"entry {seq}: account {account_id} does not exist")
            return
        cash, bonus, head, last_seq = account
        if seq <= self._last_seq:
            self._add_problem(row, f"comes after entry {self._last_seq}")
        if hash_entry(row, head) != hash_ or previous_seq != last_seq:
            self._add_problem(row, "the hash chain breaks here; a row was changed or lost")
        cash += amount
        bonus += bonus_amount
        if cash != cash_after or bonus != bonus_after or cash < 0 or bonus < 0:
            stated, computed = _describe_balances(cash_after, bonus_after), _describe_balances(cash, bonus)
            self._add_problem(row, f"leaves {stated}, but the entries up to it sum to {computed}")
        self._last_seq = seq
        # Continue from the row's own hash, even if it is wrong. Otherwise every later row would be a problem too.
        self._accounts[account_id] = (cash, bonus, hash_, seq)

    def _add_problem(self, row: EntryRow, message: str) -> None:
        self.problems.append(f"entry {row[0]} ({self._refs[row[2]]}): {message}")

    def finish(self, accounts: Iterable[Account]) -> None:
        """Compare the accounts that the store holds with the rows; call this after the last row."""
        for account in accounts:
            if account.account_id not in self._refs:
                self.problems.append(f"account {account.account_id}: has no player")
                continue
            ref, (cash, bonus, head, last_seq) = self._refs[account.account_id], self._accounts[account.account_id]
            if (account.cash, account.bonus) != (cash, bonus):
                self.problems.append(
                    f"{ref}: the account holds {_describe_balances(account.cash, account.bonus)}, "
                    f"but its entries sum to {_describe_balances(cash, bonus)}"
                )
            if (account.head, account.last_seq) != (head, last_seq):
                self.problems.append(f"{ref}: the newest entries are missing; the chain does not end at its head")


def _describe_balances(cash: int, bonus: int) -> str:
    return f"cash {format_amount(cash)} and bonus {format_amount(bonus)}"
