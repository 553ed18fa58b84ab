"""A naive model of rollbacks, rounds and groups: it keeps all rows, and looks at them anew for each command."""

from dataclasses import dataclass, field

from minwallet.ledger.commands import Bet, Cancel, EndRound, GameCommand, Rollback, RollbackRound, Win
from tests.wallet.wallet_model import MAX_CENTS, ModelAccount

ExpectedOutcome = tuple[str, int, int]
"""The refusal, or the state of the new row, or "replayed" or "group"; then cash and bonus."""


@dataclass
class ModelRow:
    """A row of the ledger. `asked` is what a rollback was to reverse, `moved` what it did: cash and bonus."""

    kind: str
    id: str
    account: ModelAccount
    round: str | None
    content: tuple[object, ...]
    state: str = "applied"
    refusal: str = ""
    asked: int = 0
    moved: tuple[int, int] = (0, 0)
    reference: str | None = None


@dataclass
class ReversalModel:
    """The answers of a wallet to a protocol with ids per agent, whose bets check their rounds."""

    rows: list[ModelRow] = field(default_factory=list)

    def execute(
        self, account: ModelAccount, session_state: str, commands: list[GameCommand], *, is_settling: bool
    ) -> ExpectedOutcome:
        """Decide one command, or a group. `is_settling` is true if wins without a bet are still paid."""
        before, cash, bonus, result = list(self.rows), account.cash, account.bonus, ""
        for command in commands:
            result, row = self.decide(account, session_state, command, is_settling)
            if row and row.refusal:
                # A group has this row alone, after the rows from before it.
                self.rows = [*before, row]
            if result not in ("applied", "closed", "orphan", "replayed"):
                account.cash, account.bonus = cash, bonus
                self.rows = self.rows if row else before
                return (result, cash, bonus)
            if row:
                self.rows.append(row)
                account.cash += row.moved[0]
                account.bonus += row.moved[1]
        return (result if len(commands) == 1 else "group", account.cash, account.bonus)

    def decide(
        self, account: ModelAccount, session_state: str, command: GameCommand, is_settling: bool
    ) -> tuple[str, ModelRow | None]:
        """Return the result of a command, and its row if it has one."""
        match command:
            case Bet():
                return self._decide_bet(account, session_state, command)
            case Win():
                return self._decide_win(account, session_state, command, is_settling)
            case Cancel():
                return self._decide_cancel(account, command)
            case Rollback():
                return self._decide_rollback(account, command)
            case RollbackRound():
                return self._decide_round(account, command)
            case _:
                assert isinstance(command, EndRound)
                row = ModelRow("end", command.id, account, command.round, (command.round,))
                return self._replay(row) or self._find_closed_id(command.id) or ("applied", row)

    def _decide_bet(self, account: ModelAccount, session_state: str, bet: Bet) -> tuple[str, ModelRow | None]:
        row = ModelRow("bet", bet.id, account, bet.round, (bet.round, bet.stake), asked=bet.stake)
        if found := self._find_closed_id(bet.id) or self._replay(row):
            return self._after_round(row, found)
        if session_state != "yes":
            return (f"session_{session_state}", None)
        cash = min(bet.stake, account.cash)
        if account.blocked or account.excluded or not account.can_bet(bet.stake):
            row.refusal = (
                "player_blocked" if account.blocked else "player_excluded" if account.excluded else "loss_limit"
            )
        elif self._is_round_closed(account, bet.round):
            return ("round_cancelled", None)
        elif bet.stake > account.credit:
            row.refusal = "insufficient_funds"
        else:
            row.moved = (-cash, cash - bet.stake)
        row.state = "refused" if row.refusal else "applied"
        return (row.refusal or "applied", row)

    def _decide_win(
        self, account: ModelAccount, session_state: str, win: Win, is_settling: bool
    ) -> tuple[str, ModelRow | None]:
        content = (win.round, win.payout, win.category)
        row = ModelRow("win", win.id, account, win.round, content, asked=win.payout, moved=(win.payout, 0))
        if self._is_rolled_back(win.id):
            return ("cancelled", None)
        if found := self._replay(row):
            return self._after_round(row, found)
        if self._find_closed_id(win.id):
            return ("id_taken", None)
        has_bet = bool(self._standing(account, win.round, "bet"))
        if session_state != "yes" and not has_bet and not is_settling:
            return (f"session_{session_state}", None)
        has_reversed_bet = any(self._reverses_bet(each) for each in self._in_round(account, win.round))
        if self._is_round_closed(account, win.round) or (has_reversed_bet and not has_bet):
            return ("round_cancelled", None)
        if account.credit + win.payout > MAX_CENTS:
            return ("out_of_range", None)
        if not has_bet and (session_state != "yes" or (win.round is not None and win.category is None)):
            row.state = "orphan"
        return (row.state, row)

    def _decide_cancel(self, account: ModelAccount, cancel: Cancel) -> tuple[str, ModelRow | None]:
        target = self._find(cancel.id)
        if target and target.kind != "bet":
            return ("not_a_bet", None)
        if (owner := self._find_owner(cancel.id)) and owner is not account:
            return ("id_taken", None)
        if any(row.kind == "cancel" and row.id == cancel.id for row in self.rows):
            return ("replayed", None)
        row = ModelRow("cancel", cancel.id, account, target.round if target else cancel.id, ())
        if self._is_rolled_back(cancel.id) or (target and self._is_round_closed(account, target.round)):
            return ("cancelled", None)
        if target is None or target.refusal:
            row.state = "closed"
            return ("closed", row)
        if self._is_settled(target):
            return ("round_settled", None)
        return self._move(row, self._what_is_left(target))

    def _decide_rollback(self, account: ModelAccount, rollback: Rollback) -> tuple[str, ModelRow | None]:
        reference, clamp = rollback.reference, rollback.clamp
        row = ModelRow("rollback", rollback.id, account, None, (), reference=reference, asked=rollback.amount or 0)
        if own := self._find(rollback.id):
            is_same = (own.kind, own.account, own.reference) == ("rollback", account, reference)
            return ("replayed" if is_same and rollback.amount in (None, own.asked) else "id_taken", None)
        if self._find_closed_id(rollback.id):
            return ("cancelled", None)
        target = self._find(reference)
        if (owner := self._find_owner(reference)) and owner is not account:
            return ("id_taken", None)
        if target and target.kind not in ("bet", "win"):
            return ("not_a_bet", None)
        if self._find_closed_id(reference) or (target and self._is_round_closed(account, target.round)):
            return ("cancelled", None)
        row.round = target.round if target else rollback.round
        if target is None or target.refusal:
            row.state = "closed"
            return ("closed", row)
        if target.kind == "bet" and not rollback.even_if_settled and self._is_settled(target):
            return ("round_settled", None)
        left = target.asked - sum(each.asked for each in self._rollbacks(reference))
        row.asked = left if rollback.amount is None else rollback.amount
        if row.asked > left:
            return ("out_of_range", None)
        if target.kind == "win":
            return self._move(row, (-row.asked, 0), clamp=clamp)
        bonus = min(row.asked, self._what_is_left(target)[1])
        return self._move(row, (row.asked - bonus, bonus))

    def _decide_round(self, account: ModelAccount, rollback: RollbackRound) -> tuple[str, ModelRow | None]:
        row = ModelRow("round_rollback", rollback.id, account, rollback.round, (rollback.round,))
        if found := self._replay(row) or self._find_closed_id(rollback.id):
            return found
        if self._is_round_closed(account, rollback.round):
            return ("cancelled", None)
        rows = self._in_round(account, rollback.round)
        moved = (-sum(each.moved[0] for each in rows), -sum(each.moved[1] for each in rows))
        standing = self._standing(account, rollback.round, "bet") + self._standing(account, rollback.round, "win")
        row.state = "applied" if standing or any(moved) else "closed"
        return self._move(row, moved, clamp=rollback.clamp)

    def _move(self, row: ModelRow, moved: tuple[int, int], *, clamp: bool = False) -> tuple[str, ModelRow | None]:
        if row.account.cash + moved[0] < 0:
            if not clamp:
                return ("win_spent", None)
            moved = (-row.account.cash, moved[1])
        if row.account.credit + sum(moved) > MAX_CENTS:
            return ("out_of_range", None)
        row.moved = moved
        return (row.state, row)

    def _replay(self, row: ModelRow) -> tuple[str, None] | None:
        """Return the result of a row whose id is used, None for a new id."""
        used = self._find(row.id)
        if used is None:
            return None
        if (used.kind, used.account, used.content) != (row.kind, row.account, row.content):
            return ("id_taken", None)
        return (used.refusal or "replayed", None)

    def _after_round(self, row: ModelRow, found: tuple[str, None]) -> tuple[str, None]:
        """Return a retry's result. No row of a round that is rolled back is applied any more."""
        is_false = found[0] == "replayed" and self._is_round_closed(row.account, row.round)
        return ("round_cancelled", None) if is_false else found

    def _find(self, id_: str) -> ModelRow | None:
        return next((row for row in self.rows if row.id == id_ and row.kind != "cancel"), None)

    def _find_owner(self, id_: str) -> ModelAccount | None:
        used = self._find(id_)
        closed = [row.account for row in self.rows if (row.kind == "cancel" and row.id == id_) or row.reference == id_]
        return used.account if used else next(iter(closed), None)

    def _find_closed_id(self, id_: str) -> tuple[str, None] | None:
        is_cancelled = any(row.kind == "cancel" and row.id == id_ for row in self.rows)
        return ("cancelled", None) if is_cancelled or self._is_rolled_back(id_) else None

    def _rollbacks(self, id_: str) -> list[ModelRow]:
        return [row for row in self.rows if row.reference == id_]

    def _is_rolled_back(self, id_: str) -> bool:
        rollbacks, target = self._rollbacks(id_), self._find(id_)
        is_tombstone = any(row.state == "closed" for row in rollbacks)
        is_whole = target is not None and sum(row.asked for row in rollbacks) == target.asked
        return bool(rollbacks) and (is_tombstone or is_whole)

    def _in_round(self, account: ModelAccount, round_: str | None) -> list[ModelRow]:
        return [row for row in self.rows if round_ is not None and row.account is account and row.round == round_]

    def _is_round_closed(self, account: ModelAccount, round_: str | None) -> bool:
        return any(row.kind == "round_rollback" for row in self._in_round(account, round_))

    def _standing(self, account: ModelAccount, round_: str | None, kind: str) -> list[ModelRow]:
        rows = [row for row in self._in_round(account, round_) if row.kind == kind and not row.refusal]
        return [row for row in rows if not self._find_closed_id(row.id)]

    def _reverses_bet(self, row: ModelRow) -> bool:
        target = self._find(row.reference) if row.reference else None
        is_whole = target is not None and target.kind == "bet" and self._is_rolled_back(target.id)
        return row.kind == "cancel" or (row.kind == "rollback" and (is_whole or row.state == "closed"))

    def _is_settled(self, bet: ModelRow) -> bool:
        places = {id(row): place for place, row in enumerate(self.rows)}
        wins = self._standing(bet.account, bet.round, "win")
        is_won = any(places[id(win)] > places[id(bet)] for win in wins)
        return is_won and self._standing(bet.account, bet.round, "bet") == [bet]

    def _what_is_left(self, bet: ModelRow) -> tuple[int, int]:
        rows = [bet, *self._rollbacks(bet.id)]
        return (-sum(row.moved[0] for row in rows), -sum(row.moved[1] for row in rows))
