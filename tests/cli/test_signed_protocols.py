"""Commands with a third protocol, whose provider signs its calls: orbit, installed from `sample_data`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.cli_assertions import assert_error_line
from tests.cli.test_tail import read_json, running_tail
from tests.protocol_package import ORBIT, add_secret, installed, write_protocol_package
from tests.support import InProcessCli, running_server

SECRET = "a_secret_of_the_provider"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the package."""
    return write_protocol_package(tmp_path_factory.mktemp("orbit"), ORBIT, name="orbit", object_name="Orbit")


@pytest.fixture(scope="module")
def served_cli(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessCli]:
    """Return the command line of a wallet with a running server that has the package.

    The agent `default` has the secret. The commands do not have the package.
    """
    db = tmp_path_factory.mktemp("served") / "wallet.db"
    with running_server(db, PYTHONPATH=str(folder)) as server:
        add_secret(server.cli, folder, SECRET, protocol="orbit")
        yield server.cli
        server.cli.assert_ledger_valid()


@pytest.fixture
def cli(served_cli: InProcessCli, folder: Path) -> Iterator[InProcessCli]:
    """Return the same command line, whose commands have the package too."""
    with installed(folder):
        yield served_cli


def read_rows(cli: InProcessCli, player: str) -> list[tuple[str, str, int]]:
    return [(entry["kind"], entry["state"], entry["amount"]) for entry in cli.read_entries(player)][1:]


def test_every_operation_is_triggered_with_a_signature(cli: InProcessCli) -> None:
    """The operations of the protocol decide. The protocol is that of the player's last call, if none is named.

    The rollback of a win follows that of the bets, in whatever order the call names them.
    """
    player = cli.add_player("USD", "100")
    shown = cli("trigger", "balance", "--player", player, "--protocol", "orbit")
    assert json.loads(shown["reply"])["balance"] == "100.00"
    assert shown["before"] == shown["after"]
    cli("trigger", "bet", "--player", player, "--amount", "8", "--id", "b-1", "--protocol", "orbit")
    cli("trigger", "refund", "--player", player, "--amount", "3")
    cli("trigger", "refund", "--player", player, "--reference", "b-1")
    cli("trigger", "bet", "--player", player, "--id", "b-2", "--round", "r-2")
    cli("trigger", "win", "--player", player, "--id", "w-2", "--amount", "4", "--round", "r-2")
    cli("trigger", "rollback", "--player", player, "--id", "x", "--reference", "w-2", "--reference", "b-2")
    assert read_rows(cli, player) == [
        ("bet", "applied", -800),
        ("rollback", "applied", 300),
        ("rollback", "applied", 500),
        ("bet", "applied", -100),
        ("win", "applied", 400),
        ("rollback", "applied", 100),
        ("rollback", "applied", -400),
    ]
    assert {entry["protocol"] for entry in cli.read_entries(player)[1:]} == {"orbit"}


def test_every_entry_is_replayed_with_a_signature(cli: InProcessCli) -> None:
    """Entries of one call are replayed one by one. No replay moves money; a bet that was rolled back is refused."""
    player = cli.add_player("USD", "100")
    for words in ["bet --id ra", "refund --amount 0.50", "bet --id rb", "rollback --id ry --reference rb"]:
        cli("trigger", *words.split(), "--player", player, "--protocol", "orbit")
    rows = cli.read_entries(player)[1:]
    assert len(rows) == 4
    for entry in rows:
        made = cli("replay", entry["seq"])
        assert made["before"] == made["after"], made
        assert ("error" in json.loads(made["reply"])) == (entry["id"] == "rb"), made
    assert len(cli.read_entries(player)[1:]) == 4


def test_no_output_has_the_secret_or_a_signature(cli: InProcessCli) -> None:
    """The request is shown without them, and without the session."""
    player = cli.add_player()
    result = cli.run("trigger", "bet", "--player", player, "--protocol", "orbit")
    assert result.code == 0
    assert "session=TOKEN" in result.out
    assert SECRET not in result.out + result.err
    assert "sign" not in result.out.lower()


def test_an_agent_without_a_secret_is_told(cli: InProcessCli) -> None:
    """One sentence says what to do, and no session is opened. Without --protocol another protocol is chosen."""
    cli("agent", "add", "unsigned")
    cli("player", "add", "una", "--currency", "USD", "--balance", "5", "--agent", "unsigned")
    command = ("trigger", "bet", "--player", "una", "--agent", "unsigned")
    refused = cli.run(*command, "--protocol", "orbit")
    assert_error_line(refused, 1, "no secret", "minwallet agent secret add unsigned orbit")
    assert cli("session", "list", "una", "--agent", "unsigned")["sessions"] == []
    cli(*command)
    (bet, _) = cli("ledger", "una", "--agent", "unsigned")["entries"]
    assert bet["protocol"] != "orbit"


def test_an_id_is_any_text_that_the_protocol_takes(cli: InProcessCli) -> None:
    """The protocol's own rule is the error. Nothing is sent."""
    player = cli.add_player()
    named = ("trigger", "bet", "--player", player, "--protocol", "orbit", "--id")
    cli(*named, "a-b_9")
    assert_error_line(cli.run(*named, "a:b"), 2, "transaction_id")
    refund = ("trigger", "refund", "--player", player, "--protocol", "orbit")
    assert_error_line(cli.run(*refund, "--reference", "a", "--reference", "b"), 2, "one --reference")
    fresh = cli.add_player()
    for operation in ("refund", "rollback"):
        refused = cli.run("trigger", operation, "--player", fresh, "--protocol", "orbit")
        assert_error_line(refused, 1, "no open bet in orbit", "--reference")


def test_a_round_chooses_what_is_reversed(cli: InProcessCli) -> None:
    """It is the newest open bet of the round, or its newest win that stands. Other rounds stay as they are."""
    player = cli.add_player("USD", "100")
    orbit = ("--player", player, "--protocol", "orbit")
    for round_, amount in (("R1", "10"), ("R2", "20"), ("R3", "30")):
        cli("trigger", "bet", *orbit, "--id", f"b-{round_}", "--round", round_, "--amount", amount)
    cli("trigger", "refund", *orbit, "--round", "R2")
    for id_, amount in (("w-1a", "4"), ("w-1b", "6")):
        cli("trigger", "win", *orbit, "--id", id_, "--round", "R1", "--amount", amount)
    for operation in ("rollback", "refund", "rollback"):
        cli("trigger", operation, *orbit, "--round", "R1")
    reversals = [(each["reference"], each["amount"]) for each in read_reversals(cli, player)]
    assert reversals == [("b-R2", 20_00), ("w-1b", -6_00), ("w-1a", -4_00), ("b-R1", 10_00)]
    for operation in ("refund", "rollback"):
        for round_ in ("R2", "nowhere"):
            refused = cli.run("trigger", operation, *orbit, "--round", round_)
            assert_error_line(refused, 1, f"no open bet or win of round '{round_}' in orbit", "--reference")
    assert cli.read_balances(player) == (70_00, 0)


def read_reversals(cli: InProcessCli, player: str) -> list[dict[str, Any]]:
    return [cli("show", entry["seq"])["entry"] for entry in cli.read_entries(player) if entry["kind"] == "rollback"]


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("rollback --amount 5", "--amount"),
        ("rollback --reference b-1 --amount 5", "--amount"),
        ("rollback --game comet", "--game"),
        ("refund --game comet", "--game"),
        ("refund --win 3", "--win"),
        ("refund --reference b-1 --round r-1", "--reference or --round"),
        ("rollback --reference b-1 --round r-1", "--reference or --round"),
        ("win --reference zzz", "--reference"),
        ("win --win 3", "--win"),
        ("bet --reference zzz", "--reference"),
        ("balance --amount 5", "--amount"),
        ("balance --id x", "--id"),
        ("balance --round r-1", "--round"),
        ("rollback --reference b-1,", "--reference"),
        ("rollback --reference b-1,b:1", "references"),
        ("refund --reference b-1,b-2", "reference"),
    ],
)
def test_an_option_that_the_call_cannot_use_is_refused(cli: InProcessCli, words: str, option: str) -> None:
    """One line names it, and nothing is sent."""
    player = cli.add_player("USD", "100")
    orbit = ("--player", player, "--protocol", "orbit")
    cli("trigger", "bet", *orbit, "--id", f"{player}-b-1", "--round", "r-1")
    before = cli.read_entries(player)
    assert_error_line(cli.run("trigger", *words.split(), *orbit), 2, option)
    assert cli.read_entries(player) == before


def test_a_list_of_references_is_one_reference_each(cli: InProcessCli) -> None:
    """A call that reverses several transactions takes them in one option too, separated by commas."""
    player = cli.add_player("USD", "100")
    orbit = ("--player", player, "--protocol", "orbit")
    for id_ in ("l-1", "l-2", "l-3"):
        cli("trigger", "bet", *orbit, "--id", id_)
    cli("trigger", "rollback", *orbit, "--reference", "l-1,l-3")
    assert [each["reference"] for each in read_reversals(cli, player)] == ["l-1", "l-3"]


def test_a_game_is_launched(cli: InProcessCli) -> None:
    """A protocol without a game list uses the agent's game address."""
    player = cli.add_player()
    launch = ("launch", player, "--protocol", "orbit", "--game", "comet")
    assert_error_line(cli.run(*launch), 1, "no game url")
    cli("agent", "set", "default", "--game-url", "https://g.example/orbit")
    shown = cli(*launch)
    assert shown["url"].startswith("https://g.example/orbit?")
    assert shown["token"] in shown["url"]
    for command in (("games",), ("report", "pull"), ("reconcile",)):
        assert_error_line(cli.run(*command, "--protocol", "orbit"), 1, "'orbit' has no game list and no report")


def test_a_launch_needs_the_secret_of_the_agent(cli: InProcessCli) -> None:
    """The provider could not verify the address, and no call of the game would be accepted. A demo needs no secret."""
    cli("agent", "add", "secretless")
    cli("agent", "set", "secretless", "--game-url", "https://g.example/orbit")
    cli("player", "add", "sue", "--currency", "USD", "--agent", "secretless")
    launch = ("--protocol", "orbit", "--game", "comet", "--agent", "secretless")
    refused = cli.run("launch", "sue", *launch)
    assert_error_line(refused, 1, "'secretless' has no secret", "minwallet agent secret add secretless orbit")
    assert cli("session", "list", "sue", "--agent", "secretless")["sessions"] == []
    assert cli("launch", "--demo", *launch)["url"].startswith("https://g.example/orbit?")


def test_an_unknown_protocol_is_named_with_the_installed_ones(served_cli: InProcessCli) -> None:
    """The words are the same in each command, whatever the calls of the protocol would be."""
    told = "unknown protocol 'orbits'; installed: "
    player = served_cli.add_player()
    for operation in ("refund", "bet", "nothing"):
        refused = served_cli.run("trigger", operation, "--player", player, "--protocol", "orbits")
        assert_error_line(refused, 2, told, "vela, wallet-v2")
    refused = served_cli.run("launch", player, "--game", "g", "--protocol", "orbits")
    assert_error_line(refused, 2, told, "vela, wallet-v2")


def test_a_removed_protocol_stays_in_the_ledger(db: Path, tmp_path: Path) -> None:
    """Its entries are shown and verified. Only a call or a replay needs the package."""
    source = ORBIT.read_text().replace("orbit", "comet").replace("Orbit", "Comet")
    folder = write_protocol_package(tmp_path / "packages", source, name="comet", object_name="Comet")
    with running_server(db, PYTHONPATH=str(folder)) as server:
        cli = server.cli
        add_secret(cli, folder, SECRET, protocol="comet")
        player = cli.add_player()
        call = ("trigger", "bet", "--player", player, "--protocol", "comet")
        with installed(folder):
            cli(*call)
        (entry,) = cli.read_entries(player)[1:]
        assert entry["protocol"] == "comet"
        assert cli("show", entry["seq"])["entry"]["protocol"] == "comet"
        assert_error_line(cli.run("replay", entry["seq"]), 1, "'comet', which is not installed")
        assert_error_line(cli.run(*call), 2, "unknown protocol 'comet'; installed: ")
        assert cli.run("verify").code == 0
        with running_tail(db, "--protocol", "comet", "-n", "1", "--json") as process:
            assert read_json(process)["id"] == entry["id"]
        assert_error_line(cli.run("tail", "--protocol", "comets"), 2, "unknown protocol 'comets'")


@pytest.mark.long
def test_signed_bets_are_measured(folder: Path, tmp_path: Path) -> None:
    """Each bet has a signature of its own. A sentence says that the load generator made it."""
    options = ("--seconds", "1", "--players", "10", "--connections", "4", "--protocol", "orbit", "--json")
    with installed(folder):
        result = InProcessCli(tmp_path / "wallet.db").run("bench", *options, PYTHONPATH=str(folder))
    assert result.code == 0, result
    told = result.json
    assert told["bets"] >= told["bets_per_second"] > 0
    assert "The load generator signed each bet" in " ".join(told["notes"])
