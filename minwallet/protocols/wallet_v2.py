"""wallet-v2: JSON over POST, the operation in the field `type`.

The specification is "Wallet API v.2"; its sentences are quoted where the code obeys them. Two of its samples are not
JSON (`"player_id"="usr-1122334455"`, and requests broken over two lines); what they mean is plain, and that is spoken
here. A transaction id "is unique within one currency", so ids are looked up per agent and currency.
"""

import json
import time
from collections import Counter
from functools import lru_cache
from typing import Any, assert_never

from jiter import from_json
from pydantic_core import to_json

from minwallet.ledger.commands import Authenticate, Balance, Bet, BetWin, Cancel, Deposit, Settle, Win, Withdraw
from minwallet.ledger.entries import Entry, Kind, Refusal
from minwallet.ledger.money import MAX_CENTS, MAX_ID
from minwallet.ledger.outcomes import Applied, Outcome, Refused, Replayed, Shown, Stranger
from minwallet.protocols.wire import (
    REDACTED,
    Answer,
    Call,
    Exchange,
    Holder,
    Launch,
    Malformed,
    add_query,
    is_text,
    is_told,
    no_constants,
    split_query,
)

MALFORMED, UNKNOWN_TYPE, UNAVAILABLE = 100, 101, 500

LONGEST_GAME, LONGEST_TIME = 64, 40


class _BadField(ValueError):
    """The field, and what it should be."""


class WalletV2:
    """`type` is credit, bet, win or cancel."""

    name = "wallet-v2"
    method = "POST"
    routes = {"/wallet": "", "/wallet/{wallet_token}": ""}  # noqa: RUF012 the protocol's own, never changed
    ids_per_currency = True

    def parse(self, operation: str, raw: bytes) -> Call | Malformed:
        try:
            fields = _read_object(raw)
            operation = _text(fields, "type", None)
            if operation not in ("credit", "bet", "win", "cancel"):
                return Malformed("", UNKNOWN_TYPE, "type: must be credit, bet, win or cancel")
            token = _text(fields, "code", None)
            if "time" in fields:
                _text(fields, "time", LONGEST_TIME)
            return Call(operation, token, _command(operation, fields))
        except _BadField as bad:
            return Malformed(operation, MALFORMED, str(bad))

    def render(self, call: Call, outcome: Outcome | Stranger, holder: Holder | None, now_ms: int) -> bytes:
        fields: dict[str, object]
        match outcome:
            case Applied() | Replayed():
                # "credit — ... after deducting the bet": a retry is told what the first answer would have told.
                entry = outcome.entry
                fields = {"credit": entry.cash_after + entry.bonus_after, "result": 1, "time": _time(now_ms)}
            case Shown(cash, bonus):
                assert holder is not None
                fields = {
                    "credit": cash + bonus,
                    "player_id": holder.player_id,
                    "result": 1,
                    "time": _time(now_ms),
                    "currency": holder.currency,
                }
            case Refused(refusal, cash, bonus):
                fields = {"credit": cash + bonus, **_failure(*_refusal(refusal), now_ms)}
            case Stranger(refusal):
                fields = _failure(*_refusal(refusal), now_ms)
            case _:
                assert_never(outcome)
        return to_json(fields)

    def redact(self, call: Call, raw: bytes, now_ms: int) -> str:
        text = raw.decode()
        redacted = text.replace(f'"{call.token}"', f'"{REDACTED}"')
        if redacted == text or is_told(call.token, redacted):
            redacted = self.build(call._replace(token=REDACTED), now_ms).body.decode()
        return redacted

    def complain(self, complaint: Malformed, now_ms: int) -> bytes:
        return to_json(_failure(complaint.code, complaint.message, now_ms))

    def fault_code(self, http_status: int) -> int:
        return UNAVAILABLE if http_status == 429 or http_status >= 500 else MALFORMED

    def build(self, call: Call, now_ms: int, wallet_token: str | None = None) -> Exchange:
        common: dict[str, object] = {"code": call.token, "type": call.operation, "time": _time(now_ms)}
        fields: dict[str, object]
        match call.command:
            case Balance():
                fields = common
            case Bet(id, stake, round, game):
                fields = {"bet": stake, **common, "game": _game(game), "id": int(id), "round_id": int(round)}
            case Win(id, payout, round, game):
                fields = {"win": payout, **common, "game": _game(game), "id": int(id), **_round(round)}
            case Cancel(id, round):
                fields = {**common, "id": int(id), **_round(round)}
            case Authenticate() | Settle() | BetWin() | Deposit() | Withdraw():
                raise ValueError(f"wallet-v2 has no {type(call.command).__name__}")
            case _:
                assert_never(call.command)
        path = "/wallet" if wallet_token is None else f"/wallet/{wallet_token}"
        return Exchange(self.method, path, body=to_json(fields))

    def read(self, body: bytes) -> Answer:
        fields = _read_object(body)
        if type(fields.get("result")) is int and fields["result"] == 1:
            return Answer(0, None, _cents(fields, "credit"), None, fields.get("player_id"), fields.get("currency"))
        code = fields.get("err_code")
        if type(code) is not int:
            raise _BadField("err_code: must be a whole number where result is not 1")
        balance = _cents(fields, "credit") if "credit" in fields else None
        return Answer(code, fields.get("err_desc"), balance)

    def recall(self, entry: Entry, token: str) -> Call:
        match entry.kind:
            case Kind.BET:
                assert entry.round is not None
                return Call("bet", token, Bet(entry.id, entry.stake, entry.round, entry.game))
            case Kind.WIN:
                return Call("win", token, Win(entry.id, entry.payout, entry.round, entry.game))
            case Kind.CANCEL:
                return Call("cancel", token, Cancel(entry.id, entry.round))
            case Kind.BETWIN | Kind.DEPOSIT | Kind.WITHDRAW:
                raise ValueError(f"wallet-v2 has no {entry.kind}")
            case _:
                assert_never(entry.kind)

    def launch(self, launch: Launch) -> str:
        game, lang = {"gameID": launch.game}, {"lang": launch.lang}
        if launch.token is None:
            return add_query(launch.base, {"mode": "demo", **game, **lang})
        real = {"mode": "real_play", **game, "token": launch.token, **lang, "wallet": launch.agent}
        return add_query(launch.base, real)

    def read_launch(self, url: str) -> Launch:
        base, said = split_query(url)
        is_real = said.get("mode") == "real_play"
        token, agent = (said.get("token"), said.get("wallet", "")) if is_real else (None, "")
        return Launch(base, said.get("gameID", ""), said.get("lang", ""), token, agent)


def _command(operation: str, fields: dict[str, Any]) -> Balance | Bet | Win | Cancel:
    if operation == "credit":
        return Balance()
    id_ = str(_number(fields, "id", MAX_ID))
    # "round_id - transaction number of the first bet": a bet without one is the first of its own round.
    round_ = str(_number(fields, "round_id", MAX_ID)) if "round_id" in fields else None
    match operation:
        case "bet":
            return Bet(id_, _cents(fields, "bet"), round_ or id_, _game_name(fields))
        case "win":
            return Win(id_, _cents(fields, "win"), round_, _game_name(fields))
        case _:
            return Cancel(id_, round_)


def _refusal(refusal: Refusal) -> tuple[int, str]:
    match refusal:
        case Refusal.SESSION_UNKNOWN | Refusal.SESSION_REVOKED:
            return 102, "session not found"
        case Refusal.SESSION_EXPIRED:
            return 103, "session expired"
        case Refusal.PLAYER_BLOCKED | Refusal.PLAYER_EXCLUDED | Refusal.LOSS_LIMIT | Refusal.DEPOSIT_LIMIT:
            return 104, "player blocked"
        case Refusal.INSUFFICIENT_FUNDS:
            return 105, "insufficient funds"
        case Refusal.ID_TAKEN:
            return 106, "transaction id already used"
        case Refusal.CANCELLED:
            return 107, "transaction cancelled"
        case Refusal.ROUND_SETTLED:
            return 108, "round already settled"
        case Refusal.ROUND_CANCELLED:
            return 109, "round cancelled"
        case Refusal.OUT_OF_RANGE | Refusal.WIN_SPENT:
            return 110, "amount out of range"
        case Refusal.NOT_A_BET | Refusal.NO_OPEN_BET:
            return 111, "not a bet"
        case _:
            assert_never(refusal)


def _failure(code: int, description: str, now_ms: int) -> dict[str, object]:
    return {"result": 0, "err_code": code, "err_desc": description, "time": _time(now_ms)}


def _time(now_ms: int) -> str:
    return _clock(now_ms // 1000)


@lru_cache(maxsize=2)  # thousands of answers carry the same second
def _clock(second: int) -> str:
    return time.strftime("%d-%m-%Y %H:%M:%S", time.gmtime(second))


def _game(game: str | None) -> int | str | None:
    """A game's code as the provider writes it: a number where it is one."""
    if game is not None and game.isascii() and game.isdigit() and len(game) <= 20:
        number = int(game)
        return number if str(number) == game and number <= MAX_ID else game
    return game


def _round(round_: str | None) -> dict[str, object]:
    return {} if round_ is None else {"round_id": int(round_)}


def _read_object(raw: bytes) -> dict[str, Any]:
    try:
        fields = from_json(raw, allow_inf_nan=False, cache_mode="keys", catch_duplicate_keys=True)
    except ValueError:
        fields = _read_patiently(raw)
    if not isinstance(fields, dict):
        raise _BadField("the body is not a JSON object")
    return fields


def _read_patiently(raw: bytes) -> object:
    """What the quick reader refuses, such as a field given twice, which may be one that nobody looks at."""
    try:
        return json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=no_constants, parse_int=_whole)
    except (ValueError, RecursionError):
        raise _BadField("the body is not JSON") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of an object. One that is given twice has no value: nobody knows which of the two was meant."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        fields |= {name: None for name, times in Counter(name for name, _ in pairs).items() if times > 1}
    return fields


def _whole(digits: str) -> int:
    """A number; one that is far out of every range stays so, but costs no time."""
    return int(digits) if len(digits) <= 20 else MAX_ID + 1


def _text(fields: dict[str, Any], name: str, longest: int | None) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or (longest is not None and len(value) > longest):
        raise _BadField(f"{name}: must be text" + (f" of at most {longest} symbols" if longest else ""))
    return value


def _number(fields: dict[str, Any], name: str, most: int) -> int:
    value = fields.get(name)
    if type(value) is not int or not 0 <= value <= most:
        raise _BadField(f"{name}: must be a whole number from 0 to {most}")
    return value


def _cents(fields: dict[str, Any], name: str) -> int:
    return _number(fields, name, MAX_CENTS)


def _game_name(fields: dict[str, Any]) -> str:
    value = fields.get("game")
    if type(value) is int and 0 <= value <= MAX_ID:
        return str(value)
    if not value or not is_text(value, LONGEST_GAME):
        raise _BadField(f"game: must be a whole number, or text of 1 to {LONGEST_GAME} printable symbols")
    return str(value)
