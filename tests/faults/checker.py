"""An independent checker that compares a wallet file with the recorded calls. It shares no code with the wallet. It
knows the tables of the file, the rules of the contract and the hash of a row, and reads the file with SQLite alone.

For n rows and attempts it takes O(n log n): every query about an account's rows is a binary search.

An account's k-th state is its balances after k rows. An answer with a balance must match a state between two bounds:
every row acknowledged before the call was sent is included, and no row whose call was sent after the answer arrived
is included.
"""

import hashlib
import json
import sqlite3
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import closing
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.history import Attempt
from tests.faults.reversal_checks import LedgerRow, ReversalChecker, what_is_left

Codes = Mapping[str, Set[int | str]]

SUCCESS = 0

READ_ROWS = """
    SELECT t.seq, t.at_ms, t.account_id, t.previous_seq, s.protocol, t.kind, t.id, t.round, t.game, t.detail, t.stake,
           t.payout, t.amount, t.bonus_amount, t.cash_after, t.bonus_after, t.state, t.refusal, t.reference, t.hash,
           t.role, t.scope_id
      FROM transactions AS t JOIN id_scopes AS s USING (scope_id) ORDER BY t.seq
"""

READ_ACCOUNTS = """
    SELECT a.account_id, g.name, p.player_id, a.currency, a.cash, a.bonus, a.head, a.last_seq
      FROM accounts AS a JOIN players AS p USING (player_key) JOIN agents AS g USING (agent_id)
"""

READ_ID_SCOPES = """
    SELECT s.scope_id, g.name, s.protocol, s.currency FROM id_scopes AS s JOIN agents AS g USING (agent_id)
"""

OPERATION_ROLES = {
    "bet": 0,
    "betwin": 0,
    "win": 0,
    "result": 1,
    "cancel": 2,
    "refund": 2,
    "deposit": 0,
    "withdraw": 0,
    "adjust": 0,
}
"""The role of an operation's row among the rows of its id."""

ENTRY_KINDS = {"result": "win", "refund": "cancel", "adjust": "adjustment"}

ROLLBACK_ROLE = 0
"""The role of a rollback's row, which has an id of its own, whatever its operation is called."""

SUM_PROTOCOLS = ("wallet-v2", "orbit")
"""The protocols whose answers have the sum of the balances, and whose requests name the round."""

PERMANENT_REFUSAL_CODES: Codes = {"wallet-v2": {104, 105}, "vela": {3}, "orbit": {"INSUFFICIENT_FUNDS"}}
"""The codes of refusals that are written to the ledger; vela's 1 is written only for a blocked player."""

SESSION_ERROR_CODES: Codes = {
    "wallet-v2": {100, 101, 102, 103},
    "vela": {1, 2001},
    "orbit": {"BAD_SESSION", "BAD_PLAYER", "BAD_SIGNATURE"},
}
"""The codes of refusals that are decided before the id is read."""

RETRYABLE_REFUSAL_CODES: Codes = {"wallet-v2": {109, 110}, "vela": {2}, "orbit": {"REFUSED"}}
"""The codes of refusals after which the same call may succeed: its bet or the money was missing."""

OPERATOR, OPENING = "operator", "opening"


class CheckReport(NamedTuple):
    """The problems, as text, and counts of what was checked."""

    problems: list[str]
    counts: Counter[str]


class AccountTimeline:
    """An account's rows in order, and the states that an answer may match."""

    def __init__(self, agent: str, player: str, currency: str, end: tuple[int, int, bytes, int]) -> None:
        self.name = (agent, player, currency)
        self.stored_state = end
        self.rows: list[LedgerRow] = []
        self._lower: tuple[list[float], list[int]] = ([], [])
        self._upper: tuple[list[float], list[int]] = ([], [])
        self._states: dict[tuple[int, int], list[int]] = defaultdict(list)
        self._sums: dict[int, list[int]] = defaultdict(list)

    def __str__(self) -> str:
        return "/".join(self.name)

    def set_bounds(self, sent: dict[int, float], acknowledged: dict[int, float]) -> None:
        """Set when each row, by its seq, was first requested and first acknowledged. An opening row was always
        there."""
        asked = sorted((sent.get(row.seq, 0.0), place) for place, row in enumerate(self.rows, 1))
        told = sorted(
            (acknowledged[row.seq], place) for place, row in enumerate(self.rows, 1) if row.seq in acknowledged
        )
        self._upper = [at for at, _ in asked], [*accumulate((place for _, place in asked), max)]
        self._lower = [at for at, _ in told], [*accumulate((place for _, place in told), max)]
        for place, held in enumerate([(0, 0), *(row.balances_after for row in self.rows)]):
            self._states[held].append(place)
            self._sums[sum(held)].append(place)

    def last_acknowledged_before(self, moment: float) -> int:
        """Return the last row that was acknowledged before this moment."""
        times, places = self._lower
        found = bisect_left(times, moment)
        return places[found - 1] if found else 0

    def last_sent_by(self, moment: float) -> int:
        """Return the last row that was requested by this moment."""
        times, places = self._upper
        found = bisect_right(times, moment)
        return places[found - 1] if found else 0

    def allows_balance(self, attempt: Attempt, at_least: int = 0) -> bool:
        """Return whether the account had the answer's balances at some time between request and answer."""
        if attempt.protocol in SUM_PROTOCOLS:
            places: Sequence[int] = self._sums.get(attempt.balance or 0, ())
        else:
            places = self._states.get((attempt.balance or 0, attempt.balance2 or 0), ())
        first = max(at_least, self.last_acknowledged_before(attempt.sent_at))
        found = bisect_left(places, first)
        return found < len(places) and places[found] <= max(first, self.last_sent_by(attempt.answered_at))


class Checker:
    """The check of one file; `check_file` creates one for each file."""

    def __init__(self, history: Iterable[Attempt]) -> None:
        self.history = list(history)
        self.problems: list[str] = []
        self.counts: Counter[str] = Counter()
        self.accounts: dict[int, AccountTimeline] = {}
        self.by_name: dict[tuple[str, str, str], AccountTimeline] = {}
        self.rows: dict[tuple[int, str, int], LedgerRow] = {}
        self.reversals = ReversalChecker()
        self.row_positions: dict[int, int] = {}
        self.id_scopes: dict[tuple[str, str, str], int] = {}
        self.first_applied_at: dict[int, float] = {}

    def add_problem(self, words: str) -> None:
        self.problems.append(words)

    def read(self, db: sqlite3.Connection) -> None:
        for (found,) in db.execute("PRAGMA integrity_check"):
            if found != "ok":
                self.add_problem(f"integrity_check: {found}")
        for account_id, agent, player, currency, *end in db.execute(READ_ACCOUNTS):
            account = AccountTimeline(agent, player, currency, tuple(end))
            self.accounts[account_id] = self.by_name[account.name] = account
        self.id_scopes = {(agent, protocol, money): id_ for id_, agent, protocol, money in db.execute(READ_ID_SCOPES)}
        for number, row in enumerate(map(LedgerRow._make, db.execute(READ_ROWS)), 1):
            if row.seq != number:
                self.add_problem(f"row {row.seq} is the {number}th")
            account = self.accounts[row.account_id]
            account.rows.append(row)
            self.row_positions[row.seq] = len(account.rows)
            if (key := (row.scope_id, row.id, row.role)) in self.rows:
                self.add_problem(f"row {row.seq}: the id {row.id} is applied a second time")
            self.rows[key] = row
            self.reversals.add(row)
        self.problems += self.reversals.problems
        self.counts.update(rows=len(self.row_positions), accounts=len(self.accounts))

    def check_chains(self) -> None:
        """Check that each account's rows sum to its balance, that they chain up without a gap, and that no balance
        is negative."""
        for account in self.accounts.values():
            cash = bonus = last_seq = 0
            head = hashlib.sha256(json.dumps(account.name).encode()).digest()
            for row in account.rows:
                cash, bonus = cash + row.amount, bonus + row.bonus_amount
                signed = [*row[:2], *row[3:18], *([] if row.reference is None else [row.reference])]
                head = hashlib.sha256(head + json.dumps(signed, separators=(",", ":")).encode()).digest()
                if head != row.hash or row.previous_seq != last_seq:
                    self.add_problem(f"row {row.seq} of {account} breaks the chain")
                if (cash, bonus) != row.balances_after or min(cash, bonus) < 0:
                    self.add_problem(
                        f"row {row.seq} of {account} leaves {row.balances_after} where the rows sum to {cash, bonus}"
                    )
                last_seq, head = row.seq, row.hash
            if account.stored_state != (cash, bonus, head, last_seq):
                self.add_problem(
                    f"{account} holds {account.stored_state[:2]}, its rows sum to {cash, bonus} and end at {last_seq}"
                )

    def check_moves(self) -> None:
        """Check that each row moves what its kind may move, once, and only after the rows of its id on which it
        depends."""
        for (space, id_, _), row in self.rows.items():
            first, settled = self.rows.get((space, id_, 0)), self.rows.get((space, id_, 1))
            if row.moved != self.expected_amounts(row, first):
                self.add_problem(f"row {row.seq}: a {row.kind} of {row.stake}/{row.payout} moved {row.moved}")
            if row.role and first and first.account_id != row.account_id:
                self.add_problem(f"row {row.seq} settles or cancels another account's {first.kind}")
            if row.role == 1 and (first is None or first.state != "applied" or first.seq > row.seq):
                self.add_problem(f"row {row.seq} settles a bet that was not applied")
            if row.role == 2 and row.state == "applied" and (first is None or settled):
                self.add_problem(f"row {row.seq} returns a bet that was not applied, or was settled")
            cancelled = self.rows.get((space, id_, 2))
            if cancelled and row.role < 2 and row.seq > cancelled.seq:
                self.add_problem(f"row {row.seq}: the id {id_} was closed before")

    def expected_amounts(self, row: LedgerRow, first: LedgerRow | None) -> tuple[int, int]:
        """Return the amounts that a row of its kind and state must move, given the balances before it."""
        cash = row.cash_after - row.amount
        if row.state in ("refused", "closed"):
            return (0, 0)
        match row.kind:
            case "bet" | "betwin":
                part = min(row.stake, cash)
                return (row.payout - part, part - row.stake)
            case "win":
                return (row.payout, 0)
            case "cancel":
                rollbacks = self.reversals.rollbacks.get((row.scope_id, row.id), [])
                return what_is_left(first, rollbacks) if first else (0, 0)
            case _:
                # Reversals are checked in the order of the rows, and a transfer may move anything.
                return row.moved

    def find_row(self, said: Attempt) -> LedgerRow | None:
        """Return the row that the call would have made, or None."""
        money = said.currency if said.protocol == "wallet-v2" else ""
        space = self.id_scopes.get((said.agent, said.protocol, money), 0)
        role = OPERATION_ROLES.get(said.operation, -1) if said.reference is None else ROLLBACK_ROLE
        return self.rows.get((space, said.id, role))

    def date_rows(self) -> None:
        """Set when each row was first requested and first acknowledged, or when a call that was not refused could
        have made it first. Report rows without a call."""
        sent: dict[int, float] = {}
        answered: dict[int, float] = {}
        for said in self.history:
            row = self.find_row(said)
            if row is not None and self.is_row_of(row, said):
                sent[row.seq] = min(said.sent_at, sent.get(row.seq, said.sent_at))
                if said.code == SUCCESS or said.code in PERMANENT_REFUSAL_CODES.get(said.protocol, ()):
                    answered[row.seq] = min(said.answered_at, answered.get(row.seq, said.answered_at))
                if said.code in (SUCCESS, None):
                    self.first_applied_at[row.seq] = min(
                        said.answered_at, self.first_applied_at.get(row.seq, said.answered_at)
                    )
        for account in self.accounts.values():
            account.set_bounds(sent, answered)
            for row in account.rows:
                if row.seq in sent:
                    if account.last_acknowledged_before(sent[row.seq]) > self.row_positions[row.seq]:
                        self.add_problem(
                            f"row {row.seq} of {account} stands before what was acknowledged before its call"
                        )
                elif row.protocol != OPENING or row.previous_seq:
                    self.add_problem(f"row {row.seq} of {account} has no call: {row.kind} {row.id}")

    def is_row_of(self, row: LedgerRow, said: Attempt) -> bool:
        """Return whether the row has the content of the call."""
        account = self.accounts[row.account_id]
        if account.name != (said.agent, said.player, said.currency):
            return False
        kind = ENTRY_KINDS.get(said.operation, said.operation)
        if row.kind in ("deposit", "withdraw", "adjustment"):
            moved = said.payout - said.stake
            return row.kind == kind and row.moved == ((0, moved) if said.is_bonus else (moved, 0))
        if row.kind == "cancel":
            return True
        if said.reference is not None:
            # Without an amount the call asks for what is left, and a tombstone has none.
            is_amount = row.state == "closed" or said.payout in (0, row.payout)
            return (row.kind, row.reference) == ("rollback", said.reference) and is_amount
        round_ = said.round if said.protocol in SUM_PROTOCOLS else said.id
        asked = (kind, said.stake, said.payout, said.game, said.id if kind == "bet" and not round_ else round_)
        return (row.kind, row.stake, row.payout, row.game, row.round, row.detail) == (*asked, said.detail)

    def check_answers(self) -> None:
        """Check that acknowledged calls are in the ledger with the balance of the answer, and that refused calls are
        not."""
        for said in self.history:
            self.counts["attempts"] += 1
            if said.code is None:
                self.counts["unanswered"] += 1
                continue
            self.counts["acknowledged" if said.code == SUCCESS else "refused"] += 1
            account = self.by_name.get((said.agent, said.player, said.currency))
            if account is None:
                self.add_problem(f"{_describe_attempt(said)}: the account does not exist")
            elif why := self.find_objection(said, account):
                self.add_problem(f"{_describe_attempt(said)}: {why}")

    def find_objection(self, said: Attempt, account: AccountTimeline) -> str:
        """Return the contradiction between this answer and the ledger, or None."""
        row = self.find_row(said)
        place = (
            self.row_positions[row.seq] if row and row.account_id in self.accounts and self.is_row_of(row, said) else 0
        )
        if said.code != SUCCESS:
            if said.code in PERMANENT_REFUSAL_CODES.get(said.protocol, ()) and not (place and row and row.refusal):
                return "it was refused permanently, but the ledger has no entry of that"
            is_final = said.code not in SESSION_ERROR_CODES.get(said.protocol, ())
            if row and said.code in RETRYABLE_REFUSAL_CODES.get(said.protocol, ()):
                # Both are true if the attempt that made the row came later, or at the same time.
                is_final = self.first_applied_at.get(row.seq, 0.0) <= said.sent_at
            if is_final and place and row and row.state in ("applied", "orphan") and not self.was_closed_later(row):
                return f"it was refused, but row {row.seq} has it"
            return "" if said.balance is None or account.allows_balance(said) else "the account never held that"
        if said.operation in ("credit", "authenticate", "balance"):
            return "" if account.allows_balance(said) else "the account never held that"
        if row is None or not place or row.refusal:
            return "it was acknowledged, but is not in the ledger"
        if said.protocol == "orbit" and said.balance is None:
            return ""  # it is one command of several, and the last one has the balance
        if said.protocol == "wallet-v2":
            return "" if sum(row.balances_after) == said.balance else f"row {row.seq} left {sum(row.balances_after)}"
        return "" if account.allows_balance(said, place) else f"the account never held that from row {row.seq} on"

    def was_closed_later(self, row: LedgerRow) -> bool:
        """Return whether a later row of the id, or a rollback of it, explains the refusal of a repeated call."""
        if self.reversals.rollbacks.get((row.scope_id, row.id)):
            return True
        return row.role < 2 and any((row.scope_id, row.id, role) in self.rows for role in (1, 2) if role > row.role)


def check_file(file: Path, history: Iterable[Attempt]) -> CheckReport:
    """Check a wallet file that is not open, against the history of all calls to it."""
    checker = Checker(history)
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)) as db:
        checker.read(db)
    for look in (checker.check_chains, checker.check_moves, checker.date_rows, checker.check_answers):
        look()
    return CheckReport(checker.problems, checker.counts)


def _describe_attempt(said: Attempt) -> str:
    told: Any = (said.balance, said.balance2) if said.balance2 is not None else said.balance
    return f"{said.protocol} {said.operation} {said.id} of {said.player}, answered {said.code} with {told}"
