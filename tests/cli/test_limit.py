"""`minwallet limit` and `minwallet player exclude`, and their effects."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cli.cli_assertions import assert_error_line, assert_usage_error, split_cells
from tests.support import InProcessCli, Server


def read_limits(wallet: InProcessCli, player: str, currency: str = "USD") -> list[dict[str, Any]]:
    accounts = wallet("limit", "list", player)["accounts"]
    (found,) = [each["limits"] for each in accounts if each["currency"] == currency]
    assert isinstance(found, list)
    return found


def hours_until(text: str) -> float:
    return (datetime.fromisoformat(text) - datetime.now(UTC)) / timedelta(hours=1)


def test_a_new_player_has_no_limits(wallet: InProcessCli) -> None:
    """The table's text says how to set one."""
    player = wallet.add_player()
    assert wallet("limit", "list", player) == {
        "player_id": player,
        "agent": "default",
        "excluded_until": None,
        "next_excluded_until": None,
        "next_at": None,
        "accounts": [{"currency": "USD", "limits": []}],
    }
    assert f"minwallet limit set {player} " in wallet.run("limit", "list", player).out


def test_a_first_or_lower_limit_takes_effect_immediately(wallet: InProcessCli) -> None:
    """Earlier use counts, and so does the initial balance."""
    player = wallet.add_player(balance="100")
    shown = {"kind": "deposit", "per": "day", "amount": 15_000, "used": 10_000, "next_amount": None, "next_at": None}
    set_ = wallet("limit", "set", player, "deposit", "day", "150.00")
    assert set_["accounts"] == [{"currency": "USD", "limits": [shown]}]
    assert wallet("limit", "list", player) == set_
    wallet("limit", "set", player, "loss", "week", "0")
    wallet("limit", "set", player, "deposit", "month", "200")
    wallet("limit", "set", player, "deposit", "day", "120")
    assert read_limits(wallet, player) == [
        {**shown, "amount": 12_000},
        {**shown, "per": "month", "amount": 20_000},
        {**shown, "kind": "loss", "per": "week", "amount": 0, "used": 0},
    ]


@pytest.mark.parametrize(("amount", "cents"), [("150.01", 15_001), ("none", None)])
def test_less_protection_takes_effect_after_24_hours(wallet: InProcessCli, amount: str, cents: int | None) -> None:
    """Until then the old limit applies. A repeated request does not delay it, and a request for the old limit cancels
    it.
    """
    player = wallet.add_player(balance="0")
    wallet("limit", "set", player, "deposit", "day", "150")
    (first,) = wallet("limit", "set", player, "deposit", "day", amount)["accounts"][0]["limits"]
    assert (first["amount"], first["next_amount"]) == (15_000, cents)
    assert 23.9 < hours_until(first["next_at"]) <= 24
    wallet("limit", "set", player, "deposit", "day", amount)
    assert read_limits(wallet, player) == [first]
    assert_error_line(wallet.run("deposit", player, "150.01"), 1, "150.00 USD a day")
    wallet("limit", "set", player, "deposit", "day", "150")
    assert read_limits(wallet, player) == [{**first, "next_amount": None, "next_at": None}]


def test_a_deposit_beyond_a_limit_states_what_is_left(wallet: InProcessCli) -> None:
    """The error is one line, no money moves, and the reference stays free."""
    player = wallet.add_player(balance="10")
    wallet("limit", "set", player, "deposit", "day", "100")
    order = ("deposit", player, "90.01", "--reference", f"pay {player}")
    tomorrow = rf"from {re.escape(str((datetime.now(UTC) + timedelta(days=1)).date()))} on \(UTC\)"
    refused = wallet.run(*order)
    assert_error_line(refused, 1, player, "100.00 USD a day", "10.00", "at most 90.00 now")
    assert re.search(tomorrow, refused.err)
    assert wallet("deposit", player, "90", "--reference", f"pay {player}")["cash"] == 10_000
    assert_error_line(wallet.run("deposit", player, "0.01", "--json"), 1, "100.00 of it is used; try again from")
    assert_error_line(wallet.run("deposit", player, "100.01"), 1, "24 hours after it is requested")
    assert wallet("deposit", player, "5", "--bonus")["bonus"] == 500
    assert wallet("withdraw", player, "100")["cash"] == 0
    assert_error_line(wallet.run("deposit", player, "0.01"), 1, "try again from")
    wallet("limit", "set", player, "deposit", "week", "1000")
    wallet("limit", "set", player, "deposit", "month", "50")
    assert_error_line(wallet.run("deposit", player, "10"), 1, "50.00 USD in 30 days")


def test_an_excluded_player_gets_no_deposit(wallet: InProcessCli) -> None:
    """This holds for all currencies until the end. Withdrawals are allowed."""
    player = wallet.add_player()
    wallet("player", "add", player, "--currency", "EUR")
    until = (datetime.now(UTC) + timedelta(days=40)).date()
    shown = wallet("player", "exclude", player, "--until", until)
    assert shown == wallet("limit", "list", player)
    assert shown["excluded_until"] == f"{until}T00:00:00.000Z"
    for currency in ("EUR", "USD"):
        refused = wallet.run("deposit", player, "1", "--currency", currency)
        assert_error_line(refused, 1, player, f"excluded until {until} 00:00 UTC", "withdrawals")
    assert_error_line(wallet.run("deposit", player, "1", "--bonus", "--currency", "EUR"), 1, "excluded")
    assert wallet("withdraw", player, "1", "--currency", "USD")["cash"] == 9_900
    another = ("player", "add", player, "--currency", "GBP")
    assert_error_line(wallet.run(*another, "--bonus", "1"), 1, player, "is excluded", "with balance 0")
    assert len(wallet(*another)["accounts"]) == 3


def test_an_exclusion_extends_immediately_and_shortens_after_24_hours(wallet: InProcessCli) -> None:
    """Its end takes 24 hours too. A duration works like a date."""
    player = wallet.add_player()
    assert "is not excluded" in wallet.run("player", "exclude", player, "--until", "none").out
    wallet("player", "exclude", player, "--until", "7d")
    longer = wallet("player", "exclude", player, "--until", "180d")
    assert 179.9 < hours_until(longer["excluded_until"]) / 24 <= 180
    ends = wallet("player", "exclude", player, "--until", "none")
    assert (ends["excluded_until"], ends["next_excluded_until"]) == (longer["excluded_until"], None)
    assert 23.9 < hours_until(ends["next_at"]) <= 24
    shorter = wallet("player", "exclude", player, "--until", "30d")
    assert shorter["excluded_until"] == longer["excluded_until"]
    assert 29.9 < hours_until(shorter["next_excluded_until"]) / 24 <= 30
    again = wallet("player", "exclude", player, "--until", "200d")
    assert (again["next_excluded_until"], again["next_at"]) == (None, None)


def test_limits_are_a_table_and_an_exclusion_sentences(wallet: InProcessCli) -> None:
    """The table has the scheduled limits."""
    player = wallet.add_player(balance="0")
    wallet("limit", "set", player, "deposit", "day", "100")
    wallet("limit", "set", player, "loss", "month", "50")
    wallet("limit", "set", player, "deposit", "day", "250")
    out = wallet.run("limit", "set", player, "loss", "month", "none").out
    header, *rows = [split_cells(line) for line in out.splitlines()]
    assert header == ["currency", "kind", "per", "limit", "used", "next limit"]
    assert [row[:5] for row in rows] == [
        ["USD", "deposit", "day", "100.00", "0.00"],
        ["USD", "loss", "month", "50.00", "0.00"],
    ]
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
    assert re.fullmatch(f"250.00 from {moment}", rows[0][5])
    assert re.fullmatch(f"none from {moment}", rows[1][5])
    wallet("player", "exclude", player, "--until", "30d")
    told = wallet.run("player", "exclude", player, "--until", "7d").out
    assert re.fullmatch(rf"{player} is excluded until {moment}\nfrom {moment} on only until {moment}\n", told)
    told = wallet.run("player", "exclude", player, "--until", "none").out
    assert re.fullmatch(rf"{player} is excluded until {moment}\nfrom {moment} on no longer\n", told)
    assert wallet.run("limit", "list", player).out == told + out


def test_one_of_several_currencies_is_named(wallet: InProcessCli) -> None:
    """Each currency has limits of its own."""
    player = wallet.add_player()
    wallet("player", "add", player, "--currency", "EUR", "--balance", "3")
    assert_error_line(wallet.run("limit", "set", player, "loss", "day", "1"), 1, "EUR, USD", "--currency")
    wallet("limit", "set", player, "deposit", "day", "5", "--currency", "EUR")
    assert read_limits(wallet, player) == []
    (account,) = wallet("limit", "list", player, "--currency", "EUR")["accounts"]
    assert (account["currency"], account["limits"][0]["used"]) == ("EUR", 300)
    assert_error_line(wallet.run("deposit", player, "2.01", "--currency", "EUR"), 1, "5.00 EUR")
    assert wallet("deposit", player, "2.01", "--currency", "USD")["cash"] == 10_201
    assert_error_line(wallet.run("limit", "list", player, "--currency", "FUN"), 1, "no account in FUN")


def test_invalid_limits_are_refused(wallet: InProcessCli) -> None:
    """Nothing is changed."""
    player = wallet.add_player()
    assert_usage_error(wallet.run("limit", "set", player, "loss", "year", "1"), "day", "week", "month")
    assert_usage_error(wallet.run("limit", "set", player, "win", "day", "1"), "deposit", "loss")
    assert_error_line(wallet.run("limit", "set", player, "loss", "day", "1,5"), 2, "1,5", "12.50")
    assert_error_line(wallet.run("limit", "set", "nobody", "loss", "day", "1"), 1, "nobody", "player list")
    assert_usage_error(wallet.run("player", "exclude", player), "--until")
    for until in ("tomorrow", "2027-02-30", "31.1.2027", ""):
        assert_error_line(wallet.run("player", "exclude", player, "--until", until), 2, "2027-01-31")
    assert_error_line(
        wallet.run("player", "exclude", player, "--until", "2020-01-31"), 1, "'2020-01-31'", "in the future"
    )
    assert_error_line(wallet.run("player", "exclude", player, "--until", "0d"), 1, "invalid --until '0d': expected")
    for until in ("9999-12-31", "9999999999d"):
        assert_error_line(wallet.run("player", "exclude", player, "--until", until), 1, f"'{until}'", "100 years")
    assert wallet("limit", "list", player)["excluded_until"] is None
    assert read_limits(wallet, player) == []


def test_providers_get_the_refusal_of_a_blocked_player(server: Server) -> None:
    """This holds for a loss limit and an exclusion in both protocols. Wins, results and cancels still work."""
    cli = server.cli
    player = cli.add_player(balance="100", bonus="1")
    token = cli.open_session(player)
    cli("limit", "set", player, "loss", "day", "10")
    bet: dict[str, Any] = {"type": "bet", "game": 1, "code": token}
    assert server.wallet_v2(**bet, id=1, bet=600)["result"] == 1
    blocked = {"result": 0, "err_code": 104, "err_desc": "player blocked", "credit": 9_500}
    assert server.wallet_v2(**bet, id=2, bet=401) == blocked
    assert server.vela("bet", access_token=token, ticket_id=3, total_bet=401) == {
        "status_code": 1,
        "message": "Player blocked",
        "balance": 9_400,
        "balance2": 100,
    }
    assert server.vela("betwin", access_token=token, ticket_id=4, total_bet=401, total_win=900)["status_code"] == 1
    assert server.vela("bet", access_token=token, ticket_id=5, total_bet=400)["status_code"] == 0
    assert server.vela("authenticate", access_token=token)["status_code"] == 0
    assert server.wallet_v2(type="win", game=1, code=token, id=6, win=500, round_id=1)["result"] == 1
    assert server.wallet_v2(**bet, id=2, bet=401)["err_code"] == 104
    assert server.wallet_v2(**bet, id=7, bet=401)["result"] == 1
    cli("player", "exclude", player, "--until", "30d")
    assert server.wallet_v2(**bet, id=8, bet=0)["err_code"] == 104
    assert server.vela("authenticate", access_token=token)["message"] == "Player blocked"
    assert server.vela("bet", access_token=token, ticket_id=9, total_bet=1)["message"] == "Player blocked"
    assert server.wallet_v2(**bet, id=1, bet=600)["result"] == 1
    assert server.wallet_v2(type="credit", code=token)["result"] == 1
    assert server.wallet_v2(type="cancel", game=1, code=token, id=7)["result"] == 1
    assert server.vela("result", access_token=token, ticket_id=5, total_win=1)["status_code"] == 0
    assert [each["state"] for each in cli.read_entries(player)].count("refused") == 5
    cli.assert_ledger_valid()
