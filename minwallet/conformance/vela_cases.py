"""What a wallet that speaks vela must and should do. The quotations are from "Vela Gaming: Common Wallet"."""

from collections.abc import Mapping, Sequence
from typing import Any

from minwallet.conformance.dsl import (
    ACCEPTED,
    ALL,
    EMPTY,
    NO_STORE,
    All,
    AmountSpec,
    Case,
    ProtocolSuite,
    RequestSpec,
    ResponseCheck,
    balance_change,
    cite_contract,
    concurrently,
    field_matches,
    http_status,
    is_nonempty_text,
    is_whole_cents,
    must,
    parse_whole_cents,
    should,
)
from minwallet.ledger.commands import Authenticate, Bet, BetWin, Cancel, Settle
from minwallet.ledger.money import MAX_CENTS, MAX_ID
from minwallet.protocols.registry import load_protocol

GET = "All methods support uses HTTP GET verb in the system."
BALANCE = "Current Balance of the player (in cents)"
BALANCE2 = "Extra wallet Balance of the player (in cents) If don't have, just return zero."
POINTS = "Current POINTS of the player (in cents)"
MEMBER = "Unique ID of the player"
CURRENCY = "Currency code"
INVALID_TOKEN = "1 | Invalid Token"  # noqa: S105 the name of a status, not a token
ERROR = '{ "status_code": 1, "message": "Invalid Token" }'
TICKET = "ticket_id | uint64 | Unique ID of the transaction on the Operator side."
INVALID_TICKET = "2 | Invalid Transaction ID"
BET = "When the game places a bet, it will call Operator's API to deduct player's wallet."
TOTAL_BET = "total_bet | uint64 | Total betting POINTS (in Cents)"
FUNDS = "3 | Insufficient Funds"
RESULT = "This API will be called despite a winning bet or losing bet."
LOST_BET = "If it’s a losing bet, the total win is return as 0. Otherwise, the total win amount will be returned."  # noqa: RUF001 quoted as it is written
TOTAL_WIN = "total_win | uint64 | Total winning POINTS (in Cents)"
TOTAL_USED = (
    "(Optional) This is an additional parameter that will only present in action games (i.e. Blue Ocean, Safari"
    " Hunter, and Bird of Paradise)."
)
REFUND = "This API is to cancel the latest Bet call if system error occurred."
BETWIN = "The game will call this Operator API to deduct or deposit their wallet."

CODES = {1: "Invalid Token", 2: "Invalid Transaction ID", 3: "Insufficient Funds"}
BAD_ROW = "a required parameter missing, empty, given twice, or not ASCII digits in range: 2001; a bad ticket_id: 2"
BALANCE_ROW = "balance and balance2 too wherever the session is known"
REUSED_ID_ROW = "same ticket, other content: 2"

GAME = {"game_code": "fish"}

authenticate = RequestSpec("authenticate", "authenticate", lambda _: Authenticate(), changes=GAME)


def bet(id: str, stake: AmountSpec, key: str = "small", game: str = "fish") -> RequestSpec:
    detail = f'{{"key":"{key}"}}'
    return RequestSpec(
        "bet",
        f"bet {id} {stake}",
        lambda names: Bet(names.resolve_id(id), names.resolve_amount(stake), names.resolve_id(id), game, detail),
    )


def result(id: str, payout: int, used: int | None = None) -> RequestSpec:
    detail = None if used is None else f'{{"total_used":{used}}}'
    name = f"result {id} {payout}"
    return RequestSpec("result", name, lambda names: Settle(names.resolve_id(id), payout, "fish", detail))


def betwin(id: str, stake: AmountSpec, payout: AmountSpec) -> RequestSpec:
    return RequestSpec(
        "betwin",
        f"betwin {id} {stake} {payout}",
        lambda names: BetWin(names.resolve_id(id), names.resolve_amount(stake), names.resolve_amount(payout), "fish"),
    )


def refund(id: str) -> RequestSpec:
    return RequestSpec("refund", f"refund {id}", lambda names: Cancel(names.resolve_id(id)), changes=GAME)


def code(number: int, row: str = "") -> ResponseCheck:
    because = cite_contract(row or f"{number} {CODES[number]}")
    return ResponseCheck("code", f"code {number}", lambda came, _: f"code {came.code}", because)


SAME_PARTS = ResponseCheck(
    *("parts", "cash and bonus as before"),
    lambda came, start: "cash and bonus as before" if came.balance == start else f"{came.balance} instead of {start}",
    cite_contract("refund: 0, both parts returned"),
)


def malformed(name: str, ask: RequestSpec, spec: str = "", number: int = 2001) -> Case:
    """Nothing moves, and the wallet says that the request makes no sense; a must where the specification says why."""
    rule = "A request that nobody can carry out as it stands is refused."
    placed, money = ([bet("a", 5).accepted(-5)], -5) if ask.operation == "result" else ([], 0)
    if spec:
        return must(name, rule, spec, *placed, ask.refused(money, should=code(number, BAD_ROW)))
    return should(name, rule, BAD_ROW, *placed, ask.refused(money, check=code(number, BAD_ROW)))


def twice(value: str) -> list[str]:
    return [value, value]


def wide(digits: str) -> str:
    """The same digits as Chinese and Japanese texts have them, which a careless parser takes."""
    return "".join(chr(0xFF10 + int(digit)) for digit in digits)


def negative(digits: str) -> str:
    return f"-{digits}"


# The cases are a table: a rule with its sentence, and below it the steps.
# fmt: off
ANSWERS = (
    must("balance-is-whole-cents", "The balance is a whole number of cents, without a point.", BALANCE,
         authenticate.accepted(check=field_matches("balance", is_whole_cents, "is whole"))),
    must("balance2-is-whole-cents", "The extra balance is there, a whole number of cents.", BALANCE2,
         authenticate.accepted(check=field_matches("balance2", is_whole_cents, "is whole"))),
    must("authenticate-names-member", "The answer to authenticate says who plays.", MEMBER,
         authenticate.accepted(check=field_matches("member_id", is_nonempty_text, "is a name"))),
    must("authenticate-names-currency", "The answer to authenticate says in which currency.", CURRENCY,
         authenticate.accepted(check=field_matches("currency", is_nonempty_text, "is a name"))),
    should("authenticate-of-users", "The other path that the specification writes is known too.",
           "GET /api/user/authenticate, /api/users/authenticate",
           authenticate.to("/api/users/authenticate").accepted()),
    must("token-unknown", "A token that does not exist is refused with 1.", INVALID_TOKEN,
         authenticate.by("unknown").refused(check=code(1))),
    must("refusal-has-words", "A refusal has a message.", ERROR,
         authenticate.by("unknown").refused(check=field_matches("message", bool, "is there"))),
    should("refusal-is-http-200", "A refusal is an answer, not an error of HTTP.", "HTTP 200",
           authenticate.by("unknown").refused(check=http_status(200))),
    should("refusal-tells-balance", "A refusal tells the balances where the session is known.", BALANCE_ROW,
           bet("a", All(1)).refused(check=balance_change(0))),
)

BETS = (
    must("bet", "A bet takes its stake.", BET, bet("a", 5).accepted(-5)),
    must("bet-tells-balance", "The answer tells the balance after the bet.", POINTS,
         bet("a", 5).accepted(-5, check=balance_change(-5))),
    should("bet-of-nothing", "0 is a legal bet.", "new ticket, enough money: 0", bet("a", 0).accepted()),
    must("bet-of-all", "A bet of all the money leaves nothing, and its refund brings all of it back.", REFUND,
         bet("a", ALL).accepted(EMPTY), refund("a").accepted(should=SAME_PARTS)),
    must("bet-over-balance", "A bet that exceeds the money is refused with 3.", FUNDS,
         bet("a", All(1)).refused(check=code(3))),
    must("bet-retry", "The same bet again takes nothing more.", TICKET,
         bet("a", 5).accepted(-5), bet("a", 5).moves(-5, should=ACCEPTED)),
    should("bet-retry-tells-balance", "A retry is told the current balance.", "balances are always the current ones",
           bet("a", 5).accepted(-5), bet("b", 3).accepted(-8), bet("a", 5).accepted(-8, check=balance_change(-8))),
    should("bet-refused-stays-refused", "A bet refused for want of money is refused when there is enough, too.",
           "same ticket, same content, refused earlier: the same refusal",
           bet("a", All(1)).refused(), betwin("b", 1, 2).accepted(1), bet("a", All(1)).refused(1, check=code(3))),
    must("bet-ticket-other-stake", "The ticket of a bet with another stake is refused.", TICKET,
         bet("a", 5).accepted(-5), bet("a", 6).refused(-5, should=code(2, REUSED_ID_ROW))),
    should("bet-ticket-other-game", "The ticket of a bet in another game is refused.", REUSED_ID_ROW,
           bet("a", 5).accepted(-5), bet("a", 5, game="crab").refused(-5, check=code(2))),
    should("bet-ticket-other-key", "The ticket of a bet of another type is refused.", REUSED_ID_ROW,
           bet("a", 5).accepted(-5), bet("a", 5, key="big").refused(-5, check=code(2))),
    must("bet-ticket-for-betwin", "A betwin cannot have the ticket of a bet.", TICKET,
         bet("a", 5).accepted(-5), betwin("a", 5, 5).refused(-5, should=code(2, REUSED_ID_ROW))),
    must("bet-ticket-of-other-player", "Only one player can have a ticket.", TICKET,
         bet("a", 5).accepted(-5), bet("a", 5).by("second").refused(-5, should=code(2, REUSED_ID_ROW))),
    should("bet-ticket-in-other-currency", "In another currency the same ticket is no other transaction.",
           "an id is unique per agent in vela",
           bet("a", 5).accepted(-5), bet("a", 5).by("currency").refused(-5, check=code(2))),
    must("ticket-64-bit", "Tickets that differ in their 64th bit only are two.", TICKET,
         bet("a", 5).accepted(-5), bet("A", 3).accepted(-8), refund("A").accepted(-5)),
)

RESULTS = (
    must("result", "A result pays.", RESULT, bet("a", 5).accepted(-5), result("a", 8).accepted(3)),
    must("result-tells-balance", "The answer tells the balance after the result.", POINTS,
         bet("a", 5).accepted(-5), result("a", 8).accepted(3, check=balance_change(3))),
    must("result-of-nothing", "A lost bet's result is 0, and settles it.", LOST_BET,
         bet("a", 5).accepted(-5), result("a", 8).accepted(3), bet("b", 3).accepted(), result("b", 0).accepted(),
         result("b", 5).refused(should=code(2, "result, settled with other content: 2"))),
    must("result-with-total-used", "Action games tell how much was used.", TOTAL_USED,
         bet("a", 5).accepted(-5), result("a", 5, used=4).accepted()),
    must("result-retry", "The same result again pays nothing more.", TICKET,
         bet("a", 5).accepted(-5), result("a", 8).accepted(3), result("a", 8).moves(3, should=ACCEPTED)),
    must("result-other-amount", "A ticket has one result.", TICKET,
         bet("a", 5).accepted(-5), result("a", 5).accepted(),
         result("a", 6).refused(should=code(2, "result, settled with other content: 2"))),
    should("result-other-total-used", "A result with another total_used is another result.",
           "result, settled with other content: 2",
           bet("a", 5).accepted(-5), result("a", 5, used=4).accepted(), result("a", 5, used=3).refused(check=code(2))),
    must("result-of-nothing-known", "A result of an unknown ticket is refused with 2.", INVALID_TICKET,
         result("a", 5).refused(check=code(2))),
    must("result-of-refused-bet", "A refused bet has no result.", INVALID_TICKET,
         bet("a", All(1)).refused(), result("a", 5).refused(should=code(2))),
    must("result-after-refund", "A refunded bet has no result.", INVALID_TICKET,
         bet("a", 5).accepted(-5), refund("a").accepted(), result("a", 5).refused(should=code(2))),
    must("result-by-other-player", "Another player's result pays nobody.", TICKET,
         bet("a", 5).accepted(-5), result("a", 5).by("second").refused(-5, should=code(2))),
    should("result-over-range", "A result that no 64-bit balance could hold is refused, and the bet stands.",
           "balance would pass 2^63-1: 2",
           bet("a", 1).accepted(-1), result("a", MAX_CENTS).refused(-1, check=code(2)), refund("a").accepted()),
)

REFUNDS = (
    must("refund", "A refund gives the stake back.", REFUND, bet("a", 5).accepted(-5), refund("a").accepted()),
    must("refund-tells-balance", "The answer tells the balance after the refund.", POINTS,
         bet("a", 5).accepted(-5), refund("a").accepted(check=balance_change(0))),
    must("refund-retry", "The same refund again pays nothing more.", REFUND,
         bet("a", 5).accepted(-5), refund("a").accepted(), refund("a").moves(0, should=ACCEPTED)),
    must("refund-of-nothing", "A refund of an unknown ticket pays nothing, and is refused with 2.", INVALID_TICKET,
         refund("a").refused(check=code(2))),
    must("bet-after-refund", "A bet that comes after its refund takes nothing.", REFUND,
         refund("a").moves(0), bet("a", 5).refused(should=code(2, "ticket refunded before or after it arrived: 2"))),
    must("bet-retry-after-refund", "A refunded bet that comes again takes nothing.", REFUND,
         bet("a", 5).accepted(-5), refund("a").accepted(),
         bet("a", 5).refused(should=code(2, "ticket refunded before or after it arrived: 2"))),
    must("refund-after-result", "A bet that has a result is not refunded.", REFUND,
         bet("a", 5).accepted(-5), result("a", 5).accepted(),
         refund("a").refused(should=code(2, "refund, bet settled by a result: 2"))),
    must("refund-of-refused-bet", "A refused bet is not refunded.", REFUND,
         bet("a", All(1)).refused(), refund("a").moves(0, should=code(2, "refund, a refused bet: 2"))),
    must("refund-by-other-player", "Another player's refund moves nobody's money.", TICKET,
         bet("a", 5).accepted(-5), refund("a").by("second").moves(-5, should=code(2))),
)

BETWINS = (
    must("betwin", "A betwin takes its stake and pays its win.", BETWIN, betwin("a", 5, 8).accepted(3)),
    must("betwin-tells-balance", "The answer tells the balance after both.", POINTS,
         betwin("a", 5, 8).accepted(3, check=balance_change(3))),
    must("betwin-lost", "A betwin may win nothing.", BETWIN,
         betwin("a", 5, 10).accepted(5), betwin("b", 5, 0).accepted()),
    must("betwin-retry", "The same betwin again moves nothing more.", TICKET,
         betwin("a", 5, 8).accepted(3), betwin("a", 5, 8).moves(3, should=ACCEPTED)),
    must("betwin-over-balance", "A betwin whose stake exceeds the money is refused with 3.", FUNDS,
         betwin("a", All(1), 0).refused(check=code(3))),
    should("betwin-of-its-own-win", "The money must cover the stake before the win counts.",
           "betwin: money must cover total_bet before the win counts, all or nothing: 3",
           betwin("a", All(1), All(4)).refused(check=code(3))),
    must("betwin-ticket-other-win", "The ticket of a betwin with another win is refused.", TICKET,
         betwin("a", 5, 5).accepted(), betwin("a", 5, 6).refused(should=code(2, REUSED_ID_ROW))),
    must("betwin-ticket-for-bet", "A bet cannot have the ticket of a betwin.", TICKET,
         betwin("a", 5, 5).accepted(), bet("a", 5).refused(should=code(2, REUSED_ID_ROW))),
    must("result-of-betwin", "A betwin has no result.", TICKET,
         betwin("a", 5, 5).accepted(), result("a", 5).refused(should=code(2, "result, ticket of a betwin: 2"))),
    should("refund-of-betwin", "A betwin is refunded as a whole.", "refund, applied betwin: 0, the whole is reversed",
           betwin("a", 5, 8).accepted(3), refund("a").accepted()),
    should("refund-of-spent-betwin", "A betwin is not refunded when its win is spent.",
           "refund, applied betwin: 2 and no change where cash no longer covers the win",
           betwin("a", 1, 3).accepted(2), bet("b", All(2)).accepted(EMPTY), refund("a").refused(EMPTY, check=code(2)),
           refund("b").accepted(2)),
)

CONCURRENCY = (
    must("same-bet-at-once", "The same bet eight times at once takes its stake once.", TICKET,
         concurrently(*[bet("a", 5)] * 8).moves(-5, should=ACCEPTED)),
    must("same-result-at-once", "The same result eight times at once pays once.", TICKET,
         bet("a", 5).accepted(-5), concurrently(*[result("a", 8)] * 8).moves(3, should=ACCEPTED)),
    must("same-refund-at-once", "The same refund eight times at once pays once.", REFUND,
         bet("a", 5).accepted(-5), concurrently(*[refund("a")] * 8).moves(0, should=ACCEPTED)),
    must("same-betwin-at-once", "The same betwin eight times at once counts once.", TICKET,
         concurrently(*[betwin("a", 5, 8)] * 8).moves(3, should=ACCEPTED)),
    must("bets-at-once", "Eight bets at once take eight stakes.", BET,
         concurrently(*[bet(letter, 1) for letter in "abcdefgh"]).accepted(-8)),
    must("all-twice-at-once", "Of two bets of all the money at once one is refused.", FUNDS,
         concurrently(bet("a", ALL), bet("b", ALL)).moves(EMPTY)),
    must("bet-and-refund-at-once", "A bet and its refund at once leave the money as it was.", REFUND,
         concurrently(bet("a", 5), refund("a")).moves(0)),
)

SESSIONS = (
    *(
        must(f"{ask.operation}-token-unknown", f"Nobody's {ask.operation} is refused with 1.", INVALID_TOKEN,
             ask.by("unknown").refused(check=code(1)))
        for ask in (bet("a", 5), result("a", 5), refund("a"), betwin("a", 5, 8))
    ),
    *(
        should(f"{ask.operation}-{session}", f"{ask.operation} is refused if the session is {session}.",
               f"authenticate, bet, betwin: access_token {session}: 1 Invalid Token",
               ask.by(session).refused(check=code(1)))
        for session in ("expired", "revoked") for ask in (authenticate, bet("a", 5), betwin("a", 5, 8))
    ),
    *(
        case
        for session in ("expired", "revoked")
        for case in (
            should(f"bet-not-recorded-{session}", f"A bet refused as the session is {session} is not recorded.",
                   "a bet refused for an expired session is not recorded",
                   bet("a", 5).by(session).refused(), bet("a", 5).accepted(-5)),
            should(f"bet-retry-{session}", f"A retry of a bet succeeds though the session is {session}.",
                   "a retry of an applied bet still succeeds after the session has expired",
                   bet("a", 5).accepted(-5), bet("a", 5).by(session).accepted(-5)),
            should(f"result-{session}", f"A result is taken though the session is {session}.",
                   "result of this player's applied, unsettled bet (expired session too): 0",
                   bet("a", 5).accepted(-5), result("a", 5).by(session).accepted()),
            should(f"refund-{session}", f"A refund is taken though the session is {session}.",
                   "for authenticate, bet, betwin also expired or revoked: 1 (so not for refund)",
                   bet("a", 5).accepted(-5), refund("a").by(session).accepted()),
        )
    ),
    should("authenticate-blocked", "A blocked player may not begin.", "authenticate, player blocked: 1",
           authenticate.by("blocked").refused(check=code(1))),
    should("bet-blocked", "A blocked player's bet is refused, and again.", "bet, betwin, player blocked: 1, recorded",
           bet("a", 5).by("blocked").refused(check=code(1)), bet("a", 5).by("blocked").refused(check=code(1))),
    should("betwin-blocked", "A blocked player's betwin is refused.", "bet, betwin, player blocked: 1",
           betwin("a", 5, 5).by("blocked").refused(check=code(1))),
)

MALFORMED = (
    malformed("bet-negative", bet("a", 5).with_fields(total_bet=negative), TOTAL_BET),
    malformed("bet-fraction", bet("a", 5).with_fields(total_bet="4.5"), TOTAL_BET),
    malformed("bet-over-range", bet("a", 5).with_fields(total_bet=2**63), FUNDS),
    malformed("bet-in-letters", bet("a", 5).with_fields(total_bet="five"), TOTAL_BET),
    malformed("bet-with-plus", bet("a", 5).with_fields(total_bet="+5")),
    malformed("bet-with-space", bet("a", 5).with_fields(total_bet=" 5")),
    malformed("bet-with-underscore", bet("a", 5).with_fields(total_bet="0_5")),
    malformed("bet-in-wide-digits", bet("a", 5).with_fields(total_bet=wide)),
    malformed("bet-with-21-digits", bet("a", 5).with_fields(total_bet="5".zfill(21))),
    malformed("bet-empty", bet("a", 5).with_fields(total_bet="")),
    malformed("bet-missing", bet("a", 5).without("total_bet")),
    malformed("bet-twice", bet("a", 5).with_fields(total_bet=twice)),
    malformed("result-negative", result("a", 5).with_fields(total_win=negative), TOTAL_WIN),
    malformed("result-fraction", result("a", 5).with_fields(total_win="4.5"), TOTAL_WIN),
    malformed("result-missing", result("a", 5).without("total_win")),
    malformed("betwin-negative", betwin("a", 5, 5).with_fields(total_bet=negative), TOTAL_BET),
    malformed("betwin-win-negative", betwin("a", 5, 5).with_fields(total_win=negative), TOTAL_WIN),
    malformed("betwin-win-missing", betwin("a", 5, 5).without("total_win")),
    malformed("total-used-negative", result("a", 5, used=4).with_fields(total_used=negative)),
    malformed("ticket-missing", bet("a", 5).without("ticket_id"), INVALID_TICKET, 2),
    malformed("ticket-empty", bet("a", 5).with_fields(ticket_id=""), INVALID_TICKET, 2),
    malformed("ticket-negative", bet("a", 5).with_fields(ticket_id=negative), INVALID_TICKET, 2),
    malformed("ticket-over-range", bet("a", 5).with_fields(ticket_id=MAX_ID + 1), INVALID_TICKET, 2),
    malformed("ticket-in-letters", bet("a", 5).with_fields(ticket_id="first"), INVALID_TICKET, 2),
    malformed("ticket-in-wide-digits", bet("a", 5).with_fields(ticket_id=wide), number=2),
    malformed("ticket-twice", bet("a", 5).with_fields(ticket_id=twice), number=2),
    malformed("refund-ticket-missing", refund("a").without("ticket_id"), INVALID_TICKET, 2),
    malformed("token-missing", bet("a", 5).without("access_token"), INVALID_TOKEN, 1),
    malformed("token-empty", bet("a", 5).with_fields(access_token=""), INVALID_TOKEN, 1),
    malformed("game-too-long", bet("a", 5).with_fields(game_code="g" * 65)),
    should("extra-parameter", "Parameters that nobody knows are ignored.", "unknown extra fields: ignored",
           bet("a", 5).with_fields(colour="red").accepted(-5)),
    should("game-missing", "game_code may be left out.", "game_code, key, total_used are optional",
           bet("a", 5).without("game_code").accepted(-5)),
    should("key-missing", "key may be left out.", "game_code, key, total_used are optional",
           bet("a", 5).without("key").accepted(-5)),
)

ONLY_GET = "GET only: any other method, HEAD included, gets 405 and moves no money"

HTTP = (
    *(
        must(f"no-{method.lower()}", f"{method} moves no money.", GET,
             bet("a", 5).with_method(method).moves(0, should=http_status(405, ONLY_GET)))
        for method in ("POST", "HEAD", "PUT", "PATCH", "DELETE")
    ),
    should("no-store", "No answer may be kept by a cache.", "Cache-Control: no-store on every answer",
           authenticate.accepted(check=NO_STORE), authenticate.by("unknown").refused(check=NO_STORE)),
    should("query-too-long", "A query over 2 KiB is refused.", "query over 2 KiB: 414",
           bet("a", 5).with_fields(colour="r" * 2048).refused(check=http_status(414))),
)
# fmt: on


def _is_success(fields: Mapping[str, Any]) -> bool | None:
    return type(fields["status_code"]) is int and fields["status_code"] == 0 if "status_code" in fields else None


def _get_balance(fields: Mapping[str, Any]) -> tuple[int, ...] | None:
    cash, bonus = parse_whole_cents(fields.get("balance")), parse_whole_cents(fields.get("balance2", 0))
    return None if cash is None or bonus is None else (cash, bonus)


def _drain(letter: str, cents: int) -> Sequence[RequestSpec]:
    return [bet(letter, cents), result(letter, 0)]


def _cancel_bet(id: str, changes: Mapping[str, object]) -> RequestSpec:
    return refund(id).with_fields(ticket_id=changes["ticket_id"]) if "ticket_id" in changes else refund(id)


VELA = ProtocolSuite(
    load_protocol("vela"),
    balance_request=authenticate,
    cancel_bet=_cancel_bet,
    drain=_drain,
    is_success=_is_success,
    get_code=lambda fields: fields.get("status_code"),
    get_balance=_get_balance,
    get_player=lambda fields: (fields.get("member_id"), fields.get("currency")),
    cases=(*ANSWERS, *BETS, *RESULTS, *REFUNDS, *BETWINS, *CONCURRENCY, *SESSIONS, *MALFORMED, *HTTP),
)
