"""`minwallet calls`: the newest provider calls of the running server."""

import json
import signal
from pathlib import Path
from subprocess import PIPE

from tests.cli.cli_assertions import assert_error_line
from tests.forkserver import start_minwallet
from tests.support import TIMEOUT_S, InProcessCli, Server, clean_environment, running_server


def test_new_calls_follow_as_they_arrive(server: Server) -> None:
    """Each is one line of JSON, oldest first. The command ends with the server, or with Ctrl-C."""
    server.wallet_v2(type="credit", code="first")
    command = ["--db", server.db, "calls", "--follow", "--failed", "--limit", 1, "--json"]
    with start_minwallet(command, stdout=PIPE, stderr=PIPE, env=clean_environment()) as process:
        assert process.stdout
        first = json.loads(process.stdout.readline())
        server.http.post("/wallet", content=b"[]")
        second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0
    assert (first["outcome"], first["reason"]) == ("session_unknown", "no session has this token")
    assert (second["outcome"], second["request"]) == ("malformed", "POST /wallet []")
    shown = server.cli.run("calls", "--limit", "1").out.splitlines()
    assert shown[0].split()[1:4] == ["wallet-v2", "unknown", "malformed"]
    assert shown[1:3] == [
        "          reason   the body is not a JSON object",
        "          request  POST /wallet []",
    ]


def test_a_follower_says_that_the_server_was_killed(db: Path) -> None:
    """It ends with the exit code 3."""
    with running_server(db) as server:
        server.wallet_v2(type="credit", code="first")
        command = ["--db", server.db, "calls", "--follow", "--json"]
        with start_minwallet(command, stdout=PIPE, stderr=PIPE, env=clean_environment()) as process:
            assert process.stdout
            assert process.stderr
            process.stdout.readline()
            server.process.kill()
            assert process.wait(TIMEOUT_S) == 3
            assert process.stderr.read() == f"minwallet: the server (process {server.process.pid}) stopped\n"


def test_without_calls_or_a_server_the_command_says_so(server: Server, tmp_path: Path) -> None:
    """The calls are in the memory of a server, so a wallet file alone has none."""
    assert_error_line(server.cli.run("calls", "--limit", "0"), 2, "invalid --limit '0'", "1")
    with running_server(tmp_path / "new.db") as new:
        assert new.cli.run("calls").out == "no calls since the server's start\n"
    alone = InProcessCli(tmp_path / "alone.db")
    alone.add_player()
    assert_error_line(alone.run("calls"), 3, "no server runs on", "minwallet --db", "serve")
