"""What protects players, over the admin API."""

from typing import Any

import pytest

from tests.support import Server
from tests.web.api import PLAYERS, Caller, assert_problem, done, make_key, mistakes

UNTIL = "2099-01-31T00:00:00.000Z"


@pytest.fixture(scope="module")
def caller(server: Server) -> Caller:
    """A website that may do everything."""
    return Caller(server, make_key(server, "limits"))


@pytest.fixture
def player(server: Server) -> str:
    """Somebody with 100.00 USD."""
    return server.cli.player()


def put(caller: Caller, player: str, what: str, **body: object) -> Any:  # noqa: ANN401 the document
    return done(caller.ask("PUT", f"{PLAYERS}/{player}/{what}", body))


def test_limits_are_what_the_command_line_shows(server: Server, caller: Caller, player: str) -> None:
    """Set, made lower, and asked to be none; whoever sets one is answered with all of them."""
    assert caller.get(f"{PLAYERS}/{player}/limits")["accounts"] == [{"currency": "USD", "limits": []}]
    put(caller, player, "limits/deposit/day", amount=20_000)
    put(caller, player, "limits/deposit/day", amount=15_000, currency="USD")
    shown = put(caller, player, "limits/deposit/day", amount=None)
    (limit,) = shown["accounts"][0]["limits"]
    assert (limit["amount"], limit["used"], limit["next_amount"]) == (15_000, 10_000, None)
    assert limit["next_at"] is not None
    assert shown == caller.get(f"{PLAYERS}/{player}/limits", currency="USD") == server.cli("limit", "list", player)
    (record, *_) = server.cli("limit", "list", player)["accounts"]
    assert record["currency"] == "USD"


def test_a_deposit_beyond_a_limit_is_a_problem_of_its_own(server: Server, caller: Caller, player: str) -> None:
    """Sent again with less, or another day, it may succeed; what was done before is answered as before."""
    deposits = f"{PLAYERS}/{player}/deposits"
    put(caller, player, "limits/deposit/week", amount=12_000)
    body = {"amount": 2_001, "reference": f"{player}-1"}
    refused = caller.ask("POST", deposits, body)
    assert_problem(refused, 409, "limit_reached", "120.00 USD in 7 days", "at most 20.00 now")
    first = caller.post(deposits, **body | {"amount": 2_000})
    assert caller.post(deposits, **body | {"amount": 2_000}) == first
    put(caller, player, "exclusion", until=UNTIL)
    assert caller.post(deposits, **body | {"amount": 2_000}) == first
    excluded = caller.ask("POST", deposits, {"amount": 1, "reference": f"{player}-2", "bonus": True})
    assert_problem(excluded, 409, "excluded", "excluded until 2099-01-31 00:00 UTC")
    assert caller.post(f"{PLAYERS}/{player}/withdrawals", amount=1, reference=f"{player}-3")["cash"] == 11_999
    assert server.cli.account(player) == (11_999, 0)


def test_an_exclusion_ends_a_day_after_that_is_asked_for(server: Server, caller: Caller, player: str) -> None:
    """And is made longer at once; providers are told as of a blocked player."""
    assert put(caller, player, "exclusion", until=None)["excluded_until"] is None
    put(caller, player, "exclusion", until="2098-01-31T00:00:00+01:00")
    shown = put(caller, player, "exclusion", until="2099-01-31T00:00:00Z")
    assert (shown["excluded_until"], shown["next_at"]) == (UNTIL, None)
    token = server.cli.session(player)
    assert server.wallet_v2(code=token, type="bet", bet=1, id=9_901, game=1)["err_code"] == 104
    ending = put(caller, player, "exclusion", until=None)
    assert ending["excluded_until"] == UNTIL
    assert ending["next_at"] is not None
    assert caller.get(f"{PLAYERS}/{player}/limits") == ending


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
def test_what_will_not_do_is_named(
    caller: Caller, player: str, what: str, body: dict[str, object], wrong: tuple[str, str]
) -> None:
    """And changes nothing."""
    problem = assert_problem(caller.ask("PUT", f"{PLAYERS}/{player}/{what}", body), 422, "invalid")
    assert wrong in mistakes(problem)
    assert caller.get(f"{PLAYERS}/{player}/limits")["accounts"] == [{"currency": "USD", "limits": []}]


def test_what_cannot_be_is_said(caller: Caller, player: str) -> None:
    """An exclusion that is over, or for ever; somebody who is not there."""
    path = f"{PLAYERS}/{player}/exclusion"
    for until in ("2020-01-31T00:00:00Z", "0001-01-01T00:00:00+23:59"):
        assert_problem(caller.ask("PUT", path, {"until": until}), 409, "not_possible", "is over")
    for until in ("2200-01-31T00:00:00Z", "9999-12-31T23:59:59-23:59"):
        assert_problem(caller.ask("PUT", path, {"until": until}), 409, "not_possible", "100 years")
    nobody = caller.ask("PUT", f"{PLAYERS}/nobody/limits/loss/day", {"amount": 1})
    assert_problem(nobody, 404, "not_found", "nobody")
    eur = caller.ask("PUT", f"{PLAYERS}/{player}/limits/loss/day", {"amount": 1, "currency": "EUR"})
    assert_problem(eur, 409, "not_possible", "EUR")
