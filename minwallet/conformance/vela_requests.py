"""The requests and checks of the conformance cases of vela. The quotations are from "Vela Gaming: Common Wallet"."""

from minwallet.conformance.amounts import AmountSpec
from minwallet.conformance.checks import ResponseCheck, cite_contract, refusal_code
from minwallet.conformance.dsl import Bindings, Case, RequestSpec, must, should
from minwallet.ledger.commands import Authenticate, Bet, BetWin, Cancel, Settle

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
BAD_ROW = (
    "A required parameter that is missing, empty, given twice or not in ASCII digits is refused with code 2001, and a"
    " malformed ticket_id with code 2."
)
BALANCE_ROW = "A refusal contains both balances if the session is known."
REUSED_ID_ROW = "A used ticket with other content is refused with code 2."

# Our conclusions from the quoted sentences, where these do not state the rule themselves.
ONE_TICKET = "So a request with a used ticket is the same transaction, and moves money once."
ONE_PLAYER = "So a ticket belongs to one player, and another player's request does not change it."
GIVEN_UP = "The game has given the bet up, so no stake may remain deducted."
NO_BET = "A ticket without an applied, open bet is invalid for this call."
FINISHED = "A bet with a result is finished, and a refund would pay it twice."

GAME = {"game_code": "fish"}

authenticate = RequestSpec("authenticate", "authenticate", lambda _: Authenticate(), changes=GAME)


def bet(id: str, stake: AmountSpec, key: str = "small", game: str = "fish") -> RequestSpec:
    detail = f'{{"key":"{key}"}}'
    return RequestSpec(
        "bet",
        f"bet {id}",
        lambda names: Bet(names.resolve_id(id), names.resolve_amount(stake), names.resolve_id(id), game, detail),
        (stake,),
        (*([] if game == "fish" else [f"in game {game}"]), *([] if key == "small" else [f"with key {key}"])),
    )


def result(id: str, payout: AmountSpec, used: int | None = None) -> RequestSpec:
    def build(names: Bindings) -> Settle:
        detail = None if used is None else f'{{"total_used":{names.resolve_amount(used)}}}'
        return Settle(names.resolve_id(id), names.resolve_amount(payout), "fish", detail)

    details = () if used is None else (f"with total_used {used}",)
    return RequestSpec("result", f"result {id}", build, (payout,), details)


def betwin(id: str, stake: AmountSpec, payout: AmountSpec) -> RequestSpec:
    return RequestSpec(
        "betwin",
        f"betwin {id}",
        lambda names: BetWin(names.resolve_id(id), names.resolve_amount(stake), names.resolve_amount(payout), "fish"),
        (stake, payout),
    )


def refund(id: str) -> RequestSpec:
    return RequestSpec("refund", f"refund {id}", lambda names: Cancel(names.resolve_id(id)), changes=GAME)


def code(number: int, row: str = "") -> ResponseCheck:
    return refusal_code(number, row or f"Code {number} means: {CODES[number]}.")


SAME_PARTS = ResponseCheck(
    *("parts", "cash and bonus unchanged"),
    lambda came, start: "cash and bonus unchanged" if came.balance == start else f"{came.balance} instead of {start}",
    cite_contract("A refund returns cash and bonus as they were."),
)


def malformed(
    name: str, subject: str, ask: RequestSpec, spec: str = "", number: int = 2001, *, row: str = BAD_ROW
) -> Case:
    """Return the case of a malformed request. It is a must if `spec` quotes the specification, else advice for this
    row of the contract.

    `subject` begins the rule's sentence. A server error that moves no money is advice for each of these requests alike.
    """
    rule = f"{subject} is not accepted and moves no money."
    placed, money = ([bet("a", 5).accepted(-5)], -5) if ask.operation == "result" else ([], 0)
    if spec:
        return must(name, rule, spec, *placed, ask.not_accepted(money, should=code(number, BAD_ROW)))
    return should(name, rule, row, *placed, ask.not_accepted(money, should=code(number, BAD_ROW)))


def twice(value: str) -> list[str]:
    return [value, value]


def fullwidth(digits: str) -> str:
    """Return the digits as full-width Unicode digits of East Asian texts. Python's `int`, for example, accepts them."""
    return "".join(chr(0xFF10 + int(digit)) for digit in digits)


def negative(digits: str) -> str:
    return f"-{digits}"


def with_fraction(digits: str) -> str:
    return f"{digits}.5"


def with_plus(digits: str) -> str:
    return f"+{digits}"


def with_space(digits: str) -> str:
    return f" {digits}"


def with_underscore(digits: str) -> str:
    return f"0_{digits}"


def with_21_digits(digits: str) -> str:
    return digits.zfill(21)
