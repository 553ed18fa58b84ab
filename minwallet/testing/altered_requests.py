"""Altered requests: truncated, repeated and hostile bytes in requests.

The same number alters a request in the same way."""

import random
import re

from minwallet.ledger.commands import MAX_GROUP_SIZE, Group
from minwallet.ledger.money import MAX_CENTS
from minwallet.protocols.wire import Call, HttpRequest, Malformed, WireProtocol, is_plain_text

HOSTILE_PARTS = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"%00",
    b"%FF",
    b"\xef\xbc\x91\xef\xbc\x92",  # full-width digits, which `int` reads
    b"-1",
    b"1e999",
    b"1.005",
    b"9" * 400,
    b"[" * 1500,
    b'"',
    b"&",
    b"&&=",
    b"null",
    b"true",
    b"\\ud800",
)

MAX_TEXT_LENGTH, MAX_MESSAGE_LENGTH = 256, 1000
"""The longest id, reference or round of a command, and the longest message of a Malformed, in characters."""

_NO_QUERY_BYTE = re.compile(rb"[^!-~]|#")


def alter_request(request: HttpRequest, number: int) -> HttpRequest:
    """Return the request with an altered body, or with an altered query if it has no body."""
    chance = random.Random(number)  # noqa: S311 a test that can be repeated
    if request.body:
        return request._replace(body=_alter(request.body, chance))
    altered = _alter(request.query, chance)
    return request._replace(query=_NO_QUERY_BYTE.sub(lambda found: b"%%%02X" % found[0][0], altered))


def _alter(content: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 2, 4))):
        start, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
        match chance.randrange(4):
            case 0:
                content = content[:start]
            case 1:
                content = content[:end] + content[start:]
            case 2:
                content = content[:start] + chance.choice(HOSTILE_PARTS) + content[start:]
            case _:
                end = min(end, start + 8)
                content = content[:start] + chance.choice(HOSTILE_PARTS) + content[end:]
    return content[:4096]


def assert_in_order(protocol: WireProtocol, parsed: Call | Malformed) -> None:
    """Check the ranges of what the protocol parsed from a request."""
    if isinstance(parsed, Malformed):
        assert parsed.operation in {"", *protocol.operations}, f"unknown operation {parsed.operation!r}"
        assert parsed.message
        assert len(parsed.message) <= MAX_MESSAGE_LENGTH
        assert isinstance(protocol.render_error(parsed, 0).body, bytes)
        return
    assert parsed.operation in protocol.operations, f"unknown operation {parsed.operation!r}"
    commands = parsed.command.commands if isinstance(parsed.command, Group) else (parsed.command,)
    assert 1 <= len(commands) <= MAX_GROUP_SIZE, f"a group of {len(commands)} commands"
    for command in commands:
        for name, value in command._asdict().items():
            if name in ("stake", "payout") or (name == "amount" and value is not None):
                assert type(value) is int, f"{name} is {value!r}"
                assert 0 <= value <= MAX_CENTS, f"{name} is {value}"
            elif name in ("id", "reference") or (name == "round" and value is not None):
                assert value, f"{name} is empty"
                assert is_plain_text(value, MAX_TEXT_LENGTH), f"{name} is {value!r}"
