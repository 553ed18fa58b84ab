"""All parsers of untrusted bytes, with the properties that hold for any input.

A target takes bytes and raises AssertionError or any unexpected error. For both wire protocols, a separate simple
and slow parser must give the same result: the same fields or the same error.
"""

import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import chdir, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from minwallet.cli.output import UsageError
from minwallet.cli.seed import SEED_COLUMNS, _parse_row, _read_file
from minwallet.config import Settings, load_settings
from minwallet.ledger.commands import Query
from minwallet.ledger.entries import Refusal
from minwallet.ledger.money import MAX_CENTS, MAX_ID
from minwallet.ledger.outcomes import Outcome, Unauthenticated
from minwallet.operations.requests import SeedRow
from minwallet.protocols.operator_service import ReportUnit
from minwallet.protocols.registry import has_part, list_protocols, load_operator_service, load_protocol
from minwallet.protocols.wire import REDACTED, Call, HttpRequest, HttpResponse, Launch, Malformed
from minwallet.setting_sources import SettingsError
from minwallet.storage.file_lock import ControlEndpoint, lock_file_path, read_control_endpoint
from tests.protocols.golden_pairs import load_golden_pairs, make_request
from tests.protocols.sample_outcomes import APPLIED, CLOSED, HOLDER, REPLAYED, SHOWN, make_refused

FuzzTarget = Callable[[bytes], None]

NOW_MS = 1_700_000_000_000

MAX_INPUT_BYTES = 8 * 1024

DISTINCTIVE_TOKEN = re.compile(r"[A-Za-z0-9_]{16,40}", re.ASCII)
"""A token that does not occur in a request by chance."""

OUTCOMES: tuple[Outcome | Unauthenticated, ...] = (
    APPLIED,
    CLOSED,
    REPLAYED,
    Unauthenticated(),
    *map(make_refused, Refusal),
)

WALLET_V2, VELA = load_protocol("wallet-v2"), load_protocol("vela")


def fuzz_wallet_v2(data: bytes) -> None:
    """Parse a request of wallet-v2."""
    request = HttpRequest("POST", "/wallet", body=data)
    call = WALLET_V2.parse(request, "")
    expected = _naive_wallet_v2(data)
    if expected is not None:
        found = call.code if isinstance(call, Malformed) else _call_fields(call)
        assert found == expected, (found, expected)
    _check_invariants("wallet-v2", call, request)


def fuzz_vela(data: bytes) -> None:
    """Parse a request of vela; the first byte selects the operation."""
    operation = sorted({route.operation for route in VELA.routes})[data[0] % 5] if data else "bet"
    request = HttpRequest("GET", f"/api/{operation}", data[1:])
    call = VELA.parse(request, operation)
    found = call.code if isinstance(call, Malformed) else _call_fields(call)
    expected = _naive_vela(operation, request.query)
    assert found == expected, (found, expected)
    _check_invariants("vela", call, request)


def fuzz_answers(data: bytes) -> None:
    """Parse a wallet's reply as a provider, a provider's reply as an operator, and a launch URL."""
    for protocol in (WALLET_V2, VELA):
        with suppress(ValueError):
            protocol.parse_response(HttpResponse(data))
        assert isinstance(protocol.parse_launch_url(data.decode("utf-8", "replace")), Launch)
    for service in (load_operator_service(name) for name in list_protocols() if has_part(name, "operator_service")):
        with suppress(ValueError):
            service.parse_games(data)
        for unit in ReportUnit:
            with suppress(ValueError):
                service.parse_report(data, unit)


def fuzz_seed(data: bytes) -> None:
    """Parse a file of players; each line is a valid player, or is rejected with a message."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        file = Path(folder) / "players.csv"
        file.write_bytes(data)
        with suppress(UsageError):
            records, separator = _read_file(file)
            for number, fields in records:
                with suppress(ValueError):
                    row = _parse_row(number, fields, has_decimal_comma=separator != ",")
                    assert isinstance(row, SeedRow)
                    assert 0 <= row.balance <= MAX_CENTS
                    assert 0 <= row.bonus <= MAX_CENTS


def fuzz_lock_file(data: bytes) -> None:
    """Parse a lock file, which gives a control endpoint or None."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        database = Path(folder) / "wallet.db"
        lock_file_path(database).write_bytes(data)
        desk = read_control_endpoint(database)
    assert desk is None or isinstance(desk, ControlEndpoint)


def fuzz_settings(data: bytes) -> None:
    """Parse an environment with a setting on each line; invalid settings are named in one line."""
    names = [f"MINWALLET_{name.upper()}" for name in Settings.model_fields]
    values = [line.replace("\0", "") for line in data.decode("utf-8", "surrogateescape").splitlines()]
    with patch.dict(os.environ, dict(zip(names, values, strict=False)), clear=True), suppress(SettingsError):
        load_settings().require_protection()


def fuzz_settings_files(data: bytes) -> None:
    """Read settings files. A file gives settings, or an error in one line."""
    for file in (".env", "minwallet.toml"):
        with TemporaryDirectory(dir="/dev/shm") as folder, chdir(folder), patch.dict(os.environ, clear=True):
            Path(file).write_bytes(data)
            message = ""
            try:
                load_settings()
            except SettingsError as error:
                message = str(error)
            assert len(message.splitlines()) <= 1, message


FUZZ_TARGETS: dict[str, FuzzTarget] = {
    "wallet-v2": fuzz_wallet_v2,
    "vela": fuzz_vela,
    "answers": fuzz_answers,
    "seed": fuzz_seed,
    "lock file": fuzz_lock_file,
    "settings": fuzz_settings,
    "settings files": fuzz_settings_files,
}


def seed_corpus(reader: str) -> Iterator[bytes]:
    """Return valid and nearly valid inputs, first the examples of the specifications."""
    golden = list(load_golden_pairs())
    match reader:
        case "wallet-v2":
            yield from (make_request(pair.request).body for pair in golden if pair.protocol == "wallet-v2")
            yield b'{"type":"bet","bet":1,"bet":2,"id":3,"game":1,"code":"a"}'
            yield b'{"type":"bet","bet":1e2,"id":-0,"game":"\\ud800","code":"a","x":' + b"[" * 200 + b"]" * 200 + b"}"
            yield b'{"type":"win","win":9223372036854775807,"id":18446744073709551615,"game":1,"code":"a"}'
        case "vela":
            for pair in golden:
                if pair.protocol == "vela":
                    yield from (bytes([number]) + make_request(pair.request).query for number in range(5))
            yield b"\0access_token=%61&ticket_id=%31&total_bet=1&total_win=%ff&total_used=&key=+%00"
            yield "\1access_token=a&ticket_id=\uff11&total_bet=1_0".encode()
        case "answers":
            yield from (json.dumps(pair.reply).encode() for pair in golden)
            service = load_operator_service("vela")
            yield service.render_games([])
            yield b'{"data":{"status_code":0,"report":[{"ticket_id":"1","bet_stake":1e400,"id":1}],"key":"2"}}'
            yield b"1e99999999999999999999"
            yield b"https://x/play?mode=real_play&gameID=1&token=T&lang=en&wallet=W"
        case "seed":
            yield ",".join(SEED_COLUMNS).encode() + b"\nann,USD,12.50,1,token,default\nben,FUN,0,,,\n"
            yield b'\xef\xbb\xbfplayer_id,currency,balance\r\n"an""n","USD",\xff\r\n"'
        case "lock file":
            yield json.dumps(ControlEndpoint(1, "http://127.0.0.1:1", "k", "s", "c")._asdict()).encode()
            yield b"[" * 5000
        case "settings files":
            yield b'export MINWALLET_PORT=1 # one\nMINWALLET_CALLBACK_KEY="a\\"b"\n\nOTHER=${HOME:-x}'
            yield b"MINWALLET_HOST='a\nMINWALLET_PORT=2\nMINWALET_DB=${X}\nB\xe9='\r\n=3"
            yield b'port = 1\nhost = "::1"\ncallback_allow = ["::/0"]\nrequire_wallet_token = true\n[server]'
        case _:
            yield b"w.db\n::1\n80\nkey\ntrue\n10.0.0.0/8,::/0\n*\nhttps://x.example\n30"
            yield b"w.db\n\n\n\nno\n0.0.0.0/0\n\xff*"
            yield b"\n0.0.0.0\n-1\n/\n2\nx\n,\nhttp://[::1\n1e9"


def _check_invariants(name: str, call: Call | Malformed, request: HttpRequest) -> None:
    """Check the properties of every request of every protocol."""
    protocol = load_protocol(name)
    if isinstance(call, Malformed):
        assert json.loads(protocol.render_error(call, NOW_MS).body)
        assert call.message
        return
    said = protocol.redact(call, request, NOW_MS)
    others = str(call.command)
    if DISTINCTIVE_TOKEN.fullmatch(call.token) and call.token not in others and call.token not in REDACTED:
        assert call.token not in said, said
    outcomes = [SHOWN, *OUTCOMES] if isinstance(call.command, Query) else OUTCOMES
    for outcome in outcomes:
        assert json.loads(protocol.render(call, outcome, HOLDER, NOW_MS).body)
    if DISTINCTIVE_TOKEN.fullmatch(call.token):
        assert protocol.parse(protocol.build_request(call, NOW_MS), call.operation) == call


def _call_fields(call: Call) -> dict[str, object]:
    fields = call.command._asdict()
    # Neither protocol has these.
    assert not fields.pop("checks_round", False)
    assert not fields.pop("category", None)
    return {"token": call.token, "operation": call.operation, **fields}


class _NaiveRefusal(Exception):
    """An error with the protocol's code."""


def _naive_wallet_v2(data: bytes) -> object:
    """Return the fields of a request or the code of its error, or None if Python's own parser cannot nest so deep."""
    try:
        text = data.decode().removeprefix("\ufeff")
        pairs = json.loads(
            text,
            object_pairs_hook=list,
            parse_constant=lambda _: 1 / 0,
            parse_int=lambda digits: int(digits) or int(digits[0] == "-") * -1,
        )
    except (ValueError, ZeroDivisionError):
        return 100
    except RecursionError:
        return None
    if not isinstance(pairs, list) or not text.strip().startswith("{"):
        return 100
    try:
        return _naive_fields(pairs)
    except _NaiveRefusal as bad:
        return bad.args[0]


def _naive_fields(pairs: list[tuple[str, Any]]) -> dict[str, object]:
    def only(name: str) -> Any:  # noqa: ANN401 whatever JSON has
        values = [value for key, value in pairs if key == name]
        return values[0] if len(values) == 1 else None

    def number(name: str, most: int) -> int:
        if type(value := only(name)) is not int or not 0 <= value <= most:
            raise _NaiveRefusal(100)
        return value

    def is_given(name: str) -> bool:
        return [value for key, value in pairs if key == name] not in ([], [None])

    kind, token = only("type"), only("code")
    if not isinstance(kind, str):
        raise _NaiveRefusal(100)
    if kind not in ("credit", "bet", "win", "cancel"):
        raise _NaiveRefusal(101)
    if not isinstance(token, str) or (
        is_given("time") and not (isinstance(time := only("time"), str) and len(time) < 41)
    ):
        raise _NaiveRefusal(100)
    fields: dict[str, object] = {"token": token, "operation": kind}
    if kind == "credit":
        return fields
    id_ = str(number("id", MAX_ID))
    round_ = str(number("round_id", MAX_ID)) if is_given("round_id") else None
    fields |= {"id": id_, "round": round_}
    if kind == "cancel":
        return fields
    amount, game = number(kind, MAX_CENTS), only("game")
    is_name = isinstance(game, str) and 0 < len(game) <= 64 and _is_plain(game)
    if not is_name and not (type(game) is int and 0 <= game <= MAX_ID):
        raise _NaiveRefusal(100)
    if kind == "bet":
        return fields | {"stake": amount, "round": round_ or id_, "game": str(game), "detail": None}
    return fields | {"payout": amount, "game": str(game)}


def _is_plain(text: str) -> bool:
    return not any(unicodedata.category(each) in ("Cc", "Cs") for each in text)


def _naive_vela(operation: str, query: bytes) -> object:
    """Return the fields of a request or the code of its error."""
    given: dict[str, list[str]] = {}
    for part in query.split(b"&"):
        if part:
            name, _, value = (_unquote(piece) for piece in part.partition(b"="))
            given.setdefault(name, []).append(value)

    def text(name: str) -> str | None:
        values = given.get(name, [])
        if len(values) > 1 or any(len(value) > 64 or not _is_plain(value) for value in values):
            raise _NaiveRefusal(2001)
        return values[0] if values and values[0] else None

    def number(name: str, most: int, code: int = 2001) -> int:
        values = given.get(name, [])
        if len(values) != 1 or not re.fullmatch("[0123456789]{1,20}", values[0]) or int(values[0]) > most:
            raise _NaiveRefusal(code)
        return int(values[0])

    def detail(name: str, value: object) -> str | None:
        return None if value is None else json.dumps({name: value}, separators=(",", ":"), ensure_ascii=False)

    try:
        if len(given.get("access_token", [])) != 1 or not given["access_token"][0]:
            raise _NaiveRefusal(1)
        fields: dict[str, object] = {"token": given["access_token"][0], "operation": operation}
        game = text("game_code")
        if operation == "authenticate":
            return fields
        ticket = str(number("ticket_id", MAX_ID, 2))
        fields |= {"id": ticket}
        match operation:
            case "bet":
                key = detail("key", text("key"))
                return fields | {"stake": number("total_bet", MAX_CENTS), "round": ticket, "game": game, "detail": key}
            case "result":
                used = number("total_used", MAX_ID) if text("total_used") else None
                payout = number("total_win", MAX_CENTS)
                return fields | {"payout": payout, "game": game, "detail": detail("total_used", used)}
            case "betwin":
                stake, payout = number("total_bet", MAX_CENTS), number("total_win", MAX_CENTS)
                return fields | {"stake": stake, "payout": payout, "game": game}
            case _:
                return fields | {"round": None}
    except _NaiveRefusal as bad:
        return bad.args[0]


def _unquote(piece: bytes) -> str:
    """Return the text in which each byte is one character, except for runs of escapes, which are UTF-8."""
    text = piece.decode("ascii", "surrogateescape").replace("+", " ")
    escapes = re.compile("(?:%[0-9a-fA-F]{2})+")
    return escapes.sub(lambda run: bytes.fromhex(run[0].replace("%", "")).decode("utf-8", "surrogateescape"), text)
