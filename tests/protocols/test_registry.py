"""The names under which protocols are found."""

import pytest

from minwallet.protocols.registry import PROTOCOLS, load_protocol


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_is_found_by_its_own_name(name: str) -> None:
    """The registry's name is the one the ledger's rows carry."""
    protocol = load_protocol(name)
    assert protocol.name == name
    assert protocol.routes


def test_an_unknown_protocol_is_a_mistake() -> None:
    """There is no protocol by another name."""
    with pytest.raises(KeyError):
        load_protocol("wallet-v1")


def test_the_paths_are_those_of_the_specifications() -> None:
    """wallet-v2 has one path with the agent's token or without; vela's authenticate is written in two ways."""
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
