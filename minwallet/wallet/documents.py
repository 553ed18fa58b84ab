"""The JSON shapes that people and scripts rely on, the same from the command line and the admin API.

Amounts are cents, times ISO 8601 in UTC. None stands for what there is not.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from typing_extensions import TypedDict  # pydantic reads only this one's before Python 3.12

from minwallet.ledger.entries import Entry, Kind, Refusal, State
from minwallet.ledger.limits import LimitKind, LimitPeriod, PlayerRestrictions
from minwallet.protocols.operator_service import ReportUnit
from minwallet.storage.admin_store import Admin, ApiKey, AuditRecord
from minwallet.storage.models import Agent, JournaledEntry, Player, PlayerStatus, SessionRow
from minwallet.storage.queries import CurrencyBalance, DailyTotalKey, OwnedEntry, Total


class Account(TypedDict):
    currency: str
    cash: int
    bonus: int


class PlayerShown(TypedDict):
    player_id: str
    agent: str
    status: PlayerStatus
    accounts: list[Account]


class Session(TypedDict):
    """`session` numbers it, `token` is only the beginning; `status` is live, expired or revoked."""

    session: int
    token: str
    currency: str
    created_at: str | None
    expires_at: str | None
    status: Literal["live", "expired", "revoked"]


class NewSession(TypedDict):
    """`token` is shown only this once; `session` numbers it from then on."""

    session: int
    token: str
    player_id: str
    currency: str
    expires_at: str | None


class LimitShown(TypedDict):
    """`used` of `amount`, in cents; a loss is negative where more was won. Where `next_at` is a time, `next_amount`
    holds from then on; null is no limit.
    """

    kind: LimitKind
    per: LimitPeriod
    amount: int | None
    used: int
    next_amount: int | None
    next_at: str | None


class AccountLimits(TypedDict):
    currency: str
    limits: list[LimitShown]


class PlayerLimits(TypedDict):
    """Where `next_at` is a time, the exclusion will end at `next_excluded_until` from then on; null is no longer."""

    player_id: str
    agent: str
    excluded_until: str | None
    next_excluded_until: str | None
    next_at: str | None
    accounts: list[AccountLimits]


class Moved(TypedDict):
    """What the account holds now, in cents, and the number of the transaction that the reference stands for."""

    player_id: str
    currency: str
    cash: int
    bonus: int
    seq: int


class AgentNamed(TypedDict):
    name: str
    wallet_token: str
    host_id: str | None


class AgentShown(AgentNamed):
    service_url: str | None
    game_url: str | None
    report_unit: ReportUnit


class Transaction(TypedDict):
    """A row of the ledger. `amount` and `bonus_amount` are the signed changes, a bet's are negative."""

    seq: int
    at: str | None
    kind: Kind
    protocol: str
    id: str
    amount: int
    bonus_amount: int
    cash_after: int
    bonus_after: int
    game: str | None
    round: str | None
    state: State
    currency: str


class OwnedTransaction(Transaction):
    """A row of the ledger and whose it is. `amount` and `bonus_amount` are the signed changes, a bet's are negative."""

    agent: str
    player_id: str


class WholeTransaction(OwnedTransaction):
    """`stake` and `payout` are what was asked for, `detail` what else was said, `hash` the row's place in the chain."""

    stake: int
    payout: int
    refusal: Refusal | None
    detail: str | None
    hash: str


class RecordedTransaction(TypedDict):
    """The row, and the provider's request and the reply word for word, as long as they are kept; no token in them."""

    entry: WholeTransaction
    request: str | None
    reply: str | None


class TotalShown(TypedDict):
    """`ggr` is what was staked less what was paid and given back."""

    day: str
    agent: str
    currency: str
    protocol: str
    game: str
    bets: int
    staked: int
    wins: int
    paid: int
    refunds: int
    refunded: int
    ggr: int
    deposited: int
    withdrawn: int


class HoldingShown(TypedDict):
    """What all players hold. `entries` is what all rows of the ledger come to; `ok` if that is the same."""

    currency: str
    accounts: int
    cash: int
    bonus: int
    entries: int
    ok: bool


class Verified(TypedDict):
    """What recomputing every balance and the hash chain found; `problems` in words."""

    ok: bool
    accounts: int
    entries: int
    problems: list[str]


class KeyShown(TypedDict):
    """`key` is only the beginning; `agent` is None where the key reaches all of them."""

    name: str
    key: str
    scope: str
    agent: str | None
    created_at: str | None
    revoked_at: str | None


class AdminShown(TypedDict):
    """Without a password only links sign in."""

    name: str
    has_password: bool


class ActionShown(TypedDict):
    number: int
    at: str | None
    actor: str
    action: str
    agent: str | None
    subject: str | None
    detail: str
    seq: int | None


def time_text(ms: int | None) -> str | None:
    """ISO 8601 in UTC; None for what never comes."""
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def player(found: Player) -> PlayerShown:
    accounts = [Account(currency=currency, cash=cash, bonus=bonus) for _, currency, cash, bonus in found.accounts]
    return PlayerShown(player_id=found.player_id, agent=found.agent, status=found.status, accounts=accounts)


def player_limits(found: Player, guards: Sequence[PlayerRestrictions], now_ms: int) -> PlayerLimits:
    """What protects the player, where `guards` are those of the accounts."""
    exclusion = guards[0].exclusion.resolve_exclusion(now_ms)
    accounts = zip(found.accounts, guards, strict=True)
    return PlayerLimits(
        player_id=found.player_id,
        agent=found.agent,
        excluded_until=time_text(exclusion.value),
        next_excluded_until=time_text(exclusion.next),
        next_at=time_text(exclusion.next_at_ms),
        accounts=[AccountLimits(currency=account[1], limits=_limits(guard, now_ms)) for account, guard in accounts],
    )


def _limits(guard: PlayerRestrictions, now_ms: int) -> list[LimitShown]:
    """Those that hold, deposits first and the shortest first; what waits is always for one that holds."""
    order = list(LimitPeriod)
    held = [(kind, per, bound.resolve(now_ms)) for kind, per, bound in guard.limits]
    return [
        LimitShown(
            kind=kind,
            per=per,
            amount=bound.value,
            used=guard.sum_usage(kind, per, now_ms),
            next_amount=bound.next,
            next_at=time_text(bound.next_at_ms),
        )
        for kind, per, bound in sorted(held, key=lambda each: (each[0], order.index(each[1])))
        if bound.value is not None
    ]


def session(row: SessionRow, now_ms: int) -> Session:
    expired = row.expires_at_ms is not None and row.expires_at_ms <= now_ms
    return Session(
        session=row.session_id,
        token=row.hint,
        currency=row.currency,
        created_at=time_text(row.created_at_ms),
        expires_at=time_text(row.expires_at_ms),
        status="revoked" if row.revoked_at_ms is not None else "expired" if expired else "live",
    )


def agent(found: Agent) -> AgentNamed:
    return AgentNamed(name=found.name, wallet_token=found.wallet_token, host_id=found.host_id)


def agent_settings(found: Agent) -> AgentShown:
    return AgentShown(
        **agent(found),
        service_url=found.service_url,
        game_url=found.game_url,
        report_unit=ReportUnit(found.report_unit),
    )


def transaction(entry: Entry, currency: str) -> Transaction:
    return Transaction(
        seq=entry.seq,
        at=time_text(entry.at_ms),
        kind=entry.kind,
        protocol=entry.protocol,
        id=entry.id,
        amount=entry.amount,
        bonus_amount=entry.bonus_amount,
        cash_after=entry.cash_after,
        bonus_after=entry.bonus_after,
        game=entry.game,
        round=entry.round,
        state=entry.state,
        currency=currency,
    )


def owned_transaction(listed: OwnedEntry) -> OwnedTransaction:
    entry, owner = listed
    return OwnedTransaction(**transaction(entry, owner.currency), agent=owner.agent, player_id=owner.player_id)


def recorded_transaction(recorded: JournaledEntry) -> RecordedTransaction:
    entry, owner, letters = recorded
    whole = WholeTransaction(
        **owned_transaction(OwnedEntry(entry, owner)),
        stake=entry.stake,
        payout=entry.payout,
        refusal=entry.refusal,
        detail=entry.detail,
        hash=entry.hash.hex(),
    )
    request, reply = letters or (None, None)
    return RecordedTransaction(entry=whole, request=request, reply=reply)


def day_text(day: int) -> str:
    """`2026-11-21` of the days since 1970."""
    return datetime.fromtimestamp(day * 24 * 3600, UTC).strftime("%Y-%m-%d")


def total(heading: DailyTotalKey, sums: Total) -> TotalShown:
    return TotalShown(
        day=day_text(heading.day),
        agent=heading.agent,
        currency=heading.currency,
        protocol=heading.protocol,
        game=heading.game,
        bets=sums.bets,
        staked=sums.staked,
        wins=sums.wins,
        paid=sums.paid,
        refunds=sums.refunds,
        refunded=sums.refunded,
        ggr=sums.ggr,
        deposited=sums.deposited,
        withdrawn=sums.withdrawn,
    )


def holding(held: CurrencyBalance) -> HoldingShown:
    return HoldingShown(
        currency=held.currency,
        accounts=held.accounts,
        cash=held.cash,
        bonus=held.bonus,
        entries=held.ledger_total,
        ok=held.is_consistent,
    )


def key(found: ApiKey) -> KeyShown:
    return KeyShown(
        name=found.name,
        key=found.hint,
        scope=found.scope,
        agent=found.agent,
        created_at=time_text(found.created_at_ms),
        revoked_at=time_text(found.revoked_at_ms),
    )


def admin(found: Admin) -> AdminShown:
    return AdminShown(name=found.name, has_password=found.password is not None)


def action(numbered: AuditRecord) -> ActionShown:
    number, (at_ms, actor, what, agent_name, subject, detail, seq) = numbered
    return ActionShown(
        number=number,
        at=time_text(at_ms),
        actor=actor,
        action=what,
        agent=agent_name,
        subject=subject,
        detail=detail,
        seq=seq,
    )
