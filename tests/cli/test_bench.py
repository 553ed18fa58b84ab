"""`minwallet bench`, on a real server and disk. It leaves nothing behind."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from minwallet.cli.bench import describe_caveats
from minwallet.storage.file_lock import read_control_endpoint
from tests.cli.cli_assertions import assert_error_line, assert_unchanged, assert_usage_error, split_cells
from tests.support import TIMEOUT_S, CommandResult, InProcessCli, clean_environment, running_server

pytestmark = pytest.mark.long

SHORT_OPTIONS = ("--seconds", "1", "--players", "10", "--connections", "4")

KEYS = """protocol connections players seconds bets bets_per_second p50_ms p99_ms fsync_ms load_busy processors notes"""


@pytest.mark.parametrize("protocol", ["vela", "wallet-v2"])
def test_a_machine_is_measured(cli: InProcessCli, tmp_path: Path, protocol: str) -> None:
    """The JSON has rates, latencies and the sync time. No file stays, not even a wallet file."""
    told = cli("bench", *SHORT_OPTIONS, "--protocol", protocol)
    assert list(told) == KEYS.split()
    assert (told["protocol"], told["connections"], told["players"]) == (protocol, 4, 10)
    assert told["bets"] >= told["bets_per_second"] > 0
    assert 0 < told["p50_ms"] <= told["p99_ms"]
    assert told["fsync_ms"] > 0
    assert list(tmp_path.iterdir()) == []


def test_the_table_comes_with_an_explanation(cli: InProcessCli) -> None:
    """Sentences below the table explain the numbers."""
    told = cli.run("bench", *SHORT_OPTIONS, "--protocol", "wallet-v2")
    assert (told.code, told.err) == (0, "")
    head, figures, *sentences = told.out.splitlines()
    assert split_cells(head) == ["bets/s", "p50 ms", "p99 ms", "fsync ms"]
    assert len(split_cells(figures)) == 4
    text = "\n".join(sentences)
    for words in ("4 connections", "10 players", "wallet-v2", "durable", "verified", "The load generator used"):
        assert words in text


def test_the_wallet_file_stays_unchanged(cli: InProcessCli, tmp_path: Path) -> None:
    """This holds with a running server, and with an allow list that excludes this machine."""
    settings = {
        "MINWALLET_CALLBACK_KEY": "secret",
        "MINWALLET_CALLBACK_ALLOW": "192.0.2.0/24",
        "MINWALLET_REQUIRE_WALLET_TOKEN": "1",
    }
    cli.add_player()
    with running_server(cli.db, **settings):
        before = (cli("verify"), {each.name for each in tmp_path.iterdir()})
        told = cli.run("bench", *SHORT_OPTIONS, "--json", **settings)
        assert told.code == 0, told
        assert (cli("verify"), {each.name for each in tmp_path.iterdir()}) == before


def test_a_saturated_load_generator_is_reported() -> None:
    """A single shared processor is reported too. JSON has the same sentences."""
    assert [len(describe_caveats(busy, processors)) for busy, processors in ((0.2, 2), (0.95, 2), (0.95, 1))] == [
        1,
        2,
        2,
    ]
    assert "20% of one processor. This machine has 2" in describe_caveats(0.2, 2)[0]
    assert "the only processor" in describe_caveats(0.2, 1)[0]
    assert "may be faster" in describe_caveats(0.95, 2)[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_bench_leaves_nothing_behind(cli: InProcessCli, tmp_path: Path, number: signal.Signals) -> None:
    """There are no files, no server, and no output."""
    command = [sys.executable, "-m", "minwallet", "--db", str(cli.db), "bench", "--seconds", "60", "--players", "10"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    ) as process:
        deadline = time.monotonic() + TIMEOUT_S
        while not (desks := [desk for each in tmp_path.glob("*/bench.db") if (desk := read_control_endpoint(each))]):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.3)
        process.send_signal(number)
        assert process.wait(TIMEOUT_S) == 130
        assert process.stdout
        assert process.stderr
        assert (process.stdout.read(), process.stderr.read()) == ("", "")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(desks[0].pid, 0)


def test_an_unusable_folder_is_an_error(tmp_path: Path) -> None:
    """The error is one line with code 3."""
    assert_error_line(InProcessCli(tmp_path / "none/wallet.db").run("bench"), 3, str(tmp_path / "none"), "--db")
    (tmp_path / "file").write_text("not a folder")
    with assert_unchanged(tmp_path):
        assert_error_line(InProcessCli(tmp_path / "file/wallet.db").run("bench"), 3, str(tmp_path / "file"), "--db")


@pytest.mark.parametrize("most_bytes", [1_000_000, 6_000_000], ids=["at once", "while bets are made"])
def test_a_full_disk_is_an_error(cli: InProcessCli, tmp_path: Path, most_bytes: int) -> None:
    """The error is one line, and the written files are removed, whenever the disk gets full."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    assert_error_line(_run_limited(cli, limit, "--seconds", "60"), 3)
    assert list(tmp_path.iterdir()) == []


def test_too_many_connections_are_refused(cli: InProcessCli) -> None:
    """The system's limit of open files limits the connections."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))

    assert_error_line(_run_limited(cli, limit, "--connections", "150"), 3, "250 open files", "200")


def test_the_soft_limit_of_files_is_raised(cli: InProcessCli) -> None:
    """The usual soft limit is raised to the hard limit."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 1000))

    assert _run_limited(cli, limit, "--connections", "100").code == 0


def test_invalid_options_are_usage_errors(cli: InProcessCli) -> None:
    """This holds for an unknown protocol and for numbers out of range."""
    assert_error_line(cli.run("bench", "--protocol", "soap"), 2, "'soap'", "use ", "wallet-v2")
    assert_usage_error(cli.run("bench", "--connections", "0"), "--connections")
    assert_usage_error(cli.run("bench", "--seconds", "0"), "--seconds")
    assert_usage_error(cli.run("bench", "--players", "1000000"), "--players")


def _run_limited(cli: InProcessCli, limit: Callable[[], None], *options: str) -> CommandResult:
    """Run the benchmark in a process with this limit."""
    command = [sys.executable, "-m", "minwallet", "--db", str(cli.db), "bench", *SHORT_OPTIONS, *options]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=TIMEOUT_S * 2,
        preexec_fn=limit,
    )
    return CommandResult(done.returncode, done.stdout, done.stderr)
