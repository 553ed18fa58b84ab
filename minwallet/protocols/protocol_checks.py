"""The checks of a protocol when it is loaded: what a package of a stranger may declare.

The names of a protocol and of its operations stand in logs, metrics, SQL and tables, so they are short and plain. A
route of one protocol must not hide a route of another one or a page.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args

from minwallet.ledger.commands import Command
from minwallet.protocols.packages import InvalidPackage
from minwallet.protocols.wire import API_VERSION, MAX_BODY_BYTES, RetryBalance, WireProtocol, WireRoute

PROTOCOL_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,18}[a-z0-9])?")

OPERATION_NAME = re.compile(r"[a-z0-9_-]{1,20}")

RESERVED_NAMES = frozenset({"opening", "operator", "unknown"})
"""The sources of entries that no provider made, and the word for a call that belongs to no protocol."""

SITE_PATHS = frozenset({"", "admin", "control", "demo", "healthz", "metrics", "readyz", "static"})
"""The first parts of the paths of pages, health and metrics."""

METHODS = frozenset({"DELETE", "GET", "PATCH", "POST", "PUT"})

_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~-]+|\{[a-z_]+\}))+")

COMMANDS = frozenset(get_args(Command))

CALL_METHODS = ("parse", "render", "render_error", "error_code_for_status", "redact")
"""The methods that the server uses for a provider's call. The first three have no default."""

OPTIONAL_PARTS = ("operator_service", "dealer", "conformance")

_PART = re.compile(r"[\w.]+:\w+")


def check_name(name: str) -> None:
    """Raise InvalidPackage if no protocol may have this name."""
    if not PROTOCOL_NAME.fullmatch(name):
        raise InvalidPackage("invalid name: use 1 to 20 lower-case letters, digits and '-'")
    if name in RESERVED_NAMES:
        raise InvalidPackage("this name is reserved")


def build_protocol(name: str, loaded: object) -> WireProtocol:
    """Return an instance of the class that an entry point with this name gave. Raise InvalidPackage if it is unfit.

    An exception of the class itself is not caught.
    """
    check_name(name)
    if not (isinstance(loaded, type) and issubclass(loaded, WireProtocol)):
        raise InvalidPackage("its entry point names no class derived from minwallet.protocols.wire.WireProtocol")
    version = getattr(loaded, "api_version", None)
    if type(version) is not int:
        raise InvalidPackage(f"api_version: must be a whole number, but is {version!r}")
    if version != API_VERSION:
        raise InvalidPackage(f"it was written for version {version} of the interface; this minwallet has {API_VERSION}")
    for attribute in ("name", "routes", "operations"):
        if not hasattr(loaded, attribute):
            raise InvalidPackage(f"{attribute}: missing")
    for problem in _find_unusable_methods(loaded):
        raise InvalidPackage(problem)
    protocol = loaded()
    for problem in _find_invalid_attributes(name, protocol):
        raise InvalidPackage(problem)
    return protocol


def check_routes(protocol: WireProtocol, others: Collection[WireProtocol]) -> None:
    """Raise InvalidPackage if a route of the protocol is a page's or another protocol's."""
    for route in protocol.routes:
        check_path(route.path, others)


def check_path(path: str, others: Collection[WireProtocol]) -> None:
    """Raise InvalidPackage if the path is a page's or another protocol's."""
    first = path.split("/")[1]
    if first in SITE_PATHS or first.startswith("{"):
        raise InvalidPackage(f"the path '{path}' belongs to the pages of the server")
    for other in others:
        for taken in other.routes:
            if overlap(path, taken.path):
                raise InvalidPackage(f"the path '{path}' is one of protocol '{other.name}': '{taken.path}'")


def overlap(path: str, other: str) -> bool:
    """Check if a request may match both paths."""
    parts, other_parts = path.split("/"), other.split("/")
    return len(parts) == len(other_parts) and all(
        mine == theirs or "{" in mine + theirs for mine, theirs in zip(parts, other_parts, strict=True)
    )


# The attributes are those of a stranger's class, so their types are not known.


def _find_unusable_methods(protocol: Any) -> Iterator[str]:  # noqa: ANN401 unknown, as above
    for method in CALL_METHODS:
        found = getattr(protocol, method, None)
        # Python refuses an abstract class too, but it does not look again at one that was changed afterwards.
        if getattr(found, "__isabstractmethod__", False):
            yield f"{method}: missing; the class must define this method"
        elif not callable(found):
            yield f"{method}: must be a method"


def _find_invalid_attributes(name: str, protocol: Any) -> Iterator[str]:  # noqa: ANN401 unknown, as above
    yield from _find_unusable_methods(protocol)
    if protocol.name != name:
        yield f"name: is {protocol.name!r}, but the entry point is '{name}'"
    if not isinstance(protocol.operations, Mapping) or not protocol.operations:
        yield "operations: must be a mapping with at least one operation"
    for operation, command in protocol.operations.items():
        if not (isinstance(operation, str) and OPERATION_NAME.fullmatch(operation)):
            yield f"operations: invalid name {operation!r}: use 1 to 20 lower-case letters, digits, '-' and '_'"
        if command not in COMMANDS:
            yield f"operations: '{operation}' must name a command of minwallet.ledger.commands"
    yield from _find_invalid_routes(protocol)
    if type(protocol.max_body_bytes) is not int or not 0 < protocol.max_body_bytes <= MAX_BODY_BYTES:
        yield f"max_body_bytes: must be a whole number from 1 to {MAX_BODY_BYTES}"
    if not isinstance(protocol.retry_balance, RetryBalance):
        yield "retry_balance: must be a RetryBalance"
    if not isinstance(protocol.ids_per_currency, bool):
        yield "ids_per_currency: must be True or False"
    if protocol.signature is not None:
        yield from _find_invalid_scheme(protocol.signature)
    for part in OPTIONAL_PARTS:
        target = getattr(protocol, part)
        if target is not None and not (isinstance(target, str) and _PART.fullmatch(target)):
            yield f"{part}: must be like 'module:object'"


def _find_invalid_routes(protocol: Any) -> Iterator[str]:  # noqa: ANN401 unknown, as above
    if not protocol.routes:
        yield "routes: must have at least one route"
    seen: list[WireRoute] = []
    for route in protocol.routes:
        if not isinstance(route, WireRoute):
            yield f"routes: {route!r} is not a WireRoute"
        parameters = re.findall(r"\{[^}]*\}", route.path)
        if not _PATH.fullmatch(route.path) or len(set(parameters)) < len(parameters):
            yield f"routes: invalid path {route.path!r}: write it like '/pico' or '/pico/{{wallet_token}}'"
        if route.method not in METHODS:
            yield f"routes: invalid method {route.method!r}: use one of {', '.join(sorted(METHODS))}"
        if route.operation and route.operation not in protocol.operations:
            yield f"routes: unknown operation {route.operation!r} at '{route.path}'"
        if any(route.method == each.method and overlap(route.path, each.path) for each in seen):
            yield f"routes: {route.method} '{route.path}' is ambiguous"
        seen.append(route)


def _find_invalid_scheme(scheme: Any) -> Iterator[str]:  # noqa: ANN401 unknown, as above
    for method in ("read", "compute", "sign"):
        if not callable(getattr(scheme, method, None)):
            yield f"signature: has no method {method}"
    max_age_ms = getattr(scheme, "max_age_ms", None)
    if type(max_age_ms) is not int or max_age_ms < 0:
        yield "signature: max_age_ms must be a whole number of ms, 0 for signatures without time and nonce"
