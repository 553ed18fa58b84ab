"""`minwallet deposit`, `minwallet withdraw` and `minwallet adjust`."""

import json
from subprocess import PIPE

import pytest

from tests.cli.cli_assertions import assert_error_line
from tests.forkserver import start_minwallet
from tests.support import InProcessCli, clean_environment

MAX_AMOUNT = "92233720368547758.07"


def test_a_deposit_shows_the_new_balance(wallet: InProcessCli) -> None:
    """The balances are in cents, with the number of the ledger entry."""
    player = wallet.add_player(balance="100")
    done = wallet("deposit", player, "12.50")
    (newest,) = wallet("ledger", player, "--limit", 1)["entries"]
    assert done == {"player_id": player, "currency": "USD", "cash": 11_250, "bonus": 0, "seq": newest["seq"]}
    assert (newest["kind"], newest["amount"], newest["protocol"]) == ("deposit", 1250, "operator")


def test_a_withdrawal_takes_cash(wallet: InProcessCli) -> None:
    """The last cent can be withdrawn, and the change in the ledger is negative."""
    player = wallet.add_player(balance="10")
    done = wallet("withdraw", player, "10.00")
    (newest,) = wallet("ledger", player, "--limit", 1)["entries"]
    assert done == {"player_id": player, "currency": "USD", "cash": 0, "bonus": 0, "seq": newest["seq"]}
    assert (newest["kind"], newest["amount"]) == ("withdraw", -1000)


def test_the_new_balance_is_one_sentence(wallet: InProcessCli) -> None:
    """Amounts are decimals there."""
    player = wallet.add_player(balance="10", bonus="2.5")
    assert wallet.run("deposit", player, "0.05").out.startswith(f"{player} now has 10.05 USD and 2.50 bonus")
    assert wallet.run("withdraw", player, "10").out.startswith(f"{player} now has 0.05 USD and 2.50 bonus")


def test_bonus_is_moved_apart_from_cash(wallet: InProcessCli) -> None:
    """`--bonus` deposits and withdraws bonus only."""
    player = wallet.add_player(balance="10", bonus="5")
    given = wallet("deposit", player, "1", "--bonus")
    assert (given["cash"], given["bonus"]) == (1000, 600)
    taken = wallet("withdraw", player, "2", "--bonus")
    assert (taken["cash"], taken["bonus"]) == (1000, 400)


def test_a_withdrawal_never_touches_bonus(wallet: InProcessCli) -> None:
    """Too little cash is refused whatever the bonus, and the reverse."""
    player = wallet.add_player(balance="10", bonus="50")
    assert_error_line(wallet.run("withdraw", player, "10.01", "--json"), 1, "10.00 USD", "cash")
    assert_error_line(wallet.run("withdraw", player, "50.01", "--bonus"), 1, "50.00 USD", "bonus")
    assert wallet.read_balances(player) == (1000, 5000)


@pytest.mark.parametrize("command", ["deposit", "withdraw"])
def test_the_same_reference_again_changes_nothing(wallet: InProcessCli, command: str) -> None:
    """A repeated request gets the first reply."""
    player = wallet.add_player(balance="10")
    order = (command, player, "4", "--reference", f"invoice 1 of {player}")
    first = wallet(*order)
    assert wallet(*order) == first
    assert wallet(*order) == first
    assert len(wallet.read_entries(player)) == 2


def test_a_reference_means_one_transfer(wallet: InProcessCli) -> None:
    """A changed amount, kind, currency, player or bonus is refused. Another agent can use the reference."""
    player, other = wallet.add_player(bonus="10"), wallet.add_player()
    again = ("--reference", f"order of {player}")
    wallet("deposit", player, "1", *again)
    wallet("player", "add", player, "--currency", "EUR", "--balance", "5")
    usd = ("--currency", "USD")
    assert_error_line(wallet.run("deposit", player, "2", *usd, *again), 1, f"order of {player}", "choose another")
    assert_error_line(wallet.run("deposit", player, "1", "--bonus", *usd, *again), 1, "choose another")
    assert_error_line(wallet.run("withdraw", player, "1", *usd, *again), 1, "choose another")
    assert_error_line(wallet.run("deposit", player, "1", "--currency", "EUR", *again), 1, "choose another")
    assert_error_line(wallet.run("deposit", other, "1", *again), 1, "choose another")
    wallet("agent", "add", f"of-{player}")
    wallet("player", "add", player, "--currency", "USD", "--agent", f"of-{player}")
    assert wallet("deposit", player, "1", "--agent", f"of-{player}", *again)["cash"] == 100


def test_without_a_reference_each_call_is_a_transfer(wallet: InProcessCli) -> None:
    """Two equal deposits are two deposits."""
    player = wallet.add_player(balance="0")
    assert [wallet("deposit", player, "1")["cash"] for _ in range(3)] == [100, 200, 300]


def test_a_player_with_several_currencies_needs_the_option(wallet: InProcessCli) -> None:
    """The wallet never guesses an account."""
    player = wallet.add_player(balance="1")
    wallet("player", "add", player, "--currency", "EUR", "--balance", "2")
    assert_error_line(wallet.run("deposit", player, "1"), 1, "EUR, USD", "--currency")
    assert_error_line(wallet.run("withdraw", player, "1"), 1, "EUR, USD", "--currency")
    assert wallet("deposit", player, "1", "--currency", "EUR")["cash"] == 300
    assert wallet("withdraw", player, "1", "--currency", "USD")["cash"] == 0
    assert_error_line(wallet.run("deposit", player, "1", "--currency", "GBP"), 1, "GBP", "EUR, USD")


def test_an_unknown_player_is_refused(wallet: InProcessCli) -> None:
    """A deposit does not create a player."""
    for command in ("deposit", "withdraw"):
        assert_error_line(wallet.run(command, "nobody", "1", "--json"), 1, "nobody", "player list")


@pytest.mark.parametrize(
    "amount", ["1.234", "abc", "1e5", "0", "", "1,50", "+1", " 1", "1_000", "\uff11\uff12", ".5", "1.", "inf"]
)
def test_an_invalid_amount_is_refused(wallet: InProcessCli, amount: str) -> None:
    """An amount is a decimal above 0 with at most two places and ASCII digits."""
    player = wallet.add_player(balance="1")
    for command in ("deposit", "withdraw"):
        assert_error_line(wallet.run(command, player, amount), 2, "amount")
    assert wallet.read_balances(player) == (100, 0)


def test_a_negative_amount_is_refused(wallet: InProcessCli) -> None:
    """This holds whether or not it looks like an option."""
    player = wallet.add_player(balance="1")
    for arguments in (
        *(("deposit", player, "-1"), ("deposit", player, "--", "-1"), ("withdraw", player, "--", "-0.01")),
        *(("deposit", player, "--", "-0"), ("withdraw", player, "--", "-0.00"), ("deposit", player, "-0")),
    ):
        refused = wallet.run(*arguments)
        assert (refused.code, refused.out) == (2, "")
        assert "Traceback" not in refused.err
    assert wallet.read_balances(player) == (100, 0)


def test_an_amount_too_large_is_refused(wallet: InProcessCli) -> None:
    """No amount and no balance passes 2^63-1 cents."""
    player = wallet.add_player(balance="0.01")
    for amount in ("92233720368547758.08", "99999999999999999999", "9" * 5000):
        assert_error_line(wallet.run("deposit", player, amount), 2, amount[:50])
    assert_error_line(wallet.run("deposit", player, MAX_AMOUNT), 1, MAX_AMOUNT)
    assert wallet.read_balances(player) == (1, 0)


@pytest.mark.parametrize("reference", ["", " x", "x ", "a\nb", "é", "x" * 65])
def test_a_reference_is_printable_ascii(cli: InProcessCli, reference: str) -> None:
    """It has 1 to 64 characters. An empty one is refused, so a script's unset variable moves no money twice."""
    player = cli.add_player()
    assert_error_line(cli.run("deposit", player, "1", "--reference", reference), 2, "reference", "1 to 64")


def test_an_adjustment_corrects_the_balance(wallet: InProcessCli) -> None:
    """A negative amount needs no `--`, at any place; actor and reason are in the entry."""
    player = wallet.add_player(balance="10", bonus="5")
    reason = ("--reason", "ticket 7 paid twice")
    done = wallet("adjust", player, "-5.00", *reason)
    (newest,) = wallet("ledger", player, "--limit", 1)["entries"]
    assert done == {"player_id": player, "currency": "USD", "cash": 500, "bonus": 500, "seq": newest["seq"]}
    assert (newest["kind"], newest["amount"], newest["protocol"]) == ("adjustment", -500, "operator")
    assert wallet("adjust", *reason, player, "+0.05")["cash"] == 505
    assert wallet("adjust", *reason, "--bonus", player, "-5")["bonus"] == 0
    assert wallet.run("adjust", *reason, "--", player, "-5.05").out.startswith(f"{player} now has 0.00 USD")
    shown = json.loads(wallet.run("show", newest["seq"], "--json").out)["entry"]
    detail = json.loads(shown["detail"])
    assert detail["reason"] == "ticket 7 paid twice"
    assert detail["by"].startswith("command line")


def test_what_is_owed_to_an_excluded_player_can_be_paid(wallet: InProcessCli) -> None:
    """Limits, exclusion and a block do not apply to an adjustment, and it uses no limit."""
    player = wallet.add_player(balance="10")
    for kind in ("deposit", "loss"):
        wallet("limit", "set", player, kind, "day", "10")
    wallet("player", "block", player)
    wallet("player", "exclude", player, "--until", "2099-01-01")
    assert_error_line(wallet.run("deposit", player, "5"), 1, "only withdrawals and adjustments are possible")
    used = [limit["used"] for limit in wallet("limit", "list", player)["accounts"][0]["limits"]]
    assert wallet("adjust", player, "5", "--reason", "owed")["cash"] == 1500
    assert wallet("adjust", player, "-1", "--reason", "too much")["cash"] == 1400
    assert [limit["used"] for limit in wallet("limit", "list", player)["accounts"][0]["limits"]] == used


def test_an_adjustment_never_leaves_the_range(wallet: InProcessCli) -> None:
    """No balance is negative, and cash and bonus do not replace each other."""
    player = wallet.add_player(balance="10", bonus="50")
    reason = ("--reason", "too much")
    assert_error_line(wallet.run("adjust", player, "-10.01", *reason), 1, "10.00 USD", "cash")
    assert_error_line(wallet.run("adjust", player, "-50.01", "--bonus", *reason), 1, "50.00 USD", "bonus")
    assert_error_line(wallet.run("adjust", player, MAX_AMOUNT, *reason), 1, MAX_AMOUNT)
    assert wallet.read_balances(player) == (1000, 5000)


def test_an_adjustment_has_a_reference_like_a_deposit(wallet: InProcessCli) -> None:
    """The same again changes nothing; another amount, sign, part or kind is refused."""
    player = wallet.add_player(balance="10")
    again = ("--reason", "owed", "--reference", f"fix of {player}")
    first = wallet("adjust", player, "4", *again)
    assert wallet("adjust", player, "4.00", *again) == first
    for command in (("adjust", player, "-4"), ("adjust", player, "5"), ("adjust", player, "4", "--bonus")):
        assert_error_line(wallet.run(*command, *again), 1, "choose another")
    for kind in ("deposit", "withdraw"):
        assert_error_line(wallet.run(kind, player, "4", *again[2:]), 1, "choose another")
    assert len(wallet.read_entries(player)) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["0", "--reason", "r"], "amount"),
        (["-0.00", "--reason", "r"], "amount"),
        (["1.234", "--reason", "r"], "amount"),
        (["--5", "--reason", "r"], "unknown option '--5'"),
        (["-92233720368547758.08", "--reason", "r"], "maximum"),
        (["1", "--reason", ""], "reason"),
        (["1", "--reason", " "], "reason"),
        (["1", "--reason", "two\nlines"], "reason"),
    ],
)
def test_an_invalid_adjustment_is_refused(wallet: InProcessCli, arguments: list[str], said: str) -> None:
    """The amount is not 0, and the reason is not empty."""
    player = wallet.add_player(balance="1")
    assert_error_line(wallet.run("adjust", player, *arguments), 2, said)
    assert wallet.read_balances(player) == (100, 0)


@pytest.mark.parametrize("arguments", [["1"], ["1", "--reson", "r"], ["1", "--reason", "r", "--bonsu"], ["-x", "-1"]])
def test_an_adjustment_with_a_mistyped_option_is_refused(wallet: InProcessCli, arguments: list[str]) -> None:
    """Only an amount may begin with a minus."""
    player = wallet.add_player(balance="1")
    refused = wallet.run("adjust", player, *arguments)
    assert (refused.code, refused.out) == (2, "")
    assert wallet.read_balances(player) == (100, 0)


def test_concurrent_commands_take_turns(cli: InProcessCli) -> None:
    """Without a server, the second command waits for the first."""
    player = cli.add_player(balance="0")
    command = ["--db", cli.db, "deposit", player, "1"]
    started = [start_minwallet(command, stderr=PIPE, env=clean_environment()) for _ in range(4)]
    assert [(each.communicate()[1], each.returncode) for each in started] == [("", 0)] * 4
    assert cli.read_balances(player) == (400, 0)
    cli.assert_ledger_valid()
