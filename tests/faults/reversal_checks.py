"""The check of rollbacks, rolled-back rounds and ended rounds in a ledger. It shares no code with the wallet.

It reads the rows in order, and recomputes from the rows before each one what it may move.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple


class LedgerRow(NamedTuple):
    """A row of the ledger, as it is in the file."""

    seq: int
    at_ms: int
    account_id: int
    previous_seq: int
    protocol: str
    kind: str
    id: str
    round: str | None
    game: str | None
    detail: str | None
    stake: int
    payout: int
    amount: int
    bonus_amount: int
    cash_after: int
    bonus_after: int
    state: str
    refusal: str | None
    reference: str | None
    hash: bytes
    role: int
    scope_id: int

    @property
    def balances_after(self) -> tuple[int, int]:
        return self.cash_after, self.bonus_after

    @property
    def moved(self) -> tuple[int, int]:
        return self.amount, self.bonus_amount


def what_is_left(bet: LedgerRow, rollbacks: Iterable[LedgerRow]) -> tuple[int, int]:
    """Return the cash and bonus that a bet took and its rollbacks have not returned."""
    rows = [bet, *rollbacks]
    return -sum(row.amount for row in rows), -sum(row.bonus_amount for row in rows)


class ReversalChecker:
    """The check of the rows of one ledger, in the order of `seq`."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.rollbacks: dict[tuple[int, str], list[LedgerRow]] = defaultdict(list)
        self._parts: dict[tuple[int, str, int], LedgerRow] = {}
        self._rounds: dict[tuple[int, int, str | None], list[LedgerRow]] = defaultdict(list)

    def add(self, row: LedgerRow) -> None:
        """Check the next row."""
        match row.kind:
            case "rollback":
                self._check(row, self._find_rollback_mistake(row))
            case "round_rollback":
                self._check(row, self._find_round_mistake(row))
            case "round_end":
                self._check(row, "moves money" if row.moved != (0, 0) else "")
            case "bet" | "betwin" | "win" if row.state in ("applied", "orphan"):
                self._check(row, "was rolled back before" if self._is_gone(row) else "")
        self._parts[row.scope_id, row.id, row.role] = row
        if row.reference is not None:
            self.rollbacks[row.scope_id, row.reference].append(row)
        if row.round is not None:
            self._rounds[row.account_id, row.scope_id, row.round].append(row)

    def _check(self, row: LedgerRow, mistake: str) -> None:
        if mistake:
            self.problems.append(f"row {row.seq}: the {row.kind} {row.id} {mistake}")

    def _find_rollback_mistake(self, row: LedgerRow) -> str:
        assert row.reference is not None
        target = self._parts.get((row.scope_id, row.reference, 0))
        if (row.scope_id, row.reference, 2) in self._parts or self._is_reversed(row.scope_id, row.reference):
            return "reverses a second time"
        if target is None or target.state == "refused":
            return "" if (row.state, *row.moved) == ("closed", 0, 0) else "reverses nothing, and is no tombstone"
        if row.state != "applied" or target.account_id != row.account_id or target.kind not in ("bet", "betwin", "win"):
            return "has a target that it may not reverse"
        # A settled bet may be reversed: the protocol may allow it, and the row does not say so.
        if self._is_round_closed(target):
            return "has a target of a closed round"
        before = self.rollbacks[row.scope_id, row.reference]
        asked = row.stake if target.kind == "win" else row.payout
        is_too_much = asked + _sum_asked(before) > (target.payout if target.kind == "win" else target.stake)
        if is_too_much or row.stake + row.payout != asked:
            return "reverses more than its target"
        cash, bonus = what_is_left(target, before)
        if target.kind == "win":
            cash, bonus = -asked, 0
        elif target.kind == "bet":
            bonus = min(asked, bonus)
            cash = asked - bonus
        return _compare(row, cash, bonus)

    def _find_round_mistake(self, row: LedgerRow) -> str:
        if self._is_round_closed(row):
            return "reverses a round a second time"
        rows = self._rounds[row.account_id, row.scope_id, row.round]
        return _compare(row, -sum(each.amount for each in rows), -sum(each.bonus_amount for each in rows))

    def _is_gone(self, row: LedgerRow) -> bool:
        return self._is_round_closed(row) or (row.role == 0 and bool(self.rollbacks.get((row.scope_id, row.id))))

    def _is_round_closed(self, row: LedgerRow) -> bool:
        rows = self._rounds.get((row.account_id, row.scope_id, row.round), ())
        return row.round is not None and any(each.kind == "round_rollback" for each in rows)

    def _is_reversed(self, scope_id: int, id_: str) -> bool:
        rollbacks, target = self.rollbacks.get((scope_id, id_), []), self._parts.get((scope_id, id_, 0))
        if not rollbacks or target is None:
            return bool(rollbacks)
        asked = target.payout if target.kind == "win" else target.stake
        return rollbacks[0].state == "closed" or _sum_asked(rollbacks) >= asked


def _sum_asked(rollbacks: Iterable[LedgerRow]) -> int:
    return sum(row.stake + row.payout for row in rollbacks)


def _compare(row: LedgerRow, cash: int, bonus: int) -> str:
    """Return the mistake of a row that should move this, or take the cash that was there if there was less."""
    had = row.cash_after - row.amount
    return "" if row.moved == (max(cash, -had), bonus) else f"moves {row.moved} instead of {cash, bonus}"
