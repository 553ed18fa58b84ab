"""The requests and checks of the conformance cases of wallet-v2. The quotations are from "Wallet API v.2"."""

from minwallet.conformance.amounts import AmountSpec
from minwallet.conformance.checks import ResponseCheck, refusal_code
from minwallet.conformance.dsl import Case, RequestSpec, must, should
from minwallet.ledger.commands import Balance, Bet, Cancel, Win

POST = "The http POST method is used for all requests to the server."
CREDIT = "credit — an integer number with an amount of credit in cents (kopecks)."
PLAYER_ID = "player_id — unique player identifier (up to 40 characters)"
CURRENCY = "currency — name of a currency"
TIME = "time — a date and a time of response."
NO_CODE = "result — in case of positive result =1, in case of error any other number (e.g. if a code does not exist)."
ERRORS = 'And we record what we got in "err_code" and "err_desc" in the log.'
ID = "id — ID of transaction, a 64 bit unsigned integer."
UNIQUE_ID = (
    "The “id” parameter is unique within one currency, only one player for the same currency can have a transaction,"
    " for example - 123."
)
PER_CURRENCY = (
    "But if there are several currencies, then the player can have the same transaction for UAH=123 and for USD=123."
)
BET = "bet — an integer number with an amount of bet in cents (kopecks)."
BET_CREDIT = "credit — an integer number with amount of credit in cents (kopecks), after deducting the bet."
BET_RESULT = (
    "result — in case of positive result =1, in case of error any other number (e.g. if a bet exceeds current credit)."
)
WIN = "win — an integer number with amount of winning in cents (kopecks)"
WIN_CREDIT = "credit — an integer number with amount of credit in cents (kopecks), after adding a winning."
WIN_RESULT = (
    "result — in case of positive result =1, in case of error any other number (a winning has to be taken because"
    " operation of such an account will not be possible)."
)
CANCEL = "Request is sent if a game system was unable to place a confirmed bet."
CANCEL_CREDIT = "credit — an integer number with amount of credit in cents (kopecks) after cancellation of a bet."
CANCEL_RESULT = "result — if such transaction canceled or does not exist =1, any other number in case of error."

CODES = {
    100: "malformed request",
    101: "unknown type",
    102: "session not found",
    103: "session expired",
    104: "player blocked",
    105: "insufficient funds",
    106: "transaction id already used",
    107: "transaction cancelled",
    108: "round already settled",
    109: "round cancelled",
    110: "amount out of range",
    111: "not a bet",
}
MALFORMED_ROW = (
    "A request that is not a JSON object, or has a missing field or one of the wrong type, is refused with code 100."
)
BALANCE_ROW = "A refusal contains the credit if the session is known."
REUSED_ID_ROW = "A used id with other content is refused with code 106."

# Our conclusions from the quoted sentences, where these do not state the rule themselves.
ONE_ID = "So a request with a used id is the same transaction, and moves money once."
ONE_PLAYER = "So a transaction belongs to one player, and another player's request does not change it."
GIVEN_UP = "The game has given the bet up, so no stake may remain deducted."

credit = RequestSpec("credit", "credit", lambda _: Balance())


def bet(id: str, stake: AmountSpec, round: str | None = None, game: str = "1012") -> RequestSpec:
    return RequestSpec(
        "bet",
        f"bet {id}",
        lambda names: Bet(names.resolve_id(id), names.resolve_amount(stake), names.resolve_id(round or id), game),
        (stake,),
        (*_in_round(round), *([] if game == "1012" else [f"in game {game}"])),
    )


def win(id: str, payout: AmountSpec, round: str | None = None) -> RequestSpec:
    return RequestSpec(
        "win",
        f"win {id}",
        lambda names: Win(
            names.resolve_id(id), names.resolve_amount(payout), names.resolve_id(round) if round else None, "1012"
        ),
        (payout,),
        _in_round(round),
    )


def _in_round(round: str | None) -> tuple[str, ...]:
    return (f"in round {round}",) if round else ()


def cancel(id: str) -> RequestSpec:
    return RequestSpec("cancel", f"cancel {id}", lambda names: Cancel(names.resolve_id(id)))


def code(number: int) -> ResponseCheck:
    return refusal_code(number, f"Code {number} means: {CODES[number]}.")


def negative(number: int) -> int:
    return -number


def with_fraction(number: int) -> float:
    return number - 0.5


def malformed(name: str, subject: str, ask: RequestSpec, spec: str = "", row: str = MALFORMED_ROW) -> Case:
    """Return the case of a malformed request. It is a must if `spec` quotes the specification, else advice for this
    row of the contract.

    `subject` begins the rule's sentence. A server error that moves no money is advice for each of these requests alike.
    A win follows its bet, because a wallet may refuse a win without a bet.
    """
    rule = f"{subject} is not accepted and moves no money."
    placed, money = ([bet("a", 5).accepted(-5)], -5) if ask.operation == "win" else ([], 0)
    if spec:
        return must(name, rule, spec, *placed, ask.not_accepted(money, should=code(100)))
    return should(name, rule, row, *placed, ask.not_accepted(money, should=code(100)))
