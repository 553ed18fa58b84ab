"""What the operator's desk does to protect players: limits of deposits and losses, and exclusion."""

from typing import assert_never

from minwallet.ledger.limits import LimitKind, LimitPeriod, PlayerRestrictions
from minwallet.ledger.money import format_amount
from minwallet.storage.limit_store import LimitChange
from minwallet.storage.models import Player
from minwallet.wallet import documents
from minwallet.wallet.decline import Decline, Why
from minwallet.wallet.moments import minute_text, read_moment, shown
from minwallet.wallet.people import choose_account, find_player
from minwallet.wallet.requests import LONGEST_TTL_S, LimitList, LimitRequest, LimitSet, PlayerExclude, Reply
from minwallet.wallet.service import Wallet

SPANS = {LimitPeriod.DAY: "a day", LimitPeriod.WEEK: "in 7 days", LimitPeriod.MONTH: "in 30 days"}


async def perform(wallet: Wallet, request: LimitRequest) -> Reply:
    """Carry the request out, or raise Decline. May raise StoreError. Answers with all that protects the player then."""
    store, now_ms = wallet.store, wallet.clock_ms()
    player = await find_player(store, request.agent, request.player_id)
    match request:
        case LimitList():
            if request.currency:
                player = player._replace(accounts=(choose_account(player, request.currency),))
        case LimitSet():
            account_id, *_ = choose_account(player, request.currency)
            await store.request_limit(LimitChange(account_id, request.kind, request.per, request.amount), now_ms)
        case PlayerExclude():
            await store.request_exclusion(player.player_key, _read_until(request, now_ms), now_ms)
        case _:
            assert_never(request)
    return await show(wallet, player)


async def show(wallet: Wallet, player: Player) -> documents.PlayerLimits:
    """What protects the player, in these accounts."""
    now_ms = wallet.clock_ms()
    guards = [await wallet.store.find_restrictions(account[0], now_ms) for account in player.accounts]
    return documents.player_limits(player, guards, now_ms)


def exclusion_words(reply: Reply) -> list[str]:
    """Until when the player is excluded, and whether that will change."""
    until, shorter = reply["excluded_until"], reply["next_excluded_until"]
    words = [f"{reply['player_id']} is {f'excluded until {shown(until)}' if until else 'not excluded'}"]
    if reply["next_at"]:
        words.append(f"from {shown(reply['next_at'])} on {f'only until {shown(shorter)}' if shorter else 'no longer'}")
    return words


def why_no_deposit(player_id: str, currency: str, guard: PlayerRestrictions, cents: int, now_ms: int) -> Decline:
    """What a player may not be given, why, and what to do instead."""
    if until_ms := guard.exclusion.resolve_exclusion(now_ms).value:
        reason = f"{player_id} is excluded until {minute_text(until_ms)}; no deposits before then"
        return Decline(reason, why=Why.EXCLUDED, hint="money can be withdrawn")
    uses = guard.usages(LimitKind.DEPOSIT, now_ms)
    if not uses:
        return Decline("the limit has just ended; try again", why=Why.LIMIT_REACHED)
    per, most, used = use = min(uses, key=lambda each: each.cents - each.used)
    day = guard.find_first_allowed_day(LimitKind.DEPOSIT, cents, now_ms)
    choices = [f"deposit at most {format_amount(use.remaining)} now"] if use.remaining else []
    choices += [f"try again from {documents.day_text(day)} on (UTC)"] if day is not None else []
    advice = ", or ".join(choices) or "a higher limit holds 24 hours after it was asked for"
    held = f"{player_id} may deposit {format_amount(most)} {currency} {SPANS[per]}, {format_amount(used)} of it is used"
    return Decline(f"{held}; {advice}", why=Why.LIMIT_REACHED)


def _read_until(request: PlayerExclude, now_ms: int) -> int | None:
    if request.until is None:
        return None
    until_ms = read_moment(request.until)
    if until_ms <= now_ms:
        raise Decline(f"{request.until} is over; nobody is excluded until then")
    if until_ms > now_ms + LONGEST_TTL_S * 1000:
        raise Decline("an exclusion ends within 100 years")
    return until_ms
