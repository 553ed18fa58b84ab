"""The limits of a protocol's code: a bug in it costs its own call, and nothing else.

Anybody can write a package with a protocol. So its methods are called through `run_guarded`, and a response is checked
before its bytes reach the connection.
"""

import json
import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any, TypeVar, get_args, get_type_hints

from minwallet.ledger.commands import MAX_GROUP_SIZE, Command, GameCommand, Group, Query, WinCategory
from minwallet.ledger.money import MAX_CENTS
from minwallet.protocols.wire import JSON_MEDIA_TYPE, MAX_BODY_BYTES, Headers, HttpResponse, is_plain_text

BUG_REPORT = "a provider call failed because of a bug; please report this traceback"

NO_STORE = (b"cache-control", b"no-store")

JSON_HEADERS = [(b"content-type", JSON_MEDIA_TYPE.encode()), NO_STORE]

RESERVED_HEADERS = frozenset(
    b"allow cache-control connection content-length content-type date keep-alive retry-after te trailer"
    b" transfer-encoding upgrade".split()
)
"""The headers that the wallet sets, and those that change how the client reads the connection."""

MAX_TEXT_LENGTH = 255
"""The longest id, round or game of a command, in characters. An export can be imported with these."""

STATUSES_WITHOUT_BODY = (204, 205, 304)

_HEADER_NAME = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_MEDIA_TYPE = re.compile(r"[\x20-\x7e]+")

_FIELDS: dict[type, list[tuple[str, tuple[type, ...]]]] = {
    command: [(name, get_args(hint) or (hint,)) for name, hint in get_type_hints(command).items()]
    for command in (*get_args(Query), *get_args(GameCommand))
}
"""The fields of each command that a provider may send, with their types. `str | None` counts as two types."""

_TYPE_TEXTS = {str: "text", int: "a whole number of cents", bool: "true or false", WinCategory: "a WinCategory"}

T = TypeVar("T")


class ProtocolBug(Exception):
    """An exception of a protocol that would end more than its call, such as SystemExit."""


def run_guarded(function: Callable[..., T], *arguments: object) -> T:
    """Call a protocol's function. Raise an Exception if it fails, whatever it raises.

    The function does not wait for anything, so the server cannot be the one that cancels or interrupts it.
    """
    try:
        return function(*arguments)
    except Exception:
        raise
    except BaseException as bug:
        raise ProtocolBug(f"{type(bug).__name__} in a protocol") from bug


def find_command_fault(command: Command) -> str:
    """Return why the ledger cannot store the command as it is, "" if it can.

    A float, or a text that is not UTF-8, would be stored as something else than its hash says. So would text for an
    amount, or a number for an id: each field must have exactly the type that its command declares.
    """
    # Each call comes here, and nearly all commands pass these quick checks.
    command_type: type = type(command)
    if not _has_declared_types(command_type, tuple(map(type, command))):
        return _describe_command_fault(command)
    # Few commands have a detail, and reading its JSON takes longer than all other checks.
    if getattr(command, "detail", None) is not None:
        return _describe_command_fault(command)
    for value in command:
        if type(value) is str:
            if not 0 < len(value) <= MAX_TEXT_LENGTH or not value.isprintable():
                return _describe_command_fault(command)
        elif type(value) is int and not 0 <= value <= MAX_CENTS:
            return _describe_command_fault(command)
    return ""


@lru_cache(maxsize=256)
def _has_declared_types(command: type, found: Sequence[type]) -> bool:
    fields = _FIELDS.get(command)
    return fields is not None and all(each in types for each, (_, types) in zip(found, fields, strict=True))


def _describe_command_fault(command: Command) -> str:
    if isinstance(command, Group):
        if not 1 <= len(command.commands) <= MAX_GROUP_SIZE:
            return f"the call has {len(command.commands)} commands: expected 1 to {MAX_GROUP_SIZE}"
        return next(filter(None, map(find_command_fault, command.commands)), "")
    fields = _FIELDS.get(type(command))
    if fields is None:
        return f"a provider cannot send a {type(command).__name__}"
    values: tuple[Any, ...] = command
    for (name, types), value in zip(fields, values, strict=True):
        if type(value) not in types:
            return f"{name}: must be {_TYPE_TEXTS[types[0]]}"
        if name == "detail":
            if value is not None and not _is_json_object(value):
                return f"detail: must be a JSON object on one line, of up to {MAX_BODY_BYTES} characters"
        elif types[0] is str:
            if value is not None and not (value and is_plain_text(value, MAX_TEXT_LENGTH)):
                return f"{name}: must be text of 1 to {MAX_TEXT_LENGTH} characters without control characters"
        elif types[0] is int and value is not None and not 0 <= value <= MAX_CENTS:
            return f"{name}: must be cents from 0 to {MAX_CENTS}"
    return ""


def _is_json_object(text: str) -> bool:
    """Check if the text is a detail that an export can be imported with."""
    if not is_plain_text(text, MAX_BODY_BYTES):
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def check_response(response: HttpResponse) -> HttpResponse:
    """Return the response of a protocol. Raise ValueError if it would break HTTP, such as a line feed in a header."""
    body, status, media_type, headers = response
    # Nearly all responses are like this.
    if status == 200 and media_type is JSON_MEDIA_TYPE and not headers and type(body) is bytes:
        return response
    if not isinstance(body, bytes):
        raise ValueError(f"the body of a response is {type(body).__name__} and not bytes")
    if status != 200 and (type(status) is not int or not 200 <= status <= 599 or status in STATUSES_WITHOUT_BODY):
        raise ValueError(f"the status {status!r} cannot be that of a response with a body")
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise ValueError("the media type of a response has an invalid character")
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name) or name in RESERVED_HEADERS:
            raise ValueError(f"a protocol cannot set the header {name!r}")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the value of the header {name!r} has an invalid character")
    return response


def build_headers(response: HttpResponse, methods: Collection[str], retry_after: tuple[bytes, bytes]) -> Headers:
    """Return all headers of a checked response. `methods` are those that its path has."""
    if response.media_type is JSON_MEDIA_TYPE and response.status == 200 and not response.headers:
        return JSON_HEADERS
    headers = [(b"content-type", response.media_type.encode()), NO_STORE, *response.headers]
    if response.status == 405:
        headers.append((b"allow", ", ".join(methods).encode()))
    elif response.status == 429:
        headers.append(retry_after)
    return headers
