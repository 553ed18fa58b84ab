"""The data that a decision about one command depends on, as the store reads it."""

from typing import NamedTuple

from minwallet.ledger.commands import Bet, BetWin, Cancel, Command, Rollback, RollbackRound, Settle, Win
from minwallet.ledger.entries import Entry, Kind, State, is_wholly_rolled_back
from minwallet.ledger.limits import UNRESTRICTED, PlayerRestrictions


class Account(NamedTuple):
    """One player's money in one currency, in cents.

    `head` and `last_seq` are the hash and the number of its newest entry; the genesis hash and 0 if there is none.
    """

    account_id: int
    cash: int
    bonus: int
    head: bytes
    last_seq: int = 0


class Session(NamedTuple):
    """The end of a session, in ms since 1970 UTC. None in `expires_at_ms`: never; in `revoked_at_ms`: not revoked."""

    expires_at_ms: int | None
    revoked_at_ms: int | None

    def has_ended_for(self, duration_ms: int, now_ms: int) -> bool:
        """Check if the session ended `duration_ms` ago or earlier, by its expiry or revocation, whichever is first."""
        ends = [end for end in (self.expires_at_ms, self.revoked_at_ms) if end is not None]
        return bool(ends) and min(ends) + duration_ms <= now_ms


class TransactionHistory(NamedTuple):
    """The entries that share one transaction id, at most one of each part.

    - `original`: the entry that claimed the id (bet, betwin, win, deposit, withdrawal, adjustment), applied or refused.
    - `settlement`: the result of the original. Only `Settle` makes one, under the id of its bet.
    - `cancellation`: the cancel of the original, or the tombstone of an id that took no money.
    - `rollbacks`: the rollbacks whose reference is this id, oldest first. Their own ids are others.
    """

    original: Entry | None = None
    settlement: Entry | None = None
    cancellation: Entry | None = None
    rollbacks: tuple[Entry, ...] = ()

    @property
    def is_closed(self) -> bool:
        """Check if the id is closed: cancelled, wholly rolled back, or either of them before it took money."""
        return self.cancellation is not None or self.is_rolled_back

    @property
    def is_rolled_back(self) -> bool:
        """Check if the rollbacks reverse the whole original, or closed the id before it took money."""
        return bool(self.rollbacks) and (
            self.original is None
            # A refused bet has no other rollback than a tombstone.
            or self.original.state is State.REFUSED
            or is_wholly_rolled_back(self.original, self.rollbacks)
        )

    def append(self, entry: Entry) -> "TransactionHistory":
        """Return a new history with one more entry of the id; this one stays as it is."""
        if entry.kind is Kind.CANCEL:
            return self._replace(cancellation=entry)
        return self._replace(original=entry) if self.original is None else self._replace(settlement=entry)

    def append_rollback(self, entry: Entry) -> "TransactionHistory":
        """Return a new history with one more rollback that refers to the id; this one stays as it is."""
        return self._replace(rollbacks=(*self.rollbacks, entry))


class Round(NamedTuple):
    """A summary of the account's entries in one round.

    - `standing_bets`: the number of its applied bets that are neither cancelled nor rolled back, by themselves as a
      whole or with the round. A bet after the rollback of its round stands, if it did not check the round.
    - `has_cancelled_bet`: the round has a cancel, or a rollback of a whole bet or of the round. It may be a tombstone.
    - `last_win_seq`: `seq` of the newest win that is not wholly rolled back, 0 if there is none.
    - `is_rolled_back`: the round has a rollback of the round.
    - `cash`, `bonus`: the sums of all changes of the balances by entries of the round.
    - `win_seqs`: `seq` of each win that is not wholly rolled back, in order. Only a Group needs it: if
      its Rollback takes the newest win, the one before it is the newest.
    """

    standing_bets: int = 0
    has_cancelled_bet: bool = False
    last_win_seq: int = 0
    is_rolled_back: bool = False
    cash: int = 0
    bonus: int = 0
    win_seqs: tuple[int, ...] = ()


class Snapshot(NamedTuple):
    """The data that a decision depends on, as read in the database transaction that writes the outcome.

    `session` is None for commands of the operator, which need no session. `next_seq` is the number of the next entry.
    `settle_ms` is the time after a session's end in which a win without a standing bet is paid.
    """

    protocol: str
    account: Account
    is_blocked: bool
    session: Session | None
    history: TransactionHistory
    round: Round
    next_seq: int
    restrictions: PlayerRestrictions = UNRESTRICTED
    settle_ms: int = 0
    referenced: TransactionHistory = TransactionHistory()
    """The history of the id that a Rollback refers to."""


def find_round_id(
    command: Command,
    history: TransactionHistory,
    referenced: TransactionHistory,
    *,
    is_grouped: bool = False,
) -> str | None:
    """Return the round that a snapshot for this command must have, None if the decision depends on no round.

    A later command of a Group may depend on the round of an earlier one. So with `is_grouped`, every bet has one.
    """
    match command:
        case Bet():
            return command.round if is_grouped or command.checks_round else None
        case Win() | RollbackRound():
            return command.round
        case BetWin():
            return command.id if is_grouped or command.checks_round else None
        case Settle():
            bet = history.original if is_grouped or command.checks_round else None
        case Cancel():
            bet = history.original
        case Rollback():
            bet = referenced.original
        case _:
            return None
    return bet.round if bet else None
