"""The checks of a protocol's class when it is loaded."""

from types import SimpleNamespace
from typing import Any

import pytest

from minwallet.ledger.commands import Balance
from minwallet.protocols.packages import InvalidPackage
from minwallet.protocols.protocol_checks import RESERVED_NAMES, SITE_PATHS, build_protocol
from minwallet.protocols.registry import list_protocols, load_protocol
from minwallet.protocols.wire import MAX_BODY_BYTES, WireProtocol, WireRoute
from minwallet.storage.models import OPENING_PROTOCOL, OPERATOR_PROTOCOL
from minwallet.web.gateway.unknown_paths import UNKNOWN_PROTOCOL

SCHEME = {"read": len, "compute": len, "sign": len, "max_age_ms": 60_000}

VALID: dict[str, Any] = {
    "name": "pico",
    "routes": (WireRoute("POST", "/pico"), WireRoute("GET", "/pico"), WireRoute("POST", "/pico/{wallet_token}", "bet")),
    "operations": {"bet": Balance},
    "max_body_bytes": MAX_BODY_BYTES,
    "signature": SimpleNamespace(**SCHEME),
    "dealer": "minwallet_pico.dealer:Dealer",
    **dict.fromkeys(["parse", "render", "render_error"], lambda *_: None),
}


def build(entry_point: str = "pico", /, **changed: object) -> WireProtocol:
    """Build a valid protocol with these attributes changed; a value of `...` removes one."""
    attributes = {key: value for key, value in (VALID | changed).items() if value is not ...}
    return build_protocol(entry_point, type("Changed", (WireProtocol,), attributes))


def test_a_valid_protocol_is_built() -> None:
    """So are minwallet's own."""
    assert build().name == "pico"
    for name in list_protocols():
        assert build_protocol(name, type(load_protocol(name))).name == name


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"api_version": 2}, "it was written for version 2 of the interface; this minwallet has 1"),
        ({"api_version": "1"}, "api_version: must be a whole number, but is '1'"),
        ({"api_version": True}, "api_version: must be a whole number, but is True"),
        ({"name": ...}, "name: missing"),
        ({"routes": ...}, "routes: missing"),
        ({"operations": ...}, "operations: missing"),
        ({"name": "other"}, "name: is 'other', but the entry point is 'pico'"),
        ({"operations": {}}, "operations: must be a mapping"),
        ({"operations": ["bet"]}, "operations: must be a mapping"),
        ({"operations": {"Bet": Balance}}, "operations: invalid name 'Bet'"),
        ({"operations": {"b" * 21: Balance}}, "operations: invalid name"),
        ({"operations": {7: Balance}}, "operations: invalid name 7"),
        ({"operations": {"bet": str}}, "operations: 'bet' must name a command"),
        ({"routes": ()}, "routes: must have at least one route"),
        ({"routes": ("/pico",)}, "routes: '/pico' is not a WireRoute"),
        ({"routes": (WireRoute("POST", "pico"),)}, "routes: invalid path 'pico'"),
        ({"routes": (WireRoute("POST", "/pico/"),)}, "routes: invalid path '/pico/'"),
        ({"routes": (WireRoute("POST", "/pico/{a}/{a}"),)}, "routes: invalid path"),
        ({"routes": (WireRoute("POST", "/pico/{a:path}"),)}, "routes: invalid path"),
        ({"routes": (WireRoute("TRACE", "/pico"),)}, "routes: invalid method 'TRACE'"),
        ({"routes": (WireRoute("POST", "/pico", "win"),)}, "routes: unknown operation 'win' at '/pico'"),
        ({"routes": (WireRoute("POST", "/p/{a}"), WireRoute("POST", "/p/b"))}, "routes: POST '/p/b' is ambiguous"),
        ({"max_body_bytes": MAX_BODY_BYTES + 1}, "max_body_bytes: must be a whole number from 1 to 65536"),
        ({"max_body_bytes": True}, "max_body_bytes: "),
        ({"retry_balance": "newest"}, "retry_balance: must be a RetryBalance"),
        ({"ids_per_currency": 1}, "ids_per_currency: must be True or False"),
        ({"signature": SimpleNamespace(**SCHEME | {"sign": 1})}, "signature: has no method sign"),
        ({"signature": SimpleNamespace(**SCHEME | {"max_age_ms": -1})}, "signature: max_age_ms must be"),
        ({"dealer": "minwallet_pico.dealer"}, "dealer: must be like 'module:object'"),
        ({"conformance": 5}, "conformance: must be like"),
        ({"parse": ...}, "parse: missing; the class must define this method"),
        ({"render": None}, "render: must be a method"),
        ({"render_error": "error"}, "render_error: must be a method"),
        ({"redact": None}, "redact: must be a method"),
    ],
)
def test_an_invalid_attribute_is_named(changed: dict[str, object], words: str) -> None:
    """The reason names the attribute, and says what was expected."""
    with pytest.raises(InvalidPackage) as refused:
        build(**changed)
    assert words in str(refused.value)


@pytest.mark.parametrize("name", ["operator", "opening", "unknown", "Pico", "pi_co", "", "-pico", "p" * 21])
def test_a_name_that_no_protocol_may_have_is_refused(name: str) -> None:
    """The name goes into logs, metrics and tables. Some names mean something else there."""
    with pytest.raises(InvalidPackage):
        build(name, name=name)


def test_the_reserved_names_are_those_of_other_sources() -> None:
    """The ledger and the log use them for entries and calls of no provider."""
    assert {OPENING_PROTOCOL, OPERATOR_PROTOCOL, UNKNOWN_PROTOCOL} == RESERVED_NAMES


def test_what_is_not_such_a_class_is_refused() -> None:
    """An instance and a class of another kind are no protocol."""
    for loaded in (str, VALID, "minwallet_pico:Pico", WireProtocol.parse):
        with pytest.raises(InvalidPackage, match="names no class derived from"):
            build_protocol("pico", loaded)


def test_a_method_that_is_removed_from_the_finished_class_is_missing() -> None:
    """Python itself counts the abstract methods of a class only once."""
    finished = type("Finished", (WireProtocol,), VALID)
    del finished.parse  # type: ignore[attr-defined]  # mypy sees a plain type
    with pytest.raises(InvalidPackage, match="parse: missing"):
        build_protocol("pico", finished)


def test_the_paths_of_pages_are_known() -> None:
    """No protocol of minwallet is below one of them."""
    routes = [route for name in list_protocols() for route in load_protocol(name).routes]
    assert not {route.path.split("/")[1] for route in routes} & SITE_PATHS
