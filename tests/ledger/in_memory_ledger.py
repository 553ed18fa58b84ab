"""A ledger in a dictionary, for tests that need more than one entry: it builds the snapshots for `decide`."""

from minwallet.ledger.commands import Deposit, Group, MoneyCommand, Rollback
from minwallet.ledger.decide import decide
from minwallet.ledger.decide_group import decide_group
from minwallet.ledger.entries import Entry, Kind, State, compute_genesis_hash
from minwallet.ledger.limits import UNRESTRICTED, DailyUsage, Limit, PlayerRestrictions
from minwallet.ledger.outcomes import Outcome, list_new_entries
from minwallet.ledger.snapshot import Account, Round, Session, Snapshot, TransactionHistory, find_round_id
from minwallet.ledger.time_units import DAY_MS
from tests.ledger.builders import BONUS, CASH, LIVE, ME, NO_HISTORY, NOW_MS, OTHER

UNCOUNTED = (Kind.WITHDRAW, Kind.ADJUSTMENT)


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
        self,
        command: MoneyCommand | Group,
        account_id: int = ME,
        *,
        session: Session | None = LIVE,
        is_blocked: bool = False,
        settle_ms: int = 0,
    ) -> Outcome:
        """Decide the command, and write the entries of the decision. The limits apply to both players."""
        commands = command.commands if isinstance(command, Group) else (command,)
        snapshots = [
            self._make_snapshot(each, account_id, session, is_blocked, is_grouped=isinstance(command, Group))
            for each in commands
        ]
        snapshots = [each._replace(settle_ms=settle_ms) for each in snapshots]
        outcome: Outcome
        if isinstance(command, Group):
            outcome = decide_group(snapshots, commands, self.now_ms)
        else:
            outcome = decide(snapshots[0], command, self.now_ms)
        for entry in list_new_entries(outcome):
            self._write(entry)
        return outcome

    def _write(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.histories[entry.id] = self.histories.get(entry.id, NO_HISTORY).append(entry)
        if entry.reference is not None:
            referenced = self.histories.get(entry.reference, NO_HISTORY)
            self.histories[entry.reference] = referenced.append_rollback(entry)
        after = Account(entry.account_id, entry.cash_after, entry.bonus_after, entry.hash, entry.seq)
        self.accounts[entry.account_id] = after

    def _make_snapshot(
        self, command: MoneyCommand, account_id: int, session: Session | None, is_blocked: bool, *, is_grouped: bool
    ) -> Snapshot:
        history = self.histories.get(command.id, NO_HISTORY)
        referenced = self.histories.get(command.reference, NO_HISTORY) if isinstance(command, Rollback) else NO_HISTORY
        round_id = find_round_id(command, history, referenced, is_grouped=is_grouped)
        return Snapshot(
            "wallet-v2",
            self.accounts[account_id],
            is_blocked,
            session,
            history,
            self.find_round(round_id, account_id),
            len(self.entries) + 1,
            PlayerRestrictions(limits=self.limits, daily_usage=self.daily_usage(account_id))
            if self.limits
            else UNRESTRICTED,
            referenced=referenced,
        )

    def daily_usage(self, account_id: int) -> tuple[DailyUsage, ...]:
        """Return the usage of each entry on its day."""
        rows = [each for each in self.entries if each.account_id == account_id and each.kind not in UNCOUNTED]
        return tuple(
            DailyUsage(row.at_ms // DAY_MS, *((row.amount, 0) if row.kind is Kind.DEPOSIT else (0, -row.amount)))
            for row in rows
        )

    def find_round(self, round_id: str | None, account_id: int) -> Round:
        """Return the summary of the account's round, from its entries alone."""
        rows = [each for each in self.entries if round_id and each.round == round_id and each.account_id == account_id]
        rollback_seq = max((row.seq for row in rows if row.kind is Kind.ROUND_ROLLBACK), default=0)
        later_bets = [
            row for row in rows if row.kind is Kind.BET and row.state is State.APPLIED and row.seq > rollback_seq
        ]
        win_seqs = tuple(row.seq for row in rows if row.kind is Kind.WIN and not self._is_rolled_back(row))
        return Round(
            sum(not self.histories[row.id].is_closed for row in later_bets),
            any(self._reverses_bet(row) for row in rows),
            max(win_seqs, default=0),
            rollback_seq > 0,
            sum(row.amount for row in rows),
            sum(row.bonus_amount for row in rows),
            win_seqs,
        )

    def _is_rolled_back(self, win: Entry) -> bool:
        """Check if a win is rolled back. The rollbacks of a result's id are those of its bet."""
        history = self.histories[win.id]
        return history.original == win and history.is_rolled_back

    def _reverses_bet(self, row: Entry) -> bool:
        """Check if the entry is a cancel, a rollback of the round, or one of a bet that is reversed as a whole."""
        if row.kind is not Kind.ROLLBACK:
            return row.kind in (Kind.CANCEL, Kind.ROUND_ROLLBACK)
        assert row.reference is not None
        history = self.histories[row.reference]
        is_of_bet = history.original is not None and history.original.kind is not Kind.WIN
        return row.state is State.CLOSED or (is_of_bet and history.is_rolled_back)


def execute_all(*commands: MoneyCommand | Group, account_id: int = ME) -> Outcome:
    """Return the outcome of the last of these commands of the first player, who has 1000 cash and 200 bonus.

    The others are those of `account_id`. Both players have the same money.
    """
    ledger = InMemoryLedger()
    for each in (ME, OTHER):
        ledger.execute(Deposit(f"d{each}", CASH, BONUS), each)
    for command in commands[:-1]:
        ledger.execute(command, account_id)
    return ledger.execute(commands[-1])
