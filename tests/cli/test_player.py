"""`minwallet player`."""

import pytest

from tests.cli.cli_assertions import assert_error_line, assert_usage_error, split_cells
from tests.support import InProcessCli

HEADER = ["player", "agent", "status", "currency", "cash", "bonus"]


def test_a_player_is_added_with_money(wallet: InProcessCli) -> None:
    """The reply is the player as `player show` prints it, with cash and bonus in cents."""
    added = wallet("player", "add", "ann", "--currency", "USD", "--balance", "100.00", "--bonus", "5.5")
    assert added == {
        "player_id": "ann",
        "agent": "default",
        "status": "active",
        "excluded_until": None,
        "accounts": [{"currency": "USD", "cash": 10_000, "bonus": 550}],
    }
    assert wallet("player", "show", "ann") == added


def test_a_player_begins_without_money_by_default(wallet: InProcessCli) -> None:
    """An account without money has no ledger entry."""
    wallet("player", "add", "poor", "--currency", "FUN")
    assert wallet.read_balances("poor", "FUN") == (0, 0)
    assert wallet("ledger", "poor") == {"entries": []}


def test_a_player_may_have_several_currencies(wallet: InProcessCli) -> None:
    """Adding the player with another currency opens an account. They are in order of currency."""
    wallet("player", "add", "multi", "--currency", "USD", "--balance", "1")
    shown = wallet("player", "add", "multi", "--currency", "EUR", "--balance", "2", "--bonus", "3")
    assert shown["accounts"] == [
        {"currency": "EUR", "cash": 200, "bonus": 300},
        {"currency": "USD", "cash": 100, "bonus": 0},
    ]


def test_an_account_is_opened_once(wallet: InProcessCli) -> None:
    """A repeated player and currency is refused, and no money moves."""
    player = wallet.add_player(balance="7")
    again = wallet.run("player", "add", player, "--currency", "USD", "--balance", "7")
    assert_error_line(again, 1, player, "already has an account in USD", "minwallet deposit")
    assert wallet.read_balances(player) == (700, 0)


def test_a_player_belongs_to_one_agent(wallet: InProcessCli) -> None:
    """Two agents can have different players of the same name."""
    wallet("agent", "add", "elsewhere")
    wallet("player", "add", "same", "--currency", "USD", "--balance", "1")
    wallet("player", "add", "same", "--currency", "USD", "--balance", "2", "--agent", "elsewhere")
    assert wallet("player", "list", "--agent", "elsewhere") == {
        "players": [wallet("player", "show", "same", "--agent", "elsewhere")]
    }
    assert wallet("player", "show", "same", "--agent", "elsewhere")["accounts"][0]["cash"] == 200
    assert wallet.read_balances("same") == (100, 0)


def test_players_are_listed_in_order_of_name(wallet: InProcessCli) -> None:
    """The list has the players of all agents, as `player show` prints them, or those of one agent."""
    wallet("agent", "add", "list-agent")
    for name, agent in (("list-b", "default"), ("list-a", "default"), ("list-c", "list-agent")):
        wallet("player", "add", name, "--currency", "USD", "--agent", agent)
    players = wallet("player", "list")["players"]
    names = [(player["agent"], player["player_id"]) for player in players]
    assert names == sorted(names)
    assert [name for name in names if name[1].startswith("list-")] == [
        ("default", "list-a"),
        ("default", "list-b"),
        ("list-agent", "list-c"),
    ]
    assert wallet("player", "show", "list-a") in players
    shown = wallet("player", "show", "list-c", "--agent", "list-agent")
    assert wallet("player", "list", "--agent", "list-agent")["players"] == [shown]


def test_players_are_searched_by_id_and_status(wallet: InProcessCli) -> None:
    """An active player is neither blocked nor excluded. The table says if `--limit` hides some."""
    for name in ("seek-1", "seek-2", "SEEK-3", "seek-4"):
        wallet("player", "add", name, "--currency", "USD")
    for name in ("seek-2", "seek-4"):
        wallet("player", "block", name)
    for name in ("SEEK-3", "seek-4"):
        wallet("player", "exclude", name, "--until", "7d")

    def found(*options: object) -> list[str]:
        return [player["player_id"] for player in wallet("player", "list", "--search", "eek-", *options)["players"]]

    assert found() == ["SEEK-3", "seek-1", "seek-2", "seek-4"]
    assert found("--limit", 2) == ["SEEK-3", "seek-1"]
    for limit, has_more in ((2, True), (4, False)):
        _, *rows = wallet.run("player", "list", "--search", "eek-", "--limit", limit).out.splitlines()
        assert (len(rows), rows[-1].startswith("(more players exist; raise --limit")) == (limit + has_more, has_more)
    assert found("--status", "active") == ["seek-1"]
    assert found("--status", "blocked") == ["seek-2", "seek-4"]
    assert found("--status", "blocked", "--limit", 1) == ["seek-2"]
    assert found("--status", "excluded") == ["SEEK-3", "seek-4"]
    assert wallet.run("player", "list", "--search", "%").out == "no players found\n"
    assert_usage_error(wallet.run("player", "list", "--limit", 0), "--limit")
    assert_usage_error(wallet.run("player", "list", "--status", "gone"), "excluded")


def test_an_exclusion_shows_in_the_status(wallet: InProcessCli) -> None:
    """The JSON has its end beside the status. The table has both in one cell, until the exclusion is over."""
    player = wallet.add_player()
    end = wallet("player", "exclude", player, "--until", "2099-01-31")["excluded_until"]
    shown = wallet("player", "show", player)
    assert list(shown) == ["player_id", "agent", "status", "excluded_until", "accounts"]
    assert (shown["status"], shown["excluded_until"], end) == ("active", end, "2099-01-31T00:00:00.000Z")
    assert wallet("player", "list", "--search", player)["players"] == [shown]
    text = "excluded until 2099-01-31 00:00 UTC"
    for command in (("list", "--search"), ("show",)):
        _, row = wallet.run("player", *command, player).out.splitlines()
        assert split_cells(row)[2] == text
    blocked = wallet.run("player", "block", player).out.splitlines()[1]
    assert split_cells(blocked)[2] == f"blocked, {text}"


def test_an_empty_list_of_players_has_a_hint(wallet: InProcessCli) -> None:
    """Scripts get an empty JSON list, and people a command to add a player."""
    wallet("agent", "add", "lonely")
    assert wallet("player", "list", "--agent", "lonely") == {"players": []}
    assert "minwallet player add" in wallet.run("player", "list", "--agent", "lonely").out


def test_blocking_and_unblocking_show_the_player(wallet: InProcessCli) -> None:
    """Both can be repeated, and the balance is unchanged."""
    player = wallet.add_player(balance="3")
    blocked = wallet("player", "block", player)
    assert blocked == {
        "player_id": player,
        "agent": "default",
        "status": "blocked",
        "excluded_until": None,
        "accounts": [{"currency": "USD", "cash": 300, "bonus": 0}],
    }
    assert wallet("player", "block", player) == blocked
    assert wallet("player", "show", player) == blocked
    assert wallet("player", "unblock", player) == {**blocked, "status": "active"}
    assert wallet("player", "unblock", player) == wallet("player", "show", player)


def test_players_are_a_table_for_people(wallet: InProcessCli) -> None:
    """The table has one line per account with decimals, and shows the longest values in full."""
    name, most = "p" * 40, "92233720368547758.07"
    rows = [[name, "default", "active", currency, most, "0.00"] for currency in ("CURRENCY10", "USD")]
    wallet("player", "add", name, "--currency", "USD", "--balance", most)
    added = wallet.run("player", "add", name, "--currency", "CURRENCY10", "--balance", most)
    assert [split_cells(line) for line in added.out.splitlines()] == [HEADER, *rows]
    assert wallet.run("player", "show", name).out == added.out
    rows = [[*row[:2], "blocked", *row[3:]] for row in rows]
    assert [split_cells(line) for line in wallet.run("player", "block", name).out.splitlines()] == [HEADER, *rows]
    listed = [split_cells(line) for line in wallet.run("player", "list").out.splitlines()]
    assert listed[0] == HEADER
    assert all(row in listed for row in rows)
    assert wallet.run("player", "unblock", name).out == added.out


@pytest.mark.parametrize("command", ["show", "block", "unblock"])
def test_an_unknown_player_is_refused(wallet: InProcessCli, command: str) -> None:
    """The error says how to list the players."""
    assert_error_line(wallet.run("player", command, "nobody", "--json"), 1, "nobody", "default", "player list")


def test_an_unknown_agent_is_refused(wallet: InProcessCli) -> None:
    """This holds for every command with `--agent`."""
    wallet("player", "add", "known", "--currency", "USD")
    added = wallet.run("player", "add", "x", "--currency", "USD", "--agent", "ghost")
    assert_error_line(added, 1, "ghost", "agent")
    for words in (
        "player list",
        "player show known",
        "player block known",
        "deposit known 1",
        "withdraw known 1",
        "ledger known",
        "session open known",
        "session list known",
    ):
        assert_error_line(wallet.run(*words.split(), "--agent", "ghost"), 1, "ghost", "agent list")


@pytest.mark.parametrize("name", ["", "two words", "x" * 41, "ünï", "a/b", "\u0661"])
def test_an_invalid_player_id_is_refused(wallet: InProcessCli, name: str) -> None:
    """A player id has 1 to 40 of A-Z a-z 0-9 _ . @ -."""
    assert_error_line(wallet.run("player", "add", name, "--currency", "USD"), 2, name, "player_id", "1 to 40")


@pytest.mark.parametrize("currency", ["", "US", "us$", "ELEVENCHARS", "US D", "€UR"])
def test_an_invalid_currency_is_refused(wallet: InProcessCli, currency: str) -> None:
    """A currency has 3 to 10 of A-Z 0-9."""
    assert_error_line(wallet.run("player", "add", "x", "--currency", currency), 2, currency, "currency", "3 to 10")


def test_a_player_needs_a_currency(wallet: InProcessCli) -> None:
    """The currency has no default."""
    assert_usage_error(wallet.run("player", "add", "x"), "--currency")


def test_cash_and_bonus_together_stay_a_63_bit_number(wallet: InProcessCli) -> None:
    """A larger sum is refused, and no player is added."""
    most = "92233720368547758.07"
    too_much = wallet.run("player", "add", "rich", "--currency", "USD", "--balance", most, "--bonus", "0.01")
    assert_error_line(too_much, 1, most)
    assert_error_line(wallet.run("player", "show", "rich"), 1, "rich")


def test_an_opening_reference_used_by_a_deposit_does_not_block_a_player(wallet: InProcessCli) -> None:
    """A deposit's reference can look like an opening entry. Then the player can still be added, or the deposit is
    refused.
    """
    player = wallet.add_player()
    deposited = wallet.run("deposit", player, "1", "--reference", "opening:late:USD")
    added = wallet.run("player", "add", "late", "--currency", "USD", "--balance", "5", "--json")
    assert "Traceback" not in deposited.err + added.err
    assert added.code == 0, added
    assert wallet.read_balances("late") == (500, 0)
