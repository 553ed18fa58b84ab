"""The next command after a failed operation, which only the command line shows."""

import json
from pathlib import Path

import pytest

from minwallet.cli.hints import HINTS, format_failure
from minwallet.operations.errors import ErrorCode, OperationError, OperationFailure, Subject
from minwallet.operations.requests import Envelope
from tests.cli.cli_assertions import assert_error_line
from tests.support import InProcessCli, running_server


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> InProcessCli:
    """Create a wallet with a player who has two currencies."""
    cli = InProcessCli(tmp_path_factory.mktemp("hints") / "w.db")
    cli("player", "add", "ann", "--currency", "USD")
    cli("player", "add", "ann", "--currency", "EUR")
    return cli


CASES = {
    "agent show x": ("unknown agent 'x'", "see: minwallet agent list"),
    "agent add default": ("another agent already has the name 'default'", "see: minwallet agent list"),
    "player add x --currency USD --agent y": ("unknown agent 'y'", "add it with: minwallet agent add y"),
    "player show x": ("unknown player 'x' (agent default)", "see: minwallet player list --agent default"),
    "player add ann --currency USD": ("ann already has an account in USD", "minwallet deposit"),
    "deposit ann 1": ("several currencies; choose one of EUR, USD", "use --currency"),
    "show 9": ("unknown entry 9", "see: minwallet ledger ID"),
    "key revoke x": ("unknown key 'x'", "see: minwallet key list"),
    "admin reset x": ("unknown admin 'x'", "see: minwallet admin list"),
    "launch --demo --protocol wallet-v2 --game g": (
        "agent 'default' has no game url",
        "set it with: minwallet agent set default --game-url …",
    ),
    "launch --demo --protocol vela --game g": ("never fetched", "minwallet games --agent default"),
    "reconcile": ("never fetched completely", "run: minwallet report pull --agent default"),
}


@pytest.mark.parametrize("command", CASES)
def test_a_failed_command_names_the_next_one(command: str, cli: InProcessCli) -> None:
    assert_error_line(cli.run(*command.split()), 1, *CASES[command])


def test_a_server_s_failure_has_the_same_hint(tmp_path: Path) -> None:
    """The control endpoint answers with code and data; the hint is added at the terminal."""
    cli = InProcessCli(tmp_path / "w.db")
    with running_server(cli.db):
        assert_error_line(cli.run("key", "revoke", "x"), 1, "unknown key 'x'; see: minwallet key list")
        assert_error_line(cli.run("deposit", "x", "1"), 1, "(agent default); see: minwallet player list")


def test_a_server_of_another_version_must_be_restarted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its requests differ, so it refuses the command; the error names the process and shows no token."""
    cli = InProcessCli(tmp_path / "w.db")
    with running_server(cli.db) as server:
        earlier = '{"actor":"cli","request":{"do":"session_revoke","token":"secret"}}'
        monkeypatch.setattr(Envelope, "model_dump_json", lambda _: earlier)
        result = cli.run("session", "revoke", "secret")
    assert_error_line(result, 3, f"process {server.process.pid}", "runs another version of minwallet; restart it")
    assert "secret" not in result.err


def test_every_hint_is_filled_from_the_failure_s_data() -> None:
    for code, subject in HINTS:
        data = {"agent": "north", "setting": "game-url", "protocol": "acme"}
        error = OperationError("first", "last", code=code, subject=subject, **data)
        first, last = format_failure(error.failure)
        assert first == "first"
        assert last.startswith("last; ")
        assert "{" not in last


def test_a_failure_survives_the_way_as_json() -> None:
    failure = OperationFailure(("a", "b"), ErrorCode.TAKEN, Subject.AGENT, {"agent": "north"})
    for each in (failure, OperationFailure(("a",), ErrorCode.NOT_POSSIBLE)):
        assert OperationFailure.from_document(json.loads(json.dumps(each.to_document()))) == each
