"""The JSON replies, the same for the CLI's `--json` and the admin API.

Amounts are in cents, times are ISO 8601 in UTC, null stands for no value. The docstrings are shown in the
documentation of the admin API.
"""

from collections.abc import Sequence
from typing import Literal

from typing_extensions import TypedDict  # pydantic reads only this one's before Python 3.12

from minwallet.ledger.entries import Entry, Kind, Refusal, State
from minwallet.ledger.limits import LimitKind, LimitPeriod, PlayerRestrictions
from minwallet.operations.timestamps import format_date, format_iso
from minwallet.protocols.operator_service import ReportUnit
from minwallet.storage.models import Agent, JournaledEntry, Player, PlayerStatus, SessionRow
from minwallet.storage.queries import CurrencyBalance, DailyTotalKey, OwnedEntry, Total


class AccountResponse(TypedDict):
    currency: str
    cash: int
    bonus: int


class PlayerResponse(TypedDict):
    """A player and the accounts. `excluded_until` is the end of an exclusion in force; it does not change `status`."""

    player_id: str
    agent: str
    status: PlayerStatus
    excluded_until: str | None
    accounts: list[AccountResponse]


class SessionResponse(TypedDict):
    """`session` is its number, `token` only the beginning of the token; `status` is live, expired or revoked."""

    session: int
    token: str
    currency: str
    created_at: str | None
    expires_at: str | None
    status: Literal["live", "expired", "revoked"]


class NewSessionResponse(TypedDict):
    """`token` is shown only once; `session` is the number that identifies the session later."""

    session: int
    token: str
    player_id: str
    currency: str
    expires_at: str | None


class LimitResponse(TypedDict):
    """`used` of `amount`, in cents; a loss is negative if the player won more. If `next_at` is a time, `next_amount` is
    the limit from then on; null means no limit.
    """

    kind: LimitKind
    per: LimitPeriod
    amount: int | None
    used: int
    next_amount: int | None
    next_at: str | None


class AccountLimitsResponse(TypedDict):
    currency: str
    limits: list[LimitResponse]


class PlayerLimitsResponse(TypedDict):
    """If `next_at` is a time, the exclusion ends at `next_excluded_until` from then on; null means it is over."""

    player_id: str
    agent: str
    excluded_until: str | None
    next_excluded_until: str | None
    next_at: str | None
    accounts: list[AccountLimitsResponse]


class TransferResult(TypedDict):
    """The current balances of the account in cents, and the number of the transaction with this reference."""

    player_id: str
    currency: str
    cash: int
    bonus: int
    seq: int


class AgentSummary(TypedDict):
    name: str
    wallet_token: str
    host_id: str | None


class AgentResponse(AgentSummary):
    service_url: str | None
    game_url: str | None
    report_unit: ReportUnit


class TransactionResponse(TypedDict):
    """A ledger entry. `amount` and `bonus_amount` are the signed changes; a bet's are negative."""

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


class OwnedTransactionResponse(TransactionResponse):
    """A ledger entry and its owner. `amount` and `bonus_amount` are the signed changes; a bet's are negative."""

    agent: str
    player_id: str


class TransactionDetail(OwnedTransactionResponse):
    """`stake` and `payout` are the requested amounts, `detail` other request data, `hash` the entry's chain hash.

    `reference` is the id of the transaction that a rollback reverses.
    """

    stake: int
    payout: int
    refusal: Refusal | None
    detail: str | None
    reference: str | None
    hash: str


class JournaledTransactionResponse(TypedDict):
    """The entry, with the provider's request and the reply while the journal keeps them; without the token."""

    entry: TransactionDetail
    request: str | None
    reply: str | None


class TotalResponse(TypedDict):
    """`ggr` is the gross gaming revenue: staked minus paid minus refunded. `orphan_wins` and `orphan_paid` are the wins
    without a bet, a part of `wins` and `paid`. `adjusted` is the sum of all adjustments, up and down.
    """

    day: str
    agent: str
    currency: str
    protocol: str
    game: str
    bets: int
    staked: int
    wins: int
    paid: int
    orphan_wins: int
    orphan_paid: int
    refunds: int
    refunded: int
    ggr: int
    deposited: int
    withdrawn: int
    adjusted: int


class CurrencyBalanceResponse(TypedDict):
    """The sum of all balances. `entries` is the sum of all ledger entries; `ok` is true if both agree."""

    currency: str
    accounts: int
    cash: int
    bonus: int
    entries: int
    ok: bool


class VerificationResult(TypedDict):
    """The result of recomputing every balance and the hash chain; `problems` has one sentence each."""

    ok: bool
    accounts: int
    entries: int
    problems: list[str]


def build_player_response(found: Player, now_ms: int) -> PlayerResponse:
    accounts = [
        AccountResponse(currency=currency, cash=cash, bonus=bonus) for _, currency, cash, bonus in found.accounts
    ]
    return PlayerResponse(
        player_id=found.player_id,
        agent=found.agent,
        status=found.status,
        excluded_until=format_iso(found.find_exclusion_end(now_ms)),
        accounts=accounts,
    )


def build_player_limits(found: Player, restrictions: Sequence[PlayerRestrictions], now_ms: int) -> PlayerLimitsResponse:
    """Return the player's exclusion and limits. `restrictions` has one element per account, in the same order."""
    exclusion = restrictions[0].exclusion.resolve_exclusion(now_ms)
    accounts = zip(found.accounts, restrictions, strict=True)
    return PlayerLimitsResponse(
        player_id=found.player_id,
        agent=found.agent,
        excluded_until=format_iso(exclusion.value),
        next_excluded_until=format_iso(exclusion.next),
        next_at=format_iso(exclusion.next_at_ms),
        accounts=[
            AccountLimitsResponse(currency=account.currency, limits=_build_limits(account_restrictions, now_ms))
            for account, account_restrictions in accounts
        ],
    )


def _build_limits(restrictions: PlayerRestrictions, now_ms: int) -> list[LimitResponse]:
    """Return the limits in force, deposits first, shorter periods first. A pending limit always has one in force."""
    order = list(LimitPeriod)
    effective = [(kind, per, limit.resolve(now_ms)) for kind, per, limit in restrictions.limits]
    return [
        LimitResponse(
            kind=kind,
            per=per,
            amount=bound.value,
            used=restrictions.sum_usage(kind, per, now_ms),
            next_amount=bound.next,
            next_at=format_iso(bound.next_at_ms),
        )
        for kind, per, bound in sorted(effective, key=lambda each: (each[0], order.index(each[1])))
        if bound.value is not None
    ]


def build_session_response(row: SessionRow, now_ms: int) -> SessionResponse:
    expired = row.expires_at_ms is not None and row.expires_at_ms <= now_ms
    return SessionResponse(
        session=row.session_id,
        token=row.hint,
        currency=row.currency,
        created_at=format_iso(row.created_at_ms),
        expires_at=format_iso(row.expires_at_ms),
        status="revoked" if row.revoked_at_ms is not None else "expired" if expired else "live",
    )


def build_agent_summary(found: Agent) -> AgentSummary:
    return AgentSummary(name=found.name, wallet_token=found.wallet_token, host_id=found.host_id)


def build_agent_response(found: Agent) -> AgentResponse:
    return AgentResponse(
        **build_agent_summary(found),
        service_url=found.service_url,
        game_url=found.game_url,
        report_unit=ReportUnit(found.report_unit),
    )


def build_transaction_response(entry: Entry, currency: str) -> TransactionResponse:
    return TransactionResponse(
        seq=entry.seq,
        at=format_iso(entry.at_ms),
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


def build_owned_transaction(owned_entry: OwnedEntry) -> OwnedTransactionResponse:
    entry, owner = owned_entry
    return OwnedTransactionResponse(
        **build_transaction_response(entry, owner.currency), agent=owner.agent, player_id=owner.player_id
    )


def build_journaled_transaction(journaled_entry: JournaledEntry) -> JournaledTransactionResponse:
    entry, owner, journal_record = journaled_entry
    transaction_detail = TransactionDetail(
        **build_owned_transaction(OwnedEntry(entry, owner)),
        stake=entry.stake,
        payout=entry.payout,
        refusal=entry.refusal,
        detail=entry.detail,
        reference=entry.reference,
        hash=entry.hash.hex(),
    )
    request, reply = journal_record or (None, None)
    return JournaledTransactionResponse(entry=transaction_detail, request=request, reply=reply)


def build_total_response(totals_key: DailyTotalKey, totals: Total) -> TotalResponse:
    return TotalResponse(
        day=format_date(totals_key.day),
        agent=totals_key.agent,
        currency=totals_key.currency,
        protocol=totals_key.protocol,
        game=totals_key.game,
        bets=totals.bets,
        staked=totals.staked,
        wins=totals.wins,
        paid=totals.paid,
        orphan_wins=totals.orphan_wins,
        orphan_paid=totals.orphan_paid,
        refunds=totals.refunds,
        refunded=totals.refunded,
        ggr=totals.ggr,
        deposited=totals.deposited,
        withdrawn=totals.withdrawn,
        adjusted=totals.adjusted,
    )


def build_currency_balance(balance: CurrencyBalance) -> CurrencyBalanceResponse:
    return CurrencyBalanceResponse(
        currency=balance.currency,
        accounts=balance.accounts,
        cash=balance.cash,
        bonus=balance.bonus,
        entries=balance.ledger_total,
        ok=balance.is_consistent,
    )
