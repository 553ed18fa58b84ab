"""A ledger in a dictionary, for tests that need more than one row: it looks up what `decide` wants to know."""

from minwallet.ledger.commands import Bet, Command, Movement, Win
from minwallet.ledger.decide import Account, Round, Session, Snapshot, Trail, decide
from minwallet.ledger.entries import Entry, Kind, State, genesis
from minwallet.ledger.limits import DAY_MS, FREE, Guard, Limit, Spent
from minwallet.ledger.outcomes import Applied, Outcome, Refused
from tests.ledger.builders import LIVE, ME, NEW, NOW_MS, OTHER


class Book:
    """Two players' accounts in one space of ids."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.accounts = {
            ME: Account(ME, 0, 0, genesis("default", "alice", "USD")),
            OTHER: Account(OTHER, 0, 0, genesis("default", "bob", "USD")),
        }
        self.trails: dict[str, Trail] = {}
        self.limits: tuple[Limit, ...] = ()
        self.now_ms = NOW_MS

    def do(
        self, command: Movement, account_id: int = ME, *, session: Session | None = LIVE, is_blocked: bool = False
    ) -> Outcome:
        """Decide, and write the row that the decision makes. The limits are those of both players."""
        trail = self.trails.get(command.id, NEW)
        seq = len(self.entries) + 1
        before = Snapshot(
            "wallet-v2",
            self.accounts[account_id],
            is_blocked,
            session,
            trail,
            self._round(command, trail, account_id),
            seq,
            Guard(limits=self.limits, spent=self.spent(account_id)) if self.limits else FREE,
        )
        outcome = decide(before, command, self.now_ms)
        if isinstance(outcome, Applied | Refused) and (entry := outcome.entry):
            self.entries.append(entry)
            self.trails[command.id] = trail.followed_by(entry)
            after = Account(account_id, entry.cash_after, entry.bonus_after, entry.hash, entry.seq)
            self.accounts[account_id] = after
        return outcome

    def spent(self, account_id: int) -> tuple[Spent, ...]:
        """What each row counts for, on its day."""
        rows = [each for each in self.entries if each.account_id == account_id and each.kind is not Kind.WITHDRAW]
        return tuple(
            Spent(row.at_ms // DAY_MS, *((row.amount, 0) if row.kind is Kind.DEPOSIT else (0, -row.amount)))
            for row in rows
        )

    def _round(self, command: Command, trail: Trail, account_id: int) -> Round:
        id_ = trail.first.round if trail.first else command.round if isinstance(command, Bet | Win) else None
        rows = [each for each in self.entries if id_ and each.round == id_ and each.account_id == account_id]
        return Round(
            any(
                each.kind is Kind.BET and each.state is State.APPLIED and not self._is_cancelled(each) for each in rows
            ),
            any(each.kind is Kind.CANCEL for each in rows),
            max((each.seq for each in rows if each.kind is Kind.WIN), default=0),
        )

    def _is_cancelled(self, entry: Entry) -> bool:
        return self.trails[entry.id].cancelled is not None
