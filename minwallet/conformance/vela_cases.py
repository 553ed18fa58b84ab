"""The conformance cases of vela."""

from collections.abc import Mapping, Sequence
from typing import Any

from minwallet.conformance.amounts import ALL, EMPTY, All, parse_whole_cents
from minwallet.conformance.checks import (
    ACCEPTED,
    NO_STORE,
    balance_change,
    field_matches,
    http_status,
    is_nonempty_text,
    is_whole_cents,
)
from minwallet.conformance.dsl import (
    NOT_JSON,
    ProtocolSuite,
    ReplyContent,
    RequestSpec,
    concurrently,
    must,
    should,
)
from minwallet.conformance.request_fields import parse_json_object
from minwallet.conformance.vela_requests import (
    BALANCE,
    BALANCE2,
    BALANCE_ROW,
    BET,
    BETWIN,
    CURRENCY,
    ERROR,
    FINISHED,
    FUNDS,
    GET,
    GIVEN_UP,
    INVALID_TICKET,
    INVALID_TOKEN,
    LOST_BET,
    MEMBER,
    NO_BET,
    ONE_PLAYER,
    ONE_TICKET,
    POINTS,
    REFUND,
    RESULT,
    REUSED_ID_ROW,
    SAME_PARTS,
    TICKET,
    TOTAL_BET,
    TOTAL_USED,
    TOTAL_WIN,
    authenticate,
    bet,
    betwin,
    code,
    fullwidth,
    malformed,
    negative,
    refund,
    result,
    twice,
    with_21_digits,
    with_fraction,
    with_plus,
    with_space,
    with_underscore,
)
from minwallet.ledger.money import MAX_CENTS, MAX_ID
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import HttpResponse

REFUNDED_ROW = "A bet that was refunded before or after its arrival is refused with code 2."

BETWIN_REFUND_ROW = (
    "A refund of a betwin reverses stake and win together, with status_code 0. It is refused with code 2 if the cash"
    " would become negative."
)

# The cases are a table: name, rule and sentence, then the steps. `--json` and JUnit show the names, so they are stable.
# fmt: off
ANSWERS = (
    must("balance-is-whole-cents", "The balance is an integer in cents, without a decimal point.", BALANCE,
         authenticate.accepted(check=field_matches("balance", is_whole_cents, "is an integer"))),
    must("balance2-is-whole-cents", "The extra balance is present, an integer in cents.", BALANCE2,
         authenticate.accepted(check=field_matches("balance2", is_whole_cents, "is an integer"))),
    must("authenticate-names-member", "The reply to authenticate contains the player's id.", MEMBER,
         authenticate.accepted(check=field_matches("member_id", is_nonempty_text, "is non-empty text"))),
    must("authenticate-names-currency", "The reply to authenticate contains the currency.", CURRENCY,
         authenticate.accepted(check=field_matches("currency", is_nonempty_text, "is non-empty text"))),
    should("authenticate-of-users", "The second path of authenticate in the specification works too.",
           "authenticate has the paths /api/user/authenticate and /api/users/authenticate.",
           authenticate.to("/api/users/authenticate").accepted()),
    must("token-unknown", "An unknown token is refused with code 1.", INVALID_TOKEN,
         authenticate.by("unknown").refused(check=code(1))),
    must("refusal-has-words", "A refusal has a message.", ERROR,
         authenticate.by("unknown").refused(check=field_matches("message", bool, "is present"))),
    should("refusal-is-http-200", "A refusal has HTTP status 200.", "A refusal has HTTP status 200.",
           authenticate.by("unknown").refused(check=http_status(200))),
)

BETS = (
    must("bet", "A bet deducts its stake.", BET, bet("a", 5).accepted(-5)),
    must("bet-tells-balance", "The reply contains the balance after the bet.", POINTS,
         bet("a", 5).accepted(-5, check=balance_change(-5))),
    should("bet-of-nothing", "A bet of 0 is accepted.", "A bet of 0 is legal and gets status_code 0.",
           bet("a", 0).accepted()),
    must("bet-retry", "A retry of a bet deducts nothing more.", TICKET,
         bet("a", 5).accepted(-5), bet("a", 5).moves(-5, should=ACCEPTED), because=ONE_TICKET),
    should("bet-retry-tells-balance", "A retry returns the current balance.",
           "A reply contains the current balances, that of a retry too.",
           bet("a", 5).accepted(-5), bet("b", 3).accepted(-8), bet("a", 5).accepted(-8, check=balance_change(-8))),
    must("bet-ticket-other-stake", "A bet with a used ticket and another stake is refused.", TICKET,
         bet("a", 5).accepted(-5), bet("a", 6).refused(-5, should=code(2, REUSED_ID_ROW))),
    should("bet-ticket-other-game", "A bet with a used ticket and another game is refused.", REUSED_ID_ROW,
           bet("a", 5).accepted(-5), bet("a", 5, game="crab").refused(-5, should=code(2))),
    should("bet-ticket-other-key", "A bet with a used ticket and another key is refused.", REUSED_ID_ROW,
           bet("a", 5).accepted(-5), bet("a", 5, key="big").refused(-5, should=code(2))),
    must("bet-ticket-for-betwin", "A betwin with the ticket of a bet is refused.", TICKET,
         bet("a", 5).accepted(-5), betwin("a", 5, 5).refused(-5, should=code(2, REUSED_ID_ROW))),
    must("bet-ticket-of-other-player", "A bet with the ticket of another player's bet is refused.", TICKET,
         bet("a", 5).accepted(-5), bet("a", 5).by("second").refused(-5, should=code(2, REUSED_ID_ROW)),
         because=ONE_PLAYER),
    should("bet-ticket-in-other-currency", "A ticket is unique across currencies: its second use is refused.",
           "A ticket is unique per agent, across currencies.",
           bet("a", 5).accepted(-5), bet("a", 5).by("currency").refused(-5, should=code(2))),
    must("ticket-last-bit", "Tickets above 2^63 that differ only in their last bit are different.", TICKET,
         bet("A", 5).accepted(-5), bet("B", 5).accepted(-10), refund("B").accepted(-5)),
    must("ticket-64-bit", "Tickets that differ only in their 64th bit are different.", TICKET,
         bet("a", 5).accepted(-5), bet("A", 3).accepted(-8), refund("A").accepted(-5)),
)

RESULTS = (
    must("result", "A result pays its win.", RESULT, bet("a", 5).accepted(-5), result("a", 8).accepted(3)),
    must("result-tells-balance", "The reply contains the balance after the result.", POINTS,
         bet("a", 5).accepted(-5), result("a", 8).accepted(3, check=balance_change(3))),
    must("result-of-nothing", "A result of 0 is accepted.", LOST_BET,
         bet("a", 5).accepted(-5), result("a", 8).accepted(3), bet("b", 3).accepted(), result("b", 0).accepted(),
         because="The first bet wins the stake that the second one loses."),
    must("result-after-lost-bet", "A second result of a lost bet is refused.", TICKET,
         bet("a", 5).accepted(-5), result("a", 8).accepted(3), bet("b", 3).accepted(), result("b", 0).accepted(),
         result("b", 5).refused(should=code(2, "A second result with other content is refused with code 2.")),
         because=f"{ONE_TICKET} The first bet wins the stake that the second one loses."),
    must("result-with-total-used", "A result with total_used, as action games send it, is accepted.", TOTAL_USED,
         bet("a", 5).accepted(-5), result("a", 5, used=4).accepted()),
    must("result-retry", "A retry of a result pays nothing more.", TICKET,
         bet("a", 5).accepted(-5), result("a", 8).accepted(3), result("a", 8).moves(3, should=ACCEPTED),
         because=ONE_TICKET),
    must("result-other-amount", "A second result with another amount is refused.", TICKET,
         bet("a", 5).accepted(-5), result("a", 5).accepted(),
         result("a", 6).refused(should=code(2, "A second result with other content is refused with code 2."))),
    should("result-other-total-used", "A second result with another total_used is refused.",
           "A second result with other content is refused with code 2.",
           bet("a", 5).accepted(-5), result("a", 5, used=4).accepted(), result("a", 5, used=3).refused(should=code(2))),
    must("result-of-nothing-known", "A result of an unknown ticket is refused with code 2.", INVALID_TICKET,
         result("a", 5).refused(check=code(2)), because=NO_BET),
    must("result-after-refund", "A result of a refunded bet is refused.", INVALID_TICKET,
         bet("a", 5).accepted(-5), refund("a").accepted(), result("a", 5).refused(should=code(2)),
         because=NO_BET),
    must("result-by-other-player", "A result of another player's bet is refused.", TICKET,
         bet("a", 5).accepted(-5), result("a", 5).by("second").refused(-5, should=code(2)), because=ONE_PLAYER),
)

REFUNDS = (
    must("refund", "A refund returns the stake.", REFUND, bet("a", 5).accepted(-5), refund("a").accepted()),
    must("refund-tells-balance", "The reply contains the balance after the refund.", POINTS,
         bet("a", 5).accepted(-5), refund("a").accepted(check=balance_change(0))),
    must("refund-retry", "A retry of a refund pays nothing more.", REFUND,
         bet("a", 5).accepted(-5), refund("a").accepted(), refund("a").moves(0, should=ACCEPTED),
         because="A bet has one stake to return."),
    must("refund-of-nothing", "A refund of an unknown ticket is refused with code 2.", INVALID_TICKET,
         refund("a").refused(check=code(2)), because=NO_BET),
    must("bet-after-refund", "A bet that arrives after its refund takes no money.", REFUND,
         refund("a").moves(0), bet("a", 5).moves(0, should=code(2, REFUNDED_ROW)), because=GIVEN_UP),
    must("bet-retry-after-refund", "A retry of a refunded bet takes no money.", REFUND,
         bet("a", 5).accepted(-5), refund("a").accepted(),
         bet("a", 5).moves(0, should=code(2, REFUNDED_ROW)), because=GIVEN_UP),
    must("refund-after-result", "A refund of a settled bet is refused.", REFUND,
         bet("a", 5).accepted(-5), result("a", 5).accepted(),
         refund("a").refused(should=code(2, "A refund of a bet with a result is refused with code 2.")),
         because=FINISHED),
    must("refund-by-other-player", "A refund of another player's bet pays nothing.", TICKET,
         bet("a", 5).accepted(-5), refund("a").by("second").moves(-5, should=code(2)), because=ONE_PLAYER),
)

BETWINS = (
    must("betwin", "A betwin deducts its stake and pays its win.", BETWIN, betwin("a", 5, 8).accepted(3)),
    must("betwin-tells-balance", "The reply contains the balance after stake and win.", POINTS,
         betwin("a", 5, 8).accepted(3, check=balance_change(3))),
    must("betwin-lost", "A betwin with a win of 0 is accepted.", BETWIN,
         betwin("a", 5, 10).accepted(5), betwin("b", 5, 0).accepted()),
    must("betwin-retry", "A retry of a betwin moves no more money.", TICKET,
         betwin("a", 5, 8).accepted(3), betwin("a", 5, 8).moves(3, should=ACCEPTED), because=ONE_TICKET),
    must("betwin-ticket-other-win", "A betwin with a used ticket and another win is refused.", TICKET,
         betwin("a", 5, 5).accepted(), betwin("a", 5, 6).refused(should=code(2, REUSED_ID_ROW))),
    must("betwin-ticket-for-bet", "A bet with the ticket of a betwin is refused.", TICKET,
         betwin("a", 5, 5).accepted(), bet("a", 5).refused(should=code(2, REUSED_ID_ROW))),
    must("result-of-betwin", "A result of a betwin is refused.", TICKET,
         betwin("a", 5, 5).accepted(),
         result("a", 5).refused(should=code(2, "A result with the ticket of a betwin is refused with code 2."))),
    should("refund-of-betwin", "A refund of a betwin reverses all of it.", BETWIN_REFUND_ROW,
           betwin("a", 5, 8).accepted(3), refund("a").accepted()),
)

CONCURRENCY = (
    must("same-bet-at-once", "Eight concurrent copies of a bet deduct its stake once.", TICKET,
         concurrently(*[bet("a", 5)] * 8).moves(-5, should=ACCEPTED), because=ONE_TICKET),
    must("same-result-at-once", "Eight concurrent copies of a result pay once.", TICKET,
         bet("a", 5).accepted(-5), concurrently(*[result("a", 8)] * 8).moves(3, should=ACCEPTED),
         because=ONE_TICKET),
    must("same-refund-at-once", "Eight concurrent copies of a refund pay once.", REFUND,
         bet("a", 5).accepted(-5), concurrently(*[refund("a")] * 8).moves(0, should=ACCEPTED)),
    must("same-betwin-at-once", "Eight concurrent copies of a betwin count once.", TICKET,
         concurrently(*[betwin("a", 5, 8)] * 8).moves(3, should=ACCEPTED), because=ONE_TICKET),
    must("bets-at-once", "Eight concurrent bets deduct eight stakes.", BET,
         concurrently(*[bet(letter, 1) for letter in "abcdefgh"]).accepted(-8)),
    must("bet-and-refund-at-once", "A bet and its concurrent refund leave the balance unchanged.", REFUND,
         concurrently(bet("a", 5), refund("a")).moves(0), because=GIVEN_UP),
)

SESSIONS = (
    *(
        must(f"{ask.operation}-token-unknown", f"A {ask.operation} with an unknown token gets code 1.", INVALID_TOKEN,
             ask.by("unknown").refused(check=code(1)))
        for ask in (bet("a", 5), result("a", 5), refund("a"), betwin("a", 5, 8))
    ),
    *(
        should(f"{ask.operation}-{session}", f"The call {ask.operation} is refused if the session is {session}.",
               f"authenticate, bet and betwin are refused with code 1 if the session is {session}.",
               ask.by(session).refused(should=code(1)))
        for session in ("expired", "revoked") for ask in (authenticate, bet("a", 5), betwin("a", 5, 8))
    ),
    *(
        case
        for session in ("expired", "revoked")
        for case in (
            should(f"bet-not-recorded-{session}", f"A refusal because the session is {session} is not stored.",
                   "A bet refused because its session has ended is not recorded.",
                   bet("a", 5).by(session).refused(), bet("a", 5).accepted(-5)),
            should(f"bet-retry-{session}", f"A retry of an applied bet succeeds even if the session is {session}.",
                   "A retry of an applied bet succeeds after the end of its session.",
                   bet("a", 5).accepted(-5), bet("a", 5).by(session).accepted(-5)),
            should(f"result-{session}", f"A result is accepted even if the session is {session}.",
                   "A result of an open bet gets status_code 0, after the end of the session too.",
                   bet("a", 5).accepted(-5), result("a", 5).by(session).accepted()),
            should(f"refund-{session}", f"A refund is accepted even if the session is {session}.",
                   "A refund of an open bet gets status_code 0, after the end of the session too.",
                   bet("a", 5).accepted(-5), refund("a").by(session).accepted()),
        )
    ),
    should("authenticate-blocked", "A blocked player cannot authenticate.",
           "A blocked player's authenticate is refused with code 1.",
           authenticate.by("blocked").refused(should=code(1))),
    should("bet-blocked", "A blocked player's bet and its retry are refused.",
           "A blocked player's bet is refused with code 1, and the refusal is recorded.",
           bet("a", 5).by("blocked").refused(should=code(1)), bet("a", 5).by("blocked").refused(should=code(1))),
    should("betwin-blocked", "A blocked player's betwin is refused.",
           "A blocked player's betwin is refused with code 1.",
           betwin("a", 5, 5).by("blocked").refused(should=code(1))),
)

MALFORMED = (
    malformed("bet-negative", "A bet of a negative amount", bet("a", 5).with_fields(total_bet=negative), TOTAL_BET),
    malformed("bet-over-range", "A bet above 2^63-1 cents", bet("a", 5).with_fields(total_bet=2**63), FUNDS),
    malformed("bet-in-letters", "A bet whose amount is a word", bet("a", 5).with_fields(total_bet="five"), TOTAL_BET),
    malformed("bet-with-plus", "A bet whose amount has a plus sign", bet("a", 5).with_fields(total_bet=with_plus)),
    malformed("bet-with-space", "A bet whose amount begins with a space",
              bet("a", 5).with_fields(total_bet=with_space)),
    malformed("bet-with-underscore", "A bet whose amount contains an underscore",
              bet("a", 5).with_fields(total_bet=with_underscore)),
    malformed("bet-in-wide-digits", "A bet whose amount has digits that are not ASCII",
              bet("a", 5).with_fields(total_bet=fullwidth)),
    malformed("bet-with-21-digits", "A bet whose amount has 21 digits",
              bet("a", 5).with_fields(total_bet=with_21_digits)),
    malformed("bet-empty", "A bet whose amount is empty", bet("a", 5).with_fields(total_bet="")),
    malformed("bet-missing", "A bet without an amount", bet("a", 5).without("total_bet")),
    malformed("bet-twice", "A bet with two amounts", bet("a", 5).with_fields(total_bet=twice)),
    malformed("result-negative", "A result of a negative amount",
              result("a", 5).with_fields(total_win=negative), TOTAL_WIN),
    malformed("result-missing", "A result without an amount", result("a", 5).without("total_win")),
    malformed("betwin-negative", "A betwin whose stake is negative",
              betwin("a", 5, 5).with_fields(total_bet=negative), TOTAL_BET),
    malformed("betwin-win-negative", "A betwin whose win is negative",
              betwin("a", 5, 5).with_fields(total_win=negative), TOTAL_WIN),
    malformed("betwin-win-missing", "A betwin without a win", betwin("a", 5, 5).without("total_win")),
    malformed("total-used-negative", "A result whose total_used is negative",
              result("a", 5, used=4).with_fields(total_used=negative)),
    malformed("ticket-missing", "A bet without a ticket_id", bet("a", 5).without("ticket_id"), INVALID_TICKET, 2),
    malformed("ticket-empty", "A bet whose ticket_id is empty",
              bet("a", 5).with_fields(ticket_id=""), INVALID_TICKET, 2),
    malformed("ticket-negative", "A bet whose ticket_id is negative",
              bet("a", 5).with_fields(ticket_id=negative), INVALID_TICKET, 2),
    malformed("ticket-over-range", "A bet whose ticket_id is above 64 bits",
              bet("a", 5).with_fields(ticket_id=MAX_ID + 1), INVALID_TICKET, 2),
    malformed("ticket-in-letters", "A bet whose ticket_id is a word",
              bet("a", 5).with_fields(ticket_id="first"), INVALID_TICKET, 2),
    malformed("ticket-in-wide-digits", "A bet whose ticket_id has digits that are not ASCII",
              bet("a", 5).with_fields(ticket_id=fullwidth), number=2),
    malformed("ticket-twice", "A bet with two ticket_ids", bet("a", 5).with_fields(ticket_id=twice), number=2),
    malformed("refund-ticket-missing", "A refund without a ticket_id",
              refund("a").without("ticket_id"), INVALID_TICKET, 2),
    malformed("token-missing", "A bet without an access_token", bet("a", 5).without("access_token"), INVALID_TOKEN, 1),
    malformed("token-empty", "A bet whose access_token is empty",
              bet("a", 5).with_fields(access_token=""), INVALID_TOKEN, 1),
    malformed("game-too-long", "A bet whose game_code has 65 characters", bet("a", 5).with_fields(game_code="g" * 65),
              row="game_code has up to 64 characters."),
    should("extra-parameter", "Unknown parameters are ignored.", "Unknown parameters are ignored.",
           bet("a", 5).with_fields(colour="red").accepted(-5)),
    should("game-missing", "game_code is optional.", "game_code, key and total_used are optional.",
           bet("a", 5).without("game_code").accepted(-5)),
    should("key-missing", "key is optional.", "game_code, key and total_used are optional.",
           bet("a", 5).without("key").accepted(-5)),
)

ONLY_GET = "Only GET is accepted. Any other method, HEAD included, gets HTTP 405."

HTTP = (
    *(
        must(f"no-{method.lower()}", f"{method} moves no money.", GET,
             bet("a", 5).with_method(method).moves(0, should=http_status(405, ONLY_GET)))
        for method in ("POST", "HEAD", "PUT", "PATCH", "DELETE")
    ),
    should("no-store", "No reply may be cached.", "Every reply has the header Cache-Control: no-store.",
           authenticate.accepted(check=NO_STORE), authenticate.by("unknown").refused(check=NO_STORE)),
    should("query-too-long", "A query over 2 KiB is refused.", "A query over 2 KiB gets HTTP 414.",
           bet("a", 5).with_fields(colour="r" * 2048).refused(check=http_status(414))),
)
# A wallet that breaks one of these rules may lose, multiply or split the whole balance, so they are the last.
WHOLE_BALANCE = (
    must("bet-over-balance", "A bet above the balance is refused with code 3.", FUNDS,
         bet("a", All(1)).refused(check=code(3))),
    must("betwin-over-balance", "A betwin with a stake above the balance is refused with code 3.", FUNDS,
         betwin("a", All(1), 0).refused(check=code(3))),
    should("refusal-tells-balance", "A refusal contains the balances if the session is known.", BALANCE_ROW,
           bet("a", All(1)).refused(check=balance_change(0))),
    should("betwin-of-its-own-win", "The balance must cover the stake of a betwin without its win.",
           "The balance must cover the stake of a betwin before its win counts. Otherwise it is refused with code 3.",
           betwin("a", All(1), All(4)).refused(should=code(3))),
    must("result-of-refused-bet", "A result of a refused bet is refused.", INVALID_TICKET,
         bet("a", All(1)).refused(), result("a", 5).refused(should=code(2)), because=NO_BET),
    must("refund-of-refused-bet", "A refund of a refused bet pays nothing.", REFUND,
         bet("a", All(1)).refused(),
         refund("a").moves(0, should=code(2, "A refund of a refused bet is refused with code 2."))),
    should("bet-refused-stays-refused", "A bet refused for insufficient funds stays refused when the balance suffices.",
           "A repeated bet that was refused gets the same refusal.",
           bet("a", All(1)).refused(), betwin("b", 1, 2).accepted(1), bet("a", All(1)).refused(1, should=code(3))),
    should("refund-of-lost-betwin", "A refund of a betwin needs no cash if the betwin lost.", BETWIN_REFUND_ROW,
           betwin("a", 5, 8).accepted(3), betwin("b", 5, 3).accepted(1), bet("c", All(1)).accepted(EMPTY),
           refund("b").accepted(All(2)), refund("c").accepted(3)),
    should("refund-of-spent-betwin", "A refund of a betwin is refused if its net win is spent.", BETWIN_REFUND_ROW,
           betwin("a", 1, 3).accepted(2), bet("b", All(2)).accepted(EMPTY), refund("a").refused(EMPTY, should=code(2)),
           refund("b").accepted(2)),
    must("bet-of-all", "A bet of the whole balance leaves 0, and its refund returns all of it.", REFUND,
         bet("a", ALL).accepted(EMPTY), refund("a").accepted(should=SAME_PARTS)),
    must("all-twice-at-once", "Of two concurrent bets of the whole balance, exactly one is accepted.", FUNDS,
         concurrently(bet("a", ALL), bet("b", ALL)).one_accepted(EMPTY)),
    should("result-over-range", "A result above a 64-bit balance is refused, and the bet stays open.",
           "A result is refused with code 2 if the balance would exceed 2^63-1.",
           bet("a", 1).accepted(-1), result("a", MAX_CENTS).refused(-1, should=code(2)), refund("a").accepted()),
    malformed("bet-fraction", "A bet of a fraction of a cent",
              bet("a", 5).with_fields(total_bet=with_fraction), TOTAL_BET),
    malformed("result-fraction", "A result of a fraction of a cent",
              result("a", 5).with_fields(total_win=with_fraction), TOTAL_WIN),
)
# fmt: on


def _read_reply(response: HttpResponse) -> ReplyContent:
    if (fields := parse_json_object(response.body)) is None:
        return NOT_JSON
    code = fields.get("status_code")
    is_success = type(code) is int and code == 0 if "status_code" in fields else None
    holder = fields.get("member_id"), fields.get("currency")
    return ReplyContent(is_success, code, _get_balance(fields), holder, fields)


def _get_balance(fields: Mapping[str, Any]) -> tuple[int, ...] | None:
    cash, bonus = parse_whole_cents(fields.get("balance")), parse_whole_cents(fields.get("balance2", 0))
    return None if cash is None or bonus is None else (cash, bonus)


def _drain(letter: str, amount: int) -> Sequence[RequestSpec]:
    return [bet(letter, amount), result(letter, 0)]


VELA = ProtocolSuite(
    load_protocol("vela"),
    balance_request=authenticate,
    cancel_bet=refund,
    id_field="ticket_id",
    drain=_drain,
    read_reply=_read_reply,
    cases=(*ANSWERS, *BETS, *RESULTS, *REFUNDS, *BETWINS, *CONCURRENCY, *SESSIONS, *MALFORMED, *HTTP, *WHOLE_BALANCE),
)
