"""A ledger in a dictionary, for tests that need more than one entry: it builds the snapshots for `decide`."""

from minwallet.ledger.commands import Bet, Command, MoneyCommand, Win
from minwallet.ledger.decide import Account, Round, Session, Snapshot, TransactionHistory, decide
from minwallet.ledger.entries import Entry, Kind, State, compute_genesis_hash
from minwallet.ledger.limits import UNRESTRICTED, DailyUsage, Limit, PlayerRestrictions
from minwallet.ledger.outcomes import Applied, Outcome, Refused
from minwallet.ledger.time_units import DAY_MS
from tests.ledger.builders import LIVE, ME, NO_HISTORY, NOW_MS, OTHER


class InMemoryLedger:
    """A ledger with the accounts of two players in one space of ids."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.accounts = {
            ME: Account(ME, 0, 0, compute_genesis_hash("default", "alice", "USD")),
            OTHER: Account(OTHER, 0, 0, compute_genesis_hash("default", "bob", "USD")),
        }
        self.histories: dict[str, TransactionHistory] = {}
        self.limits: tuple[Limit, ...] = ()
        self.now_ms = NOW_MS

    def execute(
        self, command: MoneyCommand, account_id: int = ME, *, session: Session | None = LIVE, is_blocked: bool = False
    ) -> Outcome:
        """Decide the command, and write the entry of the decision. The limits apply to both players."""
        history = self.histories.get(command.id, NO_HISTORY)
        seq = len(self.entries) + 1
        before = Snapshot(
            "wallet-v2",
            self.accounts[account_id],
            is_blocked,
            session,
            history,
            self._find_round(command, history, account_id),
            seq,
            PlayerRestrictions(limits=self.limits, daily_usage=self.daily_usage(account_id))
            if self.limits
            else UNRESTRICTED,
        )
        outcome = decide(before, command, self.now_ms)
        if isinstance(outcome, Applied | Refused) and (entry := outcome.entry):
            self.entries.append(entry)
            self.histories[command.id] = history.append(entry)
            after = Account(account_id, entry.cash_after, entry.bonus_after, entry.hash, entry.seq)
            self.accounts[account_id] = after
        return outcome

    def daily_usage(self, account_id: int) -> tuple[DailyUsage, ...]:
        """Return the usage of each entry on its day."""
        uncounted = (Kind.WITHDRAW, Kind.ADJUSTMENT)
        rows = [each for each in self.entries if each.account_id == account_id and each.kind not in uncounted]
        return tuple(
            DailyUsage(row.at_ms // DAY_MS, *((row.amount, 0) if row.kind is Kind.DEPOSIT else (0, -row.amount)))
            for row in rows
        )

    def _find_round(self, command: Command, history: TransactionHistory, account_id: int) -> Round:
        id_ = history.original.round if history.original else command.round if isinstance(command, Bet | Win) else None
        rows = [each for each in self.entries if id_ and each.round == id_ and each.account_id == account_id]
        return Round(
            sum(
                each.kind is Kind.BET and each.state is State.APPLIED and not self._is_cancelled(each) for each in rows
            ),
            any(each.kind is Kind.CANCEL for each in rows),
            max((each.seq for each in rows if each.kind is Kind.WIN), default=0),
        )

    def _is_cancelled(self, entry: Entry) -> bool:
        return self.histories[entry.id].cancellation is not None
