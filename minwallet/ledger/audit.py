"""Recompute every balance and the hash chain from the rows alone, in one pass and in the order they were written."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from minwallet.ledger.decide import Account
from minwallet.ledger.entries import Entry, genesis, seal
from minwallet.ledger.money import format_amount


class Owner(NamedTuple):
    """Whose account it is."""

    agent: str
    player_id: str
    currency: str

    def __str__(self) -> str:
        return f"{self.player_id} {self.currency} of agent {self.agent}"


class Audit:
    """Feed it all rows in order of `seq`, then the accounts as they stand: `problems` says in words what is wrong."""

    def __init__(self) -> None:
        self.entries = 0
        self.problems: list[str] = []
        self._accounts: dict[int, Account] = {}
        self._owners: dict[int, Owner] = {}
        self._last_seq = 0

    def meet(self, owners: Mapping[int, Owner]) -> None:
        """The accounts that later rows may belong to."""
        for account_id, owner in owners.items():
            if account_id not in self._owners:
                self._owners[account_id] = owner
                self._accounts[account_id] = Account(account_id, 0, 0, genesis(*owner))

    def feed(self, entries: Iterable[Entry]) -> None:
        """The next rows of the ledger."""
        for entry in entries:
            self._check(entry)

    def _check(self, entry: Entry) -> None:
        self.entries += 1
        account = self._accounts.get(entry.account_id)
        if account is None:
            self.problems.append(f"entry {entry.seq}: belongs to no account")
            return
        owner = self._owners[entry.account_id]
        if entry.seq <= self._last_seq:
            self.problems.append(f"entry {entry.seq} ({owner}): comes after entry {self._last_seq}")
        if seal(entry[:-1], account.head) != entry or entry.previous_seq != account.last_seq:
            self.problems.append(f"entry {entry.seq} ({owner}): the hash chain breaks here; a row was changed or lost")
        cash, bonus = account.cash + entry.amount, account.bonus + entry.bonus_amount
        if (cash, bonus) != (entry.cash_after, entry.bonus_after) or min(cash, bonus) < 0:
            self.problems.append(
                f"entry {entry.seq} ({owner}): leaves {_words(entry.cash_after, entry.bonus_after)}, "
                f"but the entries up to it sum to {_words(cash, bonus)}"
            )
        self._last_seq = entry.seq
        self._accounts[entry.account_id] = Account(entry.account_id, cash, bonus, entry.hash, entry.seq)

    def close(self, accounts: Iterable[Account]) -> None:
        """The accounts as they stand after the last row; every one must have been met."""
        for account in accounts:
            owner, summed = self._owners[account.account_id], self._accounts[account.account_id]
            if (account.cash, account.bonus) != (summed.cash, summed.bonus):
                self.problems.append(
                    f"{owner}: the account holds {_words(account.cash, account.bonus)}, "
                    f"but its entries sum to {_words(summed.cash, summed.bonus)}"
                )
            if (account.head, account.last_seq) != (summed.head, summed.last_seq):
                self.problems.append(f"{owner}: the newest entries are missing; the chain does not end at its head")


def _words(cash: int, bonus: int) -> str:
    return f"cash {format_amount(cash)} and bonus {format_amount(bonus)}"
