"""Snapshots for the tests of `decide`: by default every check succeeds, and earlier entries come from `decide`
itself."""

from typing import NamedTuple

from minwallet.ledger.commands import Command, Rollback
from minwallet.ledger.decide import decide
from minwallet.ledger.entries import Entry, compute_genesis_hash
from minwallet.ledger.limits import (
    UNRESTRICTED,
    DailyUsage,
    EffectiveValue,
    Limit,
    LimitKind,
    LimitPeriod,
    PlayerRestrictions,
)
from minwallet.ledger.outcomes import Applied, BalanceShown, GroupApplied, Outcome, Refused, Replayed
from minwallet.ledger.snapshot import Account, Round, Session, Snapshot, TransactionHistory
from minwallet.ledger.time_units import DAY_MS

NOW_MS = 1_700_000_000_000
CASH, BONUS = 1000, 200
ME, OTHER = 7, 8
HEAD = compute_genesis_hash("default", "alice", "USD")

LIVE = Session(NOW_MS + 1, None)
WITHOUT_EXPIRY = Session(None, None)
EXPIRED = Session(NOW_MS, None)
REVOKED = Session(NOW_MS + 1, NOW_MS - 1)
REVOKED_AND_EXPIRED = Session(NOW_MS, NOW_MS - 1)

TODAY = NOW_MS // DAY_MS

EXCLUDED = PlayerRestrictions(EffectiveValue(NOW_MS + 1))

NO_HISTORY = TransactionHistory()
NO_ROUND = Round()


class OutcomeSummary(NamedTuple):
    """An outcome in a decision table: its result, the balances after it, and whether an entry is written."""

    result: str
    cash: int = CASH
    bonus: int = BONUS
    is_written: bool = False


def summarize(outcome: Outcome) -> OutcomeSummary:
    """Return the summary of an outcome. Its result is `shown`, `replayed`, the new entry's state, or the refusal."""
    match outcome:
        case BalanceShown(cash, bonus):
            return OutcomeSummary("shown", cash, bonus)
        case Applied(entry, cash, bonus):
            assert (entry.cash_after, entry.bonus_after) == (cash, bonus)
            return OutcomeSummary(str(entry.state), cash, bonus, is_written=True)
        case Replayed(_, cash, bonus):
            return OutcomeSummary("replayed", cash, bonus)
        case GroupApplied(_, cash, bonus):
            return OutcomeSummary("group", cash, bonus, is_written=True)
        case Refused(refusal, cash, bonus, entry):
            return OutcomeSummary(str(refusal), cash, bonus, is_written=entry is not None)


def snapshot(
    cash: int = CASH,
    bonus: int = BONUS,
    *,
    account_id: int = ME,
    session: Session | None = LIVE,
    is_blocked: bool = False,
    history: TransactionHistory = NO_HISTORY,
    round_: Round = NO_ROUND,
    seq: int = 100,
    head: bytes = HEAD,
    last_seq: int = 0,
    restrictions: PlayerRestrictions = UNRESTRICTED,
    settle_ms: int = 0,
    referenced: TransactionHistory = NO_HISTORY,
) -> Snapshot:
    """Return a snapshot of an active player in a live session, with money and no history."""
    account = Account(account_id, cash, bonus, head, last_seq)
    return Snapshot(
        "wallet-v2", account, is_blocked, session, history, round_, seq, restrictions, settle_ms, referenced
    )


def daily_limit(kind: LimitKind, cents: int | None, used: int = 0) -> PlayerRestrictions:
    """Return a daily limit of which `used` cents are used today. Usage of other days does not count."""
    others = (DailyUsage(TODAY - 1, 9_999, 9_999),)
    today = DailyUsage(TODAY, used, 0) if kind is LimitKind.DEPOSIT else DailyUsage(TODAY, 0, used)
    return PlayerRestrictions(
        limits=(Limit(kind, LimitPeriod.DAY, EffectiveValue(cents)),), daily_usage=(*others, today)
    )


def written_entry(outcome: Outcome) -> Entry:
    """Return the entry that an outcome writes."""
    assert isinstance(outcome, Applied | Refused)
    assert outcome.entry is not None
    return outcome.entry


def history_of(
    *commands: Command,
    cash: int = CASH,
    bonus: int = BONUS,
    account_id: int = ME,
    is_blocked: bool = False,
    restrictions: PlayerRestrictions = UNRESTRICTED,
) -> TransactionHistory:
    """Return the history of one id after these commands, in an account that starts with `cash` and `bonus`.

    Each rollback refers to this id, and has an id of its own.
    """
    history = NO_HISTORY
    for seq, command in enumerate(commands, 10):
        is_rollback = isinstance(command, Rollback)
        before = snapshot(
            cash,
            bonus,
            account_id=account_id,
            is_blocked=is_blocked,
            history=NO_HISTORY if is_rollback else history,
            referenced=history if is_rollback else NO_HISTORY,
            seq=seq,
            restrictions=restrictions,
        )
        entry = written_entry(decide(before, command, NOW_MS - 1000))
        cash, bonus = entry.cash_after, entry.bonus_after
        history = history.append_rollback(entry) if is_rollback else history.append(entry)
    return history
