"""The real program with bugs: wallet-v2 and the decision fail for calls whose `game` is the name of a bug.

It also has the protocols `chatty`, and `bare`, which is without the methods that a caller uses.

Run it as `python -m tests.web.gateway.broken_server`, with the arguments of `minwallet`.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from minwallet.cli.main import main
from minwallet.ledger.commands import Bet
from minwallet.ledger.entries import Entry
from minwallet.protocols.registry import PROTOCOLS
from minwallet.protocols.wallet_v2 import WalletV2
from minwallet.protocols.wire import REDACTED, Call, HttpRequest, Launch, Malformed
from minwallet.storage.sqlite import batch


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
    "render_text": Bug("render", lambda: "not bytes", moves_money=True),
    "redact_key": Bug("redact", fail(KeyError("no such field")), moves_money=True, is_answered=True),
    "redact_unicode": Bug("redact", b"\xff".decode, moves_money=True, is_answered=True),
    "redact_cancelled": Bug("redact", fail(asyncio.CancelledError()), moves_money=True, is_answered=True),
    "redact_surrogate": Bug("redact", lambda: "\ud800", moves_money=True, is_answered=True),
    "decide_recursion": Bug("decide", fail(RecursionError()), moves_money=False),
    "decide_stop": Bug("decide", fail(StopIteration()), moves_money=False),
    "decide_cancelled": Bug("decide", fail(asyncio.CancelledError()), moves_money=False),
    "decide_unicode": Bug("decide", b"\xff".decode, moves_money=False),
    "bind_object": Bug("make_entry_values", lambda: (object(),) * batch.ENTRY_COLUMN_COUNT, moves_money=False),
    "bind_overflow": Bug("make_entry_values", lambda: (2**70,) * batch.ENTRY_COLUMN_COUNT, moves_money=False),
}
"""The bugs by the game that meets them."""


class Chatty(WalletV2):
    """A protocol whose operation and transaction id are texts of the body."""

    name = "chatty"
    routes = {"/chatty": ""}  # noqa: RUF012 a constant of the class
    operations = ("bet",)

    def parse(self, operation: str, raw: bytes) -> Call | Malformed:
        del operation
        fields = json.loads(raw)
        if fields["op"] != "bet":
            return Malformed(fields["op"], 1, "unknown operation")
        return Call("bet", fields["token"], Bet(fields["id"], 100, fields["id"], "1"))


class Bare(Chatty):
    """A protocol that a wallet can serve, and that no caller can use yet."""

    name = "bare"
    routes = {"/bare/bet": "bet"}  # noqa: RUF012 a constant of the class

    def build_request(self, call: Call, now_ms: int, wallet_token: str | None = None) -> HttpRequest:
        raise NotImplementedError("no requests\nyet")

    def rebuild(self, entry: Entry, token: str) -> Call:
        raise KeyError(entry.id)

    def build_launch_url(self, launch: Launch) -> str:
        raise NotImplementedError

    def redact(self, call: Call, raw: bytes, now_ms: int) -> str:
        return raw.decode().replace(call.token, REDACTED)


TEST_PROTOCOLS = {name: f"tests.web.gateway.broken_server:{name.title()}" for name in ("chatty", "bare")}


def break_function(owner: object, name: str) -> None:
    """Replace the function by one with the bugs of this place."""
    original = getattr(owner, name)

    def broken(*arguments: Any) -> object:  # noqa: ANN401 as the original
        for argument in arguments:
            game = getattr(getattr(argument, "command", argument), "game", None)
            if game in BUGS and BUGS[game].place == name:
                return BUGS[game].behave()
        return original(*arguments)

    setattr(owner, name, broken)


if __name__ == "__main__":
    PROTOCOLS.update(TEST_PROTOCOLS)
    for owner, name in ((WalletV2, "render"), (WalletV2, "redact"), (batch, "decide"), (batch, "make_entry_values")):
        break_function(owner, name)
    main()
