"""`minwallet tail`: transactions as they are committed by any process."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from tests.cli.cli_assertions import assert_error_line
from tests.forkserver import start_minwallet
from tests.support import TIMEOUT_S, InProcessCli, clean_environment, run_minwallet, running_server


@contextmanager
def running_tail(db: Path, *options: object) -> Iterator["Popen[str]"]:
    """Yield the command as a process, and stop it with Ctrl-C at the end of the block."""
    process = start_minwallet(["--db", db, "tail", *options], stdout=PIPE, stderr=PIPE, env=clean_environment())
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0
        _, err = process.communicate()
        assert err == ""


def read_line(process: "Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline()


def read_json(process: "Popen[str]") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read_line(process))
    return found


def test_the_tail_begins_with_the_newest_and_goes_on(cli: InProcessCli) -> None:
    """It prints one document per line, oldest first, for commits of a server or another command."""
    name = cli.add_player()
    cli("deposit", name, "1")
    cli("deposit", name, "2")
    with running_tail(cli.db, "-n", "2", "--json") as process:
        assert [read_json(process)["amount"] for _ in range(2)] == [100, 200]
        cli("deposit", name, "3")
        assert read_json(process)["amount"] == 300
        with running_server(cli.db) as server:
            token = cli.open_session(name)
            server.wallet_v2(type="bet", bet=5, id=2, game=1012, code=token)
            bet = read_json(process)
    assert (bet["kind"], bet["player_id"], bet["agent"], bet["cash_after"]) == ("bet", name, "default", 10_595)


def test_the_tail_filters(cli: InProcessCli) -> None:
    """The filters are player, kind, state, game, protocol, currency and agent."""
    ann, bob = cli.add_player(), cli.add_player(currency="EUR")
    cli("withdraw", bob, "1")
    with running_tail(cli.db, "--player", bob, "--kind", "withdraw", "--currency", "EUR", "--json") as process:
        assert read_json(process)["amount"] == -100
        cli("deposit", bob, "1")
        cli("withdraw", ann, "2")
        cli("withdraw", bob, "3")
        assert (found := read_json(process))["amount"] == -300
        assert found["player_id"] == bob


def test_a_transaction_is_one_line(cli: InProcessCli) -> None:
    """The line has the player, the event, the change and the balance."""
    name = cli.add_player(bonus="2.50")
    with running_tail(cli.db) as process:
        line = read_line(process).split()
    assert line[1:7] == ["1", name, "deposit", "+102.50", "→", "102.50"]


def test_the_tail_ends_with_its_reader(cli: InProcessCli) -> None:
    """This is the case of `minwallet tail | head -1`."""
    name = cli.add_player()
    with running_tail(cli.db, "-n", "1") as process:
        assert read_line(process)
        assert process.stdout
        process.stdout.close()
        cli("deposit", name, "1")
        assert process.wait(TIMEOUT_S) == 0
        process.stdout = None


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """The error is one line."""
    result = run_minwallet("--db", tmp_path / "none.db", "tail")
    assert result.code == 3
    assert "none.db" in result.err
    assert len(result.err.splitlines()) == 1


def test_an_invalid_filter_is_an_error(cli: InProcessCli) -> None:
    """The error names the valid values."""
    cli.add_player()
    for option, word in (("--kind", "betwin"), ("--state", "orphan"), ("--protocol", "vela")):
        assert_error_line(cli.run("tail", option, "nonsense"), 2, "nonsense", word)
    assert_error_line(cli.run("tail", "--agent", "nobody"), 1, "unknown agent 'nobody'", "minwallet agent list")


def test_a_tail_does_not_lock_the_file(cli: InProcessCli) -> None:
    """A server can start and stop meanwhile, and the ledger verifies."""
    name = cli.add_player()
    with running_tail(cli.db, "-n", "1", "--json") as process:
        assert read_json(process)["amount"] == 10_000
        for amount in (1, 2):
            with running_server(cli.db):
                cli("deposit", name, amount)
                assert read_json(process)["amount"] == amount * 100
    cli.assert_ledger_valid()
