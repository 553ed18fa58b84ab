"""Operations for responsible gaming: limits on deposits and losses, and exclusion."""

from typing import assert_never

from minwallet.ledger.limits import LimitKind, LimitPeriod, PlayerRestrictions
from minwallet.ledger.money import format_amount
from minwallet.operations import schemas
from minwallet.operations.errors import ErrorCode, OperationError
from minwallet.operations.field_types import MAX_TTL_S
from minwallet.operations.players import choose_account, get_player
from minwallet.operations.requests import LimitList, LimitRequest, LimitSet, PlayerExclude, Reply
from minwallet.operations.timestamps import format_date, format_minute, iso_to_minute, parse_timestamp
from minwallet.storage.admin_store import AuditEvent
from minwallet.storage.limit_store import LimitChange
from minwallet.storage.models import Player
from minwallet.wallet.service import Wallet

COOLING_OFF_TEXT = "Bets and deposits are refused until then, and this cannot be shortened for 24 hours."

PERIOD_LABELS = {LimitPeriod.DAY: "a day", LimitPeriod.WEEK: "in 7 days", LimitPeriod.MONTH: "in 30 days"}


async def handle_limits(wallet: Wallet, request: LimitRequest, audit: AuditEvent | None) -> Reply:
    """Execute the request and return all the player's restrictions. A change adds `audit`.

    Raise OperationError or StoreError.
    """
    store, now_ms = wallet.store, wallet.clock_ms()
    player = await get_player(store, request.agent, request.player_id)
    match request:
        case LimitList():
            if request.currency:
                player = player._replace(accounts=(choose_account(player, request.currency),))
        case LimitSet():
            account_id = choose_account(player, request.currency).account_id
            change = LimitChange(account_id, request.kind, request.per, request.amount)
            await store.limits.request_limit(change, now_ms, audit=audit)
        case PlayerExclude():
            until_ms = check_exclusion_end(request, now_ms)
            await store.limits.request_exclusion(player.player_key, until_ms, now_ms, audit=audit)
        case _:
            assert_never(request)
    return await read_player_limits(wallet, player)


async def read_player_limits(wallet: Wallet, player: Player) -> schemas.PlayerLimitsResponse:
    """Return the exclusion of the player, and the limits of the accounts that `player` lists."""
    now_ms = wallet.clock_ms()
    restrictions = [
        await wallet.store.limits.find_restrictions(account.account_id, now_ms) for account in player.accounts
    ]
    return schemas.build_player_limits(player, restrictions, now_ms)


def describe_exclusion(reply: Reply) -> list[str]:
    """Return one or two sentences: the end of the exclusion, and its pending change."""
    until, next_until = reply["excluded_until"], reply["next_excluded_until"]
    sentences = [f"{reply['player_id']} is {f'excluded until {iso_to_minute(until)}' if until else 'not excluded'}"]
    if reply["next_at"]:
        sentences.append(
            f"from {iso_to_minute(reply['next_at'])} on"
            f" {f'only until {iso_to_minute(next_until)}' if next_until else 'no longer'}"
        )
    return sentences


def explain_deposit_refusal(
    player_id: str, currency: str, restrictions: PlayerRestrictions, cents: int, now_ms: int
) -> OperationError:
    """Return the error for a refused deposit: why it is refused, and what is possible instead."""
    if until_ms := restrictions.exclusion.resolve_exclusion(now_ms).value:
        reason = (
            f"{player_id} is excluded until {format_minute(until_ms)}: only withdrawals and adjustments are possible"
        )
        return OperationError(reason, code=ErrorCode.EXCLUDED)
    usages = restrictions.usages(LimitKind.DEPOSIT, now_ms)
    if not usages:
        return OperationError("the limit has ended meanwhile; try again", code=ErrorCode.LIMIT_REACHED)
    per, limit, used = usage = min(usages, key=lambda each: each.cents - each.used)
    day = restrictions.find_first_allowed_day(LimitKind.DEPOSIT, cents, now_ms)
    choices = [f"deposit at most {format_amount(usage.remaining)} now"] if usage.remaining else []
    choices += [f"try again from {format_date(day)} on (UTC)"] if day is not None else []
    advice = ", or ".join(choices) or "a higher limit takes effect 24 hours after it is requested"
    allowed = f"{player_id} may deposit {format_amount(limit)} {currency} {PERIOD_LABELS[per]}"
    status = f"{allowed}, {format_amount(used)} of it is used"
    return OperationError(f"{status}; {advice}", code=ErrorCode.LIMIT_REACHED)


def check_exclusion_end(request: PlayerExclude, now_ms: int) -> int | None:
    """Return the requested end in ms since 1970 UTC, or None. Raise OperationError if it is past or too far away."""
    if request.until is None:
        return None
    until_ms = parse_timestamp(request.until)
    if until_ms <= now_ms:
        raise OperationError(f"invalid until '{request.until}': expected a time in the future")
    if until_ms > now_ms + MAX_TTL_S * 1000:
        raise OperationError(f"invalid until '{request.until}': expected a time within 100 years (36,500 days)")
    return until_ms
