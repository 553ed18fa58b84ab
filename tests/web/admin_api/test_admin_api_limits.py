"""Limits and exclusion over the admin API."""

from typing import Any

import pytest

from tests.support import Server
from tests.web.api_client import PLAYERS_PATH, ApiClient, assert_problem, create_key, get_error_locations, read_success

UNTIL = "2099-01-31T00:00:00.000Z"


@pytest.fixture(scope="module")
def api_client(server: Server) -> ApiClient:
    """Return a client with a key for everything."""
    return ApiClient(server, create_key(server, "limits"))


@pytest.fixture
def player(server: Server) -> str:
    """Add a player with 100.00 USD, and return the id."""
    return server.cli.add_player()


def put_player(caller: ApiClient, player: str, what: str, **body: object) -> Any:  # noqa: ANN401 the document
    return read_success(caller.request("PUT", f"{PLAYERS_PATH}/{player}/{what}", body))


def test_limits_equal_those_of_the_command_line(server: Server, api_client: ApiClient, player: str) -> None:
    """Limits are set, lowered and removed; each response has all limits."""
    assert api_client.get(f"{PLAYERS_PATH}/{player}/limits")["accounts"] == [{"currency": "USD", "limits": []}]
    put_player(api_client, player, "limits/deposit/day", amount=20_000)
    put_player(api_client, player, "limits/deposit/day", amount=15_000, currency="USD")
    shown = put_player(api_client, player, "limits/deposit/day", amount=None)
    (limit,) = shown["accounts"][0]["limits"]
    assert (limit["amount"], limit["used"], limit["next_amount"]) == (15_000, 10_000, None)
    assert limit["next_at"] is not None
    assert (
        shown
        == api_client.get(f"{PLAYERS_PATH}/{player}/limits", currency="USD")
        == server.cli("limit", "list", player)
    )
    (record, *_) = server.cli("limit", "list", player)["accounts"]
    assert record["currency"] == "USD"


def test_a_deposit_beyond_a_limit_is_limit_reached(server: Server, api_client: ApiClient, player: str) -> None:
    """A smaller deposit may succeed; a retry of an earlier deposit gets its first response."""
    deposits = f"{PLAYERS_PATH}/{player}/deposits"
    put_player(api_client, player, "limits/deposit/week", amount=12_000)
    body = {"amount": 2_001, "reference": f"{player}-1"}
    refused = api_client.request("POST", deposits, body)
    assert_problem(refused, 409, "limit_reached", "120.00 USD in 7 days", "at most 20.00 now")
    first = api_client.post(deposits, **body | {"amount": 2_000})
    assert api_client.post(deposits, **body | {"amount": 2_000}) == first
    put_player(api_client, player, "exclusion", until=UNTIL)
    assert api_client.post(deposits, **body | {"amount": 2_000}) == first
    excluded = api_client.request("POST", deposits, {"amount": 1, "reference": f"{player}-2", "bonus": True})
    assert_problem(excluded, 409, "excluded", "excluded until 2099-01-31 00:00 UTC")
    assert api_client.post(f"{PLAYERS_PATH}/{player}/withdrawals", amount=1, reference=f"{player}-3")["cash"] == 11_999
    assert server.cli.read_balances(player) == (11_999, 0)


def test_ending_an_exclusion_takes_a_day(server: Server, api_client: ApiClient, player: str) -> None:
    """A longer exclusion takes effect immediately; providers get the error of a blocked player."""
    assert put_player(api_client, player, "exclusion", until=None)["excluded_until"] is None
    put_player(api_client, player, "exclusion", until="2098-01-31T00:00:00+01:00")
    shown = put_player(api_client, player, "exclusion", until="2099-01-31T00:00:00Z")
    assert (shown["excluded_until"], shown["next_at"]) == (UNTIL, None)
    token = server.cli.open_session(player)
    assert server.wallet_v2(code=token, type="bet", bet=1, id=9_901, game=1)["err_code"] == 104
    ending = put_player(api_client, player, "exclusion", until=None)
    assert ending["excluded_until"] == UNTIL
    assert ending["next_at"] is not None
    assert api_client.get(f"{PLAYERS_PATH}/{player}/limits") == ending


@pytest.mark.parametrize(
    ("what", "body", "wrong"),
    [
        ("limits/loss/year", {"amount": 1}, ("path", "per")),
        ("limits/win/day", {"amount": 1}, ("path", "kind")),
        ("limits/loss/day", {}, ("body", "amount")),
        ("limits/loss/day", {"amount": -1}, ("body", "amount")),
        ("limits/loss/day", {"amount": "1"}, ("body", "amount")),
        ("limits/loss/day", {"amount": 2**63}, ("body", "amount")),
        ("limits/loss/day", {"amount": 1, "kind": "loss"}, ("body", "kind")),
        ("exclusion", {}, ("body", "until")),
        ("exclusion", {"until": "2099-01-31"}, ("body", "until")),
        ("exclusion", {"until": "2099-02-30T00:00:00Z"}, ("body", "until")),
        ("exclusion", {"until": 4_073_414_400_000}, ("body", "until")),
    ],
)
def test_invalid_fields_are_named(
    api_client: ApiClient, player: str, what: str, body: dict[str, object], wrong: tuple[str, str]
) -> None:
    """They change nothing."""
    problem = assert_problem(api_client.request("PUT", f"{PLAYERS_PATH}/{player}/{what}", body), 422, "invalid")
    assert wrong in get_error_locations(problem)
    assert api_client.get(f"{PLAYERS_PATH}/{player}/limits")["accounts"] == [{"currency": "USD", "limits": []}]


def test_impossible_changes_are_problems(api_client: ApiClient, player: str) -> None:
    """These are an exclusion in the past or beyond 100 years, an unknown player and an unknown account."""
    path = f"{PLAYERS_PATH}/{player}/exclusion"
    for until in ("2020-01-31T00:00:00Z", "0001-01-01T00:00:00+23:59"):
        assert_problem(api_client.request("PUT", path, {"until": until}), 409, "not_possible", "in the future")
    for until in ("2200-01-31T00:00:00Z", "9999-12-31T23:59:59-23:59"):
        assert_problem(api_client.request("PUT", path, {"until": until}), 409, "not_possible", "100 years")
    nobody = api_client.request("PUT", f"{PLAYERS_PATH}/nobody/limits/loss/day", {"amount": 1})
    assert_problem(nobody, 404, "not_found", "nobody")
    eur = api_client.request("PUT", f"{PLAYERS_PATH}/{player}/limits/loss/day", {"amount": 1, "currency": "EUR"})
    assert_problem(eur, 409, "not_possible", "EUR")
