"""The conformance cases of wallet-v2."""

import re
import time
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
    SameAs,
    concurrently,
    must,
    should,
)
from minwallet.conformance.request_fields import parse_json_object
from minwallet.conformance.wallet_v2_requests import (
    BALANCE_ROW,
    BET,
    BET_CREDIT,
    BET_RESULT,
    CANCEL,
    CANCEL_CREDIT,
    CANCEL_RESULT,
    CREDIT,
    CURRENCY,
    ERRORS,
    GIVEN_UP,
    ID,
    NO_CODE,
    ONE_ID,
    ONE_PLAYER,
    PER_CURRENCY,
    PLAYER_ID,
    POST,
    REUSED_ID_ROW,
    TIME,
    UNIQUE_ID,
    WIN,
    WIN_CREDIT,
    WIN_RESULT,
    bet,
    cancel,
    code,
    credit,
    malformed,
    negative,
    win,
    with_fraction,
)
from minwallet.ledger.money import MAX_CENTS, MAX_ID
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import HttpResponse

WON_ROUND_ROW = (
    "A cancel is refused with code 108 if the bet's round has a win after the bet, and no other bet of the round would"
    " remain. Otherwise it is accepted."
)
NULL_ROW = "An optional field that is null counts as absent."


def _is_player_id(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 40


def _is_timestamp(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"\d\d-\d\d-\d{4} \d\d:\d\d:\d\d", value, re.ASCII))


def _is_utc_now(value: object) -> bool:
    """Return True if the time is within two minutes of this machine's clock."""
    now = int(time.time())
    return value in {time.strftime("%d-%m-%Y %H:%M:%S", time.gmtime(now + step)) for step in range(-120, 121)}


# The cases are a table: name, rule and sentence, then the steps. `--json` and JUnit show the names, so they are stable.
# fmt: off
ANSWERS = (
    must("credit-is-whole-cents", "The credit is an integer in cents, without a decimal point.", CREDIT,
         credit.accepted(check=field_matches("credit", is_whole_cents, "is an integer"))),
    must("credit-names-player", "The reply to credit contains the player's id.", PLAYER_ID,
         credit.accepted(check=field_matches("player_id", _is_player_id, "has 1 to 40 characters"))),
    must("credit-names-currency", "The reply to credit contains the currency.", CURRENCY,
         credit.accepted(check=field_matches("currency", is_nonempty_text, "is non-empty text"))),
    should("answer-time-is-utc", "A reply contains the current time, in UTC.",
           "Every reply contains the current time in UTC.",
           credit.accepted(check=field_matches("time", _is_utc_now, "is the current UTC time"))),
    must("code-unknown", "A request with an unknown code is refused.", NO_CODE,
         credit.by("unknown").refused(should=code(102))),
    must("refusal-has-code", "A refusal has an err_code.", ERRORS,
         credit.by("unknown").refused(check=field_matches("err_code", bool, "is present"))),
    must("refusal-has-words", "A refusal has an err_desc.", ERRORS,
         credit.by("unknown").refused(check=field_matches("err_desc", bool, "is present"))),
    should("refusal-is-http-200", "A refusal has HTTP status 200.",
           "A refusal has HTTP status 200.",
           credit.by("unknown").refused(check=http_status(200))),
)

BETS = (
    must("bet", "A bet deducts its stake.", BET, bet("a", 5).accepted(-5)),
    must("answer-has-time", "Every reply contains date and time in the format of the samples.", TIME,
         bet("a", 5).accepted(-5, check=field_matches("time", _is_timestamp, "is dd-mm-YYYY HH:MM:SS"))),
    must("bet-tells-credit", "The reply contains the credit after the bet.", BET_CREDIT,
         bet("a", 5).accepted(-5, check=balance_change(-5))),
    must("bet-without-round", "A bet without round_id, as in the first sample, is accepted.", BET_RESULT,
         bet("a", 5).without("round_id").accepted(-5)),
    should("bet-of-nothing", "A bet of 0 is accepted.", "A bet of 0 is legal and gets result 1.",
           bet("a", 0).accepted()),
    must("bet-retry", "A retry of a bet deducts nothing more.", UNIQUE_ID,
         bet("a", 5).accepted(-5), bet("a", 5).moves(-5, should=ACCEPTED), because=ONE_ID),
    should("bet-retry-tells-credit", "The reply to a retry contains the credit after that bet.",
           "A repeated bet that was applied gets result 1, with the credit as it was after that bet.",
           bet("a", 5).accepted(-5), bet("b", 3).accepted(-8), bet("a", 5).accepted(-8, check=balance_change(-5))),
    must("bet-id-other-stake", "A bet with a used id and another stake is refused.", UNIQUE_ID,
         bet("a", 5).accepted(-5), bet("a", 6).refused(-5, should=code(106))),
    should("bet-id-other-game", "A bet with a used id and another game is refused.", REUSED_ID_ROW,
           bet("a", 5).accepted(-5), bet("a", 5, game="1013").refused(-5, should=code(106))),
    should("bet-id-other-round", "A bet with a used id and another round is refused.", REUSED_ID_ROW,
           bet("a", 5).accepted(-5), bet("a", 5, "b").refused(-5, should=code(106))),
    must("bet-id-for-win", "A win with the id of a bet is refused.", UNIQUE_ID,
         bet("a", 5).accepted(-5), win("a", 5).refused(-5, should=code(106))),
    must("bet-id-of-other-player", "A bet with the id of another player's bet is refused.", UNIQUE_ID,
         bet("a", 5).accepted(-5), bet("a", 5).by("second").refused(-5, should=code(106))),
    must("bet-id-per-currency", "The same id in another currency is another transaction.", PER_CURRENCY,
         bet("a", 5).accepted(-5), bet("a", 5).by("currency").accepted(-5, other=-5)),
    must("bet-id-last-bit", "Ids above 2^63 that differ only in their last bit are different.", ID,
         bet("A", 5).accepted(-5), bet("B", 5).accepted(-10), cancel("B").accepted(-5)),
    must("bet-id-64-bit", "Ids that differ only in their 64th bit are different.", ID,
         bet("a", 5).accepted(-5), bet("A", 3).accepted(-8), cancel("A").accepted(-5)),
)

# Many wallets refuse a win without a bet. So the wins of all cases but two follow a bet, and those two are advice.
WINS = (
    must("win", "A win pays its amount.", WIN_RESULT, bet("a", 5).accepted(-5), win("b", 8, "a").accepted(3)),
    must("win-tells-credit", "The reply contains the credit after the win.", WIN_CREDIT,
         bet("a", 5).accepted(-5), win("b", 8, "a").accepted(3, check=balance_change(3))),
    must("win-of-nothing", "A win of 0, as in the sample, is accepted.", WIN_RESULT,
         bet("a", 5).accepted(-5), win("b", 5, "a").accepted(), win("c", 0, "a").accepted()),
    must("win-of-two-bets", "A round may have several bets.", WIN_RESULT,
         bet("a", 5).accepted(-5), bet("b", 3, "a").accepted(-8), win("c", 8, "a").accepted()),
    must("win-without-round", "A win without round_id, as in the first sample, is accepted.", WIN_RESULT,
         bet("a", 5).without("round_id").accepted(-5), win("b", 5).accepted()),
    should("win-of-unknown-round", "A win without a bet in its round is accepted.",
           "A win in an unknown round is accepted, and the ledger marks it as a win without a bet.",
           win("b", 5, "a").accepted(5)),
    must("win-retry", "A retry of a win pays nothing more.", UNIQUE_ID,
         bet("a", 5).accepted(-5), win("b", 8, "a").accepted(3), win("b", 8, "a").moves(3, should=ACCEPTED),
         because=ONE_ID),
    should("win-retry-tells-credit", "The reply to a retry contains the credit after that win.",
           "A repeated win gets result 1, with the credit as it was after that win.",
           bet("a", 5).accepted(-5), win("b", 8, "a").accepted(3), bet("c", 3).accepted(),
           win("b", 8, "a").accepted(check=balance_change(3))),
    must("win-id-other-amount", "A win with a used id and another amount is refused.", UNIQUE_ID,
         bet("a", 5).accepted(-5), win("b", 5, "a").accepted(), win("b", 6, "a").refused(should=code(106))),
    must("win-id-for-bet", "A bet with the id of a win is refused.", UNIQUE_ID,
         bet("a", 5).accepted(-5), win("b", 5, "a").accepted(), bet("b", 5).refused(should=code(106))),
    must("win-id-of-other-player", "A win with the id of another player's win is refused.", UNIQUE_ID,
         bet("a", 5).accepted(-5), bet("b", 5).by("second").accepted(-5, other=-5),
         win("c", 5, "a").accepted(other=-5), win("c", 5, "b").by("second").refused(other=-5, should=code(106))),
    should("win-id-other-round", "A win with a used id and another round is refused.", REUSED_ID_ROW,
           bet("a", 5).accepted(-5), bet("b", 3).accepted(-8), win("c", 5, "a").accepted(-3),
           win("c", 5, "b").refused(-3, should=code(106))),
    should("win-id-other-game", "A win with a used id and another game is refused.", REUSED_ID_ROW,
           bet("a", 5).accepted(-5), win("b", 5, "a").accepted(),
           win("b", 5, "a").with_fields(game=1013).refused(should=code(106))),
    should("win-of-cancelled-round", "A win in a round whose bets are all cancelled is refused.",
           "A win in a round whose bets are all cancelled is refused with code 109.",
           bet("a", 5).accepted(-5), cancel("a").accepted(), win("b", 5, "a").refused(should=code(109))),
)

CANCELS = (
    must("cancel", "A cancel returns the stake.", CANCEL_RESULT, bet("a", 5).accepted(-5), cancel("a").accepted()),
    must("cancel-with-round", "A cancel with round_id, as in the last sample, returns the stake.", CANCEL_RESULT,
         bet("a", 5).accepted(-5), cancel("a").with_fields(round_id=SameAs("id")).accepted()),
    must("cancel-tells-credit", "The reply contains the credit after the cancel.", CANCEL_CREDIT,
         bet("a", 5).accepted(-5), cancel("a").accepted(check=balance_change(0))),
    must("cancel-retry", "A retry of a cancel succeeds and pays nothing more.", CANCEL_RESULT,
         bet("a", 5).accepted(-5), cancel("a").accepted(), cancel("a").accepted()),
    should("cancel-retry-tells-credit", "The reply to a retry contains the credit after the cancel.",
           "A repeated cancel gets result 1, with the credit as it was after the cancel.",
           bet("a", 5).accepted(-5), cancel("a").accepted(), bet("b", 3).accepted(-3),
           cancel("a").accepted(-3, check=balance_change(0))),
    must("cancel-of-nothing", "A cancel of an unknown id succeeds.", CANCEL_RESULT, cancel("a").accepted()),
    must("bet-after-cancel", "A bet that arrives after its cancel takes no money.", CANCEL,
         cancel("a").moves(0), bet("a", 5).moves(0, should=code(107)), because=GIVEN_UP),
    must("bet-retry-after-cancel", "A retry of a cancelled bet takes no money.", CANCEL,
         bet("a", 5).accepted(-5), cancel("a").accepted(), bet("a", 5).moves(0, should=code(107)),
         because=GIVEN_UP),
    should("win-id-after-cancel", "A win with a cancelled id is refused.", REUSED_ID_ROW,
           bet("a", 5).accepted(-5), cancel("b").moves(-5), win("b", 5, "a").refused(-5, should=code(106))),
    should("cancel-of-win", "A cancel of a win is refused.", "A cancel with the id of a win is refused with code 111.",
           bet("a", 5).accepted(-5), win("b", 5, "a").accepted(), cancel("b").refused(should=code(111))),
    should("cancel-after-win", "A cancel of the only bet of a round that has won is refused.", WON_ROUND_ROW,
           bet("a", 5).accepted(-5), win("b", 5, "a").accepted(), cancel("a").refused(should=code(108))),
    should("cancel-one-of-two-after-win", "Of two bets of a round that has won, one can be cancelled.", WON_ROUND_ROW,
           bet("a", 5).accepted(-5), bet("b", 3, "a").accepted(-8), win("c", 5, "a").accepted(-3),
           cancel("b").accepted(), cancel("a").refused(should=code(108))),
    must("cancel-by-other-player", "A cancel of another player's bet pays nothing.", UNIQUE_ID,
         bet("a", 5).accepted(-5), cancel("a").by("second").moves(-5, should=code(106)), because=ONE_PLAYER),
)

CONCURRENCY = (
    must("same-bet-at-once", "Eight concurrent copies of a bet deduct its stake once.", UNIQUE_ID,
         concurrently(*[bet("a", 5)] * 8).moves(-5, should=ACCEPTED), because=ONE_ID),
    must("same-win-at-once", "Eight concurrent copies of a win pay once.", UNIQUE_ID,
         bet("a", 5).accepted(-5), concurrently(*[win("b", 8, "a")] * 8).moves(3, should=ACCEPTED),
         because=ONE_ID),
    must("same-cancel-at-once", "Eight concurrent copies of a cancel pay once.", CANCEL_RESULT,
         bet("a", 5).accepted(-5), concurrently(*[cancel("a")] * 8).moves(0, should=ACCEPTED)),
    must("bets-at-once", "Eight concurrent bets deduct eight stakes.", BET_CREDIT,
         concurrently(*[bet(letter, 1) for letter in "abcdefgh"]).accepted(-8)),
    must("bet-and-cancel-at-once", "A bet and its concurrent cancel leave the balance unchanged.", CANCEL,
         concurrently(bet("a", 5), cancel("a")).moves(0), because=GIVEN_UP),
)

SESSIONS = (
    must("bet-code-unknown", "A bet with an unknown code is refused.", NO_CODE,
         bet("a", 5).by("unknown").refused(should=code(102))),
    must("win-code-unknown", "A win with an unknown code is refused.", NO_CODE,
         bet("a", 5).accepted(-5), win("b", 5, "a").by("unknown").refused(-5, should=code(102))),
    must("cancel-code-unknown", "A cancel with an unknown code is refused.", NO_CODE,
         bet("a", 5).accepted(-5), cancel("a").by("unknown").refused(-5, should=code(102))),
    *(
        case
        for session, number in (("expired", 103), ("revoked", 102))
        for case in (
            should(f"credit-{session}", f"The call credit is refused if the session is {session}.",
                   f"The call credit is refused with code {number}.",
                   credit.by(session).refused(should=code(number))),
            should(f"bet-{session}", f"A bet is refused if the session is {session}, and its id stays unused.",
                   f"A bet is refused with code {number}. It stays unrecorded, so a live session can repeat it.",
                   bet("a", 5).by(session).refused(should=code(number)), bet("a", 5).accepted(-5)),
            should(f"bet-retry-{session}", f"A retry of an applied bet succeeds even if the session is {session}.",
                   "A retry of an applied bet succeeds after the end of its session.",
                   bet("a", 5).accepted(-5), bet("a", 5).by(session).accepted(-5)),
            must(f"win-{session}", f"A win is accepted even if the session is {session}.", WIN_RESULT,
                 bet("a", 5).accepted(-5), win("b", 5, "a").by(session).accepted()),
            should(f"cancel-{session}", f"A cancel is accepted even if the session is {session}.",
                   "A cancel is accepted after the end of its session, because money in flight must be settled.",
                   bet("a", 5).accepted(-5), cancel("a").by(session).accepted()),
        )
    ),
    should("credit-blocked", "A blocked player's credit is returned.",
           "The call credit gets result 1 with any live session.",
           credit.by("blocked").accepted()),
    should("bet-blocked", "A blocked player's bet and its retry are refused.",
           "A blocked player's bet is refused with code 104, and the refusal is recorded.",
           bet("a", 5).by("blocked").refused(should=code(104)), bet("a", 5).by("blocked").refused(should=code(104))),
    should("win-blocked", "A blocked player's win is accepted.", "A win gets result 1 even if the player is blocked.",
           win("a", 0).by("blocked").accepted()),
    should("agent-path", "The path with an agent's wallet token accepts only that agent's sessions.",
           "The path /wallet/WALLET_TOKEN accepts only sessions of that agent, and refuses others with code 102.",
           credit.to("/wallet/{wallet}").accepted(), credit.to("/wallet/{unknown}").refused(should=code(102))),
)

MALFORMED = (
    malformed("bet-negative", "A bet of a negative amount", bet("a", 5).with_fields(bet=negative), BET),
    malformed("bet-over-range", "A bet above 2^63-1 cents", bet("a", 5).with_fields(bet=2**63), BET_RESULT),
    malformed("bet-as-text", "A bet whose amount is text", bet("a", 5).with_fields(bet=str)),
    malformed("bet-as-float", "A bet whose amount has a decimal point", bet("a", 5).with_fields(bet=float)),
    malformed("bet-true", "A bet whose amount is true", bet("a", 1).with_fields(bet=True)),
    malformed("bet-null", "A bet whose amount is null", bet("a", 5).with_fields(bet=None)),
    malformed("bet-missing", "A bet without an amount", bet("a", 5).without("bet")),
    malformed("win-negative", "A win of a negative amount", win("b", 5, "a").with_fields(win=negative), WIN),
    malformed("win-as-text", "A win whose amount is text", win("b", 5, "a").with_fields(win=str)),
    malformed("win-true", "A win whose amount is true", win("b", 1, "a").with_fields(win=True)),
    malformed("win-missing", "A win without an amount", win("b", 5, "a").without("win")),
    malformed("id-missing", "A bet without an id", bet("a", 5).without("id"), ID),
    malformed("id-negative", "A bet with a negative id", bet("a", 5).with_fields(id=negative), ID),
    malformed("id-over-range", "A bet with an id above 64 bits", bet("a", 5).with_fields(id=MAX_ID + 1), ID),
    malformed("id-as-text", "A bet whose id is text", bet("a", 5).with_fields(id=str)),
    malformed("id-true", "A bet whose id is true", bet("a", 5).with_fields(id=True)),
    malformed("id-fraction", "A bet whose id is a fraction", bet("a", 5).with_fields(id=0.5)),
    malformed("cancel-id-missing", "A cancel without an id", cancel("a").without("id"), ID),
    malformed("round-as-text", "A bet whose round_id is text", bet("a", 5).with_fields(round_id=str)),
    should("round-null", "A round_id of null is absent.", NULL_ROW,
           bet("a", 5).with_fields(round_id=None).accepted(-5)),
    malformed("round-over-range", "A bet with a round_id above 64 bits", bet("a", 5).with_fields(round_id=MAX_ID + 1),
              row="round_id is a 64-bit unsigned integer."),
    malformed("game-missing", "A bet without a game", bet("a", 5).without("game")),
    malformed("game-too-long", "A bet whose game has 65 characters", bet("a", 5).with_fields(game="g" * 65),
              row="The game has up to 64 characters."),
    malformed("time-too-long", "A bet whose time has 41 characters", bet("a", 5).with_fields(time="9" * 41),
              row="The time has up to 40 characters."),
    malformed("code-missing", "A bet without a code", bet("a", 5).without("code"), NO_CODE),
    malformed("code-as-number", "A bet whose code is a number", bet("a", 5).with_fields(code=7), NO_CODE),
    malformed("type-missing", "A request without a type", bet("a", 5).without("type")),
    malformed("not-json", "A body that is not JSON", credit.with_body(b"credit")),
    malformed("not-object", "A body that is a JSON list", credit.with_body(b"[]")),
    malformed("not-utf-8", "A body that is not UTF-8", credit.with_body(b'{"type":"\xff"}')),
    malformed("nested-deeply", "A body of 4,000 nested lists", credit.with_body(b"[" * 4000)),
    should("type-unknown", "A request of an unknown type is refused.", "An unknown type is refused with code 101.",
           bet("a", 5).with_fields(type="bonus").refused(should=code(101))),
    should("extra-field", "Unknown fields are ignored.", "Unknown fields are ignored.",
           bet("a", 5).with_fields(colour="red").accepted(-5)),
    should("game-as-text", "The game may be text.", "The game is an integer or a text of up to 64 characters.",
           bet("a", 5, game="fish").accepted(-5)),
    should("time-null", "A time of null is absent.", NULL_ROW,
           bet("a", 5).with_fields(time=None).accepted(-5)),
    should("game-with-any-character", "The game may have every character except control characters.",
           "A text may have every character except control characters and lone surrogates.",
           bet("a", 5, game="a\u00a0\u200d\U0001f41f").accepted(-5)),
    malformed("game-with-control-character", "A bet whose game has a control character (U+0085)",
              bet("a", 5).with_fields(game="a\x85"), row="A text has no control characters."),
    should("time-missing", "The time is optional.", "The time is optional, a text of up to 40 characters.",
           bet("a", 5).without("time").accepted(-5)),
)

ONLY_POST = "Only POST is accepted. Any other method, HEAD included, gets HTTP 405."

HTTP = (
    *(
        must(f"no-{method.lower()}", f"{method} moves no money.", POST,
             bet("a", 5).with_method(method).moves(0, should=http_status(405, ONLY_POST)))
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE")
    ),
    should("no-store", "No reply may be cached.", "Every reply has the header Cache-Control: no-store.",
           credit.accepted(check=NO_STORE), credit.by("unknown").refused(check=NO_STORE)),
    should("body-too-long", "A body over 8 KiB is refused.", "A body over 8 KiB gets HTTP 413.",
           bet("a", 5).with_fields(colour="r" * 8192).refused(check=http_status(413))),
    should("query-too-long", "A query over 2 KiB is refused.", "A query over 2 KiB gets HTTP 414.",
           bet("a", 5).to("/wallet?" + "q" * 2049).refused(check=http_status(414))),
)
# A wallet that breaks one of these rules may lose, multiply or split the whole balance, so they are the last.
WHOLE_BALANCE = (
    must("bet-over-credit", "A bet above the credit is refused.", BET_RESULT,
         bet("a", All(1)).refused(should=code(105))),
    should("refusal-tells-credit", "A refusal contains the credit if the session is known.", BALANCE_ROW,
           bet("a", All(1)).refused(check=balance_change(0))),
    should("bet-refused-stays-refused", "A bet refused for insufficient funds stays refused when the balance suffices.",
           "A repeated bet that was refused gets the same refusal.",
           bet("a", 5).accepted(-5), bet("b", All(1)).refused(-5), win("c", 6, "a").accepted(1),
           bet("b", All(1)).refused(1, should=code(105))),
    must("cancel-of-refused-bet", "A cancel of a refused bet succeeds and pays nothing.", CANCEL_RESULT,
         bet("a", All(1)).refused(), cancel("a").accepted(), bet("a", All(1)).moves(0, should=code(107))),
    must("bet-of-all", "A bet of the whole balance leaves 0, and its cancel returns all of it.", BET_RESULT,
         bet("a", ALL).accepted(EMPTY), cancel("a").accepted()),
    must("all-twice-at-once", "Of two concurrent bets of the whole balance, exactly one is accepted.", BET_RESULT,
         concurrently(bet("a", ALL), bet("b", ALL)).one_accepted(EMPTY)),
    should("win-over-range", "A win above a 64-bit balance is refused.",
           "A win is refused with code 110 if the balance would exceed 2^63-1.",
           bet("a", 5).accepted(-5), win("b", MAX_CENTS, "a").refused(-5, should=code(110))),
    malformed("bet-fraction", "A bet of a fraction of a cent", bet("a", 5).with_fields(bet=with_fraction), BET),
    malformed("win-fraction", "A win of a fraction of a cent", win("b", 5, "a").with_fields(win=with_fraction), WIN),
)
# fmt: on


def _read_reply(response: HttpResponse) -> ReplyContent:
    if (fields := parse_json_object(response.body)) is None:
        return NOT_JSON
    is_success = type(fields["result"]) is int and fields["result"] == 1 if "result" in fields else None
    holder = fields.get("player_id"), fields.get("currency")
    return ReplyContent(is_success, fields.get("err_code"), _get_balance(fields), holder, fields)


def _get_balance(fields: Mapping[str, Any]) -> tuple[int, ...] | None:
    cents = parse_whole_cents(fields.get("credit"))
    return None if cents is None else (cents,)


def _drain(letter: str, amount: int) -> Sequence[RequestSpec]:
    return [bet(letter, amount)]


WALLET_V2 = ProtocolSuite(
    load_protocol("wallet-v2"),
    balance_request=credit,
    cancel_bet=cancel,
    id_field="id",
    drain=_drain,
    read_reply=_read_reply,
    cases=(*ANSWERS, *BETS, *WINS, *CANCELS, *CONCURRENCY, *SESSIONS, *MALFORMED, *HTTP, *WHOLE_BALANCE),
)
