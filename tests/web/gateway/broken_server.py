"""The real program with bugs: wallet-v2 and the decision fail for calls whose `game` is the name of a bug.

It also has the protocols `chatty`, and `bare`, which is without the methods that a caller uses.

Run it as `python -m tests.web.gateway.broken_server`, with the arguments of `minwallet`.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from minwallet.cli.main import main
from minwallet.ledger.commands import Bet, Command
from minwallet.ledger.entries import Entry
from minwallet.protocols.wallet_v2 import WalletV2
from minwallet.protocols.wire import (
    REDACTED,
    Call,
    HttpRequest,
    HttpResponse,
    Launch,
    Malformed,
    WireRoute,
)
from minwallet.storage.sqlite import batch
from minwallet.storage.sqlite.entry_rows import ENTRY_COLUMN_COUNT
from tests.protocol_package import write_protocol_package


class Bug(NamedTuple):
    """A bug, where it is, and whether the money of its call moves."""

    place: str
    behave: Callable[[], object]
    moves_money: bool
    is_answered: bool = False
    """True if the call gets its answer nevertheless. Otherwise it gets 503."""


def fail(error: BaseException) -> Callable[[], object]:
    """Return a function that raises the error."""

    def behave() -> object:
        raise error

    return behave


BUGS = {
    "render_key": Bug("render", fail(KeyError("no such field")), moves_money=True),
    "render_stop": Bug("render", fail(StopIteration()), moves_money=True),
    "render_text": Bug("render", lambda: HttpResponse("not bytes"), moves_money=True),  # type: ignore[arg-type]  # the wrong type is the bug
    "render_exit": Bug("render", fail(SystemExit(3)), moves_money=True),
    "render_interrupt": Bug("render", fail(KeyboardInterrupt()), moves_money=True),
    "render_header": Bug("render", lambda: HttpResponse(b"", headers=[(b"a", b"1\r\nb: 2")]), moves_money=True),
    "render_status": Bug("render", lambda: HttpResponse(b"", 204), moves_money=True),
    "parse_exit": Bug("parse", fail(SystemExit(3)), moves_money=False),
    "parse_nothing": Bug("parse", lambda: None, moves_money=False),
    "redact_key": Bug("redact", fail(KeyError("no such field")), moves_money=True, is_answered=True),
    "redact_unicode": Bug("redact", b"\xff".decode, moves_money=True, is_answered=True),
    "redact_cancelled": Bug("redact", fail(asyncio.CancelledError()), moves_money=True, is_answered=True),
    "redact_surrogate": Bug("redact", lambda: "\ud800", moves_money=True, is_answered=True),
    "decide_recursion": Bug("decide", fail(RecursionError()), moves_money=False),
    "decide_stop": Bug("decide", fail(StopIteration()), moves_money=False),
    "decide_cancelled": Bug("decide", fail(asyncio.CancelledError()), moves_money=False),
    "decide_unicode": Bug("decide", b"\xff".decode, moves_money=False),
    "bind_object": Bug("make_entry_values", lambda: (object(),) * ENTRY_COLUMN_COUNT, moves_money=False),
    "bind_overflow": Bug("make_entry_values", lambda: (2**70,) * ENTRY_COLUMN_COUNT, moves_money=False),
}
"""The bugs by the game that meets them."""


class Chatty(WalletV2):
    """A protocol whose operation and transaction id are texts of the body."""

    name = "chatty"
    routes = (WireRoute("POST", "/chatty"),)  # type: ignore[assignment]  # it differs from the built-in protocol
    operations: Mapping[str, type[Command]] = MappingProxyType({"bet": Bet})  # type: ignore[assignment]  # it differs from the built-in protocol

    def parse(self, request: HttpRequest, operation: str) -> Call | Malformed:
        del operation
        fields = json.loads(request.body)
        if fields["op"] != "bet":
            return Malformed(fields["op"], 1, "unknown operation")
        return Call("bet", fields["token"], Bet(fields["id"], 100, fields["id"], "1"))


class Bare(Chatty):
    """A protocol that a wallet can serve, and that no caller can use yet."""

    name = "bare"
    routes = (WireRoute("POST", "/bare/bet", "bet"),)

    def build_request(self, call: Call, now_ms: int, wallet_token: str | None = None) -> HttpRequest:
        raise NotImplementedError("no requests\nyet")

    def rebuild(self, entry: Entry, token: str) -> Call:
        raise KeyError(entry.id)

    def build_launch_url(self, launch: Launch) -> str:
        raise NotImplementedError

    def redact(self, call: Call, request: HttpRequest, now_ms: int) -> str:
        return request.body.decode().replace(call.token, REDACTED)


def write_packages(folder: Path) -> Path:
    """Write the packages of `chatty` and `bare` into the folder, and return the folder."""
    for protocol in (Chatty, Bare):
        source = f"from tests.web.gateway.broken_server import {protocol.__name__}\n"
        write_protocol_package(folder, source, name=protocol.name, object_name=protocol.__name__)
    return folder


def break_function(owner: object, name: str) -> None:
    """Replace the function by one with the bugs of this place."""
    original = getattr(owner, name)

    def broken(*arguments: Any) -> object:  # noqa: ANN401 as the original
        for argument in arguments:
            if isinstance(argument, HttpRequest):
                game = json.loads(argument.body).get("game") if argument.body[:1] == b"{" else None
            else:
                game = getattr(getattr(argument, "command", argument), "game", None)
            if game in BUGS and BUGS[game].place == name:
                return BUGS[game].behave()
        return original(*arguments)

    setattr(owner, name, broken)


if __name__ == "__main__":
    for owner, name in (
        (WalletV2, "parse"),
        (WalletV2, "render"),
        (WalletV2, "redact"),
        (batch, "decide"),
        (batch, "make_entry_values"),
    ):
        break_function(owner, name)
    main()
