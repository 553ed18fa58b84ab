"""`trigger`, `replay` and `show`: provider calls by hand, and their journal."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from minwallet.protocols.registry import list_protocols, load_protocol
from tests.cli.cli_assertions import assert_error_line, split_cells
from tests.support import TIMEOUT_S, InProcessCli, Server, running_server


@pytest.fixture(scope="module")
def served_wallet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[InProcessCli, Server]]:
    """Return the command line of a wallet with a running server below a callback key."""
    db = tmp_path_factory.mktemp("served") / "wallet.db"
    with running_server(db, MINWALLET_CALLBACK_KEY="very_secret") as server:
        yield InProcessCli(db), server
        server.cli.assert_ledger_valid()


@pytest.fixture
def cli(served_wallet: tuple[InProcessCli, Server]) -> InProcessCli:
    return served_wallet[0]


def read_kinds(cli: InProcessCli, player: str) -> list[tuple[str, str, int]]:
    return [(entry["protocol"], entry["kind"], entry["amount"]) for entry in cli.read_entries(player)][1:]


def test_every_call_can_be_triggered(cli: InProcessCli) -> None:
    """Each call works in its protocol. Without an id it is about the newest open bet."""
    player = cli.add_player("MYR", "100")
    for words in ["bet --protocol wallet-v2", "win --amount 2.50", "bet --amount 3", "cancel"]:
        cli("trigger", *words.split(), "--player", player)
    for words in [
        "bet --protocol vela",
        "result --amount 7",
        "bet --protocol vela --amount 4",
        "refund",
        "betwin --win 9",
    ]:
        cli("trigger", *words.split(), "--player", player)
    assert read_kinds(cli, player) == [
        ("wallet-v2", "bet", -100),
        ("wallet-v2", "win", 250),
        ("wallet-v2", "bet", -300),
        ("wallet-v2", "cancel", 300),
        ("vela", "bet", -100),
        ("vela", "win", 700),
        ("vela", "bet", -400),
        ("vela", "cancel", 400),
        ("vela", "betwin", 800),
    ]
    bet, win, *_ = cli.read_entries(player)[1:]
    assert (win["round"], win["state"]) == (bet["id"], "applied")


def test_a_triggered_call_shows_request_and_reply(cli: InProcessCli) -> None:
    """Both are as on the wire, without the token. The account before and after is shown too."""
    player = cli.add_player("USD", "10", "5")
    made = cli(
        "trigger",
        "bet",
        "--protocol",
        "wallet-v2",
        "--player",
        player,
        "--amount",
        "12",
        "--id",
        "77",
        "--game",
        "fish",
    )
    assert made["http_status"] == 200
    assert made["request"].startswith('POST /wallet/default {"bet":1200,"code":"TOKEN"')
    assert json.loads(made["reply"])["credit"] == 300
    assert made["before"] == {"currency": "USD", "cash": 1000, "bonus": 500}
    assert made["after"] == {"currency": "USD", "cash": 0, "bonus": 300}
    lines = cli.run("trigger", "win", "--player", player, "--amount", "1").out.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["request", "reply", "balance"]
    assert lines[2] == "balance  1.00 USD and 3.00 bonus (before: 0.00 USD and 3.00 bonus)"
    assert "very_secret" not in "".join(lines)


def test_a_refused_call_ends_with_code_1(cli: InProcessCli) -> None:
    """The wallet's reply is still shown."""
    player = cli.add_player("USD", "1")
    result = cli.run("trigger", "bet", "--protocol", "wallet-v2", "--player", player, "--amount", "2")
    assert result.code == 1
    assert '"err_code":105' in result.out
    assert "(unchanged)" in result.out


def test_an_invalid_trigger_is_an_error(cli: InProcessCli) -> None:
    """The error is one line, and no call is made."""
    player = cli.add_player("USD", "1")
    known = ("--player", player)
    calls = {each for name in list_protocols() for each in load_protocol(name).operations}
    assert_error_line(cli.run("trigger", "spin", *known), 2, "unknown call 'spin'; use one of ", *calls)
    assert_error_line(cli.run("trigger", "win", *known, "--protocol", "vela"), 2, "no call 'win'", "wallet-v2")
    assert_error_line(cli.run("trigger", "bet", *known, "--protocol", "v3"), 2, "unknown protocol 'v3'")
    assert_error_line(cli.run("trigger", "bet", *known, "--amount", "1.234"), 2, "invalid amount")
    for protocol in ("vela", "wallet-v2"):
        for number in ["-1", "x", "18446744073709551616", "9" * 50]:
            refused = cli.run("trigger", "bet", *known, "--protocol", protocol, "--id", number)
            assert_error_line(refused, 2, f"protocol '{protocol}'")
    for number in ["१", "007"]:
        refused = cli.run("trigger", "bet", *known, "--protocol", "wallet-v2", "--id", number)
        assert_error_line(refused, 2, f"invalid id '{number}'")
    for text in ["", "9" * 65, "7\n"]:
        assert_error_line(cli.run("trigger", "bet", *known, "--id", text), 2, "invalid --id")
    assert_error_line(cli.run("trigger", "cancel", *known), 1, "no open bet in wallet-v2", "minwallet trigger bet")
    assert_error_line(cli.run("trigger", "result", *known), 1, "no open bet in vela")
    assert_error_line(cli.run("trigger", "bet", "--player", "nobody"), 1, "unknown player 'nobody'")
    assert read_kinds(cli, player) == []


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("cancel --reference 1", "--reference"),
        ("cancel --amount 1", "--amount"),
        ("cancel --win 1", "--win"),
        ("cancel --game 7", "--game"),
        ("win --reference 1", "--reference"),
        ("credit --round 1", "--round"),
        ("result --reference 1", "--reference"),
        ("result --id 1 --round 1", "--id or --round"),
        ("refund --amount 1", "--amount"),
        ("refund --id 1 --round 1", "--round"),
        ("betwin --round 1", "--round"),
        ("bet --win 0", "--win"),
        ("authenticate --game 7", "--game"),
    ],
)
def test_an_option_that_a_call_does_not_use_is_an_error(cli: InProcessCli, words: str, option: str) -> None:
    """The error is one line that names it, and no call is made."""
    player = cli.add_player("USD", "10")
    for protocol in ("vela", "wallet-v2"):
        cli("trigger", "bet", "--player", player, "--protocol", protocol)
    before = cli.read_entries(player)
    assert_error_line(cli.run("trigger", *words.split(), "--player", player), 2, option)
    assert cli.read_entries(player) == before


def test_a_round_chooses_the_bet_that_is_cancelled(cli: InProcessCli) -> None:
    """It is the newest open bet of the round. Without one, the error is one line. With --id, the round is only sent."""
    player = cli.add_player("USD", "10")
    calls = ("--player", player, "--protocol", "wallet-v2")
    for id_ in ("9001", "9002"):
        cli("trigger", "bet", *calls, "--id", id_)
    made = cli("trigger", "cancel", *calls, "--round", "9001")
    assert '"id":9001' in made["request"]
    refused = cli.run("trigger", "cancel", *calls, "--round", "9001")
    assert_error_line(refused, 1, "no open bet of round '9001' in wallet-v2", "--id")
    made = cli("trigger", "cancel", *calls, "--id", "9003", "--round", "9001")
    assert '"id":9003' in made["request"]
    assert '"round_id":9001' in made["request"]
    for id_ in ("9101", "9102"):
        cli("trigger", "bet", "--player", player, "--protocol", "vela", "--id", id_)
    cli("trigger", "result", "--player", player, "--round", "9101", "--amount", "3")
    assert [(each["kind"], each["id"]) for each in cli.read_entries(player)][-1:] == [("win", "9101")]


def test_a_missing_server_is_an_error(db: Path) -> None:
    """The error tells how to start one."""
    cli = InProcessCli(db)
    player = cli.add_player()
    assert_error_line(cli.run("trigger", "bet", "--player", player), 3, "no server runs", "serve")
    assert_error_line(cli.run("replay", "1"), 1, "operator's own deposit")


def test_an_entry_of_each_kind_can_be_replayed(served_wallet: tuple[InProcessCli, Server]) -> None:
    """A replay gets a reply and moves no money. This holds for refusals and closed ids too."""
    cli, server = served_wallet
    player = cli.add_player("USD", "100", "50")
    token = cli.open_session(player)

    def vela(operation: str, **parameters: object) -> None:
        server.http.get(f"/very_secret/api/{operation}?{urlencode({'access_token': token, **parameters})}")

    def wallet_v2(**fields: object) -> None:
        server.http.post("/very_secret/wallet", json={"code": token, "game": 1012, **fields})

    vela("bet", ticket_id=501, total_bet=100, key="red", game_code="fish")
    vela("result", ticket_id=501, total_win=300, total_used=50, game_code="fish")
    vela("betwin", ticket_id=502, total_bet=100, total_win=20)
    vela("refund", ticket_id=502)
    vela("refund", ticket_id=503)
    vela("bet", ticket_id=504, total_bet=10**9)
    wallet_v2(type="bet", bet=12_000, id=501)
    wallet_v2(type="win", win=100, id=502, round_id=501)
    wallet_v2(type="win", win=100, id=503, round_id=999)
    wallet_v2(type="bet", bet=100, id=504, round_id=501)
    wallet_v2(type="cancel", id=504, round_id=501)
    wallet_v2(type="cancel", id=505)
    entries = cli.read_entries(player)[1:]
    assert len(entries) == 12
    before = cli.read_balances(player)
    for entry in entries:
        made = cli("replay", entry["seq"])
        assert made["before"] == made["after"], entry
        assert made["http_status"] == 200
    assert cli.read_balances(player) == before
    assert len(cli.read_entries(player)) == 13


def test_only_provider_calls_are_replayed(cli: InProcessCli) -> None:
    """A deposit, and an entry that does not exist, cannot be replayed."""
    player = cli.add_player()
    seq = cli.read_entries(player)[0]["seq"]
    assert_error_line(cli.run("replay", seq), 1, "the operator's own deposit")
    assert_error_line(cli.run("replay", 10**6), 1, "unknown entry 1000000")
    assert_error_line(cli.run("show", 10**6), 1, "unknown entry 1000000")
    assert_error_line(cli.run("show", 0), 2, "invalid seq 0")


def test_a_rejected_replay_is_an_error(db: Path) -> None:
    """If the server does not accept calls from this address, the exit code is 1."""
    cli = InProcessCli(db)
    with running_server(db) as server:
        player = cli.add_player()
        cli("trigger", "bet", "--player", player)
        assert server.stop() == 0
    with running_server(db, MINWALLET_CALLBACK_ALLOW="203.0.113.0/24"):
        result = cli.run("replay", cli.read_entries(player)[1]["seq"])
    assert (result.code, result.err) == (
        1,
        "minwallet: the server rejected the call with HTTP 403; check the server's log\n",
    )


def test_an_entry_is_shown_with_its_call(cli: InProcessCli) -> None:
    """All fields of the row are shown, with the exact request and reply."""
    player = cli.add_player("USD", "10")
    made = cli("trigger", "bet", "--player", player, "--protocol", "vela", "--game", "fish")
    entry = cli.read_entries(player)[1]
    shown = cli("show", entry["seq"])
    deadline = time.monotonic() + TIMEOUT_S
    # The journal is written after the commit, with the next transaction or a moment later.
    while shown["request"] is None and time.monotonic() < deadline:
        time.sleep(0.05)
        shown = cli("show", entry["seq"])
    assert (shown["request"], shown["reply"]) == (made["request"], made["reply"])
    whole: dict[str, Any] = shown["entry"]
    assert entry.items() <= whole.items()
    assert (whole["player_id"], whole["agent"], whole["currency"]) == (player, "default", "USD")
    assert (whole["stake"], whole["payout"], whole["refusal"]) == (100, 0, None)
    result = cli.run("show", entry["seq"])
    rows = [split_cells(line) for line in result.out.splitlines()]
    assert ["amount", "-1.00"] in rows
    assert result.out.splitlines()[-2:] == [f"request  {made['request']}", f"reply    {made['reply']}"]
    deposit = cli.run("show", cli.read_entries(player)[0]["seq"])
    assert deposit.out.splitlines()[-1] == "the journal has no provider call for this entry"
