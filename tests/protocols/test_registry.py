"""The registry of protocols: names, paths, methods and id spaces."""

import re

import pytest

from minwallet.protocols.registry import PROTOCOLS, load_protocol
from minwallet.protocols.wire import list_routes


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_is_found_by_its_own_name(name: str) -> None:
    """The name in the registry is the name in the ledger's entries."""
    protocol = load_protocol(name)
    assert protocol.name == name
    assert protocol.routes


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_declares_its_operations(name: str) -> None:
    """The operations of the paths are among them. Other words never become a label of a metric."""
    protocol = load_protocol(name)
    assert set(protocol.routes.values()) - {""} <= set(protocol.operations)
    assert all(re.fullmatch("[a-z]+", operation) for operation in protocol.operations)


def test_an_unknown_protocol_is_a_key_error() -> None:
    """`load_protocol` raises KeyError for a name that is not in the registry."""
    with pytest.raises(KeyError):
        load_protocol("wallet-v1")


def test_the_paths_are_those_of_the_specifications() -> None:
    """wallet-v2 has one path, with or without the wallet token; vela's authenticate has two spellings."""
    assert set(load_protocol("wallet-v2").routes) == {"/wallet", "/wallet/{wallet_token}"}
    assert load_protocol("vela").routes == {
        "/api/user/authenticate": "authenticate",
        "/api/users/authenticate": "authenticate",
        "/api/bet": "bet",
        "/api/result": "result",
        "/api/refund": "refund",
        "/api/betwin": "betwin",
    }


def test_methods_and_ids_are_those_of_the_specifications() -> None:
    """wallet-v2: POST, ids "unique within one currency"; vela: "HTTP GET" and one space of tickets."""
    wallet_v2, vela = load_protocol("wallet-v2"), load_protocol("vela")
    assert (wallet_v2.method, wallet_v2.ids_per_currency) == ("POST", True)
    assert (vela.method, vela.ids_per_currency) == ("GET", False)


def test_a_required_wallet_token_omits_the_path_without_one() -> None:
    """vela has no wallet token, so its paths stay."""
    wallet_v2, vela = load_protocol("wallet-v2"), load_protocol("vela")
    assert set(list_routes(wallet_v2, require_wallet_token=True)) == {"/wallet/{wallet_token}"}
    assert list_routes(wallet_v2, require_wallet_token=False) == wallet_v2.routes
    assert list_routes(vela, require_wallet_token=True) == vela.routes
