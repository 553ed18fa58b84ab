"""Snapshots for the tests of `decide`: everything is fine unless a test says otherwise, and earlier rows are real."""

from typing import NamedTuple

from minwallet.ledger.commands import Command
from minwallet.ledger.decide import Account, Round, Session, Snapshot, Trail, decide
from minwallet.ledger.entries import Entry, genesis
from minwallet.ledger.limits import DAY_MS, FREE, Bound, Guard, Limit, LimitKind, Per, Spent
from minwallet.ledger.outcomes import Applied, Outcome, Refused, Replayed, Shown

NOW_MS = 1_700_000_000_000
CASH, BONUS = 1000, 200
ME, OTHER = 7, 8
HEAD = genesis("default", "alice", "USD")

LIVE = Session(NOW_MS + 1, None)
LASTING = Session(None, None)
EXPIRED = Session(NOW_MS, None)
REVOKED = Session(NOW_MS + 1, NOW_MS - 1)
REVOKED_AND_EXPIRED = Session(NOW_MS, NOW_MS - 1)

TODAY = NOW_MS // DAY_MS

EXCLUDED = Guard(Bound(NOW_MS + 1))

NEW = Trail()
NO_ROUND = Round()


class Verdict(NamedTuple):
    """An outcome as a table states it: what came of it, the money now, and whether a row is written."""

    what: str
    cash: int = CASH
    bonus: int = BONUS
    is_written: bool = False


def verdict(outcome: Outcome) -> Verdict:
    """The outcome in a table's words: shown, replayed, the new row's state, or the refusal."""
    match outcome:
        case Shown(cash, bonus):
            return Verdict("shown", cash, bonus)
        case Applied(entry, cash, bonus):
            assert (entry.cash_after, entry.bonus_after) == (cash, bonus)
            return Verdict(str(entry.state), cash, bonus, is_written=True)
        case Replayed(_, cash, bonus):
            return Verdict("replayed", cash, bonus)
        case Refused(refusal, cash, bonus, entry):
            return Verdict(str(refusal), cash, bonus, is_written=entry is not None)


def snapshot(
    cash: int = CASH,
    bonus: int = BONUS,
    *,
    account_id: int = ME,
    session: Session | None = LIVE,
    is_blocked: bool = False,
    trail: Trail = NEW,
    round_: Round = NO_ROUND,
    seq: int = 100,
    head: bytes = HEAD,
    last_seq: int = 0,
    guard: Guard = FREE,
) -> Snapshot:
    """An active player in a live session, with money and no history."""
    account = Account(account_id, cash, bonus, head, last_seq)
    return Snapshot("wallet-v2", account, is_blocked, session, trail, round_, seq, guard)


def limited(kind: LimitKind, cents: int | None, used: int = 0) -> Guard:
    """A daily limit, of which so much is used today; what there was on other days is no matter."""
    others = (Spent(TODAY - 1, 9_999, 9_999),)
    today = Spent(TODAY, used, 0) if kind is LimitKind.DEPOSIT else Spent(TODAY, 0, used)
    return Guard(limits=(Limit(kind, Per.DAY, Bound(cents)),), spent=(*others, today))


def row(outcome: Outcome) -> Entry:
    """The row that an outcome writes."""
    assert isinstance(outcome, Applied | Refused)
    assert outcome.entry is not None
    return outcome.entry


def seen(
    *commands: Command,
    cash: int = CASH,
    bonus: int = BONUS,
    account_id: int = ME,
    is_blocked: bool = False,
    guard: Guard = FREE,
) -> Trail:
    """The rows that these commands left under their id, one after the other, in an account that began so."""
    trail = NEW
    for seq, command in enumerate(commands, 10):
        before = snapshot(cash, bonus, account_id=account_id, is_blocked=is_blocked, trail=trail, seq=seq, guard=guard)
        entry = row(decide(before, command, NOW_MS - 1000))
        cash, bonus, trail = entry.cash_after, entry.bonus_after, trail.followed_by(entry)
    return trail
