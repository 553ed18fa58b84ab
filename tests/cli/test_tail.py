"""`minwallet tail`: what is committed, as it is committed, by whoever."""

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
    """The command as a process that is told to end, as by Ctrl-C, when the block is over."""
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
    """Oldest first, a document a line, whoever commits: a running server or another command."""
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


def test_the_tail_shows_only_what_was_asked_for(cli: InProcessCli) -> None:
    """By player, kind, state, game, protocol, currency and agent."""
    ann, bob = cli.add_player(), cli.add_player(currency="EUR")
    cli("withdraw", bob, "1")
    with running_tail(cli.db, "--player", bob, "--kind", "withdraw", "--currency", "EUR", "--json") as process:
        assert read_json(process)["amount"] == -100
        cli("deposit", bob, "1")
        cli("withdraw", ann, "2")
        cli("withdraw", bob, "3")
        assert (found := read_json(process))["amount"] == -300
        assert found["player_id"] == bob


def test_a_person_gets_a_line(cli: InProcessCli) -> None:
    """With the player, what it was, by how much and to how much."""
    name = cli.add_player(bonus="2.50")
    with running_tail(cli.db) as process:
        line = read_line(process).split()
    assert line[1:7] == ["1", name, "deposit", "+102.50", "→", "102.50"]


def test_the_tail_ends_when_nobody_reads_it(cli: InProcessCli) -> None:
    """As in `minwallet tail | head -1`."""
    name = cli.add_player()
    with running_tail(cli.db, "-n", "1") as process:
        assert read_line(process)
        assert process.stdout
        process.stdout.close()
        cli("deposit", name, "1")
        assert process.wait(TIMEOUT_S) == 0
        process.stdout = None


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """In one line."""
    result = run_minwallet("--db", tmp_path / "none.db", "tail")
    assert result.code == 3
    assert "none.db" in result.err
    assert len(result.err.splitlines()) == 1


def test_nonsense_is_refused(cli: InProcessCli) -> None:
    """With what there is, rather than waited for in vain."""
    cli.add_player()
    for option, word in (("--kind", "betwin"), ("--state", "orphan"), ("--protocol", "vela")):
        assert_error_line(cli.run("tail", option, "nonsense"), 2, "nonsense", word)
    assert_error_line(cli.run("tail", "--agent", "nobody"), 1, "unknown agent 'nobody'", "minwallet agent list")


def test_a_tail_keeps_nobody_from_the_file(cli: InProcessCli) -> None:
    """A server starts while it runs, and stops again; verify is clean."""
    name = cli.add_player()
    with running_tail(cli.db, "-n", "1", "--json") as process:
        assert read_json(process)["amount"] == 10_000
        for amount in (1, 2):
            with running_server(cli.db):
                cli("deposit", name, amount)
                assert read_json(process)["amount"] == amount * 100
    cli.assert_ledger_valid()
