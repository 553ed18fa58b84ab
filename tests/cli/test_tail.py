"""`minwallet tail`: what is committed, as it is committed, by whoever."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from tests.cli.console import assert_complaint
from tests.starter import start
from tests.support import PATIENCE_S, Here, environment, minwallet, serving


@contextmanager
def tailing(db: Path, *options: object) -> Iterator["Popen[str]"]:
    """The command as a process that is told to end, as by Ctrl-C, when the block is over."""
    process = start(["--db", db, "tail", *options], stdout=PIPE, stderr=PIPE, env=environment())
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        _, err = process.communicate()
        assert err == ""


def next_line(process: "Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline()


def next_json(process: "Popen[str]") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next_line(process))
    return found


def test_the_tail_begins_with_the_newest_and_goes_on(here: Here) -> None:
    """Oldest first, a document a line, whoever commits: a running server or another command."""
    name = here.player()
    here("deposit", name, "1")
    here("deposit", name, "2")
    with tailing(here.db, "-n", "2", "--json") as process:
        assert [next_json(process)["amount"] for _ in range(2)] == [100, 200]
        here("deposit", name, "3")
        assert next_json(process)["amount"] == 300
        with serving(here.db) as server:
            token = here.session(name)
            server.wallet_v2(type="bet", bet=5, id=2, game=1012, code=token)
            bet = next_json(process)
    assert (bet["kind"], bet["player_id"], bet["agent"], bet["cash_after"]) == ("bet", name, "default", 10_595)


def test_the_tail_shows_only_what_was_asked_for(here: Here) -> None:
    """By player, kind, state, game, protocol, currency and agent."""
    ann, bob = here.player(), here.player(currency="EUR")
    here("withdraw", bob, "1")
    with tailing(here.db, "--player", bob, "--kind", "withdraw", "--currency", "EUR", "--json") as process:
        assert next_json(process)["amount"] == -100
        here("deposit", bob, "1")
        here("withdraw", ann, "2")
        here("withdraw", bob, "3")
        assert (found := next_json(process))["amount"] == -300
        assert found["player_id"] == bob


def test_a_person_gets_a_line(here: Here) -> None:
    """With the player, what it was, by how much and to how much."""
    name = here.player(bonus="2.50")
    with tailing(here.db) as process:
        line = next_line(process).split()
    assert line[1:7] == ["1", name, "deposit", "+102.50", "→", "102.50"]


def test_the_tail_ends_when_nobody_reads_it(here: Here) -> None:
    """As in `minwallet tail | head -1`."""
    name = here.player()
    with tailing(here.db, "-n", "1") as process:
        assert next_line(process)
        assert process.stdout
        process.stdout.close()
        here("deposit", name, "1")
        assert process.wait(PATIENCE_S) == 0
        process.stdout = None


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """In one line."""
    result = minwallet("--db", tmp_path / "none.db", "tail")
    assert result.code == 3
    assert "none.db" in result.err
    assert len(result.err.splitlines()) == 1


def test_nonsense_is_refused(here: Here) -> None:
    """With what there is, rather than waited for in vain."""
    here.player()
    for option, word in (("--kind", "betwin"), ("--state", "orphan"), ("--protocol", "vela")):
        assert_complaint(here.run("tail", option, "nonsense"), 2, "nonsense", word)
    assert_complaint(here.run("tail", "--agent", "nobody"), 1, "no agent nobody", "minwallet agent list")


def test_a_tail_keeps_nobody_from_the_file(here: Here) -> None:
    """A server starts while it runs, and stops again; verify is clean."""
    name = here.player()
    with tailing(here.db, "-n", "1", "--json") as process:
        assert next_json(process)["amount"] == 10_000
        for amount in (1, 2):
            with serving(here.db):
                here("deposit", name, amount)
                assert next_json(process)["amount"] == amount * 100
    here.assert_clean()
